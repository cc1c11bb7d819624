//! Prompt caching: where the points stand, who gets them, and that they hit.

use super::*;

/// Returns the text of each block that a cache point stands behind, in the order in which the model
/// reads them.
fn texts_before_cache_points(sent: &Value) -> Vec<String> {
    let tools = sent["toolConfig"]["tools"].as_array().into_iter().flatten();
    let turns = sent["messages"].as_array().unwrap().iter();
    let turns = turns.flat_map(|turn| turn["content"].as_array().unwrap());
    let system = sent["system"].as_array().into_iter().flatten();
    let blocks: Vec<_> = tools.chain(system).chain(turns).collect();
    let told = |block: &Value| {
        let name = block["toolSpec"]["name"].as_str().or(block["toolUse"]["name"].as_str());
        let text = name.or(block["text"].as_str()).or(block["toolResult"]["toolUseId"].as_str());
        text.unwrap_or("?").to_owned()
    };
    let pairs = blocks.windows(2).filter(|pair| pair[1].get("cachePoint").is_some());
    pairs.map(|pair| told(pair[0])).collect()
}

/// Returns the time to live of each cache point.
fn cache_point_ttls(sent: &Value) -> Vec<Value> {
    let text = sent.to_string();
    let points = text.split(r#""cachePoint":"#).skip(1);
    let points =
        points.map(|point| serde_json::Deserializer::from_str(point).into_iter::<Value>().next());
    points.map(|point| point.unwrap().unwrap()["ttl"].clone()).collect()
}

fn ephemeral() -> Value {
    json!({"type": "ephemeral"})
}

fn hour() -> Value {
    json!({"type": "ephemeral", "ttl": "1h"})
}

/// Returns a text with this mark.
fn text(words: &str, mark: Value) -> Value {
    json!({"type": "text", "text": words, "cache_control": mark})
}

/// Returns a chat of several turns with a system prompt and a tool.
fn long_chat() -> Value {
    json!({
        "messages": [
            {"role": "system", "content": "Rules."},
            {"role": "user", "content": "One"},
            {"role": "assistant", "content": "Two"},
            {"role": "user", "content": "Three"},
            {"role": "assistant", "content": "Four"},
            {"role": "user", "content": "Five"},
        ],
        "tools": [tool("a")],
    })
}

#[actix_web::test]
async fn points_are_set_where_the_family_keeps_something() {
    let rig = rig().await;
    for (model, expected) in [
        (SONNET_4_5, &["a", "Rules.", "Three", "Five"][..]),
        (SONNET_3_7, &["a", "Rules.", "Three", "Five"]),
        ("anthropic.claude-3-5-haiku-20241022-v1:0", &["a", "Rules.", "Three", "Five"]),
        (OPUS_4_8, &["a", "Rules.", "Three", "Five"]),
        (NOVA, &["Rules.", "Three", "Five"]),
        ("amazon.nova-micro-v1:0", &["Rules.", "Three", "Five"]),
        (HAIKU_3, &[]),
        ("anthropic.claude-3-5-sonnet-20240620-v1:0", &[]),
        (LLAMA, &[]),
        ("deepseek.v3.2", &[]),
        ("openai.gpt-oss-20b-1:0", &[]),
        ("moonshotai.kimi-k3", &[]),
    ] {
        let sent = rig.sent_body(model, long_chat()).await;
        assert_eq!(texts_before_cache_points(&sent), expected, "{model}");
        assert!(cache_point_ttls(&sent).iter().all(Value::is_null), "{model}");
    }
}

#[actix_web::test]
async fn the_valve_says_what_is_kept() {
    for (mode, expected) in [
        ("off", &[][..]),
        ("system", &["a", "Rules."]),
        ("auto", &["a", "Rules.", "Three", "Five"]),
    ] {
        let rig = rig_with(&[("prompt_caching", mode)]).await;
        assert_eq!(
            texts_before_cache_points(&rig.sent_body(SONNET_4_5, long_chat()).await),
            expected,
            "{mode}"
        );
    }
}

#[actix_web::test]
async fn a_request_says_itself_what_is_kept() {
    let rig = rig_with(&[("prompt_caching", "off")]).await;
    for (wish, expected) in [
        (json!({"system": true}), &["a", "Rules."][..]),
        (json!({"messages": true}), &["Three", "Five"]),
        (json!({"system": true, "messages": true}), &["a", "Rules.", "Three", "Five"]),
    ] {
        let mut body = long_chat();
        body["extra_body"] = json!({"prompt_caching": wish});
        assert_eq!(
            texts_before_cache_points(&rig.sent_body(SONNET_4_5, body).await),
            expected,
            "{wish}"
        );
    }
    let mut body = long_chat();
    body["messages"][1]["content"] = json!([text("One", ephemeral())]);
    assert_eq!(texts_before_cache_points(&rig.sent_body(SONNET_4_5, body).await), ["One"]);
}

#[actix_web::test]
async fn of_a_background_task_only_what_it_shares_is_kept() {
    let rig = rig().await;
    let mut body = long_chat();
    body["task"] = "title_generation".into();
    assert_eq!(texts_before_cache_points(&rig.sent_body(SONNET_4_5, body).await), ["a", "Rules."]);
}

#[actix_web::test]
async fn a_mark_of_the_client_is_taken_wherever_it_stands_and_then_no_other_is_set() {
    let rig = rig().await;
    let mark = |path: &str| {
        let mut body = long_chat();
        body["messages"][2]["tool_calls"] = json!([tool_call("c", "a", "{}")]);
        body["messages"].as_array_mut().unwrap().insert(3, tool_result("c", "x"));
        match path {
            "tool" => body["tools"][0]["cache_control"] = ephemeral(),
            "system" => {
                body["messages"][0]["content"] =
                    json!([text("Rules.", ephemeral()), {"type": "text", "text": "More."}]);
            }
            "part" => {
                body["messages"][1]["content"] =
                    json!([text("One", ephemeral()), {"type": "text", "text": "More."}]);
            }
            "message" => body["messages"][1]["cache_control"] = ephemeral(),
            "assistant" => body["messages"][2]["cache_control"] = ephemeral(),
            _ => body["messages"][3]["cache_control"] = ephemeral(),
        }
        body
    };
    for (path, expected) in [
        ("tool", "a"),
        ("system", "Rules."),
        ("part", "One"),
        ("message", "One"),
        ("assistant", "a"),
        ("result", "c"),
    ] {
        let sent = rig.sent_body(SONNET_4_5, mark(path)).await;
        assert_eq!(texts_before_cache_points(&sent), [expected], "{path}: {sent}");
    }
    for path in ["tool", "system", "part", "message", "assistant", "result"] {
        assert!(
            texts_before_cache_points(&rig.sent_body(HAIKU_3, mark(path)).await).is_empty(),
            "{path}"
        );
    }
    assert!(texts_before_cache_points(&rig.sent_body(NOVA, mark("tool")).await).is_empty());
}

#[actix_web::test]
async fn at_most_four_points_go_out_and_the_latest_of_the_talk_stay() {
    let rig = rig().await;
    let parts: Vec<_> = (0..6).map(|n| text(&format!("part {n}"), ephemeral())).collect();
    let mut body = chat_with_parts(parts.into());
    assert_eq!(
        texts_before_cache_points(&rig.sent_body(SONNET_4_5, body.clone()).await),
        ["part 2", "part 3", "part 4", "part 5"]
    );
    body["tools"] = json!([tool("a")]);
    body["tools"][0]["cache_control"] = ephemeral();
    assert_eq!(
        texts_before_cache_points(&rig.sent_body(SONNET_4_5, body).await),
        ["a", "part 3", "part 4", "part 5"]
    );
}

#[actix_web::test]
async fn a_point_stands_behind_something_and_never_behind_reasoning() {
    let rig = rig().await;
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "s", "cache_control": ephemeral()});
    for message in [
        json!({"role": "user", "content": [text("", ephemeral()), text("x", ephemeral())]}),
        json!({"role": "user", "content": [text(" ", ephemeral())]}),
        json!({"role": "assistant", "content": [thought, {"type": "text", "text": "Hm."}]}),
        json!({"role": "assistant", "content": [thought]}),
        json!({"role": "system", "content": [text(" ", ephemeral())]}),
    ] {
        let body = chat_of_messages(
            json!([{"role": "user", "content": "Hi"}, message, {"role": "user", "content": "?"}]),
        );
        rig.ask(SONNET_4_5, body).await;
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}

