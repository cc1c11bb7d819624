//! The router between a local server and a model of the host, as clients meet it.

pub mod server;

use crate::{
    pipes::{OPEN, Script},
    rig::{ClientAnswer, with_stream},
    support::{Builder, TestHost, chat},
};
use hybrid_router::HybridRouter;
use pipewright::slot::Registration;
use serde_json::{Value, json};
use server::{Form, LocalServer, dead};

const PIPES: &[Registration] =
    &[Registration::for_pipe::<HybridRouter>(), Registration::for_pipe::<Script>()];

pub const SMART: &str = "hybrid_router.hybrid-smart";
const LOCAL: &str = "hybrid_router.hybrid-local";
pub const CLOUD: &str = "script.whole";
const SAID_THERE: &str = "Hello \"wörld\"\n";

/// A host whose router has these sides, and these valves beside them.
pub async fn hybrid(local: &str, cloud: &str, mut valves: Value) -> TestHost {
    let host = Builder::new().pipes(PIPES).start().await;
    valves["local_endpoint"] = local.into();
    valves["cloud_model"] = cloud.into();
    let turned = host.update_valves("hybrid_router", &valves).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    host
}

async fn rows(host: &TestHost, query: &str) -> Vec<Value> {
    host.get(&format!("/usage?{query}")).await.json["rows"].as_array().unwrap().clone()
}

/// That this chat is answered once, by this side, streamed and plain, and says so.
async fn is_answered(host: &TestHost, model: &str, side: &str, by: &str, said: &str) {
    for streamed in [true, false] {
        let answered =
            host.post("/chat/completions", &with_stream(chat(model, "hi"), streamed)).await;
        let told = ClientAnswer::read(&answered);
        assert_eq!((told.content.as_str(), &told.error), (said, &Value::Null), "{}", answered.text);
        assert!(told.finish.is_some());
        assert_eq!(
            (answered.header("x-pipewright-side"), answered.header("x-pipewright-model")),
            (side, by)
        );
        let selected = told.other_fields.get("selected_model_id").cloned().unwrap_or_default();
        assert_eq!(
            selected,
            if by == model { Value::Null } else { by.into() },
            "{}",
            answered.text
        );
    }
}

#[actix_web::test]
async fn a_local_server_answers_and_gets_what_is_meant_for_it() {
    let server = LocalServer::start(Form::OpenAi);
    let host = hybrid(&server.url, CLOUD, json!({})).await;
    is_answered(&host, SMART, "local", LOCAL, "from home").await;
    is_answered(&host, LOCAL, "local", LOCAL, "from home").await;
    is_answered(&host, "hybrid_router.hybrid-cloud", "cloud", CLOUD, SAID_THERE).await;
    let chats = server.chats();
    assert_eq!(chats.len(), 4);
    let (path, asked) = &chats[0];
    assert_eq!((path.as_str(), &asked["model"]), ("/v1/chat/completions", &json!("tiny")));
    assert_eq!(asked["messages"], json!([{"role": "user", "content": "hi"}]));
    assert!(
        rows(&host, "by=side").await.iter().all(|row| row["side"] == "" || row["side"].is_null()),
        "nobody asked to tell them apart"
    );
}

#[actix_web::test]
async fn a_plain_chat_is_streamed_where_either_side_may_answer() {
    let server = LocalServer::start(Form::OpenAi);
    let host = hybrid(&server.url, CLOUD, json!({})).await;
    for (model, streams_upstream) in [(SMART, true), (LOCAL, false)] {
        assert_eq!(host.chat(model, "hi").await.status, 200);
        let (_, asked) = server.chats().pop().unwrap();
        assert_eq!(asked["stream"], json!(streams_upstream), "{model}");
    }
    let alone = hybrid(&server.url, CLOUD, json!({"cloud_fallback": false})).await;
    assert_eq!(alone.chat(SMART, "hi").await.status, 200);
    assert_eq!(server.chats().pop().unwrap().1["stream"], json!(false));
}

