//! Tools: what the model may call and must, and a history of calls that is put right.

use super::*;
use reqwest::Method;

fn specs(sent: &Value) -> Vec<&Value> {
    let tools = sent["toolConfig"]["tools"].as_array().unwrap();
    tools.iter().filter_map(|tool| tool.get("toolSpec")).collect()
}

/// Returns a chat with tools by these names, and these fields beside them.
fn chat_with_tools(names: &[&str], fields: Value) -> Value {
    let mut body = chat_with(fields);
    body["tools"] = names.iter().map(|name| tool(name)).collect();
    body
}

/// Returns a chat in which `weather` has been called and has answered.
fn history() -> Value {
    chat_of_messages(json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "I look.", "tool_calls": [tool_call("a", "weather", r#"{"city":"Ulm"}"#)]},
        tool_result("a", "rain"),
    ]))
}

fn contents(sent: &Value, turn: usize) -> Vec<Value> {
    let mut content = sent["messages"][turn]["content"].as_array().unwrap().clone();
    content.retain(|block| block.get("cachePoint").is_none());
    content
}

#[actix_web::test]
async fn a_name_that_bedrock_does_not_take_goes_out_under_another_and_comes_back_as_it_was() {
    let rig = rig().await;
    let name = format!("server.{}", "long_".repeat(17));
    let body = chat_with_tools(&[&name], json!({}));
    let sent = rig.sent_body(HAIKU_3, body.clone()).await;
    let fitted = specs(&sent)[0]["name"].as_str().unwrap().to_owned();
    assert!(fitted.len() <= 64 && !fitted.contains('.'), "{fitted}");
    for streamed in [false, true] {
        rig.script(ModelAnswer::new().tool("t", &fitted, ["{}"]));
        let told = if streamed {
            let chunks = rig.chunks(HAIKU_3, body.clone()).await;
            let mut calls = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"]);
            calls.find(|calls| calls.is_array()).unwrap()[0]["function"]["name"].clone()
        } else {
            let answered = rig.ask(HAIKU_3, body.clone()).await.json;
            answered["choices"][0]["message"]["tool_calls"][0]["function"]["name"].clone()
        };
        assert_eq!(told, name);
    }
}

#[actix_web::test]
async fn a_history_with_odd_names_and_ids_is_told_under_those_that_fit() {
    let rig = rig().await;
    let mut body = chat_with_tools(&["my.tool"], json!({}));
    body["messages"] = json!([
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": null, "tool_calls": [tool_call("odd id/ä", "my.tool", "{}")]},
        tool_result("odd id/ä", "x"),
    ]);
    let sent = rig.sent_body(HAIKU_3, body).await;
    let call = &sent["messages"][1]["content"][0]["toolUse"];
    assert_eq!(call["name"], specs(&sent)[0]["name"]);
    assert_eq!(sent["messages"][2]["content"][0]["toolResult"]["toolUseId"], call["toolUseId"]);
}

#[actix_web::test]
async fn a_tool_is_told_with_what_bedrock_takes_of_it() {
    let rig = rig().await;
    let plain = json!({"type": "object", "properties": {}});
    for (function, spec) in [
        (json!({"name": "f"}), json!({"name": "f", "inputSchema": {"json": plain}})),
        (
            json!({"name": "f", "description": null, "parameters": null}),
            json!({"name": "f", "inputSchema": {"json": plain}}),
        ),
        (
            json!({"name": "f", "description": " ", "parameters": {}}),
            json!({"name": "f", "inputSchema": {"json": plain}}),
        ),
        (
            json!({"name": "f", "description": "Does.", "parameters": {"$schema": "x", "properties": {"a": {}}}}),
            json!({"name": "f", "description": "Does.", "inputSchema": {"json": {"type": "object", "properties": {"a": {}}}}}),
        ),
    ] {
        let tools = json!([{"type": "function", "function": function}]);
        let sent = rig.sent_body(HAIKU_3, chat_with(json!({"tools": tools}))).await;
        assert_eq!(*specs(&sent)[0], spec);
    }
}

