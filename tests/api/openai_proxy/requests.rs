//! The parts of a chat that reach an upstream, and their form.

use super::{
    MODEL, chat_body, rig,
    server::{delta, end, json_of, stream},
};
use crate::{rig::tool, support::TestResponse};
use reqwest::Method;
use serde_json::{Value, json};

/// The fields of OpenAI's chats.
const KNOWN: [&str; 14] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "max_tokens",
    "stop",
    "tools",
    "tool_choice",
    "seed",
    "response_format",
    "reasoning_effort",
    "parallel_tool_calls",
];

#[actix_web::test]
async fn what_only_open_webui_sends_stays_here() {
    let rig = rig(json!({})).await;
    let body = chat_body(&json!({
        "user": {"id": "u", "name": "canary", "email": "canary@example.com", "role": "user"},
        "chat_id": "canary", "session_id": "canary", "message_id": "canary", "id": "canary", "task": "canary",
        "metadata": {"chat_id": "canary"}, "features": {"web_search": true}, "files": [{"id": "canary"}],
        "filter_ids": ["canary"], "tool_ids": ["canary"], "tool_servers": [{}], "variables": {"canary": 1},
        "background_tasks": {"title_generation": true}, "model_item": {"canary": 1}, "params": {"canary": 1}, "terminal_id": "canary",
        "temperature": 0.5, "seed": 7, "stop": "END", "max_tokens": "12", "top_p": "0.9",
        "tools": [tool("f")], "tool_choice": "auto", "parallel_tool_calls": false,
        "response_format": {"type": "json_object"}, "reasoning_effort": "low",
    }));
    let sent = rig.sent_body(&body).await;
    for name in sent.as_object().unwrap().keys() {
        assert!(KNOWN.contains(&name.as_str()), "{name} is not OpenAI's");
    }
    // A chat in one piece has its usage without asking for it.
    assert_eq!(sent.as_object().unwrap().len(), KNOWN.len() - 1, "{sent}");
    assert!(!sent.to_string().contains("canary"), "{sent}");
    assert_eq!(
        (&sent["model"], &sent["max_tokens"], &sent["top_p"]),
        (&json!("m"), &json!(12), &json!(0.9))
    );
}

#[actix_web::test]
async fn the_user_s_own_parameters_go_out() {
    let rig = rig(json!({})).await;
    let own = json!({"top_k": 40, "min_p": 0.1, "chat_template_kwargs": {"enable_thinking": false}, "provider": {"order": ["a"]}, "my_param": [1]});
    let sent = rig.sent_body(&chat_body(&own)).await;
    for (name, value) in own.as_object().unwrap() {
        assert_eq!(sent[name], *value, "{name}");
    }
}

#[actix_web::test]
async fn who_we_are_goes_in_headers_and_who_asks_does_not() {
    let rig = rig(json!({"organization": "org-1"})).await;
    let request = rig.host.request(Method::POST, "/chat/completions").json(&chat_body(&json!({})));
    let request =
        request.header("x-openwebui-user-email", "nosy@example.com").header("cookie", "nosy=1");
    assert_eq!(TestResponse::read(request.send().await.unwrap()).await.status, 200);
    let asked = &rig.server.chat_requests()[0];
    assert_eq!(asked.line, "POST /v1/chat/completions");
    assert_eq!(asked.headers["authorization"], format!("Bearer {}", super::KEY));
    assert_eq!(asked.headers["openai-organization"], "org-1");
    assert!(!format!("{:?}", asked.headers).contains("nosy"), "{:?}", asked.headers);
}

#[actix_web::test]
async fn without_a_key_no_header_says_one() {
    let rig = rig(json!({"api_key": null})).await;
    rig.sent_body(&chat_body(&json!({}))).await;
    assert!(!rig.server.chat_requests()[0].headers.contains_key("authorization"));
}

