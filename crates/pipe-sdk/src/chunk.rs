//! Chunks: the steps of an answer, a stream of them, and the answer that they are folded into.

mod detail;
mod fold;
mod size;
mod stop_sequences;
mod token_logprob;

pub use detail::{Citation, ReasoningDetail, ReasoningKind};
pub use fold::Answer;
pub use stop_sequences::STOP_SEQUENCE_FACT;
pub use token_logprob::{TokenLogprob, TopLogprob};

use crate::{Picture, Result, Side};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

/// One step of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Chunk {
    /// The full id of the model that answers, as in `pipe.model`. If it comes at all, it comes
    /// first. If it is not the requested model, the answer names it.
    Model(String),
    /// The side of a router that answers. If it comes at all, it comes before any output.
    Side(Side),
    /// The model has begun, without output yet.
    Role,
    /// Text.
    Content(String),
    /// The log probabilities of the text that was just said.
    Logprobs(Vec<TokenLogprob>),
    /// The model's reasoning, in words.
    Reasoning(String),
    /// A whole block of reasoning, as it has to come back in the next turn; its words have been
    /// said already.
    ReasoningDetail(ReasoningDetail),
    /// A tool call, or a further piece of one.
    ToolCall(ToolCallDelta),
    /// A picture. Where a client takes pictures beside the text, they go there; elsewhere they are
    /// Markdown in it.
    Picture(Picture),
    /// The source of the text before it.
    Citation(Citation),
    /// One answer has ended, and a further one to the same chat begins: another of a completion's
    /// `choices`.
    NextChoice {
        /// The finish reason of the answer before it.
        finish: FinishReason,
        /// The title of the next one, if answers are shown one below the other.
        title: String,
    },
    /// The finish reason. Once.
    Finish(FinishReason),
    /// The usage, in tokens. Once: Open WebUI adds up every usage it sees
    /// (`docs/reference/open-webui.md`, "Streamed answers").
    Usage(Usage),
    /// A fact about the answer that is a field beside its choices, as `service_tier` is: its name
    /// and what it is.
    Fact(&'static str, Value),
    /// Something for Open WebUI beside the text. Only a pipe itself makes these; they are never
    /// taken from an upstream.
    Event(Event),
}

/// A piece of a tool call: the first one carries the id and the name, all carry text of the
/// arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ToolCallDelta {
    /// The index of the call in the answer: 0, 1, 2, … without gaps.
    pub index: usize,
    /// Joins the call and its result; on the first piece only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool's name; on the first piece only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The next piece of the arguments' JSON text.
    pub arguments: String,
}

/// The reason why an answer ends, in OpenAI's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// The answer is complete, or met a stop sequence.
    Stop,
    /// The answer reached the token limit.
    Length,
    /// The model wants its tools called.
    ToolCalls,
    /// A guardrail or the provider's own filter ended it.
    ContentFilter,
}

impl FinishReason {
    /// Returns the word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// The usage of an answer, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The tokens of the prompt, cached ones included.
    pub prompt_tokens: u64,
    /// The tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// The tokens of the prompt that were read from a cache.
    pub cached_tokens: Option<u64>,
    /// The tokens of the prompt that were written to a cache.
    pub cache_creation_tokens: Option<u64>,
    /// The tokens of reasoning in the completion, if the upstream reports them.
    pub reasoning_tokens: Option<u64>,
}

impl Usage {
    /// Adds the usage of another answer.
    pub fn add(&mut self, other: &Self) {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or_default() + other.unwrap_or_default()),
        };
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cached_tokens = sum(self.cached_tokens, other.cached_tokens);
        self.cache_creation_tokens = sum(self.cache_creation_tokens, other.cache_creation_tokens);
        self.reasoning_tokens = sum(self.reasoning_tokens, other.reasoning_tokens);
    }

    /// Returns the sum of the tokens of prompt and completion.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }
}

/// Something for Open WebUI beside the text (`docs/reference/open-webui.md`, "Events").
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Event {
    /// `status`, `source`, `notification`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The data of this kind of event.
    pub data: Value,
}

impl Event {
    /// Returns an event that shows a status line above the answer.
    pub fn status(description: &str, done: bool) -> Self {
        Self {
            kind: "status",
            data: json!({"description": description, "done": done, "hidden": false}),
        }
    }
}

/// The steps of one answer. Dropping it cancels the answer.
pub struct ChunkStream(Pin<Box<dyn Stream<Item = Result<Chunk>> + Send>>);

impl ChunkStream {
    /// Returns the chunks of this stream. After an `Err` nothing more is read.
    pub fn new(chunks: impl Stream<Item = Result<Chunk>> + Send + 'static) -> Self {
        Self(Box::pin(chunks))
    }

    /// Chunks that are all there already.
    pub fn from_chunks(chunks: impl IntoIterator<Item = Chunk, IntoIter: Send + 'static>) -> Self {
        Self::new(stream::iter(chunks.into_iter().map(Ok)))
    }

    /// Returns the same answer with the usage of other calls added to its own.
    #[must_use]
    pub fn with_added_usage(self, added: Option<Usage>) -> Self {
        let Some(added) = added else { return self };
        Self::new(stream::unfold((self, Some(added)), |(mut chunks, mut added)| async move {
            let chunk = match chunks.next().await {
                Some(Ok(Chunk::Usage(mut usage))) => {
                    if let Some(added) = added.take() {
                        usage.add(&added);
                    }
                    Ok(Chunk::Usage(usage))
                }
                Some(other) => other,
                None => Ok(Chunk::Usage(added.take()?)),
            };
            Some((chunk, (chunks, added)))
        }))
    }
}

impl Stream for ChunkStream {
    type Item = Result<Chunk>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for ChunkStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkStream")
    }
}
