//! The requests of coding agents: Codex by the Responses API, Claude Code by Messages, Cursor and
//! older clients by chats and completions.

mod chats;
mod schemas;
mod stop_sequences;

use crate::{
    bedrock::{emulator, host, sent_bodies},
    support::{self, TestHost},
};
use bedrock_emulator::{ANY, BedrockException, Emulator, ModelAnswer, Script};
use serde_json::{Value, json};

const CLAUDE: &str = "bedrock_models.us.anthropic.claude-sonnet-4-5-20250929-v1:0";
const NOVA: &str = "bedrock_models.amazon.nova-lite-v1:0";

const PATCH: &str = "*** Begin Patch\n*** Update File: a.txt\n-\"x\"\n+é\n*** End Patch";

fn script_call(name: &str, input: &Value) -> Script {
    let text = input.to_string();
    // Cut in the middle of whatever stands there.
    let pieces: Vec<String> =
        text.chars().collect::<Vec<_>>().chunks(7).map(|piece| piece.iter().collect()).collect();
    Script::answer(ModelAnswer::new().tool("t1", name, pieces).stop("tool_use"))
}

fn with_fields(mut body: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    body.as_object_mut().unwrap().extend(fields);
    body
}

fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

fn patch_tool() -> Value {
    json!({"type": "custom", "name": "apply_patch", "description": "Patches files.",
           "format": {"type": "grammar", "syntax": "lark", "definition": "start: begin hunk+ end"}})
}

fn tool_namespace() -> Value {
    json!({"type": "namespace", "name": "mcp__git", "description": "Git.", "tools": [
        {"type": "function", "name": "log", "description": "Logs.", "parameters": {"type": "object", "properties": {}}}]})
}

async fn respond(host: &TestHost, fields: Value) -> support::TestResponse {
    let answered = host.post("/v1/responses", &with_fields(json!({"model": CLAUDE}), fields)).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered
}

#[actix_web::test]
async fn a_custom_tool_is_a_function_to_the_model_and_a_custom_call_to_the_client() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let asked = json!({"input": "patch", "tools": [patch_tool(), {"type": "web_search"}]});

    emulator.script(ANY, script_call("apply_patch", &json!({"input": PATCH})));
    let answered = respond(&host, asked.clone()).await;
    assert!(answered.header("x-pipewright-notes").contains("web_search"));
    let call = &answered.json["output"][0];
    assert_eq!((&call["type"], &call["name"]), (&json!("custom_tool_call"), &json!("apply_patch")));
    assert_eq!((&call["input"], &call["call_id"]), (&json!(PATCH), &json!("t1")));

    emulator.script(ANY, script_call("apply_patch", &json!({"input": PATCH})));
    let events = events(&respond(&host, with_fields(asked, json!({"stream": true}))).await.text);
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let deltas = of("response.custom_tool_call_input.delta");
    assert!(deltas.len() > 3, "{deltas:?}");
    let told: String = deltas.iter().map(|event| event["delta"].as_str().unwrap()).collect();
    assert_eq!(told, PATCH);
    assert_eq!(of("response.custom_tool_call_input.done")[0]["input"], PATCH);
    assert_eq!(of("response.output_item.added")[0]["item"]["input"], "");
    assert_eq!(of("response.output_item.done")[0]["item"]["input"], PATCH);
    assert_eq!(of("response.completed")[0]["response"]["output"][0]["input"], PATCH);

    let spec = &sent_bodies(&emulator).pop().unwrap()["toolConfig"]["tools"][0]["toolSpec"];
    assert_eq!(spec["inputSchema"]["json"]["required"], json!(["input"]));
    assert!(spec["description"].as_str().unwrap().contains("start: begin hunk+ end"));
}

