//! The models of LiteLLM's `model_list`.

use super::{
    BEDROCK, Imported, PROXY, Reader,
    credentials::{DeploymentCredentials, is_credential},
};
use crate::commands::{
    import::upstreams::{Upstreams, complete_address},
    placeholder,
};
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

/// Parameters that are read with the model.
const READ: [&str; 4] = ["model", "api_base", "api_key", "aws_region_name"];

/// Imports the models, and returns the ids here of each name there.
pub fn import_models<F: Fn(&str) -> Option<String>>(
    list: &[Value],
    reader: &Reader<F>,
    imported: &mut Imported,
) -> BTreeMap<String, Vec<String>> {
    let (mut names, mut upstreams) = (BTreeMap::<String, Vec<String>>::new(), Upstreams::default());
    let mut credentials = DeploymentCredentials::default();
    for (place, entry) in list.iter().enumerate() {
        let parameters = &entry["litellm_params"];
        let (name, model) = match (reader.text(&entry["model_name"]), &parameters["model"]) {
            (Some(name), model) if !name.is_empty() => match reader.text(model) {
                Some(model) if !model.is_empty() => (name, model),
                _ => {
                    imported.note(format!("model `{name}`: has no litellm_params.model"));
                    continue;
                }
            },
            _ => {
                imported.note(format!("model_list, entry {}: has no model_name", place + 1));
                continue;
            }
        };
        let title = format!("model `{name}` (`{model}`)");
        if let Some(variable) = placeholder::find_variables(&model).next() {
            imported.note(format!("model `{name}`: set {variable}, and import again"));
            continue;
        }
        let (provider, rest) = model.split_once('/').unwrap_or(("openai", &model));
        let id = if provider == "bedrock" {
            let (id, has_region) = import_bedrock(&name, rest, parameters, reader, imported);
            credentials.add(title.clone(), parameters, reader, has_region);
            Ok(id)
        } else {
            import_upstream(provider, rest, parameters, reader, &mut upstreams)
        };
        let id = match id {
            Ok(id) => id,
            Err(reason) => {
                imported.note(format!("{title}: {reason}"));
                continue;
            }
        };
        names.entry(name.clone()).or_default().push(id);
        for parameter in parameters.as_object().into_iter().flatten().map(|(name, _)| name) {
            let is_read = READ.contains(&parameter.as_str())
                || provider == "bedrock" && is_credential(parameter);
            if !is_read {
                imported.note(format!(
                    "model `{name}`: {parameter} has no counterpart for a single model"
                ));
            }
        }
    }
    credentials.write(imported);
    upstreams.write(imported);
    for (name, ids) in &mut names {
        // A model of Bedrock has the name as its alias.
        ids.sort_by_key(|id| !id.starts_with("bedrock_models."));
        note_further_deployments(name, ids, imported);
        imported.models.extend(ids.first().map(|id| (name.clone(), id.clone())));
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

/// Imports a model of Bedrock. Returns its id here, and whether a region was named.
fn import_bedrock<F: Fn(&str) -> Option<String>>(
    name: &str,
    model: &str,
    parameters: &Value,
    reader: &Reader<F>,
    imported: &mut Imported,
) -> (String, bool) {
    // As in `bedrock/converse/…`, `bedrock/invoke/…` and `bedrock/us-west-2/…`.
    let is_arn = model.starts_with("arn:");
    let (way, id) = model.split_once('/').filter(|_| !is_arn).unwrap_or(("", model));
    let region = reader.text(&parameters["aws_region_name"]);
    let in_path = Some(way).filter(|way| way.matches('-').count() >= 2).map(str::to_owned);
    let has_region = region.is_some() || in_path.is_some();
    for region in [region, in_path].into_iter().flatten() {
        let regions = imported.valves.entry(BEDROCK).or_default().entry("regions");
        let regions = regions.or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(regions) = regions
            && !regions.contains(&Value::from(region.as_str()))
        {
            regions.push(region.into());
        }
    }
    if name != id && !name.contains('*') {
        add_alias(imported, name, id);
    }
    (format!("{BEDROCK}.{id}"), has_region)
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

/// Imports a model of another server, and returns its id here, or the reason why there is none.
fn import_upstream<F: Fn(&str) -> Option<String>>(
    provider: &str,
    model: &str,
    parameters: &Value,
    reader: &Reader<F>,
    upstreams: &mut Upstreams,
) -> Result<String, String> {
    let unknown = || format!("`{provider}` has no OpenAI-compatible API that is known here");
    let (_, usual) = PROVIDERS.iter().find(|(name, _)| *name == provider).ok_or_else(unknown)?;
    let given = reader.text(&parameters["api_base"]).filter(|address| !address.is_empty());
    let address = match given {
        Some(address) => match placeholder::find_variables(&address).next() {
            Some(variable) => return Err(format!("set {variable}, and import again")),
            None => complete_address(provider, usual, &address),
        },
        None if usual.is_empty() => {
            return Err(format!("`{provider}` needs an api_base, the address of its API"));
        }
        None => (*usual).to_owned(),
    };
    let key = reader.text(&parameters["api_key"]).filter(|key| !key.is_empty());
    let wanted = if provider.starts_with("ollama") { "ollama" } else { provider };
    let name = upstreams.add(wanted, &address, key);
    upstreams.list_model(&name, model);
    Ok(format!("{PROXY}.{name}/{model}"))
}
