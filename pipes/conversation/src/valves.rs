//! The valves: personas, the window, the summary, and the limits of what is stored.

use crate::{persona, pipe_id::PIPE_ID};
use pipe_sdk::{ValveError, Valves, split_list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of conversations that the host remembers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ConversationValves {
    /// The models that can be used with memory: comma-separated ids of this host. Each gets a model
    /// of its own here, `conversation.` and its id. None: there are no models here.
    #[schemars(title = "Models · Models with memory", extend("x-everyday" = true, "x-models" = true))]
    pub models: Option<String>,

    /// The persona of the assistant: a text of several words that the model gets as instructions,
    /// or the name of a persona in the table below. None: no persona. Example: `You are a patient
    /// teacher.`
    #[schemars(title = "Persona · Default persona", extend("x-everyday" = true))]
    pub persona: Option<String>,

    /// Personas by name, as a JSON object. `helpful_assistant` is always there. Example:
    /// `{"pirate": "You are a pirate.", "teacher": "You are a patient teacher."}`
    #[schemars(title = "Persona · Table of personas", extend("x-everyday" = true))]
    pub personas: Option<String>,

    /// The number of earlier turns that the model gets with a new one. A turn is a message of the
    /// user with all that follows it: answers, tool calls, results.
    #[schemars(title = "Memory · Window (turns)", extend("x-everyday" = true), range(min = 1, max = 200))]
    pub memory_window: usize,

    /// The model that summarizes the turns before the window: the id of a model of this host. It is
    /// called once for each turn that leaves the window. None: those turns are forgotten.
    #[schemars(title = "Memory · Model for summaries", extend("x-everyday" = true, "x-models" = true))]
    pub summary_model: Option<String>,

    /// The largest length of a summary, in tokens.
    #[schemars(title = "Memory · Length of a summary (tokens)", range(min = 50, max = 4000))]
    pub summary_tokens: u64,

    /// The number of images and files of earlier turns that the model gets again. Older ones become
    /// the text `[Image]` or `[Attachment]`. Those of the new turn are always sent.
    #[schemars(title = "Memory · Images and files of earlier turns", range(min = 0, max = 100))]
    pub max_images: usize,

    /// The number of days after which a conversation is deleted if nothing is added to it.
    #[schemars(title = "Storage · Days until a conversation expires", extend("x-everyday" = true), range(min = 1, max = 3650))]
    pub ttl_days: u32,

    /// The largest number of conversations of one user. A new one beyond it deletes the oldest.
    #[schemars(title = "Storage · Conversations per user", range(min = 1, max = 100_000))]
    pub max_conversations: u32,

    /// The largest size of a stored conversation, in KiB. Beyond it, images and files are left out,
    /// and then the oldest turns.
    #[schemars(title = "Storage · Size of a conversation (KiB)", range(min = 16, max = 4096))]
    pub max_kib: usize,

    /// Store responses of the Responses API unless the request says `"store": false`, and continue
    /// them by `previous_response_id`.
    #[schemars(title = "Storage · Store responses of the Responses API", extend("x-everyday" = true))]
    pub store_responses: bool,

    /// Apply persona, window and summary to chats of other models in Open WebUI, in place of
    /// offering models here.
    #[schemars(title = "Filter · Be a filter", extend("x-everyday" = true))]
    pub filter: bool,

    /// The models whose chats the filter changes, by the ids that Open WebUI lists; `*` alone for
    /// all.
    #[schemars(title = "Filter · Models")]
    pub pipelines: Vec<String>,

    /// The position among the filters: those with smaller numbers run first.
    #[schemars(title = "Filter · Priority")]
    pub priority: i64,
}

impl Default for ConversationValves {
    fn default() -> Self {
        Self {
            models: None,
            persona: Some(persona::DEFAULT.into()),
            personas: None,
            memory_window: 5,
            summary_model: None,
            summary_tokens: 400,
            max_images: 4,
            ttl_days: 30,
            max_conversations: 200,
            max_kib: 512,
            store_responses: false,
            filter: false,
            pipelines: vec!["*".into()],
            priority: 0,
        }
    }
}

impl ConversationValves {
    /// Returns the time after which a conversation is deleted.
    pub(crate) fn time_to_live(&self) -> Duration {
        Duration::from_secs(u64::from(self.ttl_days) * 24 * 60 * 60)
    }

    /// Returns the largest size of a stored conversation, in bytes.
    pub(crate) fn max_bytes(&self) -> usize {
        self.max_kib << 10
    }
}

impl Valves for ConversationValves {
    fn validate(&self) -> Vec<ValveError> {
        let mut errors = Vec::new();
        match persona::parse_table(self.personas.as_deref()) {
            Err(rule) => errors.push(ValveError::new("personas", rule)),
            Ok(table) => {
                if let Err(rule) = persona::resolve(self.persona.as_deref(), &table) {
                    errors.push(ValveError::new("persona", rule));
                }
            }
        }
        let own = format!("{PIPE_ID}.");
        let models = [("models", &self.models), ("summary_model", &self.summary_model)];
        for (valve, text) in models {
            if split_list(text).any(|id| id.starts_with(&own)) {
                errors.push(ValveError::new(valve, "must not name models of this pipe"));
            }
        }
        errors
    }
}
