//! Limits and budgets, as clients meet them.

use crate::{
    rig::{LITE, MICRO, Rig, asked_so, hello, listed, lonely},
    support::{Answered, chat},
};
use serde_json::{Value, json};

/// A host whose filter `rate_limit` has these valves.
async fn limited(valves: Value) -> Rig {
    let rig = lonely(json!({})).await;
    assert_eq!(rig.host.turn("rate_limit", &valves).await.status, 200);
    rig
}

async fn ask(rig: &Rig, user: &str) -> Answered {
    let mut body = asked_so(hello(LITE, &json!({})), true);
    body["user"] = json!({"id": user});
    rig.post(&body).await
}

#[actix_web::test]
async fn the_request_after_the_last_is_refused_with_the_seconds_to_wait() {
    let rig = limited(json!({"requests_per_minute": 2})).await;
    for _ in 0..2 {
        assert_eq!(ask(&rig, "ann").await.status, 200);
    }
    let refused = ask(&rig, "ann").await;
    assert!(refused.refused(429).starts_with("the limit of 2 requests a minute is reached"));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((55..=60).contains(&wait), "{wait}");
    assert_eq!(ask(&rig, "bob").await.status, 200);
    assert_eq!(rig.asked().len(), 3, "what is refused costs nothing");
}

#[actix_web::test]
async fn every_api_and_every_kind_of_model_is_counted() {
    let rig = limited(json!({"requests_per_day": 4})).await;
    let host = &rig.host;
    let chat = hello(LITE, &json!({"max_tokens": 9}));
    let vectors = json!({"model": listed("amazon.titan-embed-text-v2:0"), "input": "x"});
    assert_eq!(host.post("/chat/completions", &chat).await.status, 200);
    assert_eq!(host.post("/v1/messages", &chat).await.status, 200);
    assert_eq!(
        host.post("/responses", &json!({"model": listed(LITE), "input": "hi"})).await.status,
        200
    );
    assert_eq!(host.post("/embeddings", &vectors).await.status, 200);
    host.post("/embeddings", &vectors).await.refused(429);
    let refused = host.post("/v1/messages", &chat).await;
    assert_eq!((refused.status, &refused.json["error"]["type"]), (429, &json!("rate_limit_error")));
}

#[actix_web::test]
async fn no_other_name_of_a_model_leads_past_its_limit() {
    let rig = limited(json!({"exceptions": "model *nova-lite*: 1 requests/day"})).await;
    assert_eq!(
        rig.host.turn("bedrock_models", &json!({"aliases": format!("gpt-4o={LITE}")})).await.status,
        200
    );
    assert_eq!(ask(&rig, "ann").await.status, 200);
    for id in [
        LITE.to_owned(),
        listed("gpt-4o"),
        "gpt-4o".into(),
        format!("{LITE}@us-east-1"),
        format!("arn:aws:bedrock:us-east-1::foundation-model/{LITE}"),
    ] {
        let mut body = chat(&id, "hi");
        body["user"] = json!({"id": "ann"});
        rig.post(&body).await.refused(429);
    }
    assert_eq!(rig.asked().len(), 1);
}

#[actix_web::test]
async fn all_models_are_limited_unless_some_are_named() {
    let rig = limited(json!({"requests_per_minute": 1})).await;
    assert_eq!(rig.host.valves("rate_limit").await["pipelines"], json!(["*"]));
    let named = rig.host.turn("rate_limit", &json!({"pipelines": [listed(MICRO)]})).await;
    assert_eq!(named.status, 200);
    for _ in 0..2 {
        assert_eq!(ask(&rig, "ann").await.status, 200);
    }
    let mut micro = hello(MICRO, &json!({}));
    micro["user"] = json!({"id": "ann"});
    assert_eq!(rig.post(&micro).await.status, 200);
    rig.post(&micro).await.refused(429);
}

#[actix_web::test]
async fn tokens_and_dollars_are_counted_when_the_answer_has_ended() {
    for valves in [json!({"tokens_per_day": 5}), json!({"budget_per_day": 0.000_001})] {
        let rig = limited(valves).await;
        assert_eq!(ask(&rig, "ann").await.status, 200);
        // A report waits until all that was answered is booked.
        assert_eq!(rig.host.get("/usage").await.status, 200);
        ask(&rig, "ann").await.refused(429);
        assert_eq!(ask(&rig, "bob").await.status, 200);
    }
}

#[actix_web::test]
async fn a_limit_outlives_the_valves_that_are_turned_beside_it() {
    let rig = limited(json!({"requests_per_minute": 1})).await;
    assert_eq!(ask(&rig, "ann").await.status, 200);
    assert_eq!(rig.host.turn("rate_limit", &json!({"requests_per_day": 100})).await.status, 200);
    ask(&rig, "ann").await.refused(429);
}

#[actix_web::test]
async fn a_refusal_says_so_in_the_reason_phrase_too() {
    let rig = limited(json!({"requests_per_minute": 1})).await;
    let body = hello(LITE, &json!({"max_tokens": 9}));
    for path in ["/chat/completions", "/v1/messages"] {
        rig.host.post(path, &body).await;
        let line = rig.host.status_line(path, &body).await;
        let said = "HTTP/1.1 429 the limit of 1 request a minute is reached: try again in ";
        assert!(line.starts_with(said), "{path}: {line}");
    }
}

#[actix_web::test]
async fn a_refused_inlet_says_so_in_the_reason_phrase() {
    let rig = limited(json!({"requests_per_minute": 1})).await;
    let call = json!({"user": {"id": "ann"}, "body": {"model": "llama3", "messages": []}});
    assert_eq!(rig.host.post("/rate_limit/filter/inlet", &call).await.status, 200);
    let request = rig.host.request(reqwest::Method::POST, "/rate_limit/filter/inlet").json(&call);
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 429);
    let refused = Answered::of(refused).await;
    assert!(refused.refused(429).contains("1 request a minute"));
}

#[actix_web::test]
async fn an_exception_that_cannot_be_read_is_named() {
    let rig = lonely(json!({})).await;
    let turned = rig.host.turn("rate_limit", &json!({"exceptions": "role admin: lots"})).await;
    assert!(turned.refused(422).contains("exceptions: `role admin: lots`: must be like"));
}