#[actix_web::test]
async fn a_group_of_tools_is_flattened_and_its_calls_name_it() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for stream in [false, true] {
        emulator.script(ANY, script_call("mcp__git__log", &json!({"n": 1})));
        let asked = json!({"input": "log", "tools": [tool_namespace()], "stream": stream});
        let answered = respond(&host, asked).await;
        let call = if stream {
            events(&answered.text).pop().unwrap()["response"]["output"][0].clone()
        } else {
            answered.json["output"][0].clone()
        };
        assert_eq!((&call["type"], &call["name"]), (&json!("function_call"), &json!("log")));
        assert_eq!(
            (&call["namespace"], &call["arguments"]),
            (&json!("mcp__git"), &json!("{\"n\":1}"))
        );
    }
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let past = json!([
        {"role": "user", "content": "log"},
        {"type": "function_call", "namespace": "mcp__git", "name": "log", "call_id": "t1", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "t1", "output": "none"}]);
    respond(&host, json!({"input": past, "tools": [tool_namespace()]})).await;
    let turn = &sent_bodies(&emulator).pop().unwrap()["messages"][1];
    assert_eq!(turn["content"][0]["toolUse"]["name"], "mcp__git__log");
}

#[actix_web::test]
async fn tools_of_openai_s_own_come_back_as_the_items_that_clients_know() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for (tool, name, input, kind, field, told) in [
        (
            json!({"type": "local_shell"}),
            "local_shell",
            json!({"command": ["ls"]}),
            "local_shell_call",
            "/action/command",
            json!(["ls"]),
        ),
        (
            json!({"type": "shell"}),
            "shell",
            json!({"commands": ["ls"]}),
            "shell_call",
            "/action/commands",
            json!(["ls"]),
        ),
        (
            json!({"type": "apply_patch"}),
            "apply_patch",
            json!({"operation": {"type": "delete_file", "path": "a"}}),
            "apply_patch_call",
            "/operation/path",
            json!("a"),
        ),
        (
            json!({"type": "computer_use_preview", "display_width": 9, "display_height": 9, "environment": "linux"}),
            "computer",
            json!({"type": "wait"}),
            "computer_call",
            "/action/type",
            json!("wait"),
        ),
        (
            json!({"type": "tool_search", "execution": "client"}),
            "tool_search",
            json!({"query": "git"}),
            "tool_search_call",
            "/arguments/query",
            json!("git"),
        ),
    ] {
        for stream in [false, true] {
            emulator.script(ANY, script_call(name, &input));
            let asked = json!({"input": "go", "tools": [tool], "stream": stream});
            let answered = respond(&host, asked).await;
            let item = if stream {
                events(&answered.text).pop().unwrap()["response"]["output"][0].clone()
            } else {
                answered.json["output"][0].clone()
            };
            assert_eq!((&item["type"], item.pointer(field)), (&json!(kind), Some(&told)), "{item}");
            assert_eq!(item["status"], "completed");
        }
    }
}

