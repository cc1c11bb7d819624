//! The models of LiteLLM's `model_list`.

use super::{BEDROCK, Imported, PROXY, Reader};
use crate::commands::import::upstreams::Upstreams;
use serde_json::Value;
use std::collections::BTreeMap;

/// The providers whose API is OpenAI's, and where it is; an empty address has to be given.
const PROVIDERS: [(&str, &str); 17] = [
    ("openai", "https://api.openai.com/v1"),
    ("azure", ""),
    ("groq", "https://api.groq.com/openai/v1"),
    ("openrouter", "https://openrouter.ai/api/v1"),
    ("mistral", "https://api.mistral.ai/v1"),
    ("deepseek", "https://api.deepseek.com/v1"),
    ("xai", "https://api.x.ai/v1"),
    ("together_ai", "https://api.together.xyz/v1"),
    ("fireworks_ai", "https://api.fireworks.ai/inference/v1"),
    ("perplexity", "https://api.perplexity.ai"),
    ("cerebras", "https://api.cerebras.ai/v1"),
    ("anthropic", "https://api.anthropic.com/v1"),
    ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    ("ollama", "http://127.0.0.1:11434/v1"),
    ("ollama_chat", "http://127.0.0.1:11434/v1"),
    ("hosted_vllm", ""),
    ("lm_studio", "http://127.0.0.1:1234/v1"),
];

/// The parameters of Bedrock's models, and their valves.
const CREDENTIALS: [(&str, &str); 6] = [
    ("aws_access_key_id", "aws_access_key_id"),
    ("aws_secret_access_key", "aws_secret_access_key"),
    ("aws_session_token", "aws_session_token"),
    ("aws_profile_name", "aws_profile"),
    ("aws_role_name", "aws_role_arn"),
    ("aws_session_name", "aws_role_session_name"),
];

/// Parameters that are read with the model.
const READ: [&str; 4] = ["model", "api_base", "api_key", "aws_region_name"];

/// Imports the models, and returns the ids here of each name there.
pub fn import_models<F: Fn(&str) -> Option<String>>(
    list: &[Value],
    reader: &Reader<F>,
    imported: &mut Imported,
) -> BTreeMap<String, Vec<String>> {
    let (mut names, mut upstreams) = (BTreeMap::<String, Vec<String>>::new(), Upstreams::default());
    for entry in list {
        let name = entry["model_name"].as_str().unwrap_or_default();
        let parameters = &entry["litellm_params"];
        let model = reader.text(&parameters["model"]).unwrap_or_default();
        let (provider, rest) = model.split_once('/').unwrap_or(("openai", &model));
        let id = if provider == "bedrock" {
            Some(import_bedrock(name, rest, parameters, reader, imported))
        } else {
            import_upstream(provider, rest, parameters, reader, &mut upstreams)
        };
        let Some(id) = id else {
            imported.note(format!(
                "model `{name}` (`{model}`): `{provider}` has no OpenAI-compatible API that is \
                 known here"
            ));
            continue;
        };
        imported.models.entry(name.to_owned()).or_insert_with(|| id.clone());
        names.entry(name.to_owned()).or_default().push(id);
        for parameter in parameters.as_object().into_iter().flatten().map(|(name, _)| name) {
            let is_read = READ.contains(&parameter.as_str())
                || provider == "bedrock" && CREDENTIALS.iter().any(|(there, _)| there == parameter);
            if !is_read {
                imported.note(format!(
                    "model `{name}`: {parameter} has no counterpart for a single model"
                ));
            }
        }
    }
    upstreams.write(imported);
    for (name, ids) in &names {
        note_further_deployments(name, ids, imported);
    }
    names
}