#[actix_web::test]
async fn a_schema_keeps_the_order_of_its_keys_and_its_numbers_as_they_were_written() {
    let rig = rig().await;
    let schema = r#"{"type":"object","zeta":1.0,"properties":{"y":{"type":"string"},"b":{},"a":{"z":1e3,"c":2}}}"#;
    let body = format!(
        r#"{{"model":"bedrock_models.{HAIKU_3}","messages":[{{"role":"user","content":"?"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}"#
    );
    let request = rig.host.request(reqwest::Method::POST, "/chat/completions");
    let request = request.header("content-type", "application/json").body(body);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let sent = String::from_utf8(chats(&rig.bedrock)[0].body.to_vec()).unwrap();
    assert!(sent.contains(schema), "{sent}");
}

#[actix_web::test]
async fn tools_that_have_no_name_or_no_schema_of_an_object_are_refused_with_their_place() {
    let rig = rig().await;
    let second = |second: Value| chat_with(json!({"tools": [tool("a"), second]}));
    let function = |function: Value| second(json!({"type": "function", "function": function}));
    for (body, field) in [
        (function(json!({"name": ""})), "tools[1].function.name"),
        (function(json!({"name": "b", "parameters": "none"})), "tools[1].function.parameters"),
        (second(json!({"type": "web_search"})), "tools[1].type"),
        (second(json!({"type": "function", "name": " "})), "tools[1].name"),
        (chat_with(json!({"functions": [{"name": "a"}, {"name": ""}]})), "functions[1].name"),
    ] {
        assert_eq!(rig.refused_field(HAIKU_3, body.clone()).await, field, "{body}");
    }
}

#[actix_web::test]
async fn no_tools_at_all_leave_no_trace() {
    let rig = rig().await;
    for fields in
        [json!({"tools": []}), json!({"tools": null}), json!({"tools": [], "tool_choice": "auto"})]
    {
        assert_eq!(rig.sent_body(HAIKU_3, chat_with(fields)).await["toolConfig"], Value::Null);
    }
}

