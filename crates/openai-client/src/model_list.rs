//! The models that a server lists, in the forms of many servers.

use crate::{OpenAiError, base_url::Vendor};
use pipe_sdk::ModelKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

/// A model that a server lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelListEntry {
    /// The name that the server has for it.
    pub id: String,
    /// The name for people, if there is one.
    pub name: Option<String>,
    /// The kind of the model.
    pub kind: ModelKind,
    /// The size of its context in tokens, if it is known.
    pub context: Option<u64>,
    /// `true` if it takes images; `None` if that is not known.
    pub vision: Option<bool>,
    /// `true` if it calls tools; `None` if that is not known.
    pub tools: Option<bool>,
}

/// The most models that are taken from a list.
const MAX_MODELS: usize = 5000;

const MAX_NAME_LENGTH: usize = 200;

/// The fields in which servers list the size of the context.
const CONTEXT_FIELDS: [&str; 6] = [
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
];

/// Parts of the names of embedding models, for lists that declare no kind.
const EMBEDDING_NAMES: [&str; 8] =
    ["embed", "bge-", "gte-", "e5-", "minilm", "mpnet", "jina-clip", "voyage-"];

/// Parts of the names of models that neither chat nor embed nor rerank.
const NON_CHAT: [&str; 11] = [
    "whisper",
    "dall-e",
    "gpt-image",
    "chatgpt-image",
    "sora",
    "moderation",
    "realtime",
    "transcribe",
    "-tts",
    "tts-",
    "stable-diffusion",
];

/// Parts of the names of OpenAI's models that have no chat completions.
const OPENAI_NON_CHAT: [&str; 6] =
    ["davinci", "babbage", "-instruct", "-audio", "computer-use", "codex-mini"];

/// Parses a list of models, and returns each model once.
pub(crate) fn parse_model_list(
    json: &[u8],
    vendor: Vendor,
) -> Result<Vec<ModelListEntry>, OpenAiError> {
    let invalid = || OpenAiError::InvalidResponse("its model list is invalid");
    let list: Value = serde_json::from_slice(json).map_err(|_| invalid())?;
    let models = [&list["data"], &list["models"], &list].into_iter().find_map(Value::as_array);
    let mut seen = HashSet::new();
    let models = models.ok_or_else(invalid)?.iter().take(MAX_MODELS);
    let models = models.filter_map(|model| ModelListEntry::from_json(model, vendor));
    Ok(models.filter(|model| seen.insert(model.id.clone())).collect())
}

impl ModelListEntry {
    /// Returns an entry of which no more than the name is known.
    pub fn from_name(id: impl Into<String>) -> Self {
        let id = id.into();
        let kind = kind(&id.to_ascii_lowercase(), "", Vendor::Other).unwrap_or_default();
        Self { id, name: None, kind, context: None, vision: None, tools: None }
    }

    /// Parses an entry; `None` if it is no model that can be called.
    fn from_json(model: &Value, vendor: Vendor) -> Option<Self> {
        let text = |name: &str| model[name].as_str().filter(|text| !text.is_empty());
        let id = text("id").or_else(|| text("name"))?;
        if id.len() > MAX_NAME_LENGTH || id.chars().any(char::is_control) {
            return None;
        }
        let declared = text("type").or_else(|| text("model_type")).unwrap_or_default();
        let kind = kind(&id.to_ascii_lowercase(), declared, vendor)?;
        // Mistral says it so.
        if kind == ModelKind::Chat && model["capabilities"]["completion_chat"] == false {
            return None;
        }
        let name = text("display_name").or_else(|| text("name")).filter(|name| *name != id);
        let shown =
            |name: &str| name.chars().filter(|c| !c.is_control()).take(MAX_NAME_LENGTH).collect();
        let inputs = model["architecture"]["input_modalities"].as_array();
        let vision = model["capabilities"]["vision"].as_bool();
        let parameters = model["supported_parameters"].as_array();
        let calls = model["capabilities"]["function_calling"].as_bool();
        let context = CONTEXT_FIELDS.iter().find_map(|name| model[*name].as_u64());
        Some(Self {
            id: id.into(),
            name: name.map(shown),
            kind,
            context: context.or_else(|| model["meta"]["n_ctx_train"].as_u64()),
            vision: inputs.map(|kinds| kinds.contains(&"image".into())).or(vision),
            tools: parameters.map(|names| names.contains(&"tools".into())).or(calls),
        })
    }
}

