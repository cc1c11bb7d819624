//! Valves that name models of other pipes: what no model has is refused when it is entered, and
//! reported when it is lost later.

use crate::{
    pipes::{Script, Typed},
    support::{Builder, TestHost},
};
use ::rag::Rag;
use hybrid_router::HybridRouter;
use pipewright::slot::Registration;
use serde_json::json;
use std::fs;

const PIPES: &[Registration] = &[
    Registration::for_pipe::<Rag>(),
    Registration::for_pipe::<HybridRouter>(),
    Registration::for_pipe::<Typed>(),
    Registration::for_pipe::<Script>(),
];

async fn host() -> TestHost {
    Builder::new().pipes(PIPES).start().await
}

#[actix_web::test]
async fn a_model_that_the_host_does_not_have_is_refused_when_it_is_entered() {
    let host = host().await;
    for (pipe, valve) in [
        ("rag", "generators"),
        ("rag", "embedding_model"),
        ("rag", "reranker"),
        ("rag", "rewrite_model"),
        ("hybrid_router", "cloud_model"),
        ("hybrid_router", "local_endpoint"),
    ] {
        for model in ["nothing.like-it", "script.nothing", "nothing"] {
            let refused = host.update_valves(pipe, &json!({valve: model})).await;
            let rule = format!("{valve}: names `{model}`, which is no model of this host");
            assert_eq!(refused.error_message(422), rule, "{valve}");
        }
        for model in ["script.whole", "typed"] {
            let turned = host.update_valves(pipe, &json!({valve: model})).await;
            assert_eq!(turned.status, 200, "{valve} {model}: {}", turned.text);
        }
    }
    let turned = host
        .update_valves(
            "rag",
            &json!({"generators": "typed, script.whole", "embedding_model": "local"}),
        )
        .await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let refused = host.update_valves("rag", &json!({"generators": "typed, script.none"})).await;
    assert!(refused.error_message(422).contains("script.none"), "{}", refused.text);
    let turned =
        host.update_valves("hybrid_router", &json!({"local_endpoint": "http://localhost:1"})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
}

#[actix_web::test]
async fn a_model_that_was_lost_is_reported_and_keeps_no_other_valve_from_being_turned() {
    let before = host().await;
    let folder = before.stop().await;
    for (pipe, valves) in [
        ("rag", r#"{"generators": "typed, script.gone"}"#),
        ("hybrid_router", r#"{"cloud_model": "script.gone"}"#),
    ] {
        fs::create_dir_all(folder.path().join(pipe)).unwrap();
        fs::write(folder.path().join(pipe).join("valves.json"), valves).unwrap();
    }
    let host = Builder::with_folder(folder).pipes(PIPES).start().await;
    let degraded = host.get("/health/ready").await.json["degraded"].clone();
    assert_eq!(degraded, json!(["rag", "hybrid_router"]));
    // The form posts all valves each time.
    for (pipe, valve, value) in [("rag", "top_k", "7"), ("hybrid_router", "local_at_once", "3")] {
        let mut form = host.valves(pipe).await;
        form[valve] = value.into();
        let turned = host.update_valves(pipe, &form).await;
        assert_eq!(turned.status, 200, "{}", turned.text);
    }
    host.update_valves("rag", &json!({"generators": "typed"})).await;
    host.update_valves("hybrid_router", &json!({"cloud_model": "typed"})).await;
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!([]));
}