/// Notes the deployments of a name after its first: LiteLLM spreads requests over all of them.
fn note_further_deployments(name: &str, ids: &[String], imported: &mut Imported) {
    let Some((first, further)) = ids.split_first() else { return };
    let mut others: Vec<_> = further.iter().filter(|id| *id != first).collect();
    others.dedup();
    if others.is_empty() && !further.is_empty() {
        imported.note(format!(
            "model `{name}`: its {} deployments are one model here; the first region that has it \
             answers",
            ids.len()
        ));
    }
    for other in others {
        let bedrock = |id: &str| id.strip_prefix("bedrock_models.").map(str::to_owned);
        let way = match (bedrock(first), bedrock(other)) {
            (Some(first), Some(other)) => format!(
                "; with `{first} > {other}` in bedrock_models.fallbacks it answers when the first \
                 one fails"
            ),
            _ => String::new(),
        };
        imported.note(format!(
            "model `{name}`: requests are not spread over several deployments; `{first}` answers, \
             and `{other}` has its own id{way}"
        ));
    }
}

fn import_bedrock<F: Fn(&str) -> Option<String>>(
    name: &str,
    model: &str,
    parameters: &Value,
    reader: &Reader<F>,
    imported: &mut Imported,
) -> String {
    // As in `bedrock/converse/…`, `bedrock/invoke/…` and `bedrock/us-west-2/…`.
    let is_arn = model.starts_with("arn:");
    let (way, id) = model.split_once('/').filter(|_| !is_arn).unwrap_or(("", model));
    let region = reader.text(&parameters["aws_region_name"]);
    let in_path = Some(way).filter(|way| way.matches('-').count() >= 2).map(str::to_owned);
    for region in [region, in_path].into_iter().flatten() {
        let regions = imported.valves.entry(BEDROCK).or_default().entry("regions");
        let regions = regions.or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(regions) = regions
            && !regions.contains(&Value::from(region.as_str()))
        {
            regions.push(region.into());
        }
    }
    for (parameter, valve) in CREDENTIALS {
        let Some(value) = reader.text(&parameters[parameter]) else { continue };
        let known = imported.valves.get(BEDROCK).and_then(|valves| valves.get(valve));
        if known.is_some_and(|known| known != value.as_str()) {
            imported.note(format!(
                "model `{name}`: {parameter} differs from that of another model; there is one \
                 account here"
            ));
        } else {
            imported.set(BEDROCK, valve, value);
        }
    }
    if name != id && !name.contains('*') {
        add_alias(imported, name, id);
    }
    format!("{BEDROCK}.{id}")
}

/// Adds another name for a model of Bedrock. The first one of a name counts.
pub fn add_alias(imported: &mut Imported, name: &str, id: &str) {
    let aliases = imported.valves.entry(BEDROCK).or_default().entry("aliases");
    let known = aliases.or_insert_with(|| Value::from(""));
    let text = known.as_str().unwrap_or_default();
    if text.split(", ").any(|alias| alias.split('=').next() == Some(name)) {
        return;
    }
    let separator = if text.is_empty() { "" } else { ", " };
    *known = format!("{text}{separator}{name}={id}").into();
}

fn import_upstream<F: Fn(&str) -> Option<String>>(
    provider: &str,
    model: &str,
    parameters: &Value,
    reader: &Reader<F>,
    upstreams: &mut Upstreams,
) -> Option<String> {
    let (_, usual) = PROVIDERS.iter().find(|(name, _)| *name == provider)?;
    let given = reader.text(&parameters["api_base"]);
    let is_ollama = provider.starts_with("ollama");
    let address = match given {
        // LiteLLM calls Ollama by its own API.
        Some(address) if is_ollama && !address.trim_end_matches('/').ends_with("/v1") => {
            format!("{}/v1", address.trim_end_matches('/'))
        }
        Some(address) => address,
        None if usual.is_empty() => return None,
        None => (*usual).to_owned(),
    };
    let key = reader.text(&parameters["api_key"]);
    let wanted = if is_ollama { "ollama" } else { provider };
    let name = upstreams.add(wanted, &address, key);
    upstreams.list_model(&name, model);
    Some(format!("{PROXY}.{name}/{model}"))
}