#[actix_web::test]
async fn where_the_local_server_is_dead_or_out_of_order_the_cloud_answers() {
    let broken = LocalServer::start(Form::Broken);
    for local in [
        dead(),
        broken.url.clone(),
        "script.throttled".into(),
        "script.first-error".into(),
        "script.empty".into(),
        "script.panics".into(),
    ] {
        let host = hybrid(&local, CLOUD, json!({})).await;
        is_answered(&host, SMART, "cloud", CLOUD, SAID_THERE).await;
    }
    assert_eq!(broken.chats().len(), 1, "the second chat knows already");
}

#[actix_web::test]
async fn the_guides_own_server_is_found_behind_an_address_without_a_path() {
    for path in ["", "/generate"] {
        let server = LocalServer::start(Form::Generate);
        let host = hybrid(&format!("{}{path}", server.url), CLOUD, json!({})).await;
        is_answered(&host, SMART, "local", LOCAL, "from home").await;
        let mut generated = server.chats();
        generated.retain(|(path, _)| path == "/generate");
        let asked = json!({"messages": [{"role": "user", "content": "hi"}], "temperature": 0.7, "max_tokens": 1000});
        assert_eq!(generated[0].1, asked);
        // The API that it speaks is found out once.
        assert_eq!(server.chats().len(), if path.is_empty() { 3 } else { 2 });
    }
}

#[actix_web::test]
async fn an_answer_that_breaks_off_is_not_begun_anew() {
    let host = hybrid("script.late-error", CLOUD, json!({"cost_tracking": true})).await;
    let told = ClientAnswer::read(
        &host.post("/chat/completions", &with_stream(chat(SMART, "hi"), true)).await,
    );
    assert_eq!((told.content.as_str(), &told.error["message"]), ("half", &json!("Broke")));
    let sides = rows(&host, "by=side").await;
    assert_eq!((sides.len(), &sides[0]["side"]), (1, &json!("local")), "{sides:?}");
}

#[actix_web::test]
async fn a_local_answer_that_breaks_off_in_its_first_word_is_booked_all_the_same() {
    let server = LocalServer::start(Form::Cut);
    let host = hybrid(&server.url, CLOUD, json!({"cost_tracking": true})).await;
    let told = ClientAnswer::read(
        &host.post("/chat/completions", &with_stream(chat(SMART, "hi"), true)).await,
    );
    assert_eq!((told.content.as_str(), told.error.is_object()), ("f", true));
    let sides = rows(&host, "by=side").await;
    let booked = ["prompt", "completion", "errors"].map(|name| sides[0][name].as_i64());
    assert_eq!((sides.len(), booked), (1, [Some(1); 3]), "{sides:?}");
}

#[actix_web::test]
async fn without_the_fallback_the_error_is_clear_and_names_no_address() {
    let address = dead();
    let host = hybrid(&address, CLOUD, json!({"cloud_fallback": false})).await;
    let answered = host.chat(SMART, "hi").await;
    let message = answered.error_message(502);
    assert_eq!(message, "The server of `Local only` cannot be reached");
}

#[actix_web::test]
async fn what_each_side_costs_is_told_apart_for_each_person() {
    let server = LocalServer::start(Form::OpenAi);
    let host = hybrid(&server.url, CLOUD, json!({"cost_tracking": true})).await;
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    for (user, tools) in [("ann", json!([])), ("ann", tool.clone()), ("bob", tool)] {
        let mut body = chat(SMART, "hi");
        body["user"] = json!({"id": user});
        body["tools"] = tools;
        assert_eq!(host.post("/chat/completions", &body).await.status, 200);
    }
    let rows = rows(&host, "by=user,side,model").await;
    let mut booked: Vec<_> = rows
        .iter()
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap();
            format!(
                "{} {} {} {} {}",
                text("user"),
                text("side"),
                text("model"),
                row["requests"],
                row["prompt"]
            )
        })
        .collect();
    booked.sort();
    assert_eq!(
        booked,
        [
            "ann cloud script.whole 1 115",
            "ann local hybrid_router.hybrid-local 1 7",
            "bob cloud script.whole 1 115",
        ]
    );
    let local = rows.iter().find(|row| row["side"] == "local").unwrap();
    assert_eq!(local["cost_usd"].as_f64(), Some(0.0), "{local}");
}

