//! Several upstreams: whose models are whose, who answers in place of whom, and how much each
//! person may ask.

use super::{
    MODEL, PIPES, chat_body, host, rig,
    server::{ResponseStep, Server, end, event, head, json_of, says},
};
use crate::{
    rig::{ClientAnswer, with_stream},
    support::{Builder, TestHost, TestResponse},
};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

fn origin(server: &Server) -> String {
    server.url().strip_suffix("/v1").unwrap().to_owned()
}

fn busy() -> Vec<ResponseStep> {
    json_of("503 Service Unavailable", "", &json!({"error": "busy"}))
}

#[actix_web::test]
async fn each_upstream_has_its_models_its_key_and_its_settings() {
    let (one, two, three) = (
        Server::start(&["m"]).await,
        Server::start(&["m", "x"]).await,
        Server::start(&["m"]).await,
    );
    let valves = json!({
        "api_base": one.url(), "api_key": "sk-one", "rate_limit": 0, "fallback_model": null,
        "more_upstreams": format!("two {} models=m, three {} organization=org-3", two.url(), three.url()),
        "more_api_keys": format!("{}=sk-two", origin(&two)),
    });
    let host = Builder::new().pipes(PIPES).start().await;
    assert_eq!(host.update_valves("openai_proxy", &valves).await.status, 200);
    let list = host.get("/models").await.json;
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!(ids, ["openai_proxy.m", "openai_proxy.two/m", "openai_proxy.three/m"]);
    for id in ids {
        assert_eq!(host.answer_text(id.as_str().unwrap(), "hi").await, "pong", "{id}");
    }
    let key = |server: &Server| server.chat_requests()[0].headers.get("authorization").cloned();
    assert_eq!(key(&one).as_deref(), Some("Bearer sk-one"));
    assert_eq!(key(&two).as_deref(), Some("Bearer sk-two"));
    assert_eq!(key(&three), None);
    assert_eq!(three.chat_requests()[0].headers["openai-organization"], "org-3");
    for server in [&one, &two, &three] {
        assert_eq!(
            (server.chat_requests().len(), &server.chat_requests()[0].body["model"]),
            (1, &json!("m"))
        );
    }
}

#[actix_web::test]
async fn an_upstream_that_is_down_takes_no_other_with_it() {
    let rig = rig(json!({})).await;
    let further = json!({"more_upstreams": "down http://127.0.0.1:9/v1"});
    assert_eq!(rig.host.update_valves("openai_proxy", &further).await.status, 200);
    let list = rig.host.get("/models").await.json;
    let names: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["name"].clone()).collect();
    assert_eq!(names, ["m", "⚠ down"]);
    let told = list["data"][1]["description"].as_str().unwrap();
    assert!(told.contains("the upstream cannot be reached"), "{told}");
    assert_eq!(rig.plain().await.status, 200);
    assert!(
        rig.host
            .chat("openai_proxy.error-down", "hi")
            .await
            .error_message(502)
            .contains("cannot be reached")
    );
    // Without the pipe's name before it, nobody can tell whose such a model is.
    let untold = rig.host.chat("down/m", "hi").await;
    assert!(
        untold.error_message(503).contains("down: the upstream cannot be reached"),
        "{}",
        untold.text
    );
    rig.host.chat("nobodys", "hi").await.error_message(404);
}

#[actix_web::test]
async fn the_file_names_upstreams_in_lines_of_their_own() {
    let server = Server::start(&["m"]).await;
    let url = server.url();
    let file =
        format!("[openai_proxy]\nmore_upstreams = \"\"\"\na {url}\nb {url} models=m\n\"\"\"\n");
    let host = Builder::new().pipes(PIPES).valves_file(&file).start().await;
    host.get("/models").await;
    for model in ["openai_proxy.a/m", "openai_proxy.b/m"] {
        assert_eq!(host.answer_text(model, "hi").await, "pong");
    }
}

#[actix_web::test]
async fn the_prefix_stands_before_ids_and_names() {
    let server = Server::start(&["m"]).await;
    let host = host(&server.url(), json!({"name_prefix": "home/"})).await;
    let model = host.get("/models").await.json["data"][0].clone();
    assert_eq!((&model["id"], &model["name"]), (&json!("openai_proxy.home/m"), &json!("home/m")));
    assert_eq!(host.answer_text("openai_proxy.home/m", "hi").await, "pong");
    assert_eq!(server.chat_requests()[0].body["model"], "m");
}

