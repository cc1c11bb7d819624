//! The types of valves with a drop-down list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The choice of chats to which Open WebUI may add its built-in tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltinTools {
    /// In chats with models that take tools.
    #[default]
    WhenSupported,
    /// For every model.
    Always,
    /// For no model.
    Never,
}

/// The parts of a chat that Bedrock caches for its next turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptCaching {
    /// Nothing, unless the request says so.
    Off,
    /// The system prompt and the tools.
    System,
    /// The conversation too.
    #[default]
    Auto,
}

/// The place in which the model's reasoning is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningOutput {
    /// In a field of its own.
    #[default]
    ReasoningContent,
    /// In the text, between `<think>` and `</think>`.
    ThinkTags,
    /// Not at all.
    Hidden,
}

/// The form in which pictures of an answer are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageAnswers {
    /// Beside the text, where the API has a place for them.
    #[default]
    Files,
    /// In the text.
    Markdown,
}

/// The place of system messages in the middle of a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateInstructions {
    /// Into the user's turn, in a frame.
    #[default]
    User,
    /// Into a turn of their own, for models that take such; else into the user's.
    OwnTurn,
    /// To the front, with the others.
    Hoist,
}

/// The trace of a guardrail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailTrace {
    /// No trace.
    #[default]
    Disabled,
    /// The assessments on which it acted.
    Enabled,
    /// Also the assessments on which it did not act.
    EnabledFull,
}

impl GuardrailTrace {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Enabled => "enabled",
            Self::EnabledFull => "enabled_full",
        }
    }
}

/// The order of a streamed answer and its guardrail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailStreaming {
    /// It waits.
    #[default]
    Sync,
    /// It runs ahead.
    Async,
}

impl GuardrailStreaming {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Async => "async",
        }
    }
}
