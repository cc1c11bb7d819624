//! The parts of an upstream's answers that a client reads, the same with and without streaming.

use super::{
    Rig, chat_body, rig,
    server::{ResponseStep, delta, end, json_of, stream},
};
use crate::rig::{ClientAnswer, with_stream};
use serde_json::{Value, json};

impl Rig {
    /// Returns the client's answer when the server answers so, streamed and plain: it must be the
    /// same.
    async fn client_answer(&self, acts: Vec<ResponseStep>) -> ClientAnswer {
        for _ in 0..2 {
            self.server.script(acts.clone());
        }
        let [streamed, plain] =
            [true, false].map(|streamed| with_stream(chat_body(&json!({})), streamed));
        let streamed = ClientAnswer::read(&self.post(&streamed).await);
        let plain = ClientAnswer::read(&self.post(&plain).await);
        assert_eq!(streamed, plain, "streamed on the left, plain on the right");
        plain
    }

    /// Returns the client's answer when the server streams these deltas.
    async fn told_of(&self, deltas: &[Value], reason: &str) -> ClientAnswer {
        let mut chunks: Vec<_> = deltas.iter().cloned().map(delta).collect();
        chunks.push(end(reason));
        self.client_answer(stream(&chunks)).await
    }
}

fn piece(index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Value {
    let call = json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
    json!({"tool_calls": [call]})
}

#[actix_web::test]
async fn text_reasoning_and_usage_come_out() {
    let rig = rig(json!({})).await;
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0}, "completion_tokens_details": {"reasoning_tokens": 3}});
    let told = rig
        .client_answer(stream(&[
            delta(json!({"role": "assistant", "content": "", "reasoning_content": null})),
            delta(json!({"reasoning_content": "hm"})),
            delta(json!({"content": "a"})),
            delta(json!({"content": "b"})),
            end("stop"),
            json!({"choices": [], "usage": usage, "service_tier": "flex"}),
        ]))
        .await;
    assert_eq!((told.content.as_str(), told.reasoning.as_str()), ("ab", "hm"));
    assert_eq!(told.finish.as_deref(), Some("stop"));
    assert_eq!(told.other_fields["service_tier"], "flex");
    assert_eq!(
        told.other_fields["usage"],
        json!({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 3}})
    );
}

#[actix_web::test]
async fn calls_are_numbered_without_gaps_and_their_pieces_do_not_mix() {
    let rig = rig(json!({})).await;
    let deltas = [
        piece(2, Some("a"), Some("f"), "{\"x\""),
        piece(5, Some("b"), Some("g"), ""),
        piece(2, None, None, ":1}"),
    ];
    let told = rig.told_of(&deltas, "tool_calls").await;
    assert_eq!(
        told.calls,
        [["a", "f", "{\"x\":1}"], ["b", "g", "{}"]].map(|call| call.map(String::from))
    );
    assert_eq!(told.finish.as_deref(), Some("tool_calls"));
}

#[actix_web::test]
async fn signed_reasoning_comes_out_as_it_has_to_come_back_and_goes_back_so() {
    let rig = rig(json!({})).await;
    let detail = |detail: Value| json!({"reasoning_details": [detail]});
    let deltas = [
        detail(
            json!({"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1", "text": "hm"}),
        ),
        detail(json!({"type": "reasoning.text", "index": 0, "signature": "s"})),
        json!({"content": "a"}),
    ];
    let told = rig.told_of(&deltas, "stop").await;
    let details = json!([{"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}]);
    assert_eq!((told.reasoning.as_str(), json!(told.reasoning_details)), ("hm", details.clone()));
    let again = json!([{"role": "assistant", "content": "a", "reasoning_details": details}, {"role": "user", "content": "b"}]);
    let sent = rig.sent_body(&chat_body(&json!({"messages": again}))).await;
    assert_eq!(sent["messages"], again);
}

#[actix_web::test]
async fn pictures_and_sources_come_out() {
    let rig = rig(json!({})).await;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}});
    let source = json!({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 1}});
    let chunks = [
        delta(json!({"content": "a", "images": [image], "annotations": [source]})),
        json!({"choices": [], "citations": ["https://b.example"]}),
        end("stop"),
    ];
    rig.server.script(stream(&chunks));
    let streamed = rig.streamed().await;
    let shown = image.to_string();
    assert!(streamed.text.contains(shown.trim_end_matches('}')), "{}", streamed.text);
    rig.server.script(stream(&chunks));
    let plain = rig.plain().await;
    let message = &plain.json["choices"][0]["message"];
    assert_eq!(message["images"], json!([image]));
    let urls: Vec<_> = message["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["url_citation"]["url"].clone())
        .collect();
    assert_eq!(urls, ["https://a.example", "https://b.example"]);
}

#[actix_web::test]
async fn a_server_that_does_not_stream_is_understood_whatever_it_calls_its_answer() {
    let rig = rig(json!({})).await;
    let message = json!({"role": "assistant", "content": "a", "reasoning": "hm", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let whole = json!({"id": "x", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}});
    for kind in ["application/json", "text/plain", "text/event-stream-of-sorts"] {
        let acts = super::server::answer(
            "200 OK",
            &format!("content-type: {kind}\r\n"),
            &whole.to_string(),
        );
        let told = rig.client_answer(acts).await;
        assert_eq!(
            (told.content.as_str(), told.reasoning.as_str(), told.calls.len()),
            ("a", "hm", 1)
        );
        assert_eq!(told.other_fields["usage"]["total_tokens"], 3);
    }
    rig.client_answer(json_of("200 OK", "", &whole)).await;
}

#[actix_web::test]
async fn a_stream_is_understood_whatever_the_server_calls_it() {
    let rig = rig(json!({})).await;
    let body = format!("data: {}\n\ndata: {}\n\n", delta(json!({"content": "a"})), end("stop"));
    for headers in ["content-type: text/plain\r\n", "content-type: application/json\r\n", ""] {
        let told = rig.client_answer(super::server::answer("200 OK", headers, &body)).await;
        assert_eq!(told.content, "a");
    }
}

#[actix_web::test]
async fn the_older_way_to_call_a_function_is_a_call() {
    let rig = rig(json!({})).await;
    let deltas = [
        json!({"function_call": {"name": "f", "arguments": ""}}),
        json!({"function_call": {"arguments": "{\"x\":1}"}}),
    ];
    rig.server.script(stream(&[
        delta(deltas[0].clone()),
        delta(deltas[1].clone()),
        end("function_call"),
    ]));
    let told = ClientAnswer::read(&rig.streamed().await);
    assert_eq!((told.calls[0][1].as_str(), told.calls[0][2].as_str()), ("f", "{\"x\":1}"));
    assert!(!told.calls[0][0].is_empty());
    assert_eq!(told.finish.as_deref(), Some("tool_calls"));
}

#[actix_web::test]
async fn usage_that_grows_with_every_chunk_is_told_once() {
    let rig = rig(json!({})).await;
    let with = |mut chunk: Value, tokens: u64| {
        chunk["usage"] = json!({"prompt_tokens": 3, "completion_tokens": tokens});
        chunk
    };
    let chunks = [
        with(delta(json!({"content": "a"})), 1),
        with(delta(json!({"content": "b"})), 2),
        with(end("stop"), 2),
    ];
    let told = rig.client_answer(stream(&chunks)).await;
    assert_eq!(told.other_fields["usage"]["completion_tokens"], 2);
}