#[actix_web::test]
async fn no_item_of_a_conversation_stops_it() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let items = json!([
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "hologram"}]},
        {"type": "additional_tools", "role": "developer", "tools": [tool_namespace()]},
        {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": PATCH},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        {"type": "local_shell_call", "call_id": "c2", "status": "completed", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "local_shell_call_output", "id": "c2", "output": "a.txt"},
        {"type": "tool_search_call", "call_id": "c3", "execution": "client", "arguments": {"query": "x"}, "status": "completed"},
        {"type": "tool_search_output", "call_id": "c3", "execution": "client", "status": "completed", "tools": [tool_namespace()]},
        {"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}},
        {"type": "shell_call_output", "call_id": "c4", "output": [{"stdout": "b.txt", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
        {"type": "apply_patch_call", "call_id": "c5", "status": "completed", "operation": {"type": "delete_file", "path": "a"}},
        {"type": "apply_patch_call_output", "call_id": "c5", "status": "completed"},
        {"type": "computer_call", "call_id": "c6", "id": "cu", "status": "completed", "action": {"type": "wait"}, "pending_safety_checks": []},
        {"type": "computer_call_output", "call_id": "c6", "output": {"type": "computer_screenshot", "image_url": "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="}},
        {"type": "web_search_call", "id": "ws", "status": "completed", "action": {"type": "search", "query": "the weather"}},
        {"type": "file_search_call", "id": "fs", "status": "completed", "queries": ["q"], "results": [{"text": "a page", "file_id": "f"}]},
        {"type": "code_interpreter_call", "id": "ci", "status": "completed", "code": "1+1", "container_id": "c", "outputs": [{"type": "logs", "logs": "2"}]},
        {"type": "image_generation_call", "id": "ig", "status": "completed", "result": "a-picture"},
        {"type": "mcp_list_tools", "id": "ml", "server_label": "x", "tools": []},
        {"type": "mcp_call", "id": "mc", "server_label": "x", "name": "look", "arguments": "{}", "output": "seen"},
        {"type": "mcp_approval_request", "id": "ma", "server_label": "x", "name": "look", "arguments": "{}"},
        {"type": "mcp_approval_response", "approval_request_id": "ma", "approve": true},
        {"type": "compaction", "encrypted_content": "sealed-elsewhere"},
        {"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "sealed-elsewhere"},
        {"type": "reasoning", "id": "rs2", "summary": [{"type": "summary_text", "text": "hm"}], "content": null},
        {"type": "agent_message", "author": "a", "recipient": "b", "content": [{"type": "input_text", "text": "from an agent"}]},
        {"type": "ghost_snapshot", "ghost_commit": {"id": "x"}},
        {"type": "from_tomorrow", "content": {"text": "a new thing"}},
        {"type": "from_tomorrow", "blob": 7},
        {"role": "user", "content": "go on"}]);
    for model in [CLAUDE, NOVA] {
        emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
        let asked = json!({"model": model, "input": items, "tools": [patch_tool()], "client_metadata": {"a": "b"},
            "include": ["reasoning.encrypted_content"], "store": false, "prompt_cache_key": "k",
            "text": {"verbosity": "low"}, "parallel_tool_calls": true});
        respond(&host, asked).await;
        let told = sent_bodies(&emulator).pop().unwrap()["messages"].to_string();
        for said in [
            "the weather",
            "a page",
            "1+1",
            "seen",
            "from an agent",
            "a new thing",
            "a.txt",
            "b.txt",
            "mcp__git",
        ] {
            assert!(model == NOVA || told.contains(said) || said == "mcp__git", "{said}: {told}");
        }
        assert!(!told.contains("sealed-elsewhere") && !told.contains("a-picture"), "{told}");
    }
}

#[actix_web::test]
async fn a_conversation_is_compacted_and_goes_on_after_its_summary() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let input = json!([{"role": "user", "content": "hi"}]);
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["They said hi."])));
    let answered =
        host.post("/v1/responses/compact", &json!({"model": CLAUDE, "input": input})).await;
    assert_eq!(answered.json["object"], "response.compaction", "{}", answered.text);
    let mut summary = answered.json["output"][0].clone();
    assert_eq!(summary["type"], "compaction");

    let mut trigger = input.as_array().unwrap().clone();
    trigger.push(json!({"type": "compaction_trigger"}));
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["They said", " hi."])));
    let asked = json!({"input": trigger, "stream": true});
    let told = events(&respond(&host, asked).await.text);
    let done = told.iter().find(|event| event["type"] == "response.output_item.done").unwrap();
    assert_eq!(done["item"]["encrypted_content"], summary["encrypted_content"]);

    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let next = json!([summary.take(), {"role": "user", "content": "and?"}]);
    respond(&host, json!({"input": next})).await;
    assert!(sent_bodies(&emulator).pop().unwrap().to_string().contains("They said hi."));
    let counted =
        host.post("/responses/input_tokens", &json!({"model": CLAUDE, "input": "hi"})).await;
    assert!(counted.json["input_tokens"].as_u64().unwrap() > 0, "{}", counted.text);
}