#[actix_web::test]
async fn conversations_with_tools_and_pictures_go_out_as_openai_has_them() {
    let rig = rig(json!({})).await;
    let messages = json!([
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}}]},
        {"role": "tool", "tool_call_id": "c", "content": "7"},
    ]);
    let schema = r#"{"z":1.0,"type":"object","properties":{"b":{},"a":{"type":"string"}}}"#;
    let tool = json!({"type": "function", "function": {"name": "f", "parameters": serde_json::from_str::<Value>(schema).unwrap()}});
    let sent = rig.sent_body(&chat_body(&json!({"messages": messages, "tools": [tool]}))).await;
    assert_eq!(sent["messages"], messages);
    assert_eq!(sent["tools"], json!([tool]));
    assert_eq!(sent["tools"][0]["function"]["parameters"].to_string(), schema, "in its own order");
}

#[actix_web::test]
async fn chats_of_other_apis_go_out_too() {
    let rig = rig(json!({})).await;
    let message = json!({"model": MODEL, "max_tokens": 7, "system": "s", "messages": [{"role": "user", "content": "hi"}]});
    let answered = rig.host.post("/v1/messages", &message).await;
    assert_eq!(answered.json["content"][0]["text"], "pong", "{}", answered.text);
    let response = rig.host.post("/v1/responses", &json!({"model": MODEL, "input": "hi"})).await;
    assert_eq!(response.json["output"][0]["content"][0]["text"], "pong", "{}", response.text);
    let roles = json!([{"role": "system", "content": [{"type": "text", "text": "s"}]}, {"role": "user", "content": "hi"}]);
    let sent = &rig.server.chat_requests()[0].body["messages"];
    assert_eq!((&sent[0]["role"], &sent[1]["role"]), (&roles[0]["role"], &roles[1]["role"]));
}

#[actix_web::test]
async fn a_server_that_refuses_what_we_have_added_is_asked_without_it_from_then_on() {
    let rig = rig(json!({})).await;
    let refusal = |words: &str| {
        json_of(
            "422 Unprocessable Entity",
            "",
            &json!({"detail": [{"loc": ["body"], "msg": words}]}),
        )
    };
    rig.server.script(refusal("stream_options: Extra inputs are not permitted"));
    rig.server.script(refusal("Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."));
    for _ in 0..2 {
        let chat = chat_body(&json!({"max_tokens": 7, "stream": true}));
        assert_eq!(rig.post(&chat).await.status, 200);
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.len(), 4);
    for asked in &asked[2..] {
        assert_eq!(asked.body.get("stream_options"), None);
        assert_eq!(
            (asked.body.get("max_tokens"), &asked.body["max_completion_tokens"]),
            (None, &json!(7))
        );
    }
}

#[actix_web::test]
async fn what_the_client_itself_got_wrong_is_told_with_its_field() {
    let rig = rig(json!({})).await;
    let said = json!({"error": {"message": "Invalid 'temperature': must be at most 1", "type": "invalid_request_error", "param": "temperature", "code": null}});
    rig.server.script(json_of("400 Bad Request", "", &said));
    let refused = rig.post(&chat_body(&json!({"temperature": 1.9}))).await;
    assert_eq!(
        refused.error_message(400),
        "The server of `m` refuses the request: Invalid 'temperature': must be at most 1"
    );
    assert_eq!(refused.json["error"]["param"], "temperature");
    let said = json!({"error": {"message": "This model's maximum context length is 8192 tokens.", "code": "context_length_exceeded"}});
    rig.server.script(json_of("400 Bad Request", "", &said));
    assert_eq!(rig.plain().await.json["error"]["code"], "context_length_exceeded");
    assert_eq!(rig.server.chat_requests().len(), 2);
}

