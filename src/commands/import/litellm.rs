//! LiteLLM's `config.yaml` (<https://docs.litellm.ai/docs/proxy/config_settings>).

mod models;
mod yaml;

use super::Imported;
use anyhow::Context;
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
        Some((self.0)(name).unwrap_or_else(|| format!("<the value of {name}>")))
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
    let list = rest.shift_remove("model_list").unwrap_or_default();
    let names = import_models(list.as_array().map_or(&[], Vec::as_slice), &reader, &mut imported);
    let mut section = |name: &str| match rest.shift_remove(name) {
        Some(Value::Object(section)) => section,
        _ => Map::new(),
    };
    let (settings, router) = (section("litellm_settings"), section("router_settings"));
    let general = section("general_settings");
    for (name, value) in section("environment_variables") {
        if let Some(value) = reader.text(&value) {
            imported.variables.insert(name, value);
        }
    }
    if let Some(budget) = settings.get("max_budget").and_then(Value::as_f64) {
        let duration = settings.get("budget_duration").and_then(Value::as_str);
        import_budget(&mut imported, budget, duration);
    }
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
        // They are read together.
        ("max_budget" | "budget_duration", _) => {}
        ("default_internal_user_params", _) => {
            let (budget, duration) =
                (value["max_budget"].as_f64(), value["budget_duration"].as_str());
            let valve = match duration.map(period) {
                Some(Some("day")) => Some("budget_per_day"),
                Some(Some(_)) => Some("budget_per_month"),
                _ => None,
            };
            match (valve, budget) {
                (Some(valve), Some(budget)) => imported.set(LIMITS, valve, budget),
                _ => imported.note(format!(
                    "{section}.{name}: a budget needs a duration of a day or a month here \
                     (docs/usage.md)"
                )),
            }
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

/// Imports the budget of all people together, which two settings have.
fn import_budget(imported: &mut Imported, budget: f64, duration: Option<&str>) {
    match duration.and_then(period) {
        Some(period) => {
            imported.set(LIMITS, "exceptions", format!("everybody: ${budget}/{period}"));
        }
        None => imported.note(
            "litellm_settings.max_budget: a budget needs a budget_duration of a day or a month here",
        ),
    }
}

/// Returns the period here of a duration there.
fn period(duration: &str) -> Option<&'static str> {
    match duration {
        "1d" | "24h" => Some("day"),
        "30d" | "31d" | "1mo" => Some("month"),
        _ => None,
    }
}

/// Imports fallbacks among models of Bedrock; those of other servers have a valve of their own.
fn import_fallbacks(
    imported: &mut Imported,
    models: &BTreeMap<String, Vec<String>>,
    name: &str,
    value: &Value,
) {
    let bedrock = |model: &str| {
        let ids = models.get(model)?;
        ids.iter().find_map(|id| Some(id.strip_prefix("bedrock_models.")?.to_owned()))
    };
    let mut chains = Vec::new();
    for entry in value.as_array().into_iter().flatten() {
        let pairs: Vec<(&str, Vec<&str>)> = match entry {
            Value::String(next) => vec![("*", vec![next.as_str()])],
            Value::Object(chain) => chain
                .iter()
                .map(|(model, next)| {
                    let next = next.as_array().into_iter().flatten().filter_map(Value::as_str);
                    (model.as_str(), next.collect())
                })
                .collect(),
            _ => continue,
        };
        for (model, next) in pairs {
            let first = if model == "*" { Some("*".to_owned()) } else { bedrock(model) };
            let next: Option<Vec<_>> = next.iter().map(|model| bedrock(model)).collect();
            match (first, next.filter(|next| !next.is_empty())) {
                (Some(first), Some(next)) => chains.push(format!("{first} > {}", next.join(" > "))),
                _ => imported.note(format!(
                    "{name} of `{model}`: only models of Bedrock fall back on each other; \
                     openai_proxy.fallback_model is one for a server"
                )),
            }
        }
    }
    if !chains.is_empty() {
        let known = imported.valves.get(BEDROCK).and_then(|valves| valves.get("fallbacks"));
        let known = known.and_then(Value::as_str).map(str::to_owned);
        let all: Vec<_> = known.into_iter().chain(chains).collect();
        imported.set(BEDROCK, "fallbacks", all.join(", "));
    }
}