#[actix_web::test]
async fn a_model_that_is_not_listed_goes_to_the_fallback_model() {
    let server = Server::start(&["m", "spare"]).await;
    let host = host(&server.url(), json!({"fallback_model": "spare"})).await;
    let answered = host.chat("openai_proxy.unknown", "hi").await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.json["selected_model_id"], "openai_proxy.spare");
    assert_eq!(server.chat_requests()[0].body["model"], "spare");
    let none = self::host(&server.url(), json!({"fallback_model": "nobody"})).await;
    let refused = none.chat("openai_proxy.unknown", "hi").await;
    let said = refused.error_message(404);
    assert!(said.starts_with("Model `openai_proxy.unknown` was not found: "), "{said}");
}

#[actix_web::test]
async fn the_fallback_model_answers_in_place_of_one_that_fails_before_it_says_anything() {
    let server = Server::start(&["m", "spare"]).await;
    let valves = json!({"fallback_model": "spare", "max_attempts": 1, "breaker_failures": 0});
    let host = host(&server.url(), valves).await;
    for failing in [
        busy(),
        json_of("404 Not Found", "", &json!({"error": "no such model"})),
        vec![head(), ResponseStep::Close],
    ] {
        let before = server.chat_requests().len();
        server.script(failing);
        let answered =
            host.post("/chat/completions", &with_stream(chat_body(&json!({})), true)).await;
        assert_eq!(ClientAnswer::read(&answered).content, "pong");
        assert!(
            answered.text.contains(r#""selected_model_id":"openai_proxy.spare""#),
            "{}",
            answered.text
        );
        let models: Vec<_> = server
            .chat_requests()
            .split_off(before)
            .into_iter()
            .map(|asked| asked.body["model"].clone())
            .collect();
        assert_eq!(models, ["m", "spare"]);
    }
    // An error of the request is one at every upstream.
    server.script(json_of("400 Bad Request", "", &json!({"error": "no"})));
    host.chat(MODEL, "hi").await.error_message(400);
    // If no model can answer, the error is that of the first one.
    server.script(busy());
    server.script(json_of("500 Oops", "", &json!({"error": "oops"})));
    assert!(host.chat(MODEL, "hi").await.error_message(503).contains("`m`"));
}

#[actix_web::test]
async fn a_request_can_have_its_first_model_fail_so_that_fallbacks_can_be_tried() {
    let server = Server::start(&["m", "spare"]).await;
    let host = host(&server.url(), json!({"fallback_model": "spare"})).await;
    for (fail, status, answerer) in [
        ("first", 200, "openai_proxy.spare"),
        ("m", 200, "openai_proxy.spare"),
        ("s*", 200, MODEL),
        ("*", 429, ""),
    ] {
        let request =
            host.request(Method::POST, "/chat/completions").header("x-pipewright-fail", fail);
        let answered =
            TestResponse::read(request.json(&chat_body(&json!({}))).send().await.unwrap()).await;
        assert_eq!(
            (answered.status, answered.header("x-pipewright-model")),
            (status, answerer),
            "{fail}"
        );
    }
    assert_eq!(server.chat_requests().len(), 3);
}

#[actix_web::test]
async fn an_answer_that_has_begun_is_nobody_else_s() {
    let server = Server::start(&["m", "spare"]).await;
    let host = host(&server.url(), json!({"fallback_model": "spare"})).await;
    server.script(vec![
        head(),
        says("half"),
        ResponseStep::Send(event(&json!({"error": "died"}))),
        ResponseStep::Close,
    ]);
    let answered = host.post("/chat/completions", &with_stream(chat_body(&json!({})), true)).await;
    assert_eq!(super::split_broken_stream(&answered).0, "half");
    assert_eq!(server.chat_requests().len(), 1);
}

#[actix_web::test]
async fn the_fallback_may_be_at_another_upstream() {
    let (one, two) = (Server::start(&["m"]).await, Server::start(&["spare"]).await);
    let more = format!("two {}", two.url());
    let host = host(&one.url(), json!({"fallback_model": "openai_proxy.two/spare", "more_upstreams": more, "max_attempts": 1})).await;
    one.script(busy());
    assert_eq!(host.answer_text(MODEL, "hi").await, "pong");
    assert_eq!((one.chat_requests().len(), two.chat_requests().len()), (1, 1));
}

/// A chat of this person, with these fields.
async fn chat_as(host: &TestHost, who: &str, more: &Value) -> TestResponse {
    let request =
        host.request(Method::POST, "/chat/completions").header("x-openwebui-user-id", who);
    TestResponse::read(request.json(&chat_body(more)).send().await.unwrap()).await
}

#[actix_web::test]
async fn each_person_may_ask_so_many_questions_a_minute() {
    let server = Server::start(&["m"]).await;
    let host = host(&server.url(), json!({"rate_limit": 4})).await;
    let title = json!({"task": "title_generation"});
    let result = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "c", "content": "7"}]});
    for _ in 0..2 {
        assert_eq!(chat_as(&host, "ann", &json!({})).await.status, 200);
        // Requests that no person has sent do not count.
        assert_eq!(chat_as(&host, "ann", &title).await.status, 200);
        // Results of tools do: anybody can end a chat with one.
        assert_eq!(chat_as(&host, "ann", &result).await.status, 200);
    }
    chat_as(&host, "ann", &result).await.error_message(429);
    chat_as(&host, "ann", &json!({"task": "x"})).await.error_message(429);
    let refused = chat_as(&host, "ann", &json!({})).await;
    assert!(
        refused
            .error_message(429)
            .starts_with("Only 4 questions a minute may be asked: try again in "),
        "{}",
        refused.text
    );
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((55..=60).contains(&wait), "{wait}");
    assert_eq!(chat_as(&host, "bob", &json!({})).await.status, 200);
    assert_eq!(chat_as(&host, "ann", &title).await.status, 200);
    // Turning another valve forgets nothing.
    host.update_valves("openai_proxy", &json!({"builtin_tools": false})).await;
    chat_as(&host, "ann", &json!({})).await.error_message(429);
    assert_eq!(server.chat_requests().len(), 8);
}

