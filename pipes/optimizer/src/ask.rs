//! A request to a model, and its reply.

use pipe_sdk::{Answer, Chunk, FinishReason, Message, Tool, ToolCallDelta};
use std::sync::Arc;

/// The role of a call; it decides which model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Answers the person.
    Solver,
    /// Writes one of the first answers, the one of this number.
    Proposer(usize),
    /// Rates and compares.
    Judge,
    /// Checks solutions.
    Verifier,
    /// Plans, summarises, sorts.
    Planner,
}

impl Role {
    /// Returns the name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Solver => "solver",
            Self::Proposer(_) => "proposer",
            Self::Judge => "judge",
            Self::Verifier => "verifier",
            Self::Planner => "planner",
        }
    }
}

/// The layout of a streamed answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReplyShape {
    /// The text is passed on unchanged.
    #[default]
    Plain,
    /// The text in `<output>` is the answer, the text before it is reasoning.
    Sections,
    /// The sources that the text cites are listed below it.
    Report,
    /// The text is passed on unchanged, and the status lines in it.
    WithStatus,
}

/// The tools of a call for an answer.
#[derive(Clone, Debug, Default)]
pub(crate) enum ToolUse {
    /// Those of the client, as it wants them used.
    #[default]
    Client,
    /// These beside those of the client, as it wants them used.
    Added(Arc<[Tool]>),
    /// These beside those of the client, as the model likes.
    Free(Arc<[Tool]>),
    /// The same, which the model sees and may not call.
    Forbidden(Arc<[Tool]>),
}

impl ToolUse {
    /// Returns the tools beside those of the client.
    pub fn added(&self) -> &[Tool] {
        match self {
            Self::Client => &[],
            Self::Added(tools) | Self::Free(tools) | Self::Forbidden(tools) => tools,
        }
    }

    /// Returns whether the model may call the added tools.
    pub fn may_call(&self) -> bool {
        matches!(self, Self::Added(_) | Self::Free(_))
    }

    /// Returns the tools of the next round: a client that demands a call has got one.
    pub fn next_round(self, is_last: bool) -> Self {
        match self {
            Self::Client => Self::Client,
            Self::Added(tools) | Self::Free(tools) if !is_last => Self::Free(tools),
            Self::Added(tools) | Self::Free(tools) | Self::Forbidden(tools) => {
                Self::Forbidden(tools)
            }
        }
    }
}

/// A request to a model.
#[derive(Clone, Debug)]
pub(crate) struct ModelRequest {
    pub role: Role,
    pub messages: Arc<[Message]>,
    /// The temperature. The client's own wins over it in calls for the answer.
    pub temperature: Option<f64>,
    /// The most tokens of a call that is not an answer.
    pub max_tokens: Option<u64>,
    /// `true` if the reply may go to the person: then everything holds that the client wants of an
    /// answer.
    pub is_answer: bool,
    /// The reasoning effort.
    pub effort: Option<&'static str>,
    pub tools: ToolUse,
    pub shape: ReplyShape,
}

/// The maximum number of tokens of a reply that only a program reads.
const MAX_SHORT_REPLY_TOKENS: u64 = 2048;

impl ModelRequest {
    /// Returns a request whose reply may be the answer.
    pub fn for_answer(messages: Arc<[Message]>) -> Self {
        Self {
            role: Role::Solver,
            messages,
            temperature: None,
            max_tokens: None,
            is_answer: true,
            effort: None,
            tools: ToolUse::Client,
            shape: ReplyShape::Plain,
        }
    }

    /// Returns a request for an intermediate step.
    pub fn for_step(role: Role, messages: Arc<[Message]>) -> Self {
        Self { role, is_answer: false, ..Self::for_answer(messages) }
    }

    /// Returns a request for a short reply that a program reads.
    pub fn for_short_reply(role: Role, messages: Arc<[Message]>) -> Self {
        Self {
            max_tokens: Some(MAX_SHORT_REPLY_TOKENS),
            temperature: Some(0.1),
            ..Self::for_step(role, messages)
        }
    }

    pub fn with_role(self, role: Role) -> Self {
        Self { role, ..self }
    }

    pub fn with_temperature(self, temperature: f64) -> Self {
        Self { temperature: Some(temperature), ..self }
    }
}

/// The reply of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply(pub Answer);

impl Reply {
    /// Returns the text without the reasoning between `<think>` tags in it; for a reply that calls
    /// tools, the calls.
    pub fn text(&self) -> String {
        let text = strip_reasoning(&self.0.content);
        if !text.is_empty() || self.0.tool_calls.is_empty() {
            return text;
        }
        let calls = self.0.tool_calls.iter();
        let calls =
            calls.map(|call| format!("{}({})", call.function.name, call.function.arguments));
        format!("Calls tools: {}", calls.collect::<Vec<_>>().join("; "))
    }

    /// Returns a reply of text alone.
    pub fn from_text(text: String) -> Self {
        Self(Answer { content: text, finish: Some(FinishReason::Stop), ..Answer::default() })
    }

    pub fn is_empty(&self) -> bool {
        let Answer { content, tool_calls, pictures, .. } = &self.0;
        content.trim().is_empty() && tool_calls.is_empty() && pictures.is_empty()
    }

    pub fn is_truncated(&self) -> bool {
        self.0.finish == Some(FinishReason::Length)
    }

    /// Returns the chunks of the reply, without usage and finish reason.
    pub fn into_chunks(self) -> Vec<Chunk> {
        let Answer {
            content, reasoning, reasoning_details, tool_calls, pictures, citations, ..
        } = self.0;
        let mut chunks = Vec::new();
        if !reasoning.is_empty() {
            chunks.push(Chunk::Reasoning(reasoning));
        }
        chunks.extend(reasoning_details.into_iter().map(Chunk::ReasoningDetail));
        if !content.is_empty() {
            chunks.push(Chunk::Content(content));
        }
        chunks.extend(pictures.into_iter().map(Chunk::Picture));
        chunks.extend(citations.into_iter().map(|(_, citation)| Chunk::Citation(citation)));
        let calls = tool_calls.into_iter().enumerate().map(|(index, call)| {
            let (id, name) = (Some(call.id), Some(call.function.name));
            Chunk::ToolCall(ToolCallDelta { index, id, name, arguments: call.function.arguments })
        });
        chunks.extend(calls);
        chunks
    }
}

/// Returns a text without the parts between `<think>` and `</think>`; without an end, all that
/// follows is reasoning.
pub(crate) fn strip_reasoning(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("<think>") {
        kept += before;
        rest = after.split_once("</think>").map_or("", |(_, after)| after);
    }
    kept += rest;
    kept.trim().to_owned()
}
