#![expect(clippy::needless_pass_by_value, reason = "a test writes `json!` where it is read")]

use super::*;
use pipe_sdk::Answer;
use serde_json::json;

/// Returns the answer of these chunks, followed by `[DONE]`.
fn decode(steps: &[Value]) -> Answer {
    let mut decoder = AnswerDecoder::default();
    for step in steps {
        decoder.decode_event(&event(&step.to_string())).unwrap();
    }
    decoder.decode_event(&event("[DONE]")).unwrap();
    fold(std::iter::from_fn(|| decoder.pop()))
}

fn fold(chunks: impl IntoIterator<Item = Chunk>) -> Answer {
    let mut answer = Answer::default();
    chunks.into_iter().for_each(|chunk| answer.add(chunk));
    answer
}

fn event(data: &str) -> SseEvent<'_> {
    SseEvent { name: String::new(), data: data.into() }
}

fn delta(delta: Value) -> Value {
    json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn end(word: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": word}]})
}

/// Returns the answer of one delta.
fn decode_delta(fields: Value) -> Answer {
    decode(&[delta(fields), end("stop")])
}

#[test]
fn text_comes_in_all_its_shapes() {
    for content in [
        json!("a<b"),
        json!([{"type": "text", "text": "a<"}, {"type": "output_text", "text": "b"}]),
        json!(["a<", "b"]),
    ] {
        assert_eq!(decode_delta(json!({"content": content})).content, "a<b");
    }
    assert_eq!(decode_delta(json!({"content": null, "refusal": "no"})).content, "no");
    assert_eq!(decode_delta(json!({"content": 7})).content, "");
}

#[test]
fn reasoning_comes_in_all_its_shapes_and_once() {
    let details = json!([{"type": "reasoning.text", "text": "hm", "index": 0}]);
    for thought in [
        json!({"reasoning_content": "hm"}),
        json!({"reasoning": "hm"}),
        json!({"reasoning": "hm", "reasoning_details": details}),
        json!({"reasoning_details": details}),
        json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "hm"}]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
    ] {
        let answer = decode_delta(thought.clone());
        assert_eq!((answer.reasoning.as_str(), answer.content.as_str()), ("hm", ""), "{thought}");
    }
}

#[test]
fn signed_and_sealed_reasoning_is_put_together() {
    let piece = |piece: Value| delta(json!({"reasoning_details": [piece]}));
    let answer = decode(&[
        piece(json!({"type": "reasoning.text", "index": 0, "format": "f", "text": "a"})),
        piece(json!({"type": "reasoning.text", "index": 0, "text": "b"})),
        piece(json!({"type": "reasoning.text", "index": 0, "signature": "s"})),
        piece(json!({"type": "reasoning.encrypted", "index": 1, "data": "xy"})),
        piece(json!({"type": "reasoning.text", "index": 2, "text": "unsigned"})),
        end("stop"),
    ]);
    let details = serde_json::to_value(&answer.reasoning_details).unwrap();
    assert_eq!(
        details,
        json!([
            {"type": "reasoning.text", "text": "ab", "signature": "s", "format": "f", "index": 0},
            {"type": "reasoning.encrypted", "data": "xy", "index": 1},
        ])
    );
}

#[test]
fn details_that_come_after_the_words_do_not_say_them_again_and_stand_before_the_answer() {
    let mut decoder = AnswerDecoder::default();
    let detail = json!([{"type": "reasoning.text", "text": "hm", "signature": "s"}]);
    for step in [
        delta(json!({"reasoning_content": "hm"})),
        delta(json!({"reasoning_details": detail})),
        delta(json!({"content": "a"})),
    ] {
        decoder.decode_event(&event(&step.to_string())).unwrap();
    }
    let chunks: Vec<_> = std::iter::from_fn(|| decoder.pop()).collect();
    assert!(matches!(
        &chunks[..],
        [Chunk::Role, Chunk::Reasoning(_), Chunk::ReasoningDetail(_), Chunk::Content(_)]
    ));
}

#[test]
fn usage_is_sent_once_and_is_the_last_that_came() {
    let usage = |n: u64| json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": n, "total_tokens": 99, "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}});
    let answer = decode(&[usage(1), delta(json!({"content": "a"})), end("stop"), usage(7)]);
    let expected = Usage {
        prompt_tokens: 10,
        completion_tokens: 7,
        cached_tokens: Some(4),
        cache_creation_tokens: None,
        reasoning_tokens: Some(2),
    };
    assert_eq!(answer.usage, Some(expected));
    for odd in [json!("much"), json!({}), json!([]), json!({"prompt_tokens": -1})] {
        assert_eq!(decode(&[end("stop"), json!({"choices": [], "usage": odd})]).usage, None);
    }
    let claimed =
        json!({"choices": [], "usage": {"prompt_tokens": u64::MAX, "completion_tokens": u64::MAX}});
    decode(&[end("stop"), claimed]).usage.unwrap().total_tokens();
}

#[test]
fn sources_lead_to_pages_and_nowhere_else() {
    let cite = |url: &str| json!({"annotations": [{"type": "url_citation", "url_citation": {"url": url, "title": "t"}}]});
    assert_eq!(decode_delta(cite("https://a.example")).citations.len(), 1);
    assert_eq!(decode_delta(cite("javascript:alert(1)")).citations.len(), 0);
    let beside = json!({"choices": [], "citations": ["https://a.example", "data:x"], "search_results": [{"url": "https://a.example", "title": "A"}]});
    let answer = decode(&[beside.clone(), beside, end("stop")]);
    let titles: Vec<_> = answer.citations.iter().map(|(_, source)| source.title.as_str()).collect();
    assert_eq!(titles, ["A"]);
}

