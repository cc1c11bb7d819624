//! The output items of an answer.

use crate::http::client_tools::{ClientTool, ClientTools, TextInput, ToolKind, parse_input};
use base64::prelude::{BASE64_STANDARD, Engine};
use pipe_sdk::{Answer, Citation, FinishReason, ReasoningDetail};
use serde_json::{Value, json};

/// One output item of an answer.
#[derive(Debug)]
pub struct OutputItem {
    /// Unique to the item.
    pub id: String,
    /// The content.
    pub kind: OutputItemKind,
    /// The status, in OpenAI's words.
    pub status: &'static str,
}

/// The content of an item.
#[derive(Debug)]
pub enum OutputItemKind {
    /// Reasoning: its text, and the blocks that have to come back unchanged.
    Reasoning(String, Vec<ReasoningDetail>),
    /// A message: its text and its annotations.
    Message(String, Vec<Value>),
    /// A call of a tool.
    Call {
        /// Joins the call and its result.
        call_id: String,
        /// The function's name.
        name: String,
        /// The arguments' JSON text.
        arguments: String,
        /// The tool as the client knows it; `None` for a plain function.
        tool: Option<ClientTool>,
        /// The text of a custom tool's call, as far as it has arrived.
        input: TextInput,
    },
    /// A summary that replaces the conversation.
    Compaction(String),
}

impl OutputItem {
    /// Returns an item that has just begun.
    pub fn new(kind: OutputItemKind) -> Self {
        let prefix = match kind {
            OutputItemKind::Reasoning(..) => "rs",
            OutputItemKind::Message(..) => "msg",
            OutputItemKind::Call { ref tool, .. } => match tool.as_ref().map(|tool| tool.kind) {
                None | Some(ToolKind::Function) => "fc",
                Some(ToolKind::Custom) => "ctc",
                Some(ToolKind::Builtin(builtin)) => builtin.id_prefix(),
            },
            OutputItemKind::Compaction(_) => "cmp",
        };
        let id = format!("{prefix}_{}", uuid::Uuid::new_v4().simple());
        Self { id, kind, status: "in_progress" }
    }

    /// Returns the items of a complete answer to a client with these tools.
    pub fn from_answer(answer: Answer, tools: &ClientTools) -> Vec<Self> {
        let Answer { content, reasoning, reasoning_details, citations, tool_calls, .. } = answer;
        let thought = !reasoning.is_empty() || !reasoning_details.is_empty();
        let said = !content.is_empty() || !citations.is_empty();
        let annotations =
            citations.iter().map(|(end, citation)| url_citation(citation, *end)).collect();
        let calls = tool_calls.into_iter().map(|call| OutputItemKind::Call {
            call_id: call.id,
            tool: tools.get(&call.function.name).cloned(),
            name: call.function.name,
            arguments: call.function.arguments,
            input: TextInput::default(),
        });
        let kinds = thought
            .then_some(OutputItemKind::Reasoning(reasoning, reasoning_details))
            .into_iter()
            .chain(said.then_some(OutputItemKind::Message(content, annotations)))
            .chain(calls);
        kinds.map(Self::new).collect()
    }

    /// Returns the item's object; `encrypted` if reasoning has a form that can be sent back.
    pub fn object(&self, encrypted: bool) -> Value {
        let Self { id, kind, status } = self;
        match kind {
            OutputItemKind::Reasoning(text, details) => {
                let summary: Vec<_> =
                    (!text.is_empty()).then(|| summary_part(text)).into_iter().collect();
                let mut item = json!({"id": id, "type": "reasoning", "summary": summary});
                if encrypted && !details.is_empty() {
                    item["encrypted_content"] = encode_reasoning(details).into();
                }
                item
            }
            OutputItemKind::Message(text, annotations) => {
                let content = text_part(text, annotations);
                json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": [content]})
            }
            OutputItemKind::Call { call_id, name, arguments, tool, .. } => {
                let call = json!({"id": id, "type": "function_call", "status": status, "call_id": call_id});
                call_object(call, name, arguments, tool.as_ref())
            }
            OutputItemKind::Compaction(summary) => {
                json!({"id": id, "type": "compaction", "encrypted_content": encode_summary(summary)})
            }
        }
    }
}

/// Returns a call in the shape that its tool has for the client.
fn call_object(mut call: Value, name: &str, arguments: &str, tool: Option<&ClientTool>) -> Value {
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
        call["input"] = parse_input(arguments).into();
    } else {
        call["arguments"] = arguments.into();
    }
    call
}

/// Returns whether the items of this tool's calls are written only when their arguments are
/// complete.
pub fn is_written_whole(tool: Option<&ClientTool>) -> bool {
    tool.is_some_and(|tool| matches!(tool.kind, ToolKind::Builtin(_)))
}

/// Sets the status of these items at the end of the answer: if it was cut short, the last one is
/// incomplete.
pub fn set_final_status(items: &mut [OutputItem], reason: FinishReason) {
    let is_cut = matches!(reason, FinishReason::Length | FinishReason::ContentFilter);
    let last = items.len();
    for (place, item) in items.iter_mut().enumerate() {
        item.status = if is_cut && place + 1 == last { "incomplete" } else { "completed" };
    }
}

/// Returns the one part of a summary of reasoning.
pub fn summary_part(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// Returns the one part of a message.
pub fn text_part(text: &str, annotations: &[Value]) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": []})
}

/// Returns the citation of a text with this number of characters.
pub fn url_citation(citation: &Citation, end: usize) -> Value {
    let mut annotation = citation.annotation(0, end)["url_citation"].take();
    annotation["type"] = "url_citation".into();
    annotation
}

/// Encodes reasoning, for a client that stores it without knowing its content.
fn encode_reasoning(details: &[ReasoningDetail]) -> String {
    BASE64_STANDARD.encode(json!(details).to_string())
}

/// Encodes a summary, for a client that stores it.
fn encode_summary(summary: &str) -> String {
    BASE64_STANDARD.encode(json!({"summary": summary}).to_string())
}

/// Decodes a summary; `None` if it was encoded elsewhere.
pub fn decode_summary(sealed: &str) -> Option<String> {
    let json = BASE64_STANDARD.decode(sealed).ok()?;
    let sealed: Value = serde_json::from_slice(&json).ok()?;
    sealed["summary"].as_str().map(str::to_owned)
}

/// Decodes reasoning; `None` if it was encoded elsewhere.
pub fn decode_reasoning(sealed: &str) -> Option<Vec<Value>> {
    let json = BASE64_STANDARD.decode(sealed).ok()?;
    let details: Vec<ReasoningDetail> = serde_json::from_slice(&json).ok()?;
    details.iter().map(|detail| serde_json::to_value(detail).ok()).collect()
}
