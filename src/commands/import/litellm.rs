//! LiteLLM's `config.yaml` (<https://docs.litellm.ai/docs/proxy/config_settings>).

mod budgets;
mod credentials;
mod fallbacks;
mod models;
mod yaml;

use super::Imported;
use crate::commands::placeholder;
use anyhow::Context;
use budgets::{import_budget, import_personal_budget};
use fallbacks::{import_aliases, import_fallbacks};
use models::import_models;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

const BEDROCK: &str = "bedrock_models";
const PROXY: &str = "openai_proxy";
const LIMITS: &str = "rate_limit";

/// The prefix of a value that names an environment variable.
const VARIABLE: &str = "os.environ/";

/// Reads values that may name environment variables.
struct Reader<F>(F);

impl<F: Fn(&str) -> Option<String>> Reader<F> {
    /// Returns a text; for a variable that is not set, a text that says so.
    fn text(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Bool(is_on) => is_on.to_string(),
            _ => return None,
        };
        let Some(name) = text.strip_prefix(VARIABLE) else { return Some(text) };
        Some((self.0)(name).unwrap_or_else(|| placeholder::for_variable(name)))
    }
}

/// Translates this configuration. `get` returns variables of the environment.
///
/// # Errors
/// The line that is no YAML.
pub fn import(text: &str, get: impl Fn(&str) -> Option<String>) -> anyhow::Result<Imported> {
    let config = yaml::parse(text).context("the configuration cannot be read")?;
    let reader = Reader(get);
    let mut imported = Imported::default();
    let mut rest = config;
    let list = match rest.shift_remove("model_list") {
        Some(Value::Array(list)) => list,
        None | Some(Value::Null) => Vec::new(),
        Some(_) => {
            imported.note("model_list: is no list of models, and was not read");
            Vec::new()
        }
    };
    let names = import_models(&list, &reader, &mut imported);
    let mut section = |name: &str| match rest.shift_remove(name) {
        Some(Value::Object(section)) => section,
        None | Some(Value::Null) => Map::new(),
        Some(_) => {
            imported.note(format!("{name}: is no mapping of settings, and was not read"));
            Map::new()
        }
    };
    let (settings, router) = (section("litellm_settings"), section("router_settings"));
    let general = section("general_settings");
    for (name, value) in section("environment_variables") {
        if let Some(value) = reader.text(&value) {
            imported.variables.insert(name, value);
        }
    }
    import_budget(&mut imported, &settings);
    let personal = settings.get("max_internal_user_budget");
    let duration = settings.get("internal_user_budget_duration");
    import_personal_budget(
        &mut imported,
        "litellm_settings.max_internal_user_budget",
        personal,
        duration,
    );
    for (section, values) in [("litellm_settings", settings), ("router_settings", router)] {
        for (name, value) in &values {
            import_setting(&mut imported, &names, &reader, (section, name), value);
        }
    }
    for (name, value) in &general {
        import_general(&mut imported, &reader, name, value);
    }
    for name in rest.keys() {
        imported.note(format!("{name}: has no counterpart"));
    }
    Ok(imported)
}

/// Imports one of the settings of calls.
fn import_setting<F: Fn(&str) -> Option<String>>(
    imported: &mut Imported,
    models: &BTreeMap<String, Vec<String>>,
    reader: &Reader<F>,
    (section, name): (&str, &str),
    value: &Value,
) {
    let number = value.as_f64().or_else(|| reader.text(value)?.parse().ok());
    match (name, number) {
        ("num_retries", Some(retries)) => {
            let attempts = (retries + 1.0).clamp(1.0, 10.0) as u64;
            imported.set(BEDROCK, "max_attempts", attempts);
            imported.set(PROXY, "max_attempts", attempts);
        }
        ("request_timeout" | "timeout", Some(seconds)) => {
            imported.set(BEDROCK, "first_event_timeout_seconds", seconds.clamp(1.0, 3600.0) as u64);
            imported.set(PROXY, "timeout", seconds.clamp(5.0, 120.0) as u64);
            if !(5.0..=120.0).contains(&seconds) {
                imported
                    .note(format!("{section}.{name}: openai_proxy.timeout is 5 to 120 seconds"));
            }
        }
        ("drop_params", _) => {
            imported.set(BEDROCK, "refuse_ignored", value == &Value::Bool(false));
        }
        ("fallbacks" | "default_fallbacks", _) => import_fallbacks(imported, models, name, value),
        ("model_group_alias", _) => import_aliases(imported, models, value),
        // They were read together.
        (
            "max_budget"
            | "budget_duration"
            | "max_internal_user_budget"
            | "internal_user_budget_duration",
            _,
        ) => {}
        ("default_internal_user_params", _) => {
            let (budget, duration) = (value.get("max_budget"), value.get("budget_duration"));
            import_personal_budget(imported, &format!("{section}.{name}"), budget, duration);
        }
        ("cache" | "cache_params", _) => imported.note(format!(
            "{section}.{name}: answers are not cached; prompts are (bedrock_models.prompt_caching)"
        )),
        ("callbacks" | "success_callback" | "failure_callback", _) => imported.note(format!(
            "{section}.{name}: /metrics, traces over OTLP and the usage page (docs/usage.md)"
        )),
        ("set_verbose", _) => imported.note(format!("{section}.{name}: GLOBAL_LOG_LEVEL=DEBUG")),
        _ => imported.note(format!("{section}.{name}: has no counterpart")),
    }
}

fn import_general<F: Fn(&str) -> Option<String>>(
    imported: &mut Imported,
    reader: &Reader<F>,
    name: &str,
    value: &Value,
) {
    let words = match name {
        "master_key" => {
            if let Some(key) = reader.text(value) {
                imported.variables.insert("PIPELINES_API_KEY".into(), key);
            }
            return;
        }
        "database_url" => {
            "keys and spending stand in that database and are not imported: make keys with \
             PIPELINES_API_KEYS; DATABASE_URL is for replicas (docs/store.md)"
        }
        "max_parallel_requests" | "global_max_parallel_requests" => {
            "bedrock_models.max_concurrent and openai_proxy.max_concurrent hold for each model"
        }
        "alerting" => "alerts for Prometheus are in deploy/prometheus",
        _ => "has no counterpart",
    };
    imported.note(format!("general_settings.{name}: {words}"));
}

#[cfg(test)]
mod tests;
