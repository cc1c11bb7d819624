//! Valves that are one of several words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether Open WebUI may add its built-in tools to chats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltinTools {
    /// Where the model takes tools.
    #[default]
    WhenSupported,
    /// For every model.
    Always,
    /// For no model.
    Never,
}

/// What Bedrock keeps of a chat for its next turn.
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

/// How the model's reasoning is shown.
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

/// How a chat is answered with pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageAnswers {
    /// Beside the text, where the API has a place for them.
    #[default]
    Files,
    /// In the text.
    Markdown,
}

/// Where instructions go that come in the middle of a chat.
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

/// Whether a guardrail tells what it found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailTrace {
    /// It does not.
    #[default]
    Disabled,
    /// What it acted upon.
    Enabled,
    /// All that it looked at.
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

/// Whether a streamed answer waits for its guardrail.
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
