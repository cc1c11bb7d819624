//! Calls of tools and their results in a conversation, towards servers that join them by their ids.

use super::{MODEL, Rig, rig, server::json_of};
use serde_json::{Value, json};
use std::collections::HashSet;

/// Returns each call that the server got, with its result, and the ids of all calls. Each result
/// stands after the call that has its id.
fn calls_of(sent: &Value) -> (Vec<(String, String)>, Vec<String>) {
    let messages = sent["messages"].as_array().unwrap();
    let (mut calls, mut ids) = (Vec::new(), Vec::new());
    for (place, message) in messages.iter().enumerate() {
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let results = messages[place + 1..].iter().take_while(|next| next["role"] == "tool");
            let mut results = results.filter(|next| next["tool_call_id"] == call["id"]);
            let result = results.next().expect("each call has a result")["content"].clone();
            assert!(results.next().is_none(), "{} has one result: {sent}", call["id"]);
            let arguments = call["function"]["arguments"].as_str().unwrap().to_owned();
            calls.push((arguments, result.as_str().unwrap().to_owned()));
            ids.push(call["id"].as_str().unwrap().to_owned());
        }
    }
    let results = messages.iter().filter(|message| message["role"] == "tool").count();
    assert_eq!(results, calls.len(), "{sent}");
    (calls, ids)
}

/// Sends a conversation with these rounds of calls, each with a result, to all three APIs, and
/// returns what the server gets of each.
async fn sent_by_all_apis(rig: &Rig, id: &str, rounds: &[&[(&str, &str)]]) -> Vec<Value> {
    let user = json!({"role": "user", "content": "go on"});
    let (mut chat, mut turns, mut items) =
        (vec![user.clone()], vec![user.clone()], vec![user.clone()]);
    for calls in rounds {
        let call = |arguments: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}});
        let tool_calls: Vec<_> = calls.iter().map(|(arguments, _)| call(arguments)).collect();
        chat.push(json!({"role": "assistant", "content": null, "tool_calls": tool_calls}));
        chat.extend(
            calls
                .iter()
                .map(|(_, result)| json!({"role": "tool", "tool_call_id": id, "content": result})),
        );
        let tool_use = |arguments: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": serde_json::from_str::<Value>(arguments).unwrap()});
        let uses: Vec<_> = calls.iter().map(|(arguments, _)| tool_use(arguments)).collect();
        let results: Vec<_> = calls
            .iter()
            .map(|(_, result)| json!({"type": "tool_result", "tool_use_id": id, "content": result}))
            .collect();
        turns.push(json!({"role": "assistant", "content": uses}));
        turns.push(json!({"role": "user", "content": results}));
        items.extend(calls.iter().map(|(arguments, _)| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": arguments})));
        items.extend(calls.iter().map(
            |(_, result)| json!({"type": "function_call_output", "call_id": id, "output": result}),
        ));
    }
    let mut sent = Vec::new();
    for (path, body) in [
        ("/chat/completions", json!({"model": MODEL, "messages": chat})),
        ("/v1/messages", json!({"model": MODEL, "max_tokens": 9, "messages": turns})),
        ("/responses", json!({"model": MODEL, "input": items})),
    ] {
        let answered = rig.host.post(path, &body).await;
        assert_eq!(answered.status, 200, "{path}: {}", answered.text);
        sent.push(rig.server.chat_requests().pop().unwrap().body);
    }
    sent
}

#[actix_web::test]
async fn calls_of_one_id_get_ids_of_their_own_and_keep_their_results() {
    let rig = rig(json!({})).await;
    let rounds: [&[_]; 2] =
        [&[(r#"{"a":1}"#, "one"), (r#"{"a":2}"#, "two")], &[(r#"{"a":3}"#, "three")]];
    let expected: Vec<_> = rounds.concat();
    for id in ["call_0", &"long_".repeat(20)] {
        for sent in sent_by_all_apis(&rig, id, &rounds).await {
            let (calls, ids) = calls_of(&sent);
            let calls: Vec<_> =
                calls.iter().map(|(arguments, result)| (&**arguments, &**result)).collect();
            assert_eq!(calls, expected);
            assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 3, "{ids:?}");
            assert_eq!(ids[0], id, "the first one keeps its id");
        }
    }
}

#[actix_web::test]
async fn calls_without_ids_get_some() {
    let rig = rig(json!({})).await;
    let call = |arguments: &str| json!({"id": "", "type": "function", "function": {"name": "f", "arguments": arguments}});
    let result = |text: &str| json!({"role": "tool", "tool_call_id": "", "content": text});
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"},
        {"role": "assistant", "content": "", "tool_calls": [call("{\"a\":1}"), call("{\"a\":2}")]},
        result("one"), result("two")]});
    let (calls, ids) = calls_of(&rig.sent_body(&body).await);
    assert_eq!((&*calls[0].1, &*calls[1].1), ("one", "two"));
    assert!(ids.iter().all(|id| !id.is_empty()) && ids[0] != ids[1], "{ids:?}");
}

#[actix_web::test]
async fn a_server_that_takes_only_ids_of_nine_letters_gets_such() {
    let rig = rig(json!({})).await;
    let message = "Tool call id was call_0 but must be a-z, A-Z, 0-9, with a length of 9.";
    let refusal = json!({"object": "error", "message": message, "type": "invalid_request_message_order", "code": 3280});
    rig.server.script(json_of("400 Bad Request", "", &refusal));
    let rounds: [&[_]; 1] = [&[("{}", "one"), ("{}", "two")]];
    for sent in sent_by_all_apis(&rig, "call_0", &rounds).await {
        let (_, ids) = calls_of(&sent);
        let fits = |id: &String| id.len() == 9 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        assert!(ids.iter().all(fits) && ids[0] != ids[1], "{ids:?}");
    }
    assert_eq!(rig.server.chat_requests().len(), 4, "it is learned");
}

#[actix_web::test]
async fn a_picture_that_a_tool_shows_stops_no_session_with_a_model_that_sees_none() {
    let rig = rig(json!({})).await;
    let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}});
    let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "hi"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "a.png"}, image]}]});
    let refusal = json!({"error": {"message": "At most 0 image(s) may be provided in one prompt.", "type": "BadRequestError", "code": 400}});
    rig.server.script(json_of("400 Bad Request", "", &refusal));
    for _ in 0..2 {
        let answered = rig.post(&body).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 3, "it is learned");
    assert!(asked[0].body.to_string().contains("image_url"));
    for asked in &asked[1..] {
        let sent = asked.body.to_string();
        assert!(!sent.contains("image_url") && sent.contains("left out"), "{sent}");
    }
    // What a person sends is theirs to leave out.
    let own = json!({"model": MODEL, "messages": [{"role": "user", "content": [image]}]});
    rig.server.script(json_of("400 Bad Request", "", &refusal));
    assert_eq!(rig.post(&own).await.status, 400);
}
