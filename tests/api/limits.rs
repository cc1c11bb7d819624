//! Limits and budgets, as clients meet them.

use crate::{
    bedrock,
    pipes::NoValves,
    replicas::database,
    rig::{LITE, MICRO, Rig, chat_body, model_id, rig_without_fallbacks, with_stream},
    support::{Builder, TestHost, TestResponse, chat},
};
use bedrock_emulator::{ANY, Emulator, EmulatorOptions, ModelAnswer, Script};
use futures_util::future::join_all;
use pipe_sdk::{Pipe, Serves, UsageReport};
use pipewright::slot::Registration;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// A host whose filter `rate_limit` has these valves.
async fn limited_rig(valves: Value) -> Rig {
    let rig = rig_without_fallbacks(json!({})).await;
    assert_eq!(rig.host.update_valves("rate_limit", &valves).await.status, 200);
    rig
}

async fn ask(rig: &Rig, user: &str) -> TestResponse {
    let mut body = with_stream(chat_body(LITE, &json!({})), true);
    body["user"] = json!({"id": user});
    rig.post(&body).await
}

#[actix_web::test]
async fn the_request_after_the_last_is_refused_with_the_seconds_to_wait() {
    let rig = limited_rig(json!({"requests_per_minute": 2})).await;
    for _ in 0..2 {
        assert_eq!(ask(&rig, "ann").await.status, 200);
    }
    let refused = ask(&rig, "ann").await;
    assert!(refused.error_message(429).starts_with("The limit of 2 requests a minute is reached"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((55..=60).contains(&wait), "{wait}");
    assert_eq!(ask(&rig, "bob").await.status, 200);
    assert_eq!(rig.model_requests().len(), 3, "what is refused costs nothing");
}

#[actix_web::test]
async fn every_api_and_every_kind_of_model_is_counted() {
    let rig = limited_rig(json!({"requests_per_day": 4})).await;
    let host = &rig.host;
    let chat = chat_body(LITE, &json!({"max_tokens": 9}));
    let vectors = json!({"model": model_id("amazon.titan-embed-text-v2:0"), "input": "x"});
    assert_eq!(host.post("/chat/completions", &chat).await.status, 200);
    assert_eq!(host.post("/v1/messages", &chat).await.status, 200);
    assert_eq!(
        host.post("/responses", &json!({"model": model_id(LITE), "input": "hi"})).await.status,
        200
    );
    assert_eq!(host.post("/embeddings", &vectors).await.status, 200);
    host.post("/embeddings", &vectors).await.error_message(429);
    let refused = host.post("/v1/messages", &chat).await;
    assert_eq!((refused.status, &refused.json["error"]["type"]), (429, &json!("rate_limit_error")));
}

#[actix_web::test]
async fn no_other_name_of_a_model_leads_past_its_limit() {
    let rig = limited_rig(json!({"exceptions": "model *nova-lite*: 1 requests/day"})).await;
    assert_eq!(
        rig.host
            .update_valves("bedrock_models", &json!({"aliases": format!("gpt-4o={LITE}")}))
            .await
            .status,
        200
    );
    assert_eq!(ask(&rig, "ann").await.status, 200);
    for id in [
        LITE.to_owned(),
        model_id("gpt-4o"),
        "gpt-4o".into(),
        format!("{LITE}@us-east-1"),
        format!("arn:aws:bedrock:us-east-1::foundation-model/{LITE}"),
    ] {
        let mut body = chat(&id, "hi");
        body["user"] = json!({"id": "ann"});
        rig.post(&body).await.error_message(429);
    }
    assert_eq!(rig.model_requests().len(), 1);
}

#[actix_web::test]
async fn all_models_are_limited_unless_some_are_named() {
    let rig = limited_rig(json!({"requests_per_minute": 1})).await;
    assert_eq!(rig.host.valves("rate_limit").await["pipelines"], json!(["*"]));
    let named =
        rig.host.update_valves("rate_limit", &json!({"pipelines": [model_id(MICRO)]})).await;
    assert_eq!(named.status, 200);
    for _ in 0..2 {
        assert_eq!(ask(&rig, "ann").await.status, 200);
    }
    let mut micro = chat_body(MICRO, &json!({}));
    micro["user"] = json!({"id": "ann"});
    assert_eq!(rig.post(&micro).await.status, 200);
    rig.post(&micro).await.error_message(429);
}

#[actix_web::test]
async fn tokens_and_dollars_are_counted_when_the_answer_has_ended() {
    for valves in [json!({"tokens_per_day": 5}), json!({"budget_per_day": 0.000_001})] {
        let rig = limited_rig(valves).await;
        assert_eq!(ask(&rig, "ann").await.status, 200);
        // A report waits until all that was answered is booked.
        assert_eq!(rig.host.get("/usage").await.status, 200);
        ask(&rig, "ann").await.error_message(429);
        assert_eq!(ask(&rig, "bob").await.status, 200);
    }
}

#[actix_web::test]
async fn a_limit_outlives_the_valves_that_are_turned_beside_it() {
    let rig = limited_rig(json!({"requests_per_minute": 1})).await;
    assert_eq!(ask(&rig, "ann").await.status, 200);
    assert_eq!(
        rig.host.update_valves("rate_limit", &json!({"requests_per_day": 100})).await.status,
        200
    );
    ask(&rig, "ann").await.error_message(429);
}

#[actix_web::test]
async fn a_refusal_says_so_in_the_reason_phrase_too() {
    let rig = limited_rig(json!({"requests_per_minute": 1})).await;
    let body = chat_body(LITE, &json!({"max_tokens": 9}));
    for path in ["/chat/completions", "/v1/messages"] {
        rig.host.post(path, &body).await;
        let line = rig.host.status_line(path, &body).await;
        let said = "HTTP/1.1 429 The limit of 1 request a minute is reached: try again in ";
        assert!(line.starts_with(said), "{path}: {line}");
    }
}

#[actix_web::test]
async fn a_refused_inlet_says_so_in_the_reason_phrase() {
    let rig = limited_rig(json!({"requests_per_minute": 1})).await;
    let call = json!({"user": {"id": "ann"}, "body": {"model": "llama3", "messages": []}});
    assert_eq!(rig.host.post("/rate_limit/filter/inlet", &call).await.status, 200);
    let request = rig.host.request(reqwest::Method::POST, "/rate_limit/filter/inlet").json(&call);
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    let refused = TestResponse::read(refused).await;
    assert!(refused.error_message(429).contains("1 request a minute"));
}

#[actix_web::test]
async fn an_exception_that_cannot_be_read_is_named() {
    let rig = rig_without_fallbacks(json!({})).await;
    let turned =
        rig.host.update_valves("rate_limit", &json!({"exceptions": "role admin: lots"})).await;
    assert!(turned.error_message(422).contains("exceptions: `role admin: lots`: must be like"));
}

/// The answer to this with the key `ci`, which opens the models only.
async fn post_with_named_key(host: &TestHost, path: &str, body: &Value) -> TestResponse {
    let request = host.request_without_key(Method::POST, path).bearer_auth("theirs");
    TestResponse::read(request.json(body).send().await.unwrap()).await
}

/// A host of this builder that has named keys, and whose filter has these valves.
async fn rig_with_named_keys(builder: Builder, valves: Value) -> Rig {
    let bedrock = Emulator::start(EmulatorOptions::default()).unwrap();
    let builder = builder.flag("--api-keys", "ci=theirs,dora=hers");
    let host = bedrock::host_of(builder, &bedrock, &[]).await;
    let alone =
        json!({"fallback_regions": false, "fallback_profiles": false, "prompt_caching": "off"});
    assert_eq!(host.update_valves("bedrock_models", &alone).await.status, 200);
    assert_eq!(host.update_valves("rate_limit", &valves).await.status, 200);
    host.get("/models").await;
    Rig { bedrock, host }
}

/// A request of each API that reaches a model, and its path.
fn all_apis() -> Vec<(&'static str, Value)> {
    let chat = chat_body(LITE, &json!({"max_tokens": 9}));
    vec![
        ("/chat/completions", chat.clone()),
        ("/v1/messages", chat),
        ("/v1/messages/count_tokens", chat_body(LITE, &json!({}))),
        ("/responses", json!({"model": model_id(LITE), "input": "hi"})),
        ("/embeddings", json!({"model": model_id("amazon.titan-embed-text-v2:0"), "input": "x"})),
        (
            "/images/generations",
            json!({"model": model_id("amazon.nova-canvas-v1:0"), "prompt": "x"}),
        ),
        (
            "/rerank",
            json!({"model": model_id("cohere.rerank-v3-5:0"), "query": "x", "documents": ["y"]}),
        ),
        ("/rag/documents/search", json!({"query": "x"})),
    ]
}

#[actix_web::test]
async fn no_request_is_a_task_because_its_body_says_so() {
    let rig = rig_with_named_keys(Builder::new(), json!({"requests_per_day": 1})).await;
    let task = |mut body: Value, task: &str| {
        body["task"] = task.into();
        body
    };
    assert_eq!(
        post_with_named_key(&rig.host, "/chat/completions", &chat_body(LITE, &json!({})))
            .await
            .status,
        200
    );
    for (path, body) in all_apis() {
        for word in ["x", "title_generation"] {
            let answered = post_with_named_key(&rig.host, path, &task(body.clone(), word)).await;
            // Some APIs take no such field.
            assert!([400, 429].contains(&answered.status), "{path} {word}: {}", answered.text);
        }
        post_with_named_key(&rig.host, path, &body).await.error_message(429);
    }
    // The host's own key may say it, but not any word.
    for _ in 0..3 {
        let title = chat_body(LITE, &json!({"task": "title_generation"}));
        assert_eq!(rig.post(&title).await.status, 200);
    }
    assert_eq!(rig.post(&chat_body(LITE, &json!({"task": "x"}))).await.status, 200);
    rig.post(&chat_body(LITE, &json!({"task": "x"}))).await.error_message(429);
}

#[actix_web::test]
async fn every_api_asks_limits_before_it_asks_a_model() {
    let rig = rig_with_named_keys(Builder::new(), json!({"exceptions": "key dora: nobody"})).await;
    for (path, body) in all_apis() {
        let request =
            rig.host.request_without_key(Method::POST, path).bearer_auth("hers").json(&body);
        TestResponse::read(request.send().await.unwrap()).await.error_message(429);
    }
    assert!(rig.bedrock.requests().iter().all(|request| request.target.is_none()));
}

#[actix_web::test]
async fn a_task_is_spared_the_window_of_requests_and_no_other() {
    let rig = limited_rig(json!({"tokens_per_day": 5})).await;
    let title = chat_body(LITE, &json!({"task": "title_generation", "user": {"id": "ann"}}));
    assert_eq!(ask(&rig, "ann").await.status, 200);
    rig.host.get("/usage").await;
    rig.post(&title).await.error_message(429);
    let turned = json!({"tokens_per_day": null, "budget_per_day": 0.000_001});
    assert_eq!(rig.host.update_valves("rate_limit", &turned).await.status, 200);
    let refused = rig.post(&title).await;
    assert!(refused.error_message(429).starts_with("The budget of $0.000001 a day is used up"));
}

#[actix_web::test]
async fn there_may_be_ten_times_as_many_tasks_as_requests_and_no_more() {
    let rig = limited_rig(json!({"requests_per_day": 1})).await;
    let title = chat_body(LITE, &json!({"task": "title_generation"}));
    for _ in 0..10 {
        assert_eq!(rig.post(&title).await.status, 200);
    }
    rig.post(&title).await.error_message(429);
}

#[actix_web::test]
async fn an_inlet_believes_a_task_of_open_webuis_server_alone() {
    let rig = limited_rig(json!({"requests_per_minute": 1})).await;
    let call = |body: Value| json!({"user": {"id": "ann"}, "body": body});
    let inlet = async |body: Value| rig.host.post("/rate_limit/filter/inlet", &call(body)).await;
    let foreign = json!({"model": "llama3", "messages": [], "task": "title_generation"});
    assert_eq!(inlet(foreign.clone()).await.status, 200);
    inlet(foreign.clone()).await.error_message(429);
    let mut made_up = foreign.clone();
    made_up["metadata"] = json!({"task": "x"});
    inlet(made_up).await.error_message(429);
    let mut title = foreign;
    title["metadata"] = json!({"task": "title_generation"});
    assert_eq!(inlet(title).await.status, 200);
    // The inlet of our own models takes out what the person has put in.
    let own = json!({"model": model_id(LITE), "messages": [], "task": "title_generation", "metadata": {"chat_id": "c"}});
    let path = format!("/{}/filter/inlet", model_id(LITE));
    let kept = rig.host.post(&path, &call(own)).await;
    assert_eq!((kept.json.get("task"), &kept.json["chat_id"]), (None, &json!("c")));
}

#[actix_web::test]
async fn a_model_that_stands_in_has_limits_of_its_own() {
    let rig = limited_rig(json!({"exceptions": "model *micro*: 1 requests/day"})).await;
    let chain = json!({"fallbacks": format!("{LITE}>{MICRO}")});
    assert_eq!(rig.host.update_valves("bedrock_models", &chain).await.status, 200);
    let fails = ("x-pipewright-fail", "first");
    assert_eq!(rig.post_with(fails, &chat_body(LITE, &json!({}))).await.status, 200);
    rig.post_with(fails, &chat_body(LITE, &json!({}))).await.error_message(429);
    rig.post(&chat_body(MICRO, &json!({}))).await.error_message(429);
    assert_eq!(rig.post(&chat_body(LITE, &json!({}))).await.status, 200);
    let asked: Vec<_> = rig.targets().into_iter().map(|(_, model)| model).collect();
    assert_eq!(asked, [MICRO, LITE]);
}

#[actix_web::test]
async fn what_a_pipe_asks_of_a_model_has_that_models_limits() {
    let rig =
        limited_rig(json!({"exceptions": format!("model {}: 1 requests/day", model_id(MICRO))}))
            .await;
    let through = json!({"generators": model_id(MICRO)});
    assert_eq!(rig.host.update_valves("rag", &through).await.status, 200);
    let model = format!("rag.{}", model_id(MICRO));
    assert_eq!(rig.host.chat(&model, "hi").await.status, 200);
    rig.host.chat(&model, "hi").await.error_message(429);
    rig.host.chat(&model_id(MICRO), "hi").await.error_message(429);
    let turned = json!({"cloud_model": model_id(MICRO), "local_endpoint": "http://127.0.0.1:9"});
    assert_eq!(rig.host.update_valves("hybrid_router", &turned).await.status, 200);
    assert_ne!(rig.host.chat("hybrid_router.hybrid-smart", "hi").await.status, 200);
    assert_eq!(rig.model_requests().len(), 1);
}

#[actix_web::test]
async fn whom_a_limit_refuses_locks_nobody_else_out_of_a_router() {
    let rules = format!("model {}: 1 requests/day", model_id(MICRO));
    let rig = limited_rig(json!({"exceptions": rules})).await;
    let turned = json!({"cloud_model": model_id(MICRO), "local_endpoint": "http://127.0.0.1:9"});
    assert_eq!(rig.host.update_valves("hybrid_router", &turned).await.status, 200);
    let asks = async |user: &str| {
        let mut body = chat("hybrid_router.hybrid-smart", "hi");
        body["user"] = json!({"id": user});
        rig.post(&body).await
    };
    assert_eq!(asks("ann").await.status, 200);
    for _ in 0..12 {
        assert!(asks("ann").await.error_message(429).contains("1 request a day"));
    }
    for user in ["bob", "carl"] {
        assert_eq!(asks(user).await.status, 200);
    }
}

#[actix_web::test]
async fn one_long_answer_keeps_no_budget_from_everybody() {
    let rig = limited_rig(json!({"exceptions": "everybody: 1000 tokens/day"})).await;
    rig.bedrock.script(ANY, slow_answer(Duration::from_millis(700)));
    let greedy = chat_body(LITE, &json!({"max_tokens": 5000, "user": {"id": "ann"}}));
    let (greedy, bob) = tokio::join!(rig.post(&greedy), ask(&rig, "bob"));
    assert_eq!((greedy.status, bob.status), (200, 200));
}

#[actix_web::test]
async fn of_many_chats_at_once_only_as_many_pass_as_are_left() {
    for valves in [json!({"tokens_per_day": 10_000}), json!({"budget_per_day": 0.000_24})] {
        let rig = limited_rig(valves).await;
        // 1000 tokens, or 0.00024 dollars, each.
        let body = chat_body(LITE, &json!({"max_tokens": 1000, "user": {"id": "ann"}}));
        rig.bedrock.script(ANY, slow_answer(Duration::from_millis(1500)));
        let all = join_all((0..64).map(|_| rig.post(&body))).await;
        let passed = all.iter().filter(|answered| answered.status == 200).count();
        assert!((1..=10).contains(&passed), "{passed}");
        let refused = all.iter().find(|answered| answered.status != 200).unwrap();
        assert!(
            refused
                .error_message(429)
                .contains("is reserved by requests in flight: try again in 5 s")
        );
        assert_eq!(refused.header("retry-after"), "5");
        // The unused rest of a reservation is given back.
        rig.host.get("/usage").await;
        poll_until(async || rig.post(&body).await.status == 200).await;
    }
}

#[actix_web::test]
async fn whoever_leaves_before_the_first_word_has_asked_all_the_same() {
    let rig = limited_rig(json!({"tokens_per_day": 100})).await;
    rig.bedrock.script(ANY, slow_answer(Duration::from_secs(30)));
    let body = chat(&model_id(LITE), &"word ".repeat(100));
    let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
    let known = rig.bedrock.requests().len();
    tokio::select! {
        _ = request.send() => panic!("it answered"),
        _ = rig.bedrock.wait_for_requests(known + 1) => {}
    }
    poll_until(async || {
        let report = rig.host.get("/usage?by=model").await.json;
        report["rows"][0]["prompt"] == 125 && report["rows"][0]["cancelled"] == 1
    })
    .await;
    rig.host.chat(&model_id(LITE), "hi").await.error_message(429);
}

#[actix_web::test]
async fn budgets_of_everybody_of_a_model_and_of_nobody_mean_what_they_say() {
    let rig = limited_rig(json!({"exceptions": "everybody: $0.000001/day"})).await;
    assert_eq!(ask(&rig, "ann").await.status, 200);
    rig.host.get("/usage").await;
    assert!(
        ask(&rig, "bob")
            .await
            .error_message(429)
            .contains("The budget of $0.000001 a day is used up")
    );
    rig.post(&chat_body(LITE, &json!({}))).await.error_message(429);

    let turned = json!({"exceptions": "model *lite*: $0.000001/day"});
    assert_eq!(rig.host.update_valves("rate_limit", &turned).await.status, 200);
    ask(&rig, "ann").await.error_message(429);
    assert_eq!(ask(&rig, "bob").await.status, 200);
    let micro = chat_body(MICRO, &json!({"user": {"id": "ann"}}));
    for _ in 0..2 {
        assert_eq!(rig.post(&micro).await.status, 200);
        rig.host.get("/usage").await;
    }
    // Nobody said who asks, so the key is who asks.
    let turned = json!({"exceptions": null, "budget_per_month": 0.000_001});
    assert_eq!(rig.host.update_valves("rate_limit", &turned).await.status, 200);
    assert_eq!(rig.post(&chat_body(LITE, &json!({}))).await.status, 200);
    rig.host.get("/usage").await;
    rig.post(&chat_body(LITE, &json!({}))).await.error_message(429);
    assert_eq!(ask(&rig, "carl").await.status, 200);
}

#[actix_web::test]
async fn what_is_no_chat_is_counted_by_its_own_unit() {
    let rules = "everybody: 2 searches/day, 3 embeddings/day, 1 image/day, 1 rerank/day, 1 count/day, 1 chat/day";
    let rig = limited_rig(json!({"exceptions": rules})).await;
    for (path, body) in all_apis() {
        let texts = json!({"model": body["model"], "input": ["x", "y"]});
        let (most, body) = match path {
            "/rag/documents/search" => (2, body),
            "/embeddings" => (1, texts),
            "/v1/messages" | "/responses" => (0, body),
            _ => (1, body),
        };
        for _ in 0..most {
            let answered = rig.host.post(path, &body).await;
            assert_ne!(answered.status, 429, "{path}: {}", answered.text);
        }
        let refused = rig.host.post(path, &body).await;
        assert!(
            refused.error_message(429).contains(" a day is reached"),
            "{path}: {}",
            refused.text
        );
    }
}

#[actix_web::test]
async fn where_users_are_signed_a_task_is_believed_only_of_one_who_is() {
    let builder = Builder::new().flag("--user-jwt-secret", "what both sides know");
    let rig = rig_with_named_keys(builder, json!({"requests_per_day": 1})).await;
    let title = chat_body(LITE, &json!({"task": "title_generation"}));
    assert_eq!(rig.post(&title).await.status, 200);
    rig.post(&title).await.error_message(429);
}

#[actix_web::test]
async fn replicas_reserve_and_release_together() {
    let Some(url) = database().await else { return };
    let rig =
        rig_with_named_keys(Builder::new().database(&url), json!({"tokens_per_day": 10_000})).await;
    let builder = Builder::new().flag("--api-keys", "ci=theirs").database(&url);
    let other = bedrock::host_of(builder, &rig.bedrock, &[]).await;
    other.get("/models").await;
    let slow = slow_answer(Duration::from_millis(2500));
    rig.bedrock.script(ANY, slow);
    let body = chat_body(LITE, &json!({"max_tokens": 1000}));
    let hosts = [&rig.host, &other];
    let all = (0..64).map(|n| post_with_named_key(hosts[n % 2], "/chat/completions", &body));
    let all = join_all(all).await;
    let passed = all.iter().filter(|answered| answered.status == 200).count();
    assert!((1..=10).contains(&passed), "{passed}");
    rig.host.get("/usage").await;
    poll_until(async || {
        post_with_named_key(&other, "/chat/completions", &body).await.status == 200
    })
    .await;
}

#[actix_web::test]
async fn usage_is_recorded_before_a_slow_filter_is_told() {
    const PIPES: &[Registration] = &[
        Registration::for_pipe::<HangingFilter>(),
        Registration::for_pipe::<crate::pipes::Script>(),
    ];
    let host = Builder::new().pipes(PIPES).start().await;
    for _ in 0..3 {
        assert_eq!(host.chat("script.whole", "hi").await.status, 200);
    }
    let report = host.get("/usage").await.json;
    assert_eq!(report["rows"][0]["requests"], 3, "{report}");
}

/// A filter that never comes to an end when it is told of an answer.
struct HangingFilter;

impl Pipe for HangingFilter {
    const ID: &'static str = "waits";
    type Valves = NoValves;

    async fn on_startup(_: NoValves) -> pipe_sdk::Result<Self> {
        Ok(Self)
    }

    fn serves(&self) -> Serves {
        Serves::Filter { pipelines: vec!["*".into()], priority: 0 }
    }

    async fn record_usage(&self, _: UsageReport) {
        std::future::pending::<()>().await;
    }
}

fn slow_answer(delay: Duration) -> Script {
    Script::answer(ModelAnswer::with_text(["x"])).always().delay(delay)
}

/// Asks the host until this holds. Every question is a request, so other tasks run meanwhile.
async fn poll_until(holds: impl AsyncFn() -> bool) {
    let asking = async { while !holds().await {} };
    tokio::time::timeout(Duration::from_secs(60), asking).await.expect("it never holds");
}
