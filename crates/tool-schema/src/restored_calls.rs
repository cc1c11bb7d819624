//! The calls of an answer with the names and arguments that the client knows.

use crate::{ArgumentShape, SentTools};
use futures_util::{StreamExt, stream};
use pipe_sdk::{Chunk, ChunkStream, ToolCallDelta};
use std::collections::VecDeque;

/// Returns the chunks with the names and arguments of calls that the client knows. Arguments whose
/// form was changed come in one piece, when they are whole.
pub fn restore_calls(chunks: ChunkStream, tools: SentTools) -> ChunkStream {
    if tools.are_unchanged() {
        return chunks;
    }
    let mut restorer = CallRestorer { tools, calls: Vec::new(), ready: VecDeque::new() };
    ChunkStream::new(chunks.flat_map(move |chunk| {
        let chunks: Vec<_> = match chunk {
            Ok(chunk) => {
                restorer.add(chunk);
                restorer.ready.drain(..).map(Ok).collect()
            }
            Err(error) => vec![Err(error)],
        };
        stream::iter(chunks)
    }))
}

/// Restores the calls of one answer.
struct CallRestorer {
    tools: SentTools,
    /// The calls whose arguments are collected: pieces of several calls may come by turns.
    calls: Vec<CollectedCall>,
    ready: VecDeque<Chunk>,
}

/// A call whose arguments are not complete yet.
struct CollectedCall {
    index: usize,
    shape: ArgumentShape,
    arguments: String,
}

impl CallRestorer {
    fn add(&mut self, chunk: Chunk) {
        let Chunk::ToolCall(mut delta) = chunk else {
            if matches!(chunk, Chunk::Finish(_) | Chunk::NextChoice { .. }) {
                self.end_calls(|_| true);
            }
            self.ready.push_back(chunk);
            return;
        };
        if let Some(call) = self.calls.iter_mut().find(|call| call.index == delta.index) {
            call.arguments.push_str(&delta.arguments);
            return;
        }
        self.end_calls(CollectedCall::is_whole);
        delta.name = delta.name.map(|name| self.tools.to_client(name));
        if let Some(shape) = delta.name.as_ref().and_then(|name| self.tools.shape(name)) {
            let arguments = std::mem::take(&mut delta.arguments);
            let (index, shape) = (delta.index, shape.clone());
            self.calls.push(CollectedCall { index, shape, arguments });
        }
        self.ready.push_back(Chunk::ToolCall(delta));
    }

    /// Emits the arguments of the collected calls that have ended.
    fn end_calls(&mut self, has_ended: impl Fn(&CollectedCall) -> bool) {
        for call in std::mem::take(&mut self.calls) {
            if !has_ended(&call) {
                self.calls.push(call);
                continue;
            }
            let CollectedCall { index, shape, arguments } = call;
            let arguments = shape.to_client(&arguments);
            self.ready.push_back(Chunk::ToolCall(ToolCallDelta {
                index,
                arguments,
                ..ToolCallDelta::default()
            }));
        }
    }
}

impl CollectedCall {
    /// Returns whether the arguments are there to their end.
    fn is_whole(&self) -> bool {
        serde_json::from_str::<serde_json::Value>(&self.arguments).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::{Answer, FinishReason};
    use serde_json::{Map, json};

    #[tokio::test]
    async fn calls_come_back_under_the_names_that_the_client_knows() {
        let mut schema: Map<_, _> =
            serde_json::from_value(json!({"type": "object", "properties": {"$top": {}}})).unwrap();
        let mut shape = ArgumentShape::default();
        shape.rename_properties(&mut schema);
        let sent_name = schema["properties"].as_object().unwrap().keys().next().unwrap().clone();
        let mut tools = SentTools::default();
        let list = tools.to_service("list.all").into_owned();
        tools.add_shape("list.all", shape);
        tools.add_shape("same", ArgumentShape::default());
        let piece = |index, name: Option<&str>, arguments: &str| {
            Chunk::ToolCall(ToolCallDelta {
                index,
                id: name.map(|name| format!("id-{name}")),
                name: name.map(str::to_owned),
                arguments: arguments.into(),
            })
        };
        let chunks = ChunkStream::from_chunks([
            Chunk::Role,
            piece(0, Some(&list), ""),
            piece(0, None, &format!("{{\"{sent_name}\"")),
            piece(0, None, ": 3}"),
            piece(1, Some("same"), "{"),
            piece(1, None, "}"),
            piece(2, Some(&list), "{"),
            piece(3, Some(&list), &format!("{{\"{sent_name}\":")),
            piece(2, None, "}"),
            piece(3, None, "4}"),
            Chunk::Finish(FinishReason::ToolCalls),
        ]);
        let answer: Answer = restore_calls(chunks, tools).fold().await.unwrap();
        let calls: Vec<_> = answer
            .tool_calls
            .into_iter()
            .map(|call| (call.function.name, call.function.arguments))
            .collect();
        let call = |name: &str, arguments: &str| (name.to_owned(), arguments.to_owned());
        assert_eq!(
            calls,
            [
                call("list.all", r#"{"$top":3}"#),
                call("same", "{}"),
                call("list.all", "{}"),
                call("list.all", r#"{"$top":4}"#)
            ]
        );
    }
}