#[actix_web::test]
async fn each_complaint_has_its_status_and_openai_s_word_for_it() {
    let rig = rig(json!({"breaker_failures": 0, "max_attempts": 1})).await;
    for (said, status, code) in [
        ("401 Unauthorized", 500, json!("upstream_auth_error")),
        ("402 Payment Required", 402, json!(null)),
        ("404 Not Found", 404, json!("model_not_found")),
        ("429 Too Many Requests", 429, json!("rate_limit_exceeded")),
        ("500 Internal Server Error", 502, json!(null)),
        ("503 Service Unavailable", 503, json!(null)),
        ("504 Gateway Timeout", 504, json!(null)),
    ] {
        rig.server.script(json_of(said, "", &json!({"error": {"message": "words"}})));
        let refused = rig.plain().await;
        refused.error_message(status);
        assert_eq!(refused.json["error"]["code"], code, "{said}");
    }
}

#[actix_web::test]
async fn texts_become_vectors() {
    let rig = rig(json!({})).await;
    let vectors = |first: &str| json!({"data": [{"index": 1, "embedding": [3.0, 4.0]}, {"index": 0, "embedding": first}], "usage": {"prompt_tokens": 5, "total_tokens": 5}});
    // 1.0 and 2.0 in base64.
    rig.server.script(json_of("200 OK", "", &vectors("AACAPwAAAEA=")));
    let body = json!({"model": "openai_proxy.text-embedding-3-small", "input": ["a", "b"], "dimensions": 2});
    let server_lists = super::server::listing(&["text-embedding-3-small", "bge-reranker"]);
    rig.server.script_list(server_lists);
    let host = super::host(&rig.server.url(), json!({})).await;
    let answered = host.post("/embeddings", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.json["data"][0]["embedding"], json!([1.0, 2.0]));
    assert_eq!(answered.json["data"][1]["embedding"], json!([3.0, 4.0]));
    assert_eq!(answered.json["usage"]["prompt_tokens"], 5);
    let asked = &rig.server.chat_requests()[0];
    assert_eq!(asked.line, "POST /v1/embeddings");
    assert_eq!(
        asked.body,
        json!({"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2})
    );
    let listed = &host.get("/models").await.json["data"][0];
    assert_eq!(listed["pipeline"]["type"], "filter", "Open WebUI does not offer it for chats");
    let unlisted = json!({"model": "openai_proxy.unlisted", "input": "a"});
    rig.server.script(json_of("200 OK", "", &json!({"data": [{"embedding": [1.0]}]})));
    assert_eq!(host.post("/embeddings", &unlisted).await.status, 200, "nor by many servers");

    for odd in
        [json!({"data": []}), json!({"data": [{"embedding": "!"}, {"embedding": "!"}]}), json!({})]
    {
        rig.server.script(json_of("200 OK", "", &odd));
        // Texts of its own: the vectors of those above are cached.
        let body = json!({"model": body["model"], "input": [odd.to_string(), "c"]});
        host.post("/embeddings", &body).await.error_message(502);
    }

    let order = json!({"results": [{"index": 0, "relevance_score": 0.1}, {"index": 1, "relevance_score": 0.9}], "usage": {"total_tokens": 9}});
    rig.server.script(json_of("200 OK", "", &order));
    let body = json!({"model": "openai_proxy.bge-reranker", "query": "q", "documents": ["a", "b"]});
    let ranked = host.post("/rerank", &body).await;
    assert_eq!(ranked.json["results"][0]["index"], 1, "{}", ranked.text);

    rig.server.script(json_of(
        "422 Unprocessable Entity",
        "",
        &json!({"detail": "missing field `texts` at line 1"}),
    ));
    let order = json!([{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}]);
    for _ in 0..2 {
        rig.server.script(json_of("200 OK", "", &order));
        assert_eq!(host.post("/rerank", &body).await.json["results"][0]["index"], 1);
    }
    let asked = rig.server.chat_requests();
    assert_eq!(asked.last().unwrap().body, json!({"query": "q", "texts": ["a", "b"]}));
    assert_eq!(asked.iter().filter(|asked| asked.line == "POST /v1/rerank").count(), 4);
}

/// A whole completion that says this.
fn whole_completion(text: &str) -> Value {
    let message = json!({"role": "assistant", "content": text});
    json!({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}})
}

#[actix_web::test]
async fn a_plain_chat_is_asked_for_in_one_piece_and_a_streamed_or_long_one_as_a_stream() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}});
    let chunks = [delta(json!({"content": "a"})), end("stop"), usage];
    for (valves, chat, streams_upstream) in [
        (json!({}), json!({}), false),
        (json!({}), json!({"max_tokens": 8192}), false),
        (json!({}), json!({"max_tokens": 8193}), true),
        (json!({}), json!({"stream": true, "stream_options": {"include_usage": true}}), true),
        (json!({"stream_above_max_tokens": 0}), json!({}), true),
        (json!({"stream_above_max_tokens": 7}), json!({"max_completion_tokens": 8}), true),
    ] {
        let rig = rig(valves.clone()).await;
        // The content type decides how an answer is read, not what was asked for.
        for script in [stream(&chunks), json_of("200 OK", "", &whole_completion("a"))] {
            rig.server.script(script);
            let told = crate::rig::ClientAnswer::read(&rig.post(&chat_body(&chat)).await);
            assert_eq!(told.content, "a", "{valves} {chat}");
            assert_eq!(told.finish.as_deref(), Some("stop"), "{valves} {chat}");
            assert_eq!(told.other_fields["usage"]["total_tokens"], 4, "{valves} {chat}");
        }
        for asked in rig.server.chat_requests() {
            let options = asked.body.get("stream_options").cloned();
            let expected = streams_upstream.then(|| json!({"include_usage": true}));
            assert_eq!(
                (&asked.body["stream"], options),
                (&json!(streams_upstream), expected),
                "{valves} {chat}"
            );
        }
    }
}