#[actix_web::test]
async fn an_hour_is_kept_where_the_family_can_and_only_before_what_is_kept_shorter() {
    let rig = rig().await;
    let body = |system: Value, user: Value| {
        chat_of_messages(
            json!([{"role": "system", "content": [text("Rules.", system)]}, {"role": "user", "content": [text("Hi", user)]}]),
        )
    };
    for (model, body, expected) in [
        (SONNET_4_5, body(hour(), ephemeral()), [json!("1h"), Value::Null]),
        (SONNET_4_5, body(hour(), hour()), [json!("1h"), json!("1h")]),
        (SONNET_4_5, body(ephemeral(), hour()), [Value::Null, Value::Null]),
        (SONNET_3_7, body(hour(), hour()), [Value::Null, Value::Null]),
        (NOVA, body(hour(), hour()), [Value::Null, Value::Null]),
    ] {
        assert_eq!(cache_point_ttls(&rig.sent_body(model, body).await), expected, "{model}");
    }
}

/// Returns the bytes of what a model reads of a body, without the cache points.
fn bytes_without_cache_points(sent: &Value) -> String {
    let mut sent = sent.clone();
    let unmarked = |blocks: &mut Value| {
        if let Some(blocks) = blocks.as_array_mut() {
            blocks.retain(|block| block.get("cachePoint").is_none());
        }
    };
    unmarked(&mut sent["toolConfig"]["tools"]);
    unmarked(&mut sent["system"]);
    for turn in sent["messages"].as_array_mut().unwrap() {
        unmarked(&mut turn["content"]);
    }
    let turns: Vec<_> = sent["messages"].as_array().unwrap().iter().map(Value::to_string).collect();
    format!("{}{}{}", sent["toolConfig"], sent["system"], turns.join(","))
}

