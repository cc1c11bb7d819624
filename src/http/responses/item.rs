//! The items that an answer is made of.

use crate::http::client_tools::{ClientTool, ClientTools, TextInput, ToolKind, input_of};
use base64::prelude::{BASE64_STANDARD, Engine};
use pipe_sdk::{Answer, Citation, FinishReason, ReasoningDetail};
use serde_json::{Value, json};

/// One item of an answer.
#[derive(Debug)]
pub struct Item {
    /// Unique to the item.
    pub id: String,
    /// What it holds.
    pub kind: Kind,
    /// How far it is.
    pub status: &'static str,
}

/// What an item holds.
#[derive(Debug)]
pub enum Kind {
    /// What the model thinks: in words, and block by block as it has to come back.
    Reasoning(String, Vec<ReasoningDetail>),
    /// What the model says, and where it comes from.
    Message(String, Vec<Value>),
    /// What the model wants called.
    Call {
        /// Joins the call and its result.
        call_id: String,
        /// The function's name.
        name: String,
        /// The arguments' JSON text.
        arguments: String,
        /// What the tool is to the client, if it is no plain function.
        tool: Option<ClientTool>,
        /// The text of a custom tool's call, as far as it has come.
        input: TextInput,
    },
    /// A summary in place of the conversation.
    Compaction(String),
}

impl Item {
    /// An item that has just begun.
    pub fn new(kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Reasoning(..) => "rs",
            Kind::Message(..) => "msg",
            Kind::Call { ref tool, .. } => match tool.as_ref().map(|tool| tool.kind) {
                None | Some(ToolKind::Function) => "fc",
                Some(ToolKind::Custom) => "ctc",
                Some(ToolKind::Builtin(builtin)) => builtin.prefix(),
            },
            Kind::Compaction(_) => "cmp",
        };
        let id = format!("{prefix}_{}", uuid::Uuid::new_v4().simple());
        Self { id, kind, status: "in_progress" }
    }

    /// The items of a whole answer to a client that has these tools.
    pub fn all_of(answer: Answer, tools: &ClientTools) -> Vec<Self> {
        let Answer { content, reasoning, reasoning_details, citations, tool_calls, .. } = answer;
        let thought = !reasoning.is_empty() || !reasoning_details.is_empty();
        let said = !content.is_empty() || !citations.is_empty();
        let annotations =
            citations.iter().map(|(end, citation)| annotation(citation, *end)).collect();
        let calls = tool_calls.into_iter().map(|call| Kind::Call {
            call_id: call.id,
            tool: tools.get(&call.function.name).cloned(),
            name: call.function.name,
            arguments: call.function.arguments,
            input: TextInput::default(),
        });
        let kinds = thought
            .then_some(Kind::Reasoning(reasoning, reasoning_details))
            .into_iter()
            .chain(said.then_some(Kind::Message(content, annotations)))
            .chain(calls);
        kinds.map(Self::new).collect()
    }

    /// The item as it goes out; `encrypted` if reasoning comes in a form that can be sent back.
    pub fn object(&self, encrypted: bool) -> Value {
        let Self { id, kind, status } = self;
        match kind {
            Kind::Reasoning(text, details) => {
                let summary: Vec<_> =
                    (!text.is_empty()).then(|| summary(text)).into_iter().collect();
                let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
                if encrypted && !details.is_empty() {
                    item["encrypted_content"] = sealed(details).into();
                }
                item
            }
            Kind::Message(text, annotations) => {
                let content = said(text, annotations);
                json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": [content]})
            }
            Kind::Call { call_id, name, arguments, tool, .. } => {
                let call = json!({"id": id, "type": "function_call", "status": status, "call_id": call_id});
                called(call, name, arguments, tool.as_ref())
            }
            Kind::Compaction(summary) => {
                json!({"id": id, "type": "compaction", "encrypted_content": sealed_summary(summary)})
            }
        }
    }
}

/// A call in the shape that its tool has for the client.
fn called(mut call: Value, name: &str, arguments: &str, tool: Option<&ClientTool>) -> Value {
    let kind = tool.map_or(ToolKind::Function, |tool| tool.kind);
    if let ToolKind::Builtin(builtin) = kind {
        call["type"] = format!("{}_call", builtin.name()).into();
        for (field, value) in builtin.call_fields(arguments) {
            call[field] = value;
        }
        return call;
    }
    call["name"] = tool.map_or(name, |tool| &tool.name).into();
    if let Some(namespace) = tool.and_then(|tool| tool.namespace.as_deref()) {
        call["namespace"] = namespace.into();
    }
    if kind == ToolKind::Custom {
        call["type"] = "custom_tool_call".into();
        call["input"] = input_of(arguments).into();
    } else {
        call["arguments"] = arguments.into();
    }
    call
}

/// Whether the items of this tool's calls are known only when their arguments are whole.
pub fn comes_whole(tool: Option<&ClientTool>) -> bool {
    tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Builtin(_)))
}

/// Ends these items for this reason: where an answer was cut short, the last one is not whole.
pub fn end(items: &mut [Item], reason: FinishReason) {
    let is_cut = matches!(reason, FinishReason::Length | FinishReason::ContentFilter);
    let last = items.len();
    for (place, item) in items.iter_mut().enumerate() {
        item.status = if is_cut && place + 1 == last { "incomplete" } else { "completed" };
    }
}

/// The one part of reasoning.
pub fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// The one part of a message.
pub fn said(text: &str, annotations: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
}

/// The source of a text of this many characters.
pub fn annotation(citation: &Citation, end: usize) -> Value {
    let mut annotation = citation.annotation(0, end)["url_citation"].take();
    annotation["type"] = "url_citation".into();
    annotation
}

/// Reasoning as a client keeps it, without having to know what it holds.
fn sealed(details: &[ReasoningDetail]) -> String {
    BASE64_STANDARD.encode(json!(details).to_string())
}

/// A summary as a client keeps it.
fn sealed_summary(summary: &str) -> String {
    BASE64_STANDARD.encode(json!({"summary": summary}).to_string())
}

/// The summary that was sealed here. What others have sealed says nothing.
pub fn opened_summary(sealed: &str) -> Option<String> {
    let json = BASE64_STANDARD.decode(sealed).ok()?;
    let sealed: Value = serde_json::from_slice(&json).ok()?;
    sealed["summary"].as_str().map(str::to_owned)
}

/// The reasoning that was sealed here. What others have sealed says nothing.
pub fn opened(sealed: &str) -> Option<Vec<Value>> {
    let json = BASE64_STANDARD.decode(sealed).ok()?;
    let details: Vec<ReasoningDetail> = serde_json::from_slice(&json).ok()?;
    details.iter().map(|detail| serde_json::to_value(detail).ok()).collect()
}
