//! The types of valves with a drop-down list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The choice of chats to which Open WebUI may add its built-in tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BuiltinTools {
    /// The built-in tools are added to chats with models that support tools.
    #[default]
    WhenSupported,
    /// The built-in tools are added to every chat.
    Always,
    /// The built-in tools are added to no chat.
    Never,
}

/// The parts of a chat that Bedrock caches for its next turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PromptCaching {
    /// Nothing is cached unless the request says so.
    Off,
    /// The system prompt and the tools are cached.
    System,
    /// The conversation is cached too.
    #[default]
    Auto,
}

/// The place in which the model's reasoning is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReasoningOutput {
    /// The reasoning is in the field `reasoning_content`.
    #[default]
    ReasoningContent,
    /// The reasoning is in the text, between `<think>` and `</think>`.
    ThinkTags,
    /// The reasoning is not shown.
    Hidden,
}

/// The form in which images of an answer are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImageAnswers {
    /// Images are sent beside the text, if the API has a field for them.
    #[default]
    Files,
    /// Images are links in the text.
    Markdown,
}

/// The place of system messages in the middle of a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateInstructions {
    /// They go into the user's turn, in a frame.
    #[default]
    User,
    /// They go into a turn of their own, if the model supports it, else into the user's turn.
    OwnTurn,
    /// They go to the front of the chat, to the other system messages.
    Hoist,
}

/// The trace of a guardrail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardrailTrace {
    /// No trace.
    #[default]
    Disabled,
    /// The trace has the assessments on which the guardrail acted.
    Enabled,
    /// The trace also has the assessments on which the guardrail did not act.
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
    /// The stream waits for the guardrail.
    #[default]
    Sync,
    /// The stream runs ahead of the guardrail.
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