#[actix_web::test]
async fn a_tool_that_stands_twice_is_told_once() {
    let rig = rig().await;
    let sent = rig.sent_body(HAIKU_3, chat_with_tools(&["a", "b", "a"], json!({}))).await;
    let names: Vec<_> = specs(&sent).into_iter().map(|spec| spec["name"].clone()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[actix_web::test]
async fn a_choice_is_passed_on_in_each_of_its_forms() {
    let rig = rig().await;
    for (choice, sent) in [
        (json!(null), Value::Null),
        (json!("auto"), Value::Null),
        (json!("required"), json!({"any": {}})),
        (json!("any"), json!({"any": {}})),
        (json!({"type": "function", "function": {"name": "b"}}), json!({"tool": {"name": "b"}})),
        (json!({"type": "function", "name": "b"}), json!({"tool": {"name": "b"}})),
        (json!({"type": "tool", "name": "b"}), json!({"tool": {"name": "b"}})),
        (json!({"type": "any"}), json!({"any": {}})),
        (json!({"type": "auto"}), Value::Null),
    ] {
        let body = chat_with_tools(&["a", "b"], json!({"tool_choice": choice}));
        assert_eq!(
            rig.sent_body(HAIKU_3, body).await["toolConfig"]["toolChoice"],
            sent,
            "{choice}"
        );
    }
    let unknown = json!({"type": "function", "function": {"name": "c"}});
    for (choice, field) in [
        (json!("some"), "tool_choice"),
        (json!(7), "tool_choice"),
        (unknown, "tool_choice.function.name"),
    ] {
        let body = chat_with_tools(&["a", "b"], json!({"tool_choice": choice}));
        assert_eq!(rig.refused_field(HAIKU_3, body).await, field, "{choice}");
    }
}

#[actix_web::test]
async fn a_choice_is_left_to_families_that_cannot_be_made_to_call() {
    let rig = rig().await;
    for model in [
        LLAMA,
        "meta.llama3-1-8b-instruct-v1:0",
        "mistral.pixtral-large-2502-v1:0",
        "cohere.command-r-v1:0",
        "google.gemma-3-4b-it",
        "minimax.minimax-m2",
        "anthropic.claude-fable-5-1",
        "anthropic.claude-opus-5-5",
        "anthropic.claude-sonnet-5-5",
    ] {
        let sent =
            rig.sent_body(model, chat_with_tools(&["a"], json!({"tool_choice": "required"}))).await;
        assert_eq!(sent["toolConfig"]["toolChoice"], Value::Null, "{model}");
    }
}

#[actix_web::test]
async fn claude_that_thinks_is_not_made_to_call() {
    let rig = rig().await;
    for model in [SONNET_3_7, SONNET_4_5, "anthropic.claude-opus-4-6-v1", OPUS_4_8] {
        let fields = json!({"tool_choice": "required", "reasoning_effort": "low"});
        let sent = rig.sent_body(model, chat_with_tools(&["a"], fields)).await;
        assert_eq!(sent["toolConfig"]["toolChoice"], Value::Null, "{model}");
    }
}

#[actix_web::test]
async fn only_the_tools_that_are_allowed_go_out() {
    let rig = rig().await;
    let named = json!([{"type": "function", "function": {"name": "b"}}]);
    for (choice, sent) in [
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": named}}),
            Value::Null,
        ),
        (
            json!({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": named}}),
            json!({"any": {}}),
        ),
        (
            json!({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "b"}]}),
            json!({"any": {}}),
        ),
    ] {
        let body = chat_with_tools(&["a", "b", "c"], json!({"tool_choice": choice}));
        let body = rig.sent_body(HAIKU_3, body).await;
        assert_eq!(specs(&body).len(), 1);
        assert_eq!(specs(&body)[0]["name"], "b");
        assert_eq!(body["toolConfig"]["toolChoice"], sent);
    }
    for (allowed, field) in [
        (json!({}), "tool_choice.allowed_tools.tools"),
        (
            json!({"mode": "auto", "tools": [{"function": {"name": "z"}}]}),
            "tool_choice.allowed_tools",
        ),
    ] {
        let choice = json!({"type": "allowed_tools", "allowed_tools": allowed});
        let body = chat_with_tools(&["a"], json!({"tool_choice": choice}));
        assert_eq!(rig.refused_field(HAIKU_3, body).await, field);
    }
}

#[actix_web::test]
async fn claude_is_told_to_call_one_tool_at_a_time() {
    let rig = rig().await;
    for (choice, sent) in [
        (json!("auto"), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (json!("required"), json!({"disable_parallel_tool_use": true})),
    ] {
        let fields = json!({"parallel_tool_calls": false, "tool_choice": choice});
        let body = rig.sent_body(SONNET_4_5, chat_with_tools(&["a"], fields)).await;
        assert_eq!(body["additionalModelRequestFields"]["tool_choice"], sent);
    }
    let fields = json!({"parallel_tool_calls": true});
    let body = rig.sent_body(SONNET_4_5, chat_with_tools(&["a"], fields)).await;
    assert_eq!(body["additionalModelRequestFields"], Value::Null);
}

#[actix_web::test]
async fn of_other_families_only_the_first_call_is_told_if_one_is_wanted() {
    let rig = rig().await;
    let body = chat_with_tools(&["a", "b"], json!({"parallel_tool_calls": false}));
    for model in [HAIKU_3, NOVA, LLAMA] {
        for streamed in [false, true] {
            rig.script(ModelAnswer::new().tool("1", "a", ["{}"]).tool("2", "b", ["{}"]));
            let calls: Vec<Value> = if streamed {
                let chunks = rig.chunks(model, body.clone()).await;
                let calls = chunks.iter().map(|c| &c["choices"][0]["delta"]["tool_calls"]);
                let calls = calls.filter_map(Value::as_array).flatten();
                calls.map(|call| call["id"].clone()).filter(Value::is_string).collect()
            } else {
                let answered = rig.ask(model, body.clone()).await.json;
                let calls = &answered["choices"][0]["message"]["tool_calls"];
                calls.as_array().unwrap().iter().map(|call| call["id"].clone()).collect()
            };
            assert_eq!(calls, ["1"], "{model} {streamed}");
        }
    }
}

#[actix_web::test]
async fn results_stand_first_in_the_order_of_their_calls_each_once() {
    let rig = rig().await;
    let mut body = chat_with_tools(&["weather", "time"], json!({}));
    body["messages"] = json!([
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": null, "tool_calls": [
            tool_call("c0", "weather", r#"{"z":1,"a":2.0}"#), tool_call("c1", "time", ""), tool_call("c2", "time", "odd"), tool_call("c3", "time", r#"{"a":1}{"b":2}"#),
        ]},
        tool_result("c1", ""),
        tool_result("c0", r#"{"rain": true}"#),
        tool_result("c0", "again"),
        tool_result("nobody", "lost"),
        {"role": "user", "content": "And?"},
    ]);
    let sent = rig.sent_body(HAIKU_3, body).await;
    let inputs: Vec<_> =
        contents(&sent, 1).into_iter().map(|b| b["toolUse"]["input"].clone()).collect();
    assert_eq!(inputs, [json!({"z": 1, "a": 2.0}), json!({}), json!({}), json!({"a": 1})]);
    assert_eq!(
        contents(&sent, 2),
        [
            json!({"toolResult": {"toolUseId": "c0", "content": [{"text": r#"{"rain": true}"#}]}}),
            json!({"toolResult": {"toolUseId": "c1", "content": [{"text": "(empty)"}]}}),
            json!({"toolResult": {"toolUseId": "c2", "content": [{"text": "no result"}], "status": "error"}}),
            json!({"toolResult": {"toolUseId": "c3", "content": [{"text": "no result"}], "status": "error"}}),
            json!({"text": "The result of a tool:"}),
            json!({"text": "lost"}),
            json!({"text": "And?"}),
        ]
    );
}

#[actix_web::test]
async fn ids_that_come_again_are_told_apart() {
    let rig = rig().await;
    let mut body = chat_with_tools(&["time"], json!({}));
    let round = [
        json!({"role": "assistant", "tool_calls": [tool_call("call_0", "time", "{}")]}),
        tool_result("call_0", "noon"),
    ];
    let question = json!({"role": "user", "content": "?"});
    body["messages"] = std::iter::once(question).chain(round.clone()).chain(round).collect();
    let sent = rig.sent_body(NOVA, body).await;
    for (turn, id) in [(1, "call_0"), (3, "call_0_2")] {
        assert_eq!(contents(&sent, turn)[0]["toolUse"]["toolUseId"], id);
        assert_eq!(contents(&sent, turn + 1)[0]["toolResult"]["toolUseId"], id);
    }
}

#[actix_web::test]
async fn a_call_without_its_result_at_the_end_is_answered_in_its_place() {
    let rig = rig().await;
    let mut body = history();
    body["messages"].as_array_mut().unwrap().pop();
    let sent = rig.sent_body(HAIKU_3, body).await;
    assert_eq!(contents(&sent, 2)[0]["toolResult"]["status"], "error");
}

#[actix_web::test]
async fn a_history_with_calls_brings_their_tools_even_if_the_client_does_not() {
    let rig = rig().await;
    for fields in [json!({}), json!({"tools": []}), json!({"tools": null})] {
        let mut body = history();
        body["tools"] = fields["tools"].clone();
        let sent = rig.sent_body(HAIKU_3, body).await;
        assert_eq!(specs(&sent)[0]["name"], "weather");
        assert_eq!(sent["toolConfig"]["toolChoice"], Value::Null);
    }
}

#[actix_web::test]
async fn a_family_without_tools_reads_a_history_of_calls_in_words() {
    let rig = rig().await;
    let sent = rig.sent_body("us.deepseek.r1-v1:0", history()).await;
    assert_eq!(sent["toolConfig"], Value::Null);
    let said = [
        json!({"text": "I look."}),
        json!({"text": r#"I called the tool `weather` with {"city":"Ulm"}"#}),
    ];
    assert_eq!(contents(&sent, 1), said);
    let body = chat_with_tools(&["weather"], json!({}));
    assert_eq!(rig.refused_field("us.deepseek.r1-v1:0", body).await, "tools");
}

#[actix_web::test]
async fn tools_are_left_out_where_none_are_taken_if_the_admin_wants_it_so() {
    let rig = rig_with(&[("drop_tools", "true")]).await;
    let body = chat_with_tools(&["weather"], json!({"tool_choice": "required"}));
    assert_eq!(rig.sent_body(MISTRAL_7B, body).await["toolConfig"], Value::Null);
}

#[actix_web::test]
async fn forbidden_tools_are_left_out_unless_the_history_has_calls() {
    let rig = rig().await;
    let body = chat_with_tools(&["weather"], json!({"tool_choice": "none"}));
    assert_eq!(rig.sent_body(HAIKU_3, body).await["toolConfig"], Value::Null);

    let mut body = history();
    body["tools"] = json!([tool("weather")]);
    body["tool_choice"] = "none".into();
    let sent = rig.sent_body(HAIKU_3, body.clone()).await;
    assert_eq!(specs(&sent).len(), 1);
    assert_eq!(sent["toolConfig"]["toolChoice"], Value::Null);
    assert_eq!(sent["system"], json!([{"text": "Do not call any tool now: answer in words."}]));
}

#[actix_web::test]
async fn a_forbidden_call_is_not_sent_even_if_the_model_makes_it() {
    let rig = rig().await;
    let mut body = history();
    body["tool_choice"] = "none".into();
    let answer = || ModelAnswer::with_text(["Well."]).tool("t", "weather", ["{}"]);
    rig.script(answer());
    let choice = rig.ask(HAIKU_3, body.clone()).await.json["choices"][0].clone();
    assert_eq!(choice["message"], json!({"role": "assistant", "content": "Well."}));
    assert_eq!(choice["finish_reason"], "stop");
    rig.script(answer());
    let chunks = rig.chunks(HAIKU_3, body).await;
    assert!(chunks.iter().all(|chunk| chunk["choices"][0]["delta"].get("tool_calls").is_none()));
    assert_eq!((&*text_of(&chunks), finish_of(&chunks)), ("Well.", Some("stop")));
}

#[actix_web::test]
async fn functions_of_older_clients_are_tools() {
    let rig = rig().await;
    let function = json!({"name": "time", "description": "Tells it.", "parameters": {"type": "object", "properties": {}}});
    let body = json!({
        "messages": [
            {"role": "user", "content": "?"},
            {"role": "assistant", "content": null, "function_call": {"name": "time", "arguments": "{}"}},
            {"role": "function", "name": "time", "content": "noon"},
        ],
        "functions": [function],
        "function_call": {"name": "time"},
    });
    let sent = rig.sent_body(HAIKU_3, body).await;
    assert_eq!(specs(&sent)[0]["description"], "Tells it.");
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"tool": {"name": "time"}}));
    let id = &sent["messages"][1]["content"][0]["toolUse"]["toolUseId"];
    assert_eq!(
        contents(&sent, 2),
        [json!({"toolResult": {"toolUseId": id, "content": [{"text": "noon"}]}})]
    );
}

#[actix_web::test]
async fn tools_in_the_shapes_of_other_apis_are_taken() {
    let rig = rig().await;
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    for tool in [
        json!({"type": "function", "name": "f", "description": "Does.", "parameters": schema}),
        json!({"type": "custom", "name": "f", "description": "Does.", "input_schema": schema}),
        json!({"name": "f", "description": "Does.", "input_schema": schema}),
    ] {
        let sent = rig.sent_body(HAIKU_3, chat_with(json!({"tools": [tool]}))).await;
        let spec = json!({"name": "f", "description": "Does.", "inputSchema": {"json": schema}});
        assert_eq!(*specs(&sent)[0], spec);
    }
}

#[actix_web::test]
async fn strict_tools_are_strict_where_the_family_takes_it() {
    let rig = rig().await;
    let mut strict = tool("f");
    strict["function"]["strict"] = true.into();
    for (model, sent) in [
        (HAIKU_3, json!(true)),
        (SONNET_4_5, json!(true)),
        ("anthropic.claude-mythos-5", json!(true)),
        ("anthropic.claude-sonnet-4-20250514-v1:0", Value::Null),
        (OPUS_4_8, Value::Null),
        ("anthropic.claude-sonnet-5", Value::Null),
        (NOVA, Value::Null),
        ("openai.gpt-6-sol", Value::Null),
    ] {
        let body = rig.sent_body(model, chat_with(json!({"tools": [strict]}))).await;
        assert_eq!(specs(&body)[0]["strict"], sent, "{model}");
    }
}

#[actix_web::test]
async fn families_that_do_not_stream_tools_are_asked_whole_and_told_step_by_step() {
    let rig = rig().await;
    for model in [LLAMA, "meta.llama3-1-8b-instruct-v1:0", "ai21.jamba-1-5-large-v1:0"] {
        let before = chats(&rig.bedrock).len();
        rig.script(ModelAnswer::with_text(["I look."]).tool("t", "a", [r#"{"city":"Ulm"}"#]));
        let chunks = rig.chunks(model, chat_with_tools(&["a"], json!({}))).await;
        rig.chunks(model, chat_with(json!({}))).await;
        let operations: Vec<_> = chats(&rig.bedrock)
            .into_iter()
            .skip(before)
            .filter_map(|chat| chat.operation)
            .collect();
        assert_eq!(operations, [Operation::Converse, Operation::ConverseStream], "{model}");
        let mut calls = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"]);
        assert_eq!(calls.find(|calls| calls.is_array()).unwrap()[0]["function"]["name"], "a");
        assert_eq!((&*text_of(&chunks), finish_of(&chunks)), ("I look.", Some("tool_calls")));
    }
}

#[actix_web::test]
async fn a_model_that_ends_its_turn_after_a_call_has_called() {
    let rig = rig().await;
    rig.script(ModelAnswer::new().tool("t", "a", ["{}"]).stop("end_turn"));
    let answered = rig.ask(NOVA, chat_with_tools(&["a"], json!({}))).await.json;
    assert_eq!(answered["choices"][0]["finish_reason"], "tool_calls");
}

#[actix_web::test]
async fn tools_in_whatever_shape_are_told_once_and_checked_alike() {
    let rig = rig().await;
    let twice = chat_with(json!({"functions": [{"name": "a"}, {"name": "a"}]}));
    let sent = rig.sent_body(NOVA, twice).await;
    assert_eq!(sent["toolConfig"]["tools"].as_array().unwrap().len(), 1);
    for (tools, field) in [
        (
            json!({"tools": [{"type": "function", "name": "a", "parameters": "none"}]}),
            "tools[0].parameters",
        ),
        (json!({"tools": [{"name": "a", "input_schema": 5}]}), "tools[0].input_schema"),
        (json!({"functions": [{"name": "a", "parameters": 5}]}), "functions[0].parameters"),
    ] {
        assert_eq!(rig.refused_field(NOVA, chat_with(tools)).await, field);
    }
}

#[actix_web::test]
async fn nova_gets_no_pattern_that_looks_around() {
    let rig = rig().await;
    let parameters = json!({"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?!a).*"}, "b": {"pattern": "(?:b)"}}});
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": parameters}}]);
    let sent = rig.sent_body(NOVA, chat_with(json!({"tools": tools}))).await;
    let schema = &sent["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
    assert_eq!(
        schema["properties"],
        json!({
            "a": {"type": "string", "description": "Pattern: ^(?!a).*."},
            "b": {"type": "string", "description": "Pattern: (?:b)."},
        })
    );
    let sent = rig.sent_body(NOVA_2, chat_with(json!({"tools": tools}))).await;
    let schema = &sent["toolConfig"]["tools"][0]["toolSpec"]["inputSchema"]["json"];
    assert_eq!(
        schema["properties"],
        json!({
            "a": {"type": "string", "description": "Pattern: ^(?!a).*."},
            "b": {"type": "string", "pattern": "(?:b)"},
        })
    );
}

#[actix_web::test]
async fn json_that_bedrock_cannot_read_does_not_reach_it() {
    let rig = rig().await;
    let input = |sent: &Value| {
        let turn = sent["messages"][1]["content"].as_array().unwrap();
        turn.iter().find_map(|block| Some(block.get("toolUse")?["input"].clone())).unwrap()
    };
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    for arguments in [r#"{"a":1e999}"#.to_owned(), format!("{{\"a\":{deep}}}")] {
        let mut body = history();
        body["messages"][1]["tool_calls"][0]["function"]["arguments"] = arguments.into();
        let sent = rig.sent_body(HAIKU_3, body).await;
        assert_eq!(input(&sent), json!({}));
    }
    let mut body = history();
    body["messages"][1]["tool_calls"][0]["function"]["arguments"] = r#"{"a":"x\ud800"}"#.into();
    let sent = rig.sent_body(HAIKU_3, body).await;
    assert_eq!(input(&sent), json!({"a": "x\u{fffd}"}));

    let schema = |schema: &str| {
        format!(
            r#"{{"model":"bedrock_models.{NOVA}","messages":[{{"role":"user","content":"?"}}],"tools":[{{"type":"function","function":{{"name":"f","parameters":{schema}}}}}]}}"#
        )
    };
    for (parameters, status) in [
        (format!(r#"{{"type":"object","x":{deep}}}"#), 200),
        (r#"{"type":"object","x":1e999}"#.into(), 400),
        (r#"{"type":"object","x":"\ud800"}"#.into(), 200),
    ] {
        let request = rig.host.request(Method::POST, "/chat/completions");
        let request = request.header("content-type", "application/json").body(schema(&parameters));
        let answered = TestResponse::read(request.send().await.unwrap()).await;
        assert_eq!(answered.status, status, "{}", answered.text);
    }
    assert_eq!(refusals(&rig.bedrock), [""; 0]);
}