#[actix_web::test]
async fn a_refusal_names_the_valve_of_the_limit_that_was_met() {
    let server = Server::start(&["m"]).await;
    let url = server.url();
    let more = format!("other {url} rate_limit=1");
    let host = host(&url, json!({"rate_limit": 2, "more_upstreams": more})).await;
    for (model, limit, valve) in [
        (MODEL, 2, "raise the valve `rate_limit` of `openai_proxy` (0: no limit)"),
        (
            "openai_proxy.other/m",
            1,
            "raise `rate_limit` of the upstream `other` in the valve `more_upstreams` of `openai_proxy` (0: no limit)",
        ),
    ] {
        let mut body = json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
        for _ in 0..limit {
            assert_eq!(host.post("/v1/messages", &body).await.status, 200);
        }
        let refused = host.post("/v1/messages", &body).await;
        assert_eq!(refused.status, 429, "{}", refused.text);
        assert_eq!(refused.json["error"]["type"], "rate_limit_error");
        body["stream"] = true.into();
        let chat = host.post("/chat/completions", &body).await;
        let response = host.post("/responses", &json!({"model": model, "input": "hi"})).await;
        for refused in [chat, response] {
            let message = refused.error_message(429);
            assert!(message.ends_with(valve), "{message}");
        }
    }
}

#[actix_web::test]
async fn an_answer_under_way_keeps_its_upstream_when_valves_are_turned() {
    let (one, two) = (Server::start(&["m"]).await, Server::start(&["m"]).await);
    let host = host(&one.url(), json!({})).await;
    let turned = Arc::new(Notify::new());
    one.script(vec![
        head(),
        says("half"),
        ResponseStep::Until(Arc::clone(&turned)),
        says(" more"),
        ResponseStep::Send(event(&end("stop"))),
        ResponseStep::Close,
    ]);
    let request = host.request(Method::POST, "/chat/completions");
    let answer = request.json(&with_stream(chat_body(&json!({})), true)).send().await.unwrap();
    let moved = json!({"api_base": two.url(), "api_key": "sk-two"});
    assert_eq!(host.update_valves("openai_proxy", &moved).await.status, 200);
    assert_eq!(host.answer_text(MODEL, "hi").await, "pong");
    turned.notify_one();
    assert_eq!(ClientAnswer::read(&TestResponse::read(answer).await).content, "half more");
    assert_eq!((one.chat_requests().len(), two.chat_requests().len()), (1, 1));
}

#[actix_web::test]
async fn how_an_upstream_fares_is_among_the_metrics_by_its_name_and_not_its_address() {
    let server = Server::start(&["m"]).await;
    let valves = json!({"breaker_failures": 1, "max_attempts": 1, "name_prefix": "mine"});
    let host = host(&server.url(), valves).await;
    server.script(json_of("500 Internal Server Error", "", &json!({"error": "no"})));
    for status in [502, 503] {
        host.chat("openai_proxy.mine/m", "hi").await.error_message(status);
    }
    let metrics = host.get("/metrics").await.text;
    let labels = "pipe=\"openai_proxy\",upstream=\"mine\"";
    for line in [
        format!("pipewright_upstream_breaker{{{labels},state=\"open\"}} 1"),
        format!("pipewright_upstream_calls_total{{{labels}}} 1"),
        format!("pipewright_upstream_refused_total{{{labels}}} 1"),
        format!("pipewright_upstream_failures_total{{{labels},kind=\"server\"}} 1"),
    ] {
        assert!(metrics.contains(&line), "{line} is missing from\n{metrics}");
    }
    assert!(!metrics.contains("127.0.0.1"), "{metrics}");
}
