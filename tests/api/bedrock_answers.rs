//! The parts of Bedrock's answers that a client reads, the same with and without streaming.

use crate::rig::{
    ClientAnswer, LITE, MICRO, Rig, THINKER, chat_body, chunks, rig, rig_of, rig_without_fallbacks,
    tool, with_stream,
};
use bedrock_emulator::{
    ANY, Catalogue, InjectedFault, ModelAnswer, Operation, Script, StreamEvent, TokenUsage,
};
use serde_json::{Value, json};

const LLAMA: &str = "us.meta.llama3-3-70b-instruct-v1:0";

/// Returns a chat with the tools that the answers below call.
fn with_tools(model: &str) -> Value {
    chat_body(model, &json!({"tools": [tool("weather"), tool("time")]}))
}

fn call(id: &str, name: &str, arguments: &str) -> [String; 3] {
    [id, name, arguments].map(String::from)
}

fn counted() -> TokenUsage {
    TokenUsage { input: 10, output: 7, cache_read: Some(100), cache_write: Some(5) }
}

#[actix_web::test]
async fn text_stays_beside_the_tool_calls() {
    let rig = rig(json!({})).await;
    let answer = ModelAnswer::with_text(["I ", "look."])
        .tool("t1", "weather", [r#"{"city":"#, r#""Ulm"}"#])
        .tool("t2", "time", ["{}"]);
    let told = rig.client_answer(answer, with_tools(LITE)).await;
    assert_eq!(told.content, "I look.");
    assert_eq!(told.calls, [call("t1", "weather", r#"{"city":"Ulm"}"#), call("t2", "time", "{}")]);
    assert_eq!(told.finish.as_deref(), Some("tool_calls"));
}

#[actix_web::test]
async fn all_blocks_of_text_are_told_and_nothing_but_calls_has_no_content() {
    let rig = rig(json!({})).await;
    let told = rig
        .client_answer(ModelAnswer::with_text(["one "]).text(["two"]), chat_body(LITE, &json!({})))
        .await;
    assert_eq!(told.content, "one two");
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::new().tool("t", "time", ["{}"])));
    let plain = rig.post(&with_tools(LITE)).await.json;
    assert_eq!(plain["choices"][0]["message"]["content"], Value::Null);
}

#[actix_web::test]
async fn an_answer_that_was_cut_keeps_its_calls() {
    let rig = rig(json!({"stream_above_max_tokens": 0})).await;
    let answer = ModelAnswer::with_text(["so"])
        .tool("t1", "time", ["{}"])
        .tool("t2", "weather", [r#"{"ci"#])
        .stop("max_tokens");
    let told = rig.client_answer(answer.clone(), with_tools(LITE)).await;
    assert_eq!(told.content, "so");
    assert_eq!(told.calls, [call("t1", "time", "{}"), call("t2", "weather", r#"{"ci"#)]);
    assert_eq!(told.finish.as_deref(), Some("length"));
    // In one piece, the input is JSON and cannot be cut. AWS does not document what stands there
    // (`response/converse_response.rs` takes whatever it is); the emulator sends an empty object.
    let rig = self::rig(json!({})).await;
    rig.bedrock.script(ANY, Script::answer(answer));
    let whole = ClientAnswer::read(&rig.post(&with_tools(LITE)).await);
    assert_eq!(whole.calls, [call("t1", "time", "{}"), call("t2", "weather", "{}")]);
    assert_eq!((whole.content, whole.finish), (told.content, told.finish));
}

#[actix_web::test]
async fn stop_sequences_that_a_model_does_not_accept_end_the_answer_all_the_same() {
    let rig = rig(json!({})).await;
    let claude = "us.anthropic.claude-sonnet-4-5-20250929-v1:0";
    let answer = ModelAnswer::with_text(["one", " two\n", "three"]).stop("max_tokens");
    for streamed in [false, true] {
        rig.bedrock.script(ANY, Script::answer(answer.clone()));
        let body = with_stream(chat_body(claude, &json!({"stop": ["\n", "x"]})), streamed);
        let told = ClientAnswer::read(&rig.post(&body).await);
        assert_eq!((told.content.as_str(), told.finish.as_deref()), ("one two", Some("stop")));
    }
    let sent = rig.bedrock.requests().pop().unwrap().json;
    assert_eq!(sent["inferenceConfig"]["stopSequences"], json!(["x"]));
}

#[actix_web::test]
async fn calls_are_numbered_without_gaps_and_their_pieces_do_not_mix() {
    let rig = rig(json!({})).await;
    let answer = ModelAnswer::new()
        .reasoning(["hm"], "")
        .text(["I look."])
        .tool("t1", "weather", [r#"{"city":"#, r#""Ulm"}"#])
        .tool("t2", "time", [r#"{"zone":"#, r#""UTC"}"#])
        .at_index(5)
        .interleaved();
    let told = rig.client_answer(answer.clone(), with_tools(LITE)).await;
    let (weather, time) = (r#"{"city":"Ulm"}"#, r#"{"zone":"UTC"}"#);
    assert_eq!(told.calls, [call("t1", "weather", weather), call("t2", "time", time)]);
    rig.bedrock.script(ANY, Script::answer(answer));
    let chunks = chunks(&rig.post(&with_stream(with_tools(LITE), true)).await);
    let pieces = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0]);
    let pieces: Vec<_> = pieces.filter(|piece| !piece.is_null()).cloned().collect();
    let begun = |index: usize, id: &str, name: &str| json!({"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": ""}});
    let more = |index: usize, text: &str| json!({"index": index, "function": {"arguments": text}});
    assert_eq!(
        pieces,
        [
            begun(0, "t1", "weather"),
            begun(1, "t2", "time"),
            more(0, r#"{"city":"#),
            more(1, r#"{"zone":"#),
            more(0, r#""Ulm"}"#),
            more(1, r#""UTC"}"#),
        ]
    );
}

#[actix_web::test]
async fn a_call_without_arguments_has_an_empty_object() {
    let rig = rig(json!({})).await;
    for fragments in [vec![], vec![""]] {
        let answer = ModelAnswer::new().tool("t1", "time", fragments).tool("t2", "weather", ["{}"]);
        let told = rig.client_answer(answer, with_tools(LITE)).await;
        assert_eq!(told.calls, [call("t1", "time", "{}"), call("t2", "weather", "{}")]);
    }
}

#[actix_web::test]
async fn each_stop_reason_has_its_finish_reason() {
    let rig = rig(json!({})).await;
    let (said, called) = (
        || ModelAnswer::with_text(["well"]),
        || ModelAnswer::with_text(["well"]).tool("t", "time", ["{}"]),
    );
    for (answer, reason, finish, is_told) in [
        (said(), "end_turn", "stop", false),
        (said(), "stop_sequence", "stop", true),
        (called(), "end_turn", "tool_calls", false),
        (called(), "tool_use", "tool_calls", false),
        (said(), "max_tokens", "length", false),
        (called(), "max_tokens", "length", false),
        (said(), "model_context_window_exceeded", "length", false),
        (said(), "guardrail_intervened", "content_filter", false),
        (said(), "content_filtered", "content_filter", false),
        (said(), "refusal", "content_filter", true),
        (said(), "malformed_model_output", "stop", true),
        (said(), "pause_turn", "stop", true),
        (said(), "compaction", "stop", true),
        (said(), "something_new", "stop", true),
    ] {
        let told = rig.client_answer(answer.stop(reason), with_tools(LITE)).await;
        assert_eq!(told.finish.as_deref(), Some(finish), "{reason}");
        let fact = is_told.then(|| Value::from(reason));
        assert_eq!(told.other_fields.get("x_bedrock_stop_reason"), fact.as_ref(), "{reason}");
    }
}

#[actix_web::test]
async fn a_malformed_answer_with_nothing_in_it_is_a_bad_gateway() {
    let rig = rig_without_fallbacks(json!({})).await;
    for reason in ["malformed_model_output", "malformed_tool_use"] {
        for streamed in [true, false] {
            rig.bedrock.script(ANY, Script::answer(ModelAnswer::new().stop(reason)));
            let refused = rig.post(&with_stream(with_tools(LITE), streamed)).await;
            assert_eq!(refused.status, 502, "{}", refused.text);
            assert_eq!(refused.json["error"]["type"], "api_error");
            assert!(refused.text.contains(reason), "{}", refused.text);
        }
    }
}

#[actix_web::test]
async fn reasoning_is_told_in_words_and_in_blocks_that_can_come_back() {
    let rig = rig(json!({})).await;
    let answer = ModelAnswer::new()
        .reasoning(["Let me ", "see."], "signed-1")
        .redacted(b"x")
        .reasoning(["Ah."], "signed-2")
        .text(["Yes."]);
    let told =
        rig.client_answer(answer, chat_body(THINKER, &json!({"reasoning_effort": "low"}))).await;
    assert_eq!((told.reasoning.as_str(), told.content.as_str()), ("Let me see.Ah.", "Yes."));
    let format = "anthropic-claude-v1";
    assert_eq!(
        told.reasoning_details,
        [
            json!({"type": "reasoning.text", "text": "Let me see.", "signature": "signed-1", "format": format, "index": 0}),
            json!({"type": "reasoning.encrypted", "data": "eA==", "format": format, "index": 1}),
            json!({"type": "reasoning.text", "text": "Ah.", "signature": "signed-2", "format": format, "index": 2}),
        ]
    );
    assert_eq!(
        told.thinking_blocks,
        [
            json!({"type": "thinking", "thinking": "Let me see.", "signature": "signed-1"}),
            json!({"type": "redacted_thinking", "data": "eA=="}),
            json!({"type": "thinking", "thinking": "Ah.", "signature": "signed-2"}),
        ]
    );
}

#[actix_web::test]
async fn reasoning_without_a_signature_is_words_alone() {
    let rig = rig(json!({})).await;
    let answer = ModelAnswer::new().reasoning(["hm"], "").text(["Yes."]);
    let told = rig.client_answer(answer, chat_body("deepseek.v3.2", &json!({}))).await;
    assert_eq!((told.reasoning.as_str(), told.content.as_str()), ("hm", "Yes."));
    assert!(told.reasoning_details.is_empty() && told.thinking_blocks.is_empty(), "{told:?}");
}

#[actix_web::test]
async fn a_valve_says_where_reasoning_goes() {
    let signed = || ModelAnswer::new().reasoning(["a ", "b"], "signed");
    let only_calls = || signed().tool("t", "time", ["{}"]);
    for (valve, answer, reasoning, content) in [
        ("reasoning_content", signed().text(["c"]), "a b", "c"),
        ("think_tags", signed().text(["c"]), "", "<think>\na b\n</think>\n\nc"),
        ("think_tags", only_calls(), "", "<think>\na b\n</think>\n\n"),
        ("think_tags", signed().stop("max_tokens"), "", "<think>\na b\n</think>\n\n"),
        ("hidden", signed().text(["c"]), "", "c"),
        ("hidden", only_calls(), "", ""),
    ] {
        let rig = rig(json!({"reasoning": valve})).await;
        let told = rig.client_answer(answer, with_tools(THINKER)).await;
        assert_eq!(
            (told.reasoning.as_str(), told.content.as_str()),
            (reasoning, content),
            "{valve}"
        );
    }
}

#[actix_web::test]
async fn sources_are_annotations_of_the_text() {
    let rig = rig(json!({})).await;
    let page = json!({"documentPage": {"documentIndex": 0, "start": 3, "end": 4}});
    let web = json!({"web": {"url": "https://example.org/a", "domain": "example.org"}});
    let sources = [
        json!({"title": "Atlas", "source": "atlas.pdf", "sourceContent": [{"text": "Lima "}, {"text": "is"}], "location": page}),
        json!({"title": "Page", "location": web}),
    ];
    let answer = ModelAnswer::with_text(["Größe: "]).text_with_citations(["in ", "Lima."], sources);
    let told = rig.client_answer(answer, chat_body(LITE, &json!({}))).await;
    assert_eq!(told.content, "Größe: in Lima.");
    let annotation = |citation: Value| json!({"type": "url_citation", "url_citation": citation});
    assert_eq!(
        told.annotations,
        [
            annotation(
                json!({"url": "atlas.pdf", "title": "Atlas", "start_index": 0, "end_index": 15, "cited_text": "Lima is", "location": page})
            ),
            annotation(
                json!({"url": "https://example.org/a", "title": "Page", "start_index": 0, "end_index": 15, "location": web})
            ),
        ]
    );
}

#[actix_web::test]
async fn usage_counts_what_the_cache_gave_and_took_and_comes_once() {
    let rig = rig(json!({})).await;
    let answer = || ModelAnswer::with_text(["a", "b"]).usage(counted());
    let usage = json!({
        "prompt_tokens": 115,
        "completion_tokens": 7,
        "total_tokens": 122,
        "prompt_tokens_details": {"cached_tokens": 100, "cache_creation_tokens": 5},
    });
    let told = rig.client_answer(answer(), chat_body(LITE, &json!({}))).await;
    assert_eq!(told.other_fields["usage"], usage);

    rig.bedrock.script(ANY, Script::answer(answer()));
    let wanted = chunks(&rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await);
    let (last, others) = wanted.split_last().unwrap();
    assert_eq!((&last["choices"], &last["usage"]), (&json!([]), &usage));
    assert!(others.iter().all(|chunk| chunk.get("usage") == Some(&Value::Null)), "{others:?}");
}

#[actix_web::test]
async fn usage_that_nobody_asked_for_is_not_streamed() {
    let rig = rig(json!({})).await;
    for options in [json!({}), json!({"include_usage": false})] {
        rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["a"]).usage(counted())));
        let body = chat_body(LITE, &json!({"stream": true, "stream_options": options}));
        let chunks = chunks(&rig.post(&body).await);
        assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()), "{chunks:?}");
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    }
}

#[actix_web::test]
async fn thinking_is_counted_where_the_model_tells_and_never_guessed() {
    let rig = rig(json!({})).await;
    let thought = |name: &str| json!({"usage": {"output_tokens_details": {name: 4}}});
    let answer = || ModelAnswer::new().reasoning(["hm"], "signed").text(["Yes."]).usage(counted());
    let thinking = || chat_body(THINKER, &json!({"reasoning_effort": "low"}));
    for (answer, tokens) in [
        (answer().response_fields(thought("thinking_tokens")), json!(4)),
        (answer().response_fields(thought("reasoning_tokens")), json!(4)),
        (answer(), Value::Null),
    ] {
        let told = rig.client_answer(answer, thinking()).await;
        assert_eq!(
            told.other_fields["usage"]["completion_tokens_details"]["reasoning_tokens"],
            tokens
        );
    }
    let asked = rig.model_requests().pop().unwrap().json;
    assert_eq!(asked["additionalModelResponseFieldPaths"], json!(["/usage/output_tokens_details"]));
}

#[actix_web::test]
async fn the_tier_and_what_a_guardrail_found_stand_beside_the_answer() {
    let rig = rig(json!({})).await;
    let found = json!({"inputAssessment": {"g": {"topicPolicy": {"topics": []}}}});
    let answer = ModelAnswer::with_text(["No."])
        .stop("guardrail_intervened")
        .metadata("trace", json!({"guardrail": found, "promptRouter": {"invokedModelId": "x"}}));
    let told = rig.client_answer(answer, chat_body(LITE, &json!({"service_tier": "flex"}))).await;
    assert_eq!(told.other_fields["service_tier"], "flex");
    assert_eq!(told.other_fields["bedrock_guardrail"], found);
    assert_eq!(told.finish.as_deref(), Some("content_filter"));
    assert_eq!(told.content, "No.");
    let names: Vec<_> = told.other_fields.keys().map(String::as_str).collect();
    assert_eq!(names.len(), 3, "nothing else comes through: {names:?}");
}

/// Returns a Bedrock with a model that only answers in one piece.
async fn with_a_model_that_does_not_stream(valves: Value) -> Rig {
    let models = json!({"models": [
        {"id": "acme.steady-v1", "name": "Steady", "provider": "Acme", "regions": ["us-east-1"], "inference": ["ON_DEMAND"], "streaming": false, "can": "TCYVPKRAJ"},
        {"id": "acme.brook-v1", "name": "Brook", "provider": "Acme", "regions": ["us-east-1"], "inference": ["ON_DEMAND"], "can": "TCYVPKRAJ"},
    ], "profiles": []});
    rig_of(Catalogue::from_json(&models.to_string()).unwrap(), valves).await
}

/// Returns the operations that were called since then.
fn operations(rig: &Rig, since: usize) -> Vec<Operation> {
    rig.model_requests()[since..].iter().map(|asked| asked.operation.unwrap()).collect()
}

#[actix_web::test]
async fn a_model_that_does_not_stream_is_streamed_out_of_one_piece() {
    let rig = with_a_model_that_does_not_stream(json!({})).await;
    let answer = || {
        ModelAnswer::new()
            .reasoning(["a", "b"], "signed")
            .redacted(b"x")
            .text(["c", "d"])
            .text_with_citations(["e"], [json!({"title": "Atlas", "source": "atlas.pdf"})])
            .tool("t1", "weather", [r#"{"city":"#, r#""Ulm"}"#])
            .tool("t2", "time", ["{}"])
            .usage(counted())
            .metadata("serviceTier", json!({"type": "priority"}))
    };
    let streaming = rig.client_answer(answer(), with_tools("acme.brook-v1")).await;
    assert_eq!(operations(&rig, 0), [Operation::ConverseStream, Operation::Converse]);
    let steady = rig.client_answer(answer(), with_tools("acme.steady-v1")).await;
    assert_eq!(operations(&rig, 2), [Operation::Converse; 2], "one call each");
    assert_eq!(steady, streaming);
    assert_eq!(steady.content, "cde");
    let rig = with_a_model_that_does_not_stream(json!({"stream_above_max_tokens": 0})).await;
    assert_eq!(rig.client_answer(answer(), with_tools("acme.brook-v1")).await, streaming);
    assert_eq!(operations(&rig, 0), [Operation::ConverseStream; 2]);
}

#[actix_web::test]
async fn a_plain_chat_is_streamed_from_bedrock_only_if_it_may_be_long() {
    let rig = rig(json!({"stream_above_max_tokens": 100})).await;
    for (model, limits, operation) in [
        (LITE, json!({}), Operation::Converse),
        (LITE, json!({"max_tokens": 100}), Operation::Converse),
        (LITE, json!({"max_tokens": 101}), Operation::ConverseStream),
        (LITE, json!({"max_completion_tokens": 101}), Operation::ConverseStream),
        (THINKER, json!({}), Operation::Converse),
        (THINKER, json!({"reasoning_effort": "low"}), Operation::ConverseStream),
    ] {
        rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["a", "b"])));
        let before = rig.model_requests().len();
        let told = ClientAnswer::read(&rig.post(&chat_body(model, &limits)).await);
        assert_eq!(told.content, "ab");
        assert_eq!(operations(&rig, before), [operation], "{model} {limits}");
    }
}

#[actix_web::test]
async fn tools_on_a_model_that_cannot_stream_them_are_asked_for_in_one_piece() {
    let rig = rig(json!({})).await;
    let answer =
        || ModelAnswer::with_text(["I look."]).tool("t1", "weather", [r#"{"city":"Ulm"}"#]);
    let told = rig.client_answer(answer(), with_tools(LLAMA)).await;
    assert_eq!(operations(&rig, 0), [Operation::Converse; 2]);
    assert_eq!(told, rig.client_answer(answer(), with_tools(MICRO)).await);
    rig.client_answer(ModelAnswer::with_text(["a"]), chat_body(LLAMA, &json!({}))).await;
    let streams = [Operation::ConverseStream, Operation::Converse];
    assert_eq!(operations(&rig, 4), streams, "without tools it streams");
}

#[actix_web::test]
async fn what_was_said_before_a_forbidden_call_is_all_that_is_told() {
    let rig = rig(json!({})).await;
    let body = chat_body(
        LITE,
        &json!({
            "messages": [
                {"role": "user", "content": "Weather?"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "a", "content": "rain"},
            ],
            "tools": [tool("weather")],
            "tool_choice": "none",
        }),
    );
    let told = rig
        .client_answer(ModelAnswer::with_text(["Well."]).tool("t", "weather", ["{}"]), body)
        .await;
    let expected = ClientAnswer {
        content: "Well.".into(),
        finish: Some("stop".into()),
        ..ClientAnswer::default()
    };
    assert_eq!(ClientAnswer { other_fields: Default::default(), ..told }, expected);
}

#[actix_web::test]
async fn hidden_reasoning_is_in_no_field() {
    let rig = rig(json!({"reasoning": "hidden"})).await;
    let answer = ModelAnswer::new().reasoning(["canary"], "signed").text(["c"]);
    let told = rig.client_answer(answer, chat_body(THINKER, &json!({}))).await;
    assert!(!format!("{told:?}").contains("canary"), "{told:?}");
}

#[actix_web::test]
async fn redacted_reasoning_that_comes_in_pieces_is_one_whole() {
    let rig = rig(json!({})).await;
    let more =
        json!({"delta": {"reasoningContent": {"redactedContent": "eQ=="}}, "contentBlockIndex": 0});
    let script = Script::answer(ModelAnswer::new().redacted(b"x").text(["c"]));
    let script = script.insert(2, StreamEvent::new("contentBlockDelta", more));
    rig.bedrock.script(ANY, script.times(2));
    for streamed in [true, false] {
        let told = ClientAnswer::read(
            &rig.post(&with_stream(chat_body(THINKER, &json!({})), streamed)).await,
        );
        assert_eq!(told.reasoning_details[0]["data"], "eHk=", "the bytes x and y");
    }
}

#[actix_web::test]
async fn a_malformed_answer_that_was_only_thought_is_a_bad_gateway() {
    let rig = rig_without_fallbacks(json!({})).await;
    let answer = ModelAnswer::new().reasoning(["hm"], "signed").stop("malformed_tool_use");
    rig.bedrock.script(ANY, Script::answer(answer));
    let refused = rig.post(&with_tools(THINKER)).await;
    assert_eq!(refused.status, 502, "{}", refused.text);
}

#[actix_web::test]
async fn a_source_is_of_the_text_before_it() {
    let rig = rig(json!({})).await;
    let answer = ModelAnswer::new()
        .text_with_citations(["Lima."], [json!({"title": "Atlas"})])
        .text([" And more."]);
    let told = rig.client_answer(answer, chat_body(LITE, &json!({}))).await;
    assert_eq!(told.annotations[0]["url_citation"]["end_index"], 5);
}

#[actix_web::test]
async fn a_connection_that_stays_open_and_silent_after_the_end_is_no_error() {
    let rig = rig(json!({"idle_timeout_seconds": 1, "stream_above_max_tokens": 0})).await;
    // The message is a start, two pieces, the end of the block, its own end, and the usage after
    // it.
    for events in [5, 6] {
        let silent = Script::answer(ModelAnswer::with_text(["Hel", "lo"]))
            .fail_after(events, InjectedFault::Hang);
        rig.bedrock.script(ANY, silent.times(2));
        for streamed in [true, false] {
            let told = ClientAnswer::read(
                &rig.post(&with_stream(chat_body(LITE, &json!({})), streamed)).await,
            );
            assert_eq!((told.content.as_str(), &told.error), ("Hello", &Value::Null), "{events}");
            assert_eq!(told.finish.as_deref(), Some("stop"), "{events}");
        }
    }
    // Without the end of the message it is one.
    let cut =
        Script::answer(ModelAnswer::with_text(["Hel", "lo"])).fail_after(4, InjectedFault::Hang);
    rig.bedrock.script(ANY, cut);
    let told = ClientAnswer::read(&rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await);
    assert_ne!(told.error, Value::Null);
}
