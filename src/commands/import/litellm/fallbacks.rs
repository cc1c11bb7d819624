//! Fallbacks and aliases among models of Bedrock; other servers have a valve of their own.

use super::{BEDROCK, Imported, models};
use serde_json::Value;
use std::collections::BTreeMap;

/// Returns the id within Bedrock of a model of LiteLLM.
fn find_bedrock_id(models: &BTreeMap<String, Vec<String>>, model: &str) -> Option<String> {
    let ids = models.get(model)?;
    ids.iter().find_map(|id| Some(id.strip_prefix("bedrock_models.")?.to_owned()))
}

/// Returns the models that this value lists as fallbacks, each with those that follow it.
fn read_chains(value: &Value) -> Vec<(&str, Vec<&str>)> {
    let (mut chains, mut defaults) = (Vec::new(), Vec::new());
    for entry in value.as_array().into_iter().flatten() {
        match entry {
            Value::String(next) => defaults.push(next.as_str()),
            Value::Object(chain) => chains.extend(chain.iter().map(|(model, next)| {
                let next = next.as_array().into_iter().flatten().filter_map(Value::as_str);
                (model.as_str(), next.collect())
            })),
            _ => {}
        }
    }
    if !defaults.is_empty() {
        chains.push(("*", defaults));
    }
    chains
}

/// Imports fallbacks. Models of other servers are left out of a chain, and noted.
pub fn import_fallbacks(
    imported: &mut Imported,
    models: &BTreeMap<String, Vec<String>>,
    setting: &str,
    value: &Value,
) {
    let mut chains = Vec::new();
    for (model, next) in read_chains(value) {
        let first =
            if model == "*" { Some("*".to_owned()) } else { find_bedrock_id(models, model) };
        let (mut ids, mut dropped) = (Vec::new(), Vec::new());
        for name in next {
            match find_bedrock_id(models, name) {
                Some(id) => ids.push(id),
                None => dropped.push(format!("`{name}`")),
            }
        }
        match first {
            Some(first) if !ids.is_empty() => {
                chains.push(format!("{first} > {}", ids.join(" > ")));
                if !dropped.is_empty() {
                    imported.note(format!(
                        "{setting} of `{model}`: {} left out; only models of Bedrock fall back \
                         on each other",
                        match dropped.as_slice() {
                            [one] => format!("{one} is"),
                            many => format!("{} are", many.join(", ")),
                        }
                    ));
                }
            }
            _ => imported.note(format!(
                "{setting} of `{model}`: only models of Bedrock fall back on each other; \
                 openai_proxy.fallback_model is one for a server"
            )),
        }
    }
    if !chains.is_empty() {
        let known = imported.valves.get(BEDROCK).and_then(|valves| valves.get("fallbacks"));
        let known = known.and_then(Value::as_str).map(str::to_owned);
        let all: Vec<_> = known.into_iter().chain(chains).collect();
        imported.set(BEDROCK, "fallbacks", all.join(", "));
    }
}

/// Imports other names of models.
pub fn import_aliases(
    imported: &mut Imported,
    models: &BTreeMap<String, Vec<String>>,
    value: &Value,
) {
    for (alias, model) in value.as_object().into_iter().flatten() {
        let model = model.as_str().or_else(|| model["model"].as_str()).unwrap_or_default();
        match find_bedrock_id(models, model) {
            Some(id) => models::add_alias(imported, alias, &id),
            None => {
                let way = models.get(model).and_then(|ids| ids.first());
                let way = way.map_or_else(String::new, |id| format!("; clients must ask for {id}"));
                imported.note(format!("alias `{alias}`: only models of Bedrock have aliases{way}"));
            }
        }
    }
}