fn message(fields: Value) -> Value {
    let body = json!({"model": CLAUDE, "max_tokens": 2000, "messages": [{"role": "user", "content": "hi"}]});
    with_fields(body, fields)
}

async fn ask_and_record(
    emulator: &Emulator,
    host: &TestHost,
    fields: Value,
) -> (Value, support::TestResponse) {
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let answered = host.post("/v1/messages", &message(fields)).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    (sent_bodies(emulator).pop().unwrap(), answered)
}

#[actix_web::test]
async fn the_attribution_of_claude_code_is_not_sent_on() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let attribution = "x-anthropic-billing-header: cc_version=2.1; cch=abc12;";
    for system in [
        json!([{"type": "text", "text": attribution}, {"type": "text", "text": "Be kind."}]),
        json!(format!("{attribution}\nBe kind.")),
        json!([{"type": "text", "text": format!("  {attribution}")}, {"type": "text", "text": "Be kind."}]),
        json!([{"type": "text", "text": format!("Be kind.\n{attribution}\n")}]),
    ] {
        let (sent, _) = ask_and_record(&emulator, &host, json!({"system": system})).await;
        assert_eq!(sent["system"][0]["text"], "Be kind.", "{sent}");
        assert!(!sent.to_string().contains("billing"), "{sent}");
    }
    let (only, _) = ask_and_record(&emulator, &host, json!({"system": attribution})).await;
    assert_eq!(only.get("system"), None);
    // Other programs send it on by other APIs.
    let instructions = format!("{attribution}\nBe kind.");
    for (path, fields) in [
        (
            "/chat/completions",
            json!({"messages": [{"role": "system", "content": instructions}, {"role": "user", "content": "hi"}]}),
        ),
        (
            "/chat/completions",
            json!({"messages": [{"role": "developer", "content": [{"type": "text", "text": attribution}, {"type": "text", "text": "Be kind."}]}, {"role": "user", "content": "hi"}]}),
        ),
        (
            "/chat/completions",
            json!({"system": instructions, "messages": [{"role": "user", "content": "hi"}]}),
        ),
        ("/responses", json!({"instructions": instructions, "input": "hi"})),
        (
            "/responses",
            json!({"input": [{"role": "developer", "content": attribution}, {"role": "developer", "content": "Be kind."}, {"role": "user", "content": "hi"}]}),
        ),
    ] {
        let answered = host.post(path, &with_fields(json!({"model": CLAUDE}), fields)).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let sent = sent_bodies(&emulator).pop().unwrap();
        assert_eq!(sent["system"][0]["text"], "Be kind.", "{sent}");
        assert!(!sent.to_string().contains("billing"), "{sent}");
    }
}

#[actix_web::test]
async fn no_block_of_a_conversation_stops_it() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let messages = json!([
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "container_upload", "file_id": "f"}]},
        {"role": "assistant", "content": [
            {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "weather"}},
            {"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"type": "web_search_result", "url": "https://a.b", "title": "Rain", "encrypted_content": "zzzz"}]},
            {"type": "server_tool_use", "id": "s2", "name": "web_fetch", "input": {"url": "https://a.b"}},
            {"type": "web_fetch_tool_result", "tool_use_id": "s2", "content": {"type": "web_fetch_result", "url": "https://a.b", "content": {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "wet"}}}},
            {"type": "server_tool_use", "id": "s3", "name": "bash_code_execution", "input": {"command": "ls"}},
            {"type": "bash_code_execution_tool_result", "tool_use_id": "s3", "content": {"type": "bash_code_execution_result", "stdout": "a.txt", "stderr": "", "return_code": 0, "content": []}},
            {"type": "mcp_tool_use", "id": "m1", "name": "look", "server_name": "x", "input": {}},
            {"type": "mcp_tool_result", "tool_use_id": "m1", "is_error": false, "content": [{"type": "text", "text": "seen"}]},
            {"type": "compaction", "content": "what was before"},
            {"type": "tool_use", "id": "t1", "name": "find", "input": {}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "tool_reference", "tool_name": "mcp__x__y"}]},
            {"type": "hologram"}, {"type": "hologram", "words": "of light"},
            {"type": "hologram", "data": {"caption": "of air"}, "id": 5, "content": ["of sound"], "input": "of heat"}]}]);
    let (sent, _) = ask_and_record(&emulator, &host, json!({"messages": messages})).await;
    let sent = sent["messages"].to_string();
    let told = ["weather", "Rain", "wet", "a.txt", "seen", "what was before", "mcp__x__y"];
    for said in told.into_iter().chain(["of light", "of air", "of sound", "of heat"]) {
        assert!(sent.contains(said), "{said}: {sent}");
    }
    assert!(!sent.contains("zzzz"), "{sent}");
}

