//! The form of an answer, in one piece and in events.

use super::{CLAUDE, NOVA, look_tool, request_of, respond};
use crate::{
    bedrock::{emulator, host},
    support::{self, TestHost},
};
use bedrock_emulator::{ANY, InjectedFault, ModelAnswer, Script, TokenUsage};
use serde_json::{Value, json};

/// The events of a streamed answer, their names and numbers checked.
async fn events(host: &TestHost, model: &str, mut fields: Value) -> Vec<Value> {
    fields["stream"] = true.into();
    let answered = host.post("/responses", &request_of(model, fields)).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(answered.header("content-type").starts_with("text/event-stream"));
    let mut events = Vec::new();
    for frame in answered.text.split_terminator("\n\n") {
        let (name, data) = frame.split_once('\n').unwrap();
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), event["type"].as_str());
        assert_eq!(event["sequence_number"], events.len());
        events.push(event);
    }
    events
}

fn types(events: &[Value]) -> Vec<&str> {
    let names = events.iter().filter_map(|event| event["type"].as_str());
    names.map(|name| name.strip_prefix("response.").unwrap_or(name)).collect()
}

/// The same without ids, which differ.
fn without_ids(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "id" | "item_id" | "created_at"));
        fields.values_mut().for_each(|field| *field = without_ids(field.take()));
    } else if let Some(items) = value.as_array_mut() {
        items.iter_mut().for_each(|item| *item = without_ids(item.take()));
    }
    value
}

fn all_kinds() -> Script {
    let answer = ModelAnswer::new()
        .reasoning(["let me", " think"], "signed")
        .text(["Hel", "lo"])
        .tool("t1", "look", ["{\"a\":", "1}"])
        .tool("t2", "look", ["{}"]);
    Script::answer(answer.usage(TokenUsage {
        input: 10,
        output: 7,
        cache_read: Some(100),
        cache_write: Some(5),
    }))
}

#[actix_web::test]
async fn a_whole_answer_has_its_items_in_order_and_repeats_what_was_asked() {
    let emulator = emulator();
    let host = host(&emulator).await;
    emulator.script(ANY, all_kinds());
    let fields = json!({"tools": [look_tool()], "instructions": "Be brief.", "metadata": {"a": "b"}, "store": true});
    let response = respond(&host, CLAUDE, fields).await;
    assert!(response["id"].as_str().unwrap().starts_with("resp_"));
    let prefixes = ["rs_", "msg_", "fc_", "fc_"];
    for (item, prefix) in response["output"].as_array().unwrap().iter().zip(prefixes) {
        assert!(item["id"].as_str().unwrap().starts_with(prefix), "{item}");
    }
    let call = |id: &str, arguments: &str| json!({"type": "function_call", "status": "completed", "call_id": id, "name": "look", "arguments": arguments});
    assert_eq!(
        without_ids(response),
        json!({
            "object": "response", "model": CLAUDE, "status": "completed", "error": null, "incomplete_details": null,
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "let me think"}]},
                {"type": "message", "status": "completed", "role": "assistant",
                 "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]},
                call("t1", "{\"a\":1}"), call("t2", "{}")],
            "usage": {"input_tokens": 115, "input_tokens_details": {"cached_tokens": 100, "cache_write_tokens": 5},
                      "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 122},
            "background": false, "instructions": "Be brief.", "max_output_tokens": null, "metadata": {"a": "b"},
            "parallel_tool_calls": true, "previous_response_id": null, "reasoning": {}, "service_tier": "auto",
            "store": false, "temperature": null, "text": {"format": {"type": "text"}, "verbosity": null},
            "tool_choice": "auto", "tools": [look_tool()], "top_p": null, "truncation": "disabled",
        })
    );
}

#[actix_web::test]
async fn a_streamed_answer_opens_fills_and_closes_each_item() {
    let emulator = emulator();
    let host = host(&emulator).await;
    emulator.script(ANY, all_kinds());
    emulator.script(ANY, all_kinds());
    let fields = json!({"tools": [look_tool()], "include": ["reasoning.encrypted_content"]});
    let events = events(&host, CLAUDE, fields.clone()).await;
    assert_eq!(
        types(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "reasoning_summary_part.added",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.delta",
            "reasoning_summary_text.done",
            "reasoning_summary_part.done",
            "output_item.done",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.delta",
            "output_item.added",
            "function_call_arguments.delta",
            "function_call_arguments.done",
            "output_item.done",
            "function_call_arguments.done",
            "output_item.done",
            "completed",
        ]
    );
    assert_eq!(events[0]["response"]["status"], "in_progress");
    assert_eq!(events[9]["item"]["content"], json!([]));
    assert_eq!(events[11]["delta"], "Hel");
    assert_eq!(events[11]["item_id"], events[15]["item"]["id"]);
    let done = events.iter().filter(|event| event["type"] == "response.output_item.done");
    let done: Value = done.map(|event| event["item"].clone()).collect();
    let last = &events[events.len() - 1]["response"];
    assert_eq!(last["output"], done);
    let whole = respond(&host, CLAUDE, fields).await;
    assert_eq!(without_ids(last.clone()), without_ids(whole), "it ends as the whole answer looks");
}