#[actix_web::test]
async fn a_talk_with_tools_only_grows_and_each_turn_reads_what_the_last_one_kept() {
    let rig = rig().await;
    for model in [SONNET_4_5, NOVA] {
        let mut messages = vec![
            json!({"role": "system", "content": "Rules. ".repeat(200)}),
            json!({"role": "user", "content": "Let us begin."}),
        ];
        let mut before: Option<String> = None;
        for turn in 0..10 {
            rig.script(ModelAnswer::with_text(["I look."]).tool(
                &format!("call_{turn}"),
                "weather",
                [r#"{"z":"Ulm","a":1.0}"#],
            ));
            let body = json!({"messages": messages, "tools": [tool("weather"), tool("time")]});
            let answered = rig.ask(model, body).await.json;
            let now = bytes_without_cache_points(&chats(&rig.bedrock).pop().unwrap().json);
            if let Some(before) = &before {
                assert!(now.starts_with(before.as_str()), "{model} {turn}:\n{before}\n{now}");
                let cached = answered["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64();
                assert!(cached.unwrap() > 300, "{model} {turn}: {}", answered["usage"]);
            }
            before = Some(now);
            messages.push(answered["choices"][0]["message"].clone());
            messages.push(tool_result(&format!("call_{turn}"), &format!("rain {turn}")));
            if turn % 3 == 0 {
                messages.push(json!({"role": "user", "content": "And now?"}));
            }
        }
    }
}

#[actix_web::test]
async fn equal_requests_give_equal_bytes() {
    let rig = rig().await;
    let mut body = long_chat();
    body["messages"][1]["content"] = json!([
        {"type": "text", "text": "One"},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjcK"}},
    ]);
    body["tools"] = (0..8).map(|n| tool(&format!("server.tool.{n}"))).collect();
    body["metadata"] = json!({"team": "x", "cost": "y"});
    body["reasoning_effort"] = "low".into();
    for _ in 0..50 {
        assert_eq!(rig.ask(SONNET_4_5, body.clone()).await.status, 200);
    }
    let chats = chats(&rig.bedrock);
    assert_eq!(chats.len(), 50);
    assert!(chats.iter().all(|chat| chat.body == chats[0].body));
}

#[actix_web::test]
async fn of_marks_on_many_tools_the_last_four_stay() {
    let rig = rig().await;
    let tool = |n: usize| json!({"type": "function", "function": {"name": format!("t{n}")}, "cache_control": {"type": "ephemeral"}});
    let tools: Vec<_> = (0..5).map(tool).collect();
    let sent = rig.sent_body(SONNET_4_5, chat_with(json!({"tools": tools}))).await;
    let tools = sent["toolConfig"]["tools"].as_array().unwrap();
    let points: Vec<_> =
        (0..tools.len()).filter(|at| tools[*at].get("cachePoint").is_some()).collect();
    assert_eq!(points, [2, 4, 6, 8]);
}