/// Returns the kind of a model, by its name and by the kind that the server declares; `None` if it
/// cannot be called here.
fn kind(id: &str, declared: &str, vendor: Vendor) -> Option<ModelKind> {
    let holds = |words: &[&str]| words.iter().any(|word| id.contains(word));
    match declared {
        "embedding" | "embeddings" => return Some(ModelKind::Embed),
        "rerank" | "reranker" => return Some(ModelKind::Rerank),
        "chat" | "language" | "code" | "llm" | "vlm" => return Some(ModelKind::Chat),
        "image" | "audio" | "video" | "moderation" | "transcribe" => return None,
        _ => {}
    }
    if holds(&["rerank"]) {
        Some(ModelKind::Rerank)
    } else if holds(&EMBEDDING_NAMES) {
        Some(ModelKind::Embed)
    } else if holds(&NON_CHAT) || (vendor.is_strict() && holds(&OPENAI_NON_CHAT)) {
        None
    } else {
        Some(ModelKind::Chat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(list: &Value) -> Vec<ModelListEntry> {
        parse_model_list(list.to_string().as_bytes(), Vendor::Other).unwrap()
    }

    #[test]
    fn the_lists_of_many_servers_are_read() {
        for (list, id, context) in [
            (
                json!({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}),
                "gpt-4o",
                None,
            ),
            (
                json!([{"id": "meta/llama", "type": "chat", "context_length": 8192}]),
                "meta/llama",
                Some(8192),
            ),
            (json!({"data": [{"id": "qwen", "max_model_len": 32768}]}), "qwen", Some(32768)),
            (
                json!({"models": [{"name": "x"}], "data": [{"id": "a.gguf", "meta": {"n_ctx_train": 4096}}]}),
                "a.gguf",
                Some(4096),
            ),
            (
                json!({"models": [{"name": "models/gemini", "inputTokenLimit": 7}]}),
                "models/gemini",
                Some(7),
            ),
        ] {
            let models = listed(&list);
            assert_eq!((models[0].id.as_str(), models[0].context), (id, context), "{list}");
        }
    }

    #[test]
    fn metadata_of_a_listed_model_is_kept() {
        let declared = json!({"data": [{"id": "a/b", "name": "A: B\u{7}", "architecture": {"input_modalities": ["text", "image"]}, "supported_parameters": ["temperature"]}]});
        let model = &listed(&declared)[0];
        assert_eq!(
            (model.name.as_deref(), model.vision, model.tools),
            (Some("A: B"), Some(true), Some(false))
        );
    }

    #[test]
    fn models_that_do_not_chat_are_recognized() {
        let kind = |id: &str, vendor| super::kind(id, "", vendor);
        for (id, does) in [
            ("gpt-4o", Some(ModelKind::Chat)),
            ("text-embedding-3-small", Some(ModelKind::Embed)),
            ("nomic-embed-text", Some(ModelKind::Embed)),
            ("baai/bge-reranker-v2-m3", Some(ModelKind::Rerank)),
            ("baai/bge-m3", Some(ModelKind::Embed)),
            ("whisper-1", None),
            ("tts-1-hd", None),
            ("gpt-4o-transcribe", None),
        ] {
            assert_eq!(kind(id, Vendor::Other), does, "{id}");
        }
        assert_eq!(kind("gpt-3.5-turbo-instruct", Vendor::OpenAi), None);
        assert_eq!(kind("mistral-7b-instruct", Vendor::Other), Some(ModelKind::Chat));
    }

    #[test]
    fn what_is_no_list_is_an_error_and_odd_entries_are_left_out() {
        for list in ["{}", "7", "{", "null", r#"{"data": "x"}"#] {
            assert!(parse_model_list(list.as_bytes(), Vendor::Other).is_err(), "{list}");
        }
        let odd = json!({"data": [7, null, {}, {"id": ""}, {"id": 7}, {"id": "a\nb"}, {"id": "x".repeat(1000)}, {"id": "a"}, {"id": "a"}]});
        assert_eq!(listed(&odd).len(), 1);
    }
}