#[actix_web::test]
async fn a_model_whose_whole_answers_take_too_long_is_streamed_from_then_on() {
    let rig = rig(json!({"timeout": 5, "idle_timeout_seconds": 5})).await;
    rig.server.script(vec![super::server::ResponseStep::Hold]);
    rig.plain().await.error_message(504);
    assert_eq!(rig.plain().await.status, 200);
    let streams: Vec<_> =
        rig.server.chat_requests().iter().map(|asked| asked.body["stream"].clone()).collect();
    assert_eq!(streams, [false, true]);
}

#[actix_web::test]
async fn an_error_or_a_break_in_a_whole_answer_is_the_error_of_the_chat() {
    let rig = rig(json!({"breaker_failures": 0, "max_attempts": 1})).await;
    let cut = answer_cut_short(&whole_completion("half").to_string());
    for (script, status) in [
        (json_of("200 OK", "", &json!({"error": {"message": "slow down", "code": 429}})), 429),
        (json_of("200 OK", "", &json!({"choices": []})), 502),
        (cut, 502),
    ] {
        rig.server.script(script);
        rig.plain().await.error_message(status);
    }
}

/// An answer whose connection is closed in the middle.
fn answer_cut_short(body: &str) -> Vec<super::server::ResponseStep> {
    let length = body.len();
    let half: String = body.chars().take(length / 2).collect();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let bytes = format!("{head}content-length: {length}\r\n\r\n{half}");
    vec![super::server::ResponseStep::Send(bytes.into_bytes()), super::server::ResponseStep::Close]
}

#[actix_web::test]
async fn a_callers_trace_goes_on_to_the_upstream() {
    let rig = rig(json!({})).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (caller, sent) in [(Some(trace), Some(trace)), (Some("garbage"), None), (None, None)] {
        let mut asked = rig.host.request(Method::POST, "/chat/completions");
        if let Some(caller) = caller {
            asked = asked.header("traceparent", caller);
        }
        let answered =
            TestResponse::read(asked.json(&chat_body(&json!({}))).send().await.unwrap()).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        let asked = rig.server.chat_requests().pop().unwrap();
        assert_eq!(asked.headers.get("traceparent").map(String::as_str), sent);
    }
}
