//! Tests of the import of whole configurations.

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

/// Imports a configuration with no variable set.
fn import_without_variables(config: &str) -> Imported {
    import(config, |_| None).unwrap()
}

#[test]
fn credentials_are_taken_from_one_deployment_and_others_are_noted() {
    let imported = import_without_variables(
        r#"
model_list:
  - {model_name: claude, litellm_params: {model: bedrock/c}}
  - model_name: claude
    litellm_params:
      {model: bedrock/c, aws_access_key_id: AKIAOTHER, aws_secret_access_key: canary, aws_region_name: eu-west-1}
  - {model_name: nova, litellm_params: {model: bedrock/n, aws_role_name: "arn:aws:iam::1:role/x"}}
  - {model_name: titan, litellm_params: {model: bedrock/t, aws_profile_name: mine}}
"#,
    );
    let valves = &imported.valves[BEDROCK];
    assert_eq!(valves["aws_access_key_id"], "AKIAOTHER");
    assert!(!valves.contains_key("aws_role_arn") && !valves.contains_key("aws_profile"));
    let notes = imported.notes.join("\n");
    for words in [
        "model `claude` (`bedrock/c`): AWS's default credentials are not used",
        "model `claude` (`bedrock/c`): names no region",
        "model `nova` (`bedrock/n`): its own aws_role_name are not imported",
        "model `titan` (`bedrock/t`): its own aws_profile_name are not imported",
        "credentials of model `claude` (`bedrock/c`)",
    ] {
        assert!(notes.contains(words), "{words} is missing from\n{notes}");
    }
    assert!(!notes.contains("canary"), "{notes}");
}

#[test]
fn a_role_and_a_profile_of_two_deployments_are_never_mixed() {
    let imported = import_without_variables(
        r#"
model_list:
  - {model_name: a, litellm_params: {model: bedrock/a, aws_role_name: "arn:aws:iam::1:role/x"}}
  - {model_name: b, litellm_params: {model: bedrock/b, aws_profile_name: mine}}
"#,
    );
    let valves = &imported.valves[BEDROCK];
    assert_eq!(valves["aws_role_arn"], "arn:aws:iam::1:role/x");
    assert!(!valves.contains_key("aws_profile"), "{valves:?}");
}

#[test]
fn fallbacks_keep_the_models_of_bedrock_and_name_the_others() {
    let imported = import_without_variables(
        r#"
model_list:
  - {model_name: claude, litellm_params: {model: bedrock/c}}
  - {model_name: nova, litellm_params: {model: bedrock/n}}
  - {model_name: llama, litellm_params: {model: ollama/llama3}}
litellm_settings:
  fallbacks: [{claude: [nova, llama]}, {nova: [llama]}]
  default_fallbacks: [nova, claude]
"#,
    );
    assert_eq!(imported.valves[BEDROCK]["fallbacks"], "c > n, * > n > c");
    let notes = imported.notes.join("\n");
    assert!(notes.contains("fallbacks of `claude`: `llama` is left out"), "{notes}");
    assert!(notes.contains("fallbacks of `nova`: only models of Bedrock"), "{notes}");
}

#[test]
fn variables_that_are_not_set_are_listed_and_clients_get_the_names_to_ask_for() {
    let imported = import_without_variables(
        r#"
model_list:
  - {model_name: a, litellm_params: {model: bedrock/a, aws_access_key_id: os.environ/AWS_KEY2, aws_secret_access_key: os.environ/AWS_SECRET2}}
  - {model_name: gpt, litellm_params: {model: azure/my-4o, api_base: "https://myres.openai.azure.com/", api_key: os.environ/AZURE_KEY}}
  - {model_name: own, litellm_params: {model: hosted_vllm/x, api_base: os.environ/VLLM_BASE}}
  - {model_name: openai/gpt-5, litellm_params: {model: openai/gpt-5}}
litellm_settings: {some_secret: os.environ/UNUSED}
"#,
    );
    let told = imported.describe(true);
    for line in [
        "#   AWS_KEY2\n",
        "#   AWS_SECRET2\n",
        "#   AZURE_KEY\n",
        "azure https://myres.openai.azure.com/openai/v1 models=my-4o",
        "#   gpt: clients must ask for openai_proxy.azure/my-4o\n",
        "model `own` (`hosted_vllm/x`): set VLLM_BASE, and import again",
    ] {
        assert!(told.contains(line), "{line} is missing from\n{told}");
    }
    assert!(!told.contains("UNUSED") && !told.contains("gpt-5: clients"), "{told}");
}

#[test]
fn malformed_entries_become_notes() {
    let imported = import_without_variables(
        r#"
model_list:
  - {litellm_params: {model: bedrock/a}}
  - {model_name: x, litellm_params: {api_base: "http://h"}}
  - {model_name: ok, litellm_params: {model: bedrock/b}}
  - words
router_settings: words
"#,
    );
    assert_eq!(imported.valves[BEDROCK]["aliases"], "ok=b");
    assert!(!imported.valves.contains_key(PROXY));
    let notes = imported.notes.join("\n");
    for words in [
        "model_list, entry 1: has no model_name",
        "model `x`: has no litellm_params.model",
        "model_list, entry 4: has no model_name",
        "router_settings: is no mapping",
    ] {
        assert!(notes.contains(words), "{words} is missing from\n{notes}");
    }
    let told = import_without_variables(r#"{"model_list": "x"}"#).describe(true);
    assert!(
        told.contains("Nothing was found") && told.contains("model_list: is no list"),
        "{told}"
    );
    assert!(!told.contains("Everything"), "{told}");
}

#[test]
fn the_budget_of_each_person_becomes_a_valve_or_a_note() {
    let settings = "max_internal_user_budget: 10";
    let imported = import_without_variables(&format!(
        "litellm_settings: {{{settings}, internal_user_budget_duration: 1mo}}"
    ));
    assert_eq!(imported.valves[LIMITS]["budget_per_month"], 10.0);
    let imported = import_without_variables(&format!("litellm_settings: {{{settings}}}"));
    assert!(!imported.valves.contains_key(LIMITS));
    let notes = imported.notes.join("\n");
    assert!(notes.contains("rate_limit.budget_per_month"), "{notes}");
}
