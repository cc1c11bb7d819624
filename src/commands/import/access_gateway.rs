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

/// Variables that turn something on or off.
const SWITCHES: [&str; 5] = [
    "ENABLE_CROSS_REGION_INFERENCE",
    "ENABLE_APPLICATION_INFERENCE_PROFILES",
    "ENABLE_PROMPT_CACHING",
    "ENABLE_OPTILLM",
    "DEBUG",
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
    let mut switches = BTreeMap::new();
    for name in SWITCHES {
        let Some(value) = get(name) else { continue };
        match read_switch(value) {
            Some(is_on) => _ = switches.insert(name, is_on),
            None => imported.note(format!("{name}: `{value}` is neither `true` nor `false`")),
        }
    }
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
    let profiles = ["ENABLE_CROSS_REGION_INFERENCE", "ENABLE_APPLICATION_INFERENCE_PROFILES"];
    let profiles: Vec<_> = profiles.iter().filter_map(|name| switches.get(name)).collect();
    if !profiles.is_empty() {
        imported.set(PIPE, "inference_profiles", profiles.into_iter().any(|is_on| *is_on));
    }
    if let Some(is_on) = switches.get("ENABLE_PROMPT_CACHING") {
        imported.set(PIPE, "prompt_caching", if *is_on { "auto" } else { "off" });
    }
    if let Some(is_on) = switches.get("ENABLE_OPTILLM") {
        imported.set("optimizer", "enabled", *is_on);
    }
    if switches.get("DEBUG") == Some(&true) {
        imported.variables.insert("GLOBAL_LOG_LEVEL".into(), "DEBUG".into());
    }
    for (name, words) in WITHOUT {
        if get(name).is_some() {
            imported.note(format!("{name}: {words}"));
        }
    }
    imported
}

/// Returns whether a value turns something on; `None` for a value that says neither.
fn read_switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_is_neither_on_nor_off_is_noted() {
        let variables = [
            ("ENABLE_PROMPT_CACHING", "maybe"),
            ("ENABLE_OPTILLM", "on"),
            ("ENABLE_CROSS_REGION_INFERENCE", "FALSE"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let imported = import(&BTreeMap::from(variables));
        let valves = &imported.valves[PIPE];
        assert!(!valves.contains_key("prompt_caching"), "{valves:?}");
        assert_eq!(valves["inference_profiles"], false);
        assert_eq!(imported.valves["optimizer"]["enabled"], true);
        let notes = imported.notes.join("\n");
        assert!(notes.contains("ENABLE_PROMPT_CACHING: `maybe` is neither"), "{notes}");
    }

    #[test]
    fn an_environment_of_other_things_says_that_nothing_was_found() {
        let variables = BTreeMap::from([("PATH".to_owned(), "/bin".to_owned())]);
        let told = import(&variables).describe(true);
        assert!(told.contains("Nothing was found"), "{told}");
        assert!(!told.contains("Everything"), "{told}");
    }
}
