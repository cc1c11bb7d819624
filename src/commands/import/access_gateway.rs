//! The environment of `aws-samples/bedrock-access-gateway`
//! (<https://github.com/aws-samples/bedrock-access-gateway/blob/main/src/api/setting.py>).

use super::Imported;
use std::collections::BTreeMap;

/// The pipe whose valves are set.
const PIPE: &str = "bedrock_models";

/// Variables that mean the same here as there.
const SAME: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_BEARER_TOKEN_BEDROCK",
];

/// Variables without a counterpart, and what to do.
const WITHOUT: [(&str, &str); 4] = [
    ("API_KEY_PARAM_NAME", "put the key of that SSM parameter into PIPELINES_API_KEY"),
    ("API_KEY_SECRET_ARN", "put the key of that secret into PIPELINES_API_KEY"),
    ("DEFAULT_EMBEDDING_MODEL", "clients name the embedding model, or an alias for it"),
    ("API_ROUTE_PREFIX", "routes are served below /v1, /api/v1 and without a prefix"),
];

/// Translates these variables.
pub fn import(variables: &BTreeMap<String, String>) -> Imported {
    let mut imported = Imported::default();
    let get = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let is_on = |value: &String| value.eq_ignore_ascii_case("true") || value == "1";
    if let Some(key) = get("API_KEY") {
        imported.variables.insert("PIPELINES_API_KEY".into(), key.clone());
    }
    for name in SAME {
        if let Some(value) = get(name) {
            imported.variables.insert(name.into(), value.clone());
        }
    }
    if let Some(region) = get("AWS_REGION").or_else(|| get("AWS_DEFAULT_REGION")) {
        imported.set(PIPE, "regions", vec![region.clone()]);
    }
    if let Some(model) = get("DEFAULT_MODEL") {
        imported.set(PIPE, "default_model", model.clone());
    }
    if let Some(model) = get("FALLBACK_MODEL") {
        imported.set(PIPE, "fallbacks", format!("* > {model}"));
    }
    let cross_region = get("ENABLE_CROSS_REGION_INFERENCE");
    let application = get("ENABLE_APPLICATION_INFERENCE_PROFILES");
    if cross_region.is_some() || application.is_some() {
        let wanted = [cross_region, application].into_iter().flatten().any(is_on);
        imported.set(PIPE, "inference_profiles", wanted);
    }
    if let Some(caching) = get("ENABLE_PROMPT_CACHING") {
        imported.set(PIPE, "prompt_caching", if is_on(caching) { "auto" } else { "off" });
    }
    if let Some(optimizing) = get("ENABLE_OPTILLM") {
        imported.set("optimizer", "enabled", is_on(optimizing));
    }
    if get("DEBUG").is_some_and(is_on) {
        imported.variables.insert("GLOBAL_LOG_LEVEL".into(), "DEBUG".into());
    }
    for (name, words) in WITHOUT {
        if get(name).is_some() {
            imported.note(format!("{name}: {words}"));
        }
    }
    imported
}
