//! Every approach from every API, streamed and whole, and with all that a request may hold.

use super::{
    Rig, ScriptedReply, content, mcp_server::McpServer, rig, says, search_server::SearchServer,
};
use reqwest::Method;
use serde_json::{Value, json};

/// The approaches that need nothing but models.
const APPROACHES: [&str; 27] = [
    "none",
    "proxy",
    "re2",
    "cot_reflection",
    "bon",
    "moa",
    "self_consistency",
    "majority_voting",
    "genselect",
    "mcts",
    "rto",
    "plansearch",
    "leap",
    "rstar",
    "pvg",
    "cepo",
    "mars",
    "deepthink",
    "memory",
    "privacy",
    "json",
    "router",
    "autothink",
    "longcepo",
    "compact",
    "spl",
    "auto",
];

/// The approaches that use what [`services`] sets up.
const WITH_SERVICES: [&str; 3] = ["web_search", "deep_research", "mcp"];

/// Replies in the forms that approaches ask for.
fn replies(prompt: &str, number: usize) -> ScriptedReply {
    let has = |part: &str| prompt.contains(part);
    match () {
        () if has("Score: <a number") => says(&format!("Fine.\nScore: {}", number % 7)),
        () if has("Best: <the number") => says("Best: 1"),
        () if has("Verdict: <CORRECT") => says("Verdict: CORRECT"),
        () if has("Reply with a JSON") => says(r#"[{"question": "2+2?", "answer": "4"}]"#),
        () if has("VOTE: a sum") => says("VOTE"),
        () if has("LOW for facts") => says("LOW"),
        () => says("{\"answer\": 42}"),
    }
}

/// Returns the valves of a search server and an MCP server, which live as long as these values.
fn services() -> (SearchServer, McpServer, Value) {
    let search = SearchServer::start(|_| {
        vec![["tower".into(), "https://t.example/".into(), "330 m".into()]]
    });
    let tools = McpServer::start("");
    let mut valves = search.valves();
    valves["mcp_servers"] = format!("tools={}", tools.url).into();
    (search, tools, valves)
}

/// Returns the body of a request in the form of this API.
fn body(path: &str, model: &str, stream: bool) -> Value {
    let text = "What is asked?";
    let messages = json!([{"role": "user", "content": text}]);
    match path {
        "/responses" => json!({"model": model, "input": text, "stream": stream}),
        _ => json!({"model": model, "messages": messages, "max_tokens": 500, "stream": stream}),
    }
}

async fn send(rig: &Rig, path: &str, body: &Value) -> (u16, String) {
    let sent = rig.host.request(Method::POST, path).json(body).send().await.unwrap();
    (sent.status().as_u16(), sent.text().await.unwrap())
}

#[actix_web::test]
async fn every_approach_answers_in_every_api_streamed_and_whole() {
    let (_search, _tools, valves) = services();
    let rig = rig(valves, replies).await;
    for approach in APPROACHES.into_iter().chain(WITH_SERVICES) {
        for (path, end) in [
            ("/chat/completions", "data: [DONE]"),
            ("/messages", "\"message_stop\""),
            ("/responses", "response.completed"),
        ] {
            for stream in [false, true] {
                let asked = body(path, &format!("{approach}-m"), stream);
                let (status, text) = send(&rig, path, &asked).await;
                let what = format!("{approach} {path} {stream}: {text}");
                assert_eq!(status, 200, "{what}");
                assert!(text.contains("42") && !text.contains("\"error\":{"), "{what}");
                assert!(!stream || text.contains(end), "{what}");
            }
        }
    }
}

#[actix_web::test]
async fn what_a_client_wants_of_an_answer_holds_for_the_calls_that_may_become_it() {
    let (_search, _tools, valves) = services();
    let rig = rig(valves, replies).await;
    let image = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";
    let schema = json!({"type": "object", "properties": {"answer": {"type": "integer"}}});
    let wanted = json!({
        "messages": [
            {"role": "system", "content": "Be a pirate."},
            {"role": "user", "content": "First."},
            {"role": "assistant", "content": "Yes?"},
            {"role": "user", "content": [
                {"type": "text", "text": "What is asked?"},
                {"type": "image_url", "image_url": {"url": image}},
            ]},
        ],
        "tools": [{"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        "stop": ["END"], "seed": 7, "top_p": 0.5,
    });
    for approach in APPROACHES.into_iter().chain(WITH_SERVICES) {
        let before = rig.upstream.chat_bodies().len();
        let answered = rig.ask(&format!("{approach}-m"), wanted.clone()).await;
        if approach == "privacy" {
            assert!(answered.error_message(400).contains("cannot look into pictures"));
            continue;
        }
        assert!(!content(&answered).is_empty(), "{approach}");
        let calls = rig.upstream.chat_bodies().split_off(before);
        let answers: Vec<_> = calls.iter().filter(|call| call["stop"] == json!(["END"])).collect();
        assert!(!answers.is_empty(), "{approach}");
        for call in answers {
            let sent = call.to_string();
            for part in ["iVBORw0KGgo", "Be a pirate.", "\"mine\"", "json_schema", "Yes?"] {
                assert!(sent.contains(part), "{approach}: {part}: {sent}");
            }
            assert_eq!((&call["seed"], &call["top_p"]), (&json!(7), &json!(0.5)), "{approach}");
            let turns = call["messages"].as_array().unwrap();
            assert!(!sent.contains("User: "), "{approach}: {sent}");
            assert_eq!(turns.iter().filter(|turn| turn["role"] == "system").count(), 1, "{sent}");
        }
        let steps = calls.iter().filter(|call| call["stop"].is_null());
        for step in steps {
            assert!(step["tools"].is_null() && step["response_format"].is_null(), "{approach}");
        }
    }
}

#[actix_web::test]
async fn several_choices_run_at_once() {
    // Each of the two pipelines waits for the proposers of the other.
    let script = |prompt: &str, number: usize| match number {
        0..6 => ScriptedReply::Together(6, format!("The answer is {number}.")),
        _ if prompt.contains("Several attempts") => says("mixed"),
        _ => says("Fine."),
    };
    let rig = rig(json!({}), script).await;
    let (answered, calls) = rig.count_calls("moa-m", json!({"n": 2})).await;
    assert_eq!((content(&answered), calls), ("mixed", 10));
    assert_eq!(answered.json["choices"][1]["message"]["content"], "mixed");
    assert_eq!(answered.json["usage"]["total_tokens"], 130);
}

#[actix_web::test]
async fn an_answer_comes_back_as_it_is() {
    let text = "class User:\n    pass\n\nUser: a\nAssistant: b\n";
    let rig = rig(json!({}), move |_, _| says(text)).await;
    for approach in ["none", "re2", "bon", "moa", "self_consistency", "compact"] {
        assert_eq!(
            content(&rig.ask(&format!("{approach}-m"), json!({})).await),
            text,
            "{approach}"
        );
    }
}