#[actix_web::test]
async fn tools_that_anthropic_has_defined_go_to_claude_as_such_and_elsewhere_as_functions() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let tools = json!([
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 9},
        {"type": "web_search_20250305", "name": "web_search"},
        {"name": "own", "input_schema": {"type": "object"}, "defer_loading": true, "eager_input_streaming": true}]);
    let fields = json!({"tools": tools, "context_management": {"edits": []}, "mcp_servers": [{"type": "url", "url": "https://a.b", "name": "x"}]});
    let (sent_, answered) = ask_and_record(&emulator, &host, fields.clone()).await;
    let own = &sent_["additionalModelRequestFields"];
    assert_eq!(own["tools"][0], json!({"name": "bash", "type": "bash_20250124"}));
    assert_eq!(own["tools"][1]["max_characters"], 9);
    assert_eq!(own["anthropic_beta"], json!(["computer-use-2025-01-24"]));
    let specs = sent_["toolConfig"]["tools"].as_array().unwrap();
    assert_eq!(specs[0]["toolSpec"]["name"], "own");
    let notes = answered.header("x-pipewright-notes");
    assert!(notes.contains("web_search_20250305") && notes.contains("mcp_servers"), "{notes}");

    let (sent_, _) =
        ask_and_record(&emulator, &host, with_fields(fields, json!({"model": NOVA}))).await;
    let names = sent_["toolConfig"]["tools"].as_array().unwrap();
    let names: Vec<_> = names.iter().filter_map(|tool| tool["toolSpec"]["name"].as_str()).collect();
    assert_eq!(names, ["bash", "str_replace_based_edit_tool", "own"]);
    assert_eq!(sent_["additionalModelRequestFields"].get("tools"), None);

    let forced = json!({"tools": tools, "tool_choice": {"type": "tool", "name": "web_search"}});
    host.post("/messages", &message(forced)).await.error_message(400);
}

#[actix_web::test]
async fn a_name_with_a_mark_means_the_long_context() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let (sent_, _) =
        ask_and_record(&emulator, &host, json!({"model": format!("{CLAUDE}[1m]")})).await;
    let betas = &sent_["additionalModelRequestFields"]["anthropic_beta"];
    assert_eq!(betas, &json!(["context-1m-2025-08-07"]));
    let (sent_, _) =
        ask_and_record(&emulator, &host, json!({"model": format!("{NOVA}[1m]")})).await;
    assert!(!sent_.to_string().contains("context-1m"));
}

#[actix_web::test]
async fn a_too_long_prompt_is_refused_in_the_words_of_each_api() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let too_long = || {
        Script::fault(BedrockException::validation(
            "The model returned the following errors: prompt tokens (210000) exceed model maximum (200000)",
        ))
    };
    emulator.script(ANY, too_long());
    let refused = host.post("/v1/messages", &message(json!({}))).await;
    let said = &refused.json["error"]["message"];
    assert_eq!(said, "prompt is too long: 210000 tokens > 200000 maximum", "{}", refused.text);
    for (path, body) in [
        ("/chat/completions", support::chat(CLAUDE, "hi")),
        ("/responses", json!({"model": CLAUDE, "input": "hi"})),
    ] {
        emulator.script(ANY, too_long());
        let refused = host.post(path, &body).await;
        assert_eq!(refused.json["error"]["code"], "context_length_exceeded", "{}", refused.text);
    }
}

