//! The two ways that every chat goes: a body becomes a Converse request, and an event of Bedrock a
//! frame for the client.
//!
//! `cargo bench --bench chat`

#![expect(clippy::expect_used, reason = "a benchmark of what failed would time nothing")]

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bedrock_models::{
    BedrockValves, ReasoningOutput,
    request::{ChatInput, Inputs, ResponseOptions, Target, prepare_chat},
    response::{EventHandler, EventStreamDecoder},
};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pipe_sdk::{Body, Call, ChatRef, Hints, testing::ScriptedHost};
use pipewright::http::{FrameWriter, OpenAiSseWriter, ResponseHead};
use serde_json::{Value, json};
use std::hint::black_box;

const CLAUDE: &str = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// The number of tokens in an answer.
const TOKENS: usize = 1000;

fn call(body: &Value) -> Call {
    Call {
        model: CLAUDE.into(),
        body: serde_json::from_value::<Body>(body.clone()).expect("a chat"),
        user: None,
        chat: ChatRef::default().into(),
        hints: Hints::default(),
        host: ScriptedHost::new().host(),
    }
}

/// Twenty turns, in ten of which tools are called.
fn agent() -> Value {
    let tool = |n: usize| json!({"type": "function", "function": {"name": format!("tool_{n}"), "description": "Reads a file.", "parameters": {"type": "object", "properties": {"path": {"type": "string", "description": "Where it is."}, "lines": {"type": "integer"}}, "required": ["path"]}}});
    let mut messages = vec![json!({"role": "system", "content": "You are careful. ".repeat(200)})];
    for n in 0..10 {
        let id = format!("call_{n}");
        messages.push(
            json!({"role": "user", "content": format!("Question {n}: {}", "words ".repeat(50))}),
        );
        messages.push(json!({"role": "assistant", "content": null, "tool_calls": [{"id": id, "type": "function", "function": {"name": "tool_1", "arguments": "{\"path\": \"src/main.rs\", \"lines\": 40}"}}]}));
        messages.push(
            json!({"role": "tool", "tool_call_id": id, "content": "fn main() {}\n".repeat(40)}),
        );
        messages.push(json!({"role": "assistant", "content": "It is done. ".repeat(20)}));
    }
    messages.push(json!({"role": "user", "content": "And now?"}));
    json!({"model": "m", "messages": messages, "tools": (0..20).map(tool).collect::<Vec<_>>(), "max_tokens": 4096})
}

fn picture() -> Value {
    let url = format!("data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA{}", "AAAA".repeat(1 << 18));
    json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]}]})
}

fn requests(c: &mut Criterion) {
    let valves = BedrockValves::default();
    let base = CLAUDE.trim_start_matches("us.");
    let target = Target::for_model(CLAUDE, base, Inputs::default(), &valves);
    let question = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    let mut group = c.benchmark_group("body to Converse");
    for (name, body) in [("question", question), ("agent", agent()), ("1 MiB picture", picture())] {
        let json = body.to_string();
        group.throughput(Throughput::Bytes(json.len() as u64));
        group.bench_function(format!("{name}: parse"), |b| {
            b.iter(|| serde_json::from_str::<Body>(black_box(&json)).expect("a chat"));
        });
        let call = call(&body);
        let input = ChatInput { call: &call, target: &target, valves: &valves };
        group.bench_function(format!("{name}: write"), |b| {
            b.iter(|| prepare_chat(black_box(&input)).expect("a request"));
        });
    }
    group.finish();
}

/// An answer of many tokens as Bedrock sends it, with its padding.
fn events() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut event = |name: &'static str, payload: &Value| {
        let text = |text: &'static str| HeaderValue::String(text.into());
        let message = Message::new(payload.to_string())
            .add_header(Header::new(":event-type", text(name)))
            .add_header(Header::new(":content-type", text("application/json")))
            .add_header(Header::new(":message-type", text("event")));
        write_message_to(&message, &mut bytes).expect("memory");
    };
    event("messageStart", &json!({"role": "assistant"}));
    for n in 0..TOKENS {
        let delta = json!({"contentBlockIndex": 0, "delta": {"text": format!(" token{n}")}, "p": "abcdefghijklmnop"});
        event("contentBlockDelta", &delta);
    }
    event("contentBlockStop", &json!({"contentBlockIndex": 0}));
    event("messageStop", &json!({"stopReason": "end_turn"}));
    event(
        "metadata",
        &json!({"usage": {"inputTokens": 10, "outputTokens": TOKENS}, "metrics": {"latencyMs": 1}}),
    );
    bytes
}

fn answers(c: &mut Criterion) {
    let bytes = events();
    let head = ResponseHead::new("chatcmpl-", "bedrock_models.m");
    let mut group = c.benchmark_group("event to frame");
    group.throughput(Throughput::Elements(TOKENS as u64));
    group.bench_function("1000 tokens", |b| {
        b.iter_batched(
            || {
                let handler =
                    EventHandler::new(ResponseOptions::default(), ReasoningOutput::default());
                (EventStreamDecoder::default(), handler)
            },
            |(mut decoder, mut handler)| {
                let mut writer = OpenAiSseWriter::new(&head, true);
                for piece in bytes.chunks(4096) {
                    decoder.push(piece);
                    while let Ok(Some(frame)) = decoder.next_frame() {
                        handler.handle_frame(&frame).expect("an event");
                        while let Some(chunk) = handler.next_chunk() {
                            writer.chunk(&chunk);
                        }
                    }
                    black_box(writer.take());
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, requests, answers);
criterion_main!(benches);