#[actix_web::test]
async fn calls_that_are_told_in_turns_keep_their_arguments_apart() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let answer = ModelAnswer::new()
        .tool("t1", "look", ["{\"a\":", "1}"])
        .tool("t2", "look", ["{\"z\":", "2}"])
        .interleaved();
    emulator.script(ANY, Script::answer(answer));
    let events = events(&host, NOVA, json!({"tools": [look_tool()]})).await;
    let output = &events[events.len() - 1]["response"]["output"];
    for (place, arguments) in ["{\"a\":1}", "{\"z\":2}"].into_iter().enumerate() {
        let pieces = events.iter().filter(|event| {
            event["type"] == "response.function_call_arguments.delta"
                && event["output_index"] == place
        });
        let told: String = pieces.filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!((told.as_str(), &output[place]["arguments"]), (arguments, &json!(arguments)));
    }
}

#[actix_web::test]
async fn sources_are_annotations() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let source = json!({"title": "A page", "location": {"web": {"url": "https://example.com/a"}}});
    let script = || {
        Script::answer(ModelAnswer::new().text_with_citations(["it is", " so"], [source.clone()]))
    };
    emulator.script(ANY, script());
    emulator.script(ANY, script());
    let events = events(&host, CLAUDE, json!({})).await;
    let added =
        events.iter().find(|e| e["type"] == "response.output_text.annotation.added").unwrap();
    let annotation = &added["annotation"];
    assert_eq!(annotation["type"], "url_citation");
    assert_eq!(annotation["url"], "https://example.com/a");
    assert_eq!((&annotation["start_index"], &annotation["end_index"]), (&json!(0), &json!(8)));
    let whole = respond(&host, CLAUDE, json!({})).await;
    assert_eq!(&whole["output"][0]["content"][0]["annotations"][0], annotation);
}

#[actix_web::test]
async fn an_answer_that_is_cut_short_is_incomplete() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for (stop, reason) in
        [("max_tokens", "max_output_tokens"), ("guardrail_intervened", "content_filter")]
    {
        let script = || Script::answer(ModelAnswer::with_text(["half"]).stop(stop));
        emulator.script(ANY, script());
        emulator.script(ANY, script());
        let whole = respond(&host, NOVA, json!({})).await;
        let mut events = events(&host, NOVA, json!({})).await;
        let last = events.pop().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        for response in [&whole, &last["response"]] {
            assert_eq!(response["status"], "incomplete");
            assert_eq!(response["incomplete_details"], json!({"reason": reason}));
            assert_eq!(response["output"][0]["status"], "incomplete");
        }
    }
}

#[actix_web::test]
async fn an_error_before_the_first_chunk_is_the_status() {
    let host = support::host().await;
    for stream in [false, true] {
        for (model, status) in
            [("script.throttled", 429), ("script.first-error", 504), ("nothing", 404)]
        {
            let answered =
                host.post("/responses", &request_of(model, json!({"stream": stream}))).await;
            let said = answered.error_message(status).to_owned();
            assert_eq!(answered.json["error"]["message"], said, "{model}");
        }
    }
}

#[actix_web::test]
async fn a_late_error_is_an_event_and_a_failed_response() {
    let emulator = emulator();
    let bedrock = host(&emulator).await;
    let broken = ModelAnswer::with_text(["half", "more"]);
    emulator.script(ANY, Script::answer(broken).fail_after(2, InjectedFault::Close));
    let host = support::host().await;
    for (host, model) in [
        (&bedrock, NOVA),
        (&host, "script.late-error"),
        (&host, "script.unfinished"),
        (&host, "script.panics-late"),
    ] {
        let events = events(host, model, json!({})).await;
        let [.., error, failed] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!(error["type"], "error");
        assert_eq!(failed["type"], "response.failed");
        let response = &failed["response"];
        assert_eq!(response["status"], "failed", "{model}");
        assert_eq!(response["error"], json!({"code": "server_error", "message": error["message"]}));
        assert_eq!(response["output"][0]["content"][0]["text"], "half");
        assert!(!types(&events).contains(&"completed"));
    }
}