#[actix_web::test]
async fn a_stream_begins_with_an_estimate_of_the_prompt() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let long = "word ".repeat(400);
    let fields = json!({"stream": true, "messages": [{"role": "user", "content": long}]});
    let (_, answered) = ask_and_record(&emulator, &host, fields).await;
    let begun = &events(&answered.text)[0]["message"]["usage"]["input_tokens"];
    assert_eq!(begun, 500);
}

#[actix_web::test]
async fn anthropic_s_shapes_are_understood_in_chats() {
    let emulator = emulator();
    let host = host(&emulator).await;
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["ok"])));
    let body = json!({
        "model": NOVA, "system": [{"type": "text", "text": "Be kind."}], "tool_choice": {"type": "any"},
        "tools": [{"name": "look", "description": "Looks.", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "I look."}, {"type": "tool_use", "id": "t1", "name": "look", "input": {"a": 1}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "seen"}]}, {"type": "text", "text": "and?"}]}]});
    let answered = host.post("/chat/completions", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    let sent = sent_bodies(&emulator).pop().unwrap();
    assert_eq!(sent["system"][0]["text"], "Be kind.");
    assert_eq!(sent["messages"][1]["content"][1]["toolUse"]["input"], json!({"a": 1}));
    let last = &sent["messages"][2]["content"];
    assert_eq!(last[0]["toolResult"]["content"][0]["text"], "seen");
    assert_eq!(last[1]["text"], "and?");
    assert_eq!(sent["toolConfig"]["tools"][0]["toolSpec"]["name"], "look");
    assert_eq!(sent["toolConfig"]["toolChoice"], json!({"any": {}}));
}

#[actix_web::test]
async fn custom_tools_of_chats_are_called_as_such() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let tool =
        json!({"type": "custom", "custom": {"name": "apply_patch", "description": "Patches."}});
    let past = json!([
        {"role": "user", "content": "patch"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c0", "type": "custom", "custom": {"name": "apply_patch", "input": "x"}}]},
        {"role": "tool", "tool_call_id": "c0", "content": "done"}]);
    let body = json!({"model": CLAUDE, "messages": past, "tools": [tool]});
    emulator.script(ANY, script_call("apply_patch", &json!({"input": PATCH})));
    let answered = host.post("/chat/completions", &body).await;
    let call = &answered.json["choices"][0]["message"]["tool_calls"][0];
    assert_eq!(
        call,
        &json!({"id": "t1", "type": "custom", "custom": {"name": "apply_patch", "input": PATCH}})
    );

    emulator.script(ANY, script_call("apply_patch", &json!({"input": PATCH})));
    let answered =
        host.post("/chat/completions", &with_fields(body, json!({"stream": true}))).await;
    let told: String = events(&answered.text)
        .iter()
        .filter_map(|chunk| chunk.pointer("/choices/0/delta/tool_calls/0/custom/input")?.as_str())
        .collect();
    assert_eq!(told, PATCH);
}