#[test]
fn pictures_are_shown_and_nothing_that_is_none() {
    let image = |url: &str| json!({"images": [{"type": "image_url", "image_url": {"url": url}}]});
    for (url, shown) in [
        ("data:image/png;base64,AA", 1),
        ("https://a.example/x.png", 1),
        ("data:image/svg+xml;base64,AA", 0),
        ("data:text/html,x", 0),
        ("javascript:x", 0),
    ] {
        assert_eq!(decode_delta(image(url)).pictures.len(), shown, "{url}");
    }
}

#[test]
fn why_an_answer_ends_is_read_in_the_words_of_many_and_never_invented() {
    for (word, reason) in [
        ("stop", FinishReason::Stop),
        ("STOP", FinishReason::Stop),
        ("eos_token", FinishReason::Stop),
        ("length", FinishReason::Length),
        ("MAX_TOKENS", FinishReason::Length),
        ("function_call", FinishReason::ToolCalls),
        ("SAFETY", FinishReason::ContentFilter),
    ] {
        assert_eq!(decode(&[end(word)]).finish, Some(reason), "{word}");
    }
    for steps in [vec![], vec![delta(json!({"content": "a"}))], vec![end("")]] {
        let mut decoder = AnswerDecoder::default();
        steps.iter().for_each(|step| decoder.decode_event(&event(&step.to_string())).unwrap());
        assert_eq!(
            decoder.decode_event(&event("[DONE]")),
            Err(OpenAiError::Incomplete),
            "{steps:?}"
        );
    }
}

#[test]
fn an_answer_with_calls_ends_with_tool_calls_whatever_the_server_sends() {
    let call = json!({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]});
    assert_eq!(decode_delta(call).finish, Some(FinishReason::ToolCalls));
    let answer = decode_delta(json!({"function_call": {"name": "f", "arguments": "{}"}}));
    assert_eq!(answer.tool_calls[0].function.name, "f");
    assert!(!answer.tool_calls[0].id.is_empty());
}

#[test]
fn unknown_fields_of_a_server_are_not_passed_on() {
    let answer = decode(&[
        json!({"event": {"type": "execute", "data": {"code": "alert(1)"}}, "choices": []}),
        json!({"selected_model_id": "x", "sources": [{}], "type": "response.completed", "choices": [{"delta": {"content": "a", "event": {}, "sources": []}}]}),
        json!({"event": {"type": "status"}}),
        end("stop"),
    ]);
    assert_eq!(
        answer,
        Answer { content: "a".into(), finish: Some(FinishReason::Stop), ..Answer::default() }
    );
}

#[test]
fn an_error_among_the_events_ends_the_answer() {
    for (name, data, status) in [
        ("", json!({"error": {"message": "no", "code": 503}}), 503),
        (
            "",
            json!({"error": {"code": "server_error"}, "choices": [{"delta": {"content": "x"}, "finish_reason": "error"}]}),
            0,
        ),
        ("", json!({"error": "no"}), 0),
        ("", json!({"object": "error", "message": "no", "code": 400}), 400),
        ("", json!([{"error": {"message": "no", "code": 404}}]), 404),
        ("error", json!({"message": "no", "code": 429}), 429),
        ("error", json!(7), 0),
    ] {
        let event = SseEvent { name: name.into(), data: data.to_string().into() };
        match AnswerDecoder::default().decode_event(&event) {
            Err(OpenAiError::Api(api_error)) => assert_eq!(api_error.status, status, "{data}"),
            other => panic!("{data}: {other:?}"),
        }
    }
}

#[test]
fn what_is_no_chunk_is_an_error_and_what_is_nothing_is_nothing() {
    for data in ["{", "text", "[]", "7", r#"{"choices": "x"}"#, r#"{"choices": [7]}"#] {
        assert!(
            matches!(
                AnswerDecoder::default().decode_event(&event(data)),
                Err(OpenAiError::InvalidResponse(_))
            ),
            "{data}"
        );
    }
    for data in ["", "  ", "null", "{}"] {
        assert_eq!(AnswerDecoder::default().decode_event(&event(data)), Ok(()), "{data}");
    }
}

#[test]
fn lone_surrogates_are_replaced() {
    let halves = [
        r#"{"choices":[{"delta":{"content":"a\ud83d"}}]}"#,
        r#"{"choices":[{"delta":{"content":[{"type":"text","text":"a\ud83d"}]}}]}"#,
    ];
    for json in halves {
        let mut decoder = AnswerDecoder::default();
        decoder.decode_event(&event(json)).unwrap();
        decoder.pop();
        assert_eq!(decoder.pop(), Some(Chunk::Content("a\u{fffd}".into())));
    }
}

#[test]
fn a_spoken_answer_comes_out_as_its_transcript() {
    let audio =
        json!({"content": null, "audio": {"id": "a", "data": "UklGRg==", "transcript": "hi"}});
    assert_eq!(decode_delta(audio).content, "hi");
}

#[test]
fn a_whole_answer_gives_the_same_as_a_streamed_one() {
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let message =
        json!({"role": "assistant", "content": "a", "reasoning": "hm", "tool_calls": [call]});
    let whole = json!({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}, "service_tier": "flex"});
    let answer = fold(AnswerDecoder::default().decode_whole(&whole.to_string()).unwrap());
    assert_eq!((answer.content.as_str(), answer.reasoning.as_str()), ("a", "hm"));
    assert_eq!((answer.tool_calls.len(), answer.finish), (1, Some(FinishReason::ToolCalls)));
    assert_eq!(answer.facts["service_tier"], "flex");
    assert!(answer.usage.is_some());
}
