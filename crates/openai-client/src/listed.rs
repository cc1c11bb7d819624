//! The models that a server lists, in the words of many servers.

use crate::{Trouble, address::Whose};
use pipe_sdk::ModelKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashSet;

/// One model that a server lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What the server calls it.
    pub id: String,
    /// What people call it, if the server tells.
    pub name: Option<String>,
    /// What it does.
    pub kind: ModelKind,
    /// How many tokens it can hold, if the server tells.
    pub context: Option<u64>,
    /// Whether it sees pictures, if the server tells.
    pub vision: Option<bool>,
    /// Whether it calls tools, if the server tells.
    pub tools: Option<bool>,
}

/// A server with more models than these means no good.
const MOST: usize = 5000;

const LONGEST_NAME: usize = 200;

/// The names under which servers tell how much a model can hold.
const CONTEXTS: [&str; 6] = [
    "context_length",
    "context_window",
    "max_model_len",
    "max_context_length",
    "max_input_tokens",
    "inputTokenLimit",
];

/// What the names of models hold that turn texts into vectors, where no more is told.
const EMBED: [&str; 8] =
    ["embed", "bge-", "gte-", "e5-", "minilm", "mpnet", "jina-clip", "voyage-"];

/// What the names of models hold that neither chat nor embed nor rank.
const OTHERS: [&str; 11] = [
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

/// What else of OpenAI's own answers only in ways of its own.
const OF_OPENAI: [&str; 6] =
    ["davinci", "babbage", "-instruct", "-audio", "computer-use", "codex-mini"];

/// The models in this list, each once.
pub(crate) fn read(json: &[u8], whose: Whose) -> Result<Vec<Listed>, Trouble> {
    let unread = || Trouble::Garbled("its list of models is none");
    let list: Value = serde_json::from_slice(json).map_err(|_| unread())?;
    let models = [&list["data"], &list["models"], &list].into_iter().find_map(Value::as_array);
    let mut seen = HashSet::new();
    let models = models.ok_or_else(unread)?.iter().take(MOST);
    let models = models.filter_map(|model| Listed::of(model, whose));
    Ok(models.filter(|model| seen.insert(model.id.clone())).collect())
}

impl Listed {
    /// A chat model of this id, of which no more is known.
    pub fn named(id: impl Into<String>) -> Self {
        let id = id.into();
        let kind = kind(&id.to_ascii_lowercase(), "", Whose::Others).unwrap_or_default();
        Self { id, name: None, kind, context: None, vision: None, tools: None }
    }

    /// `None` if it is no model that can be called here.
    fn of(model: &Value, whose: Whose) -> Option<Self> {
        let text = |name: &str| model[name].as_str().filter(|text| !text.is_empty());
        let id = text("id").or_else(|| text("name"))?;
        if id.len() > LONGEST_NAME || id.chars().any(char::is_control) {
            return None;
        }
        let told = text("type").or_else(|| text("model_type")).unwrap_or_default();
        let kind = kind(&id.to_ascii_lowercase(), told, whose)?;
        // Mistral says it so.
        if kind == ModelKind::Chat && model["capabilities"]["completion_chat"] == false {
            return None;
        }
        let name = text("display_name").or_else(|| text("name")).filter(|name| *name != id);
        let shown =
            |name: &str| name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
        let inputs = model["architecture"]["input_modalities"].as_array();
        let vision = model["capabilities"]["vision"].as_bool();
        let parameters = model["supported_parameters"].as_array();
        let calls = model["capabilities"]["function_calling"].as_bool();
        let context = CONTEXTS.iter().find_map(|name| model[*name].as_u64());
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

/// What a model of this name does, of which the server tells this; `None` if it is nothing that can be asked for here.
fn kind(id: &str, told: &str, whose: Whose) -> Option<ModelKind> {
    let holds = |words: &[&str]| words.iter().any(|word| id.contains(word));
    match told {
        "embedding" | "embeddings" => return Some(ModelKind::Embed),
        "rerank" | "reranker" => return Some(ModelKind::Rerank),
        "chat" | "language" | "code" | "llm" | "vlm" => return Some(ModelKind::Chat),
        "image" | "audio" | "video" | "moderation" | "transcribe" => return None,
        _ => {}
    }
    if holds(&["rerank"]) {
        Some(ModelKind::Rerank)
    } else if holds(&EMBED) {
        Some(ModelKind::Embed)
    } else if holds(&OTHERS) || (whose.is_strict() && holds(&OF_OPENAI)) {
        None
    } else {
        Some(ModelKind::Chat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn listed(list: &Value) -> Vec<Listed> {
        read(list.to_string().as_bytes(), Whose::Others).unwrap()
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
    fn what_a_server_tells_of_a_model_is_kept() {
        let told = json!({"data": [{"id": "a/b", "name": "A: B\u{7}", "architecture": {"input_modalities": ["text", "image"]}, "supported_parameters": ["temperature"]}]});
        let model = &listed(&told)[0];
        assert_eq!(
            (model.name.as_deref(), model.vision, model.tools),
            (Some("A: B"), Some(true), Some(false))
        );
    }

    #[test]
    fn what_does_not_chat_is_told_apart() {
        let kind = |id: &str, whose| super::kind(id, "", whose);
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
            assert_eq!(kind(id, Whose::Others), does, "{id}");
        }
        assert_eq!(kind("gpt-3.5-turbo-instruct", Whose::OpenAi), None);
        assert_eq!(kind("mistral-7b-instruct", Whose::Others), Some(ModelKind::Chat));
    }

    #[test]
    fn what_is_no_list_is_an_error_and_odd_entries_are_left_out() {
        for list in ["{}", "7", "{", "null", r#"{"data": "x"}"#] {
            assert!(read(list.as_bytes(), Whose::Others).is_err(), "{list}");
        }
        let odd = json!({"data": [7, null, {}, {"id": ""}, {"id": 7}, {"id": "a\nb"}, {"id": "x".repeat(1000)}, {"id": "a"}, {"id": "a"}]});
        assert_eq!(listed(&odd).len(), 1);
    }
}