#[actix_web::test]
async fn a_side_that_loses_the_race_is_let_go() {
    let before = *OPEN.borrow();
    let host =
        hybrid("script.hangs", CLOUD, json!({"hedge_after_ms": 1, "local_timeout_seconds": 1}))
            .await;
    is_answered(&host, SMART, "cloud", CLOUD, SAID_THERE).await;
    // The probe of the frozen side gives up in a second, and the side is known to be frozen then.
    let mut open = OPEN.subscribe();
    open.wait_for(|open| *open == before).await.unwrap();
}

#[actix_web::test]
async fn a_line_over_the_answer_says_who_gives_it() {
    let host = hybrid(&dead(), CLOUD, json!({"show_side": true})).await;
    let frames = host.stream(SMART, "hi").await;
    let line = "Answered in the cloud by script.whole: the local model did not answer";
    let has_line =
        |frame: &String| frame.contains(&format!("\"description\":\"{line}\",\"done\":true"));
    assert_eq!(frames.iter().filter(|frame| has_line(frame)).count(), 1, "{frames:?}");
    let first: Value = serde_json::from_str(frames[0].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!((&first["selected_model_id"], &first["choices"]), (&json!(CLOUD), &json!([])));
}

#[actix_web::test]
async fn every_api_says_which_side_has_answered() {
    let host = hybrid(&dead(), CLOUD, json!({})).await;
    let mut messages = chat(SMART, "hi");
    messages["max_tokens"] = 9.into();
    let responses = json!({"model": SMART, "input": "hi"});
    for (path, body) in [("/v1/messages", messages), ("/v1/responses", responses)] {
        let answered = host.post(path, &body).await;
        assert_eq!(
            (answered.status, answered.header("x-pipewright-side")),
            (200, "cloud"),
            "{}",
            answered.text
        );
    }
}

#[actix_web::test]
async fn the_models_are_listed_once_the_router_is_set_up() {
    let host = Builder::new().pipes(PIPES).start().await;
    let ids = async |host: &TestHost| {
        let listed = host.get("/models").await.json["data"].clone();
        let ids =
            listed.as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
        ids.filter(|id| id.starts_with("hybrid")).collect::<Vec<_>>()
    };
    assert!(ids(&host).await.is_empty());
    let host = hybrid(&dead(), CLOUD, json!({})).await;
    assert_eq!(ids(&host).await, [SMART, LOCAL, "hybrid_router.hybrid-cloud"]);
}

#[actix_web::test]
async fn the_key_of_the_local_server_is_bound_to_it() {
    let host = hybrid("http://127.0.0.1:9/v1", CLOUD, json!({"local_api_key": "hunter2"})).await;
    let moved = host
        .update_valves("hybrid_router", &json!({"local_endpoint": "http://127.0.0.1:10/v1"}))
        .await;
    assert!(moved.error_message(422).starts_with("local_api_key: "), "{}", moved.text);
}

#[actix_web::test]
async fn the_health_of_both_sides_is_in_the_metrics() {
    let host = hybrid(&dead(), CLOUD, json!({})).await;
    is_answered(&host, SMART, "cloud", CLOUD, SAID_THERE).await;
    let text = host.get("/metrics").await.text;
    for (line, count) in [
        ("breaker{pipe=\"hybrid_router\",upstream=\"local\",state=\"open\"}", 1),
        ("breaker{pipe=\"hybrid_router\",upstream=\"cloud\",state=\"closed\"}", 1),
        ("failures_total{pipe=\"hybrid_router\",upstream=\"local\",kind=\"connect\"}", 1),
        ("calls_total{pipe=\"hybrid_router\",upstream=\"local\"}", 1),
        ("calls_total{pipe=\"hybrid_router\",upstream=\"cloud\"}", 2),
    ] {
        let line = format!("pipewright_upstream_{line} {count}\n");
        assert!(text.contains(&line), "{line} is missing from\n{text}");
    }
}