#[actix_web::test]
async fn several_answers_are_given_at_once_and_their_cost_is_summed() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let body = with_fields(support::chat(NOVA, "hi"), json!({"n": 3}));
    for _ in 0..3 {
        emulator.script(ANY, Script::answer(ModelAnswer::with_text(["a", "b"])));
    }
    let whole = host.post("/chat/completions", &body).await.json;
    let choices = whole["choices"].as_array().unwrap();
    let told = choices.iter().map(|choice| (&choice["index"], &choice["message"]["content"]));
    let said = json!("ab");
    assert_eq!(
        told.collect::<Vec<_>>(),
        [(&json!(0), &said), (&json!(1), &said), (&json!(2), &said)]
    );
    let one = host.chat(NOVA, "hi").await.json["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(whole["usage"]["prompt_tokens"], one * 3);

    for _ in 0..3 {
        emulator.script(ANY, Script::answer(ModelAnswer::with_text(["a", "b"])));
    }
    let streamed =
        with_fields(body, json!({"stream": true, "stream_options": {"include_usage": true}}));
    let chunks = events(&host.post("/chat/completions", &streamed).await.text);
    for index in 0..3 {
        let own = chunks
            .iter()
            .map(|chunk| &chunk["choices"][0])
            .filter(|choice| choice["index"] == index);
        let text: String =
            own.clone().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(text, "ab", "{index}");
        assert_eq!(own.filter(|choice| choice["finish_reason"] == "stop").count(), 1);
    }
    let usages = chunks.iter().filter(|chunk| chunk["usage"].is_object()).collect::<Vec<_>>();
    assert_eq!(usages.len(), 1);
    assert_eq!(usages[0]["usage"]["prompt_tokens"], one * 3);
}

#[actix_web::test]
async fn a_prompt_is_completed_by_any_model_that_chats() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for _ in 0..2 {
        emulator.script(ANY, Script::answer(ModelAnswer::with_text([" there"])));
    }
    let body = json!({"model": NOVA, "prompt": ["Hi", "Hi"], "echo": true, "max_tokens": 5});
    let whole = host.post("/v1/completions", &body).await;
    assert_eq!(whole.json["object"], "text_completion", "{}", whole.text);
    assert_eq!(whole.json["choices"][1]["text"], "Hi there");
    assert_eq!(whole.json["choices"][1]["index"], 1);
    emulator.script(ANY, Script::answer(ModelAnswer::with_text(["mid", "dle"])));
    let body = json!({"model": NOVA, "prompt": "a(", "suffix": ")b", "stream": true});
    let chunks = events(&host.post("/completions", &body).await.text);
    let text: String =
        chunks.iter().filter_map(|chunk| chunk["choices"][0]["text"].as_str()).collect();
    assert_eq!(text, "middle");
    assert!(sent_bodies(&emulator).pop().unwrap()["messages"].to_string().contains(")b"));
    for (fields, field) in [
        (json!({"best_of": 2}), "best_of"),
        (json!({"prompt": [1, 2]}), "prompt"),
        (json!({"prompt": ""}), "prompt"),
        (json!({"n": 9}), "n"),
    ] {
        let body = with_fields(json!({"model": NOVA, "prompt": "hi"}), fields);
        let refused = host.post("/completions", &body).await;
        refused.error_message(400);
        assert_eq!(refused.json["error"]["param"], field);
    }
}

#[actix_web::test]
async fn an_unknown_model_is_refused_with_the_nearest_name() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let body = support::chat("bedrock_models.amazon.nova-lite-v2:0x", "hi");
    let refused = host.post("/chat/completions", &body).await;
    let said = refused.error_message(404);
    assert!(
        said.contains("/v1/models") && said.contains("`bedrock_models.amazon.nova-lite-v1:0`"),
        "{said}"
    );
    assert_eq!(said.matches("`bedrock_models.").count(), 3, "{said}");
}

#[actix_web::test]
async fn an_unknown_model_is_refused_with_similar_names() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for model in ["claude-sonet-4-5", "Claude-Sonnet-4.5"] {
        let messages = json!([{"role": "user", "content": "hi"}]);
        let body = json!({"model": model, "messages": messages});
        let answered = host.post("/chat/completions", &body).await;
        assert_eq!(answered.status, 404, "{}", answered.text);
        let (_, nearest) = answered.text.split_once("the nearest are ").unwrap();
        let nearest = nearest.split('"').next().unwrap();
        assert!(nearest.contains("claude-sonnet-4-5"), "{model}: {nearest}");
    }
}