fn import_aliases(imported: &mut Imported, models: &BTreeMap<String, Vec<String>>, value: &Value) {
    for (alias, model) in value.as_object().into_iter().flatten() {
        let model = model.as_str().or_else(|| model["model"].as_str()).unwrap_or_default();
        let ids = models.get(model).map_or(&[][..], Vec::as_slice);
        match ids.iter().find_map(|id| id.strip_prefix("bedrock_models.")) {
            Some(id) => models::add_alias(imported, alias, id),
            None => imported.note(format!("alias `{alias}`: only models of Bedrock have aliases")),
        }
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
mod tests {
    use super::*;

    const CONFIG: &str = r#"
model_list:
  - model_name: claude
    litellm_params:
      model: bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0
      aws_region_name: eu-west-1
      aws_access_key_id: os.environ/MY_ID
      aws_secret_access_key: os.environ/MY_SECRET
  - model_name: claude
    litellm_params: {model: bedrock/eu.anthropic.claude-opus-4-1-v1:0}
  - model_name: cheap
    litellm_params: {model: bedrock/converse/amazon.nova-lite-v1:0, rpm: 6}
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
  - model_name: local
    litellm_params: {model: ollama/llama3.2, api_base: "http://127.0.0.1:11434"}
  - model_name: odd
    litellm_params: {model: vertex_ai/gemini-pro}
litellm_settings:
  num_retries: 3
  request_timeout: 600
  drop_params: true
  fallbacks: [{claude: [cheap]}, {gpt-4o: [claude]}]
  max_budget: 100
  budget_duration: 30d
  cache: true
router_settings:
  model_group_alias: {best: claude}
general_settings:
  master_key: sk-canary
  database_url: postgres://x
"#;

    #[test]
    fn a_configuration_becomes_valves_variables_and_notes() {
        let get = |name: &str| (name != "OPENAI_API_KEY").then(|| format!("{name} set"));
        let imported = import(CONFIG, get).unwrap();
        let valve = |pipe: &str, name: &str| imported.valves[pipe][name].clone();
        assert_eq!(valve(BEDROCK, "regions"), serde_json::json!(["eu-west-1"]));
        assert_eq!(valve(BEDROCK, "aws_secret_access_key"), "MY_SECRET set");
        let sonnet = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
        assert_eq!(
            valve(BEDROCK, "aliases"),
            format!("claude={sonnet}, cheap=amazon.nova-lite-v1:0, best={sonnet}")
        );
        assert_eq!(valve(BEDROCK, "fallbacks"), format!("{sonnet} > amazon.nova-lite-v1:0"));
        assert_eq!(valve(BEDROCK, "max_attempts"), 4);
        assert_eq!(valve(BEDROCK, "first_event_timeout_seconds"), 600);
        assert_eq!(valve(PROXY, "timeout"), 120);
        assert_eq!(
            valve(PROXY, "more_upstreams"),
            "ollama http://127.0.0.1:11434/v1 models=llama3.2, openai https://api.openai.com/v1 models=gpt-4o"
        );
        assert_eq!(
            valve(PROXY, "more_api_keys"),
            "openai@https://api.openai.com=<the value of OPENAI_API_KEY>"
        );
        assert_eq!(valve(LIMITS, "exceptions"), "everybody: $100/month");
        assert_eq!(imported.variables["PIPELINES_API_KEY"], "sk-canary");
        assert_eq!(imported.models["local"], "openai_proxy.ollama/llama3.2");
        let notes = imported.notes.join("\n");
        for words in [
            "vertex_ai",
            "rpm",
            "sonnet-4-5-20250929-v1:0 > eu.anthropic",
            "fallbacks of `gpt-4o`",
            "cache",
            "database_url",
        ] {
            assert!(notes.contains(words), "{words} is missing from\n{notes}");
        }
        let shown = imported.describe(true);
        assert!(!shown.contains("sk-canary") && !shown.contains("MY_SECRET set"), "{shown}");
        assert!(imported.describe(false).contains("sk-canary"));
        let file: toml::Table = imported.valves_file(false).parse().unwrap();
        assert_eq!(file[BEDROCK]["max_attempts"].as_integer(), Some(4));
    }

    #[test]
    fn what_is_no_yaml_is_refused_without_its_content() {
        let error = format!("{:#}", import("a: [canary", |_| None).unwrap_err());
        assert!(error.contains("line") && !error.contains("canary"), "{error}");
    }
}
