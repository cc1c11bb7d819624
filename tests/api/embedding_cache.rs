//! A text that was embedded before is not sent to its model again, whoever asks.

use crate::{
    bedrock,
    rig::{PIPE, Rig, model_id, rig},
    support::{Builder, TestResponse},
};
use bedrock_emulator::{Emulator, EmulatorOptions, Operation};
use serde_json::{Value, json};

const TITAN: &str = "amazon.titan-embed-text-v2:0";
const COHERE: &str = "cohere.embed-english-v3";

async fn embed(rig: &Rig, model: &str, mut body: Value) -> TestResponse {
    body["model"] = model_id(model).into();
    let answered = rig.host.post("/embeddings", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered
}

/// The number of texts that models were sent.
fn texts_sent(rig: &Rig) -> usize {
    let requests = rig.bedrock.requests();
    let invocations =
        requests.iter().filter(|request| request.operation == Some(Operation::InvokeModel));
    invocations.map(|request| request.json["texts"].as_array().map_or(1, Vec::len)).sum()
}

#[actix_web::test]
async fn a_known_text_costs_nothing_and_has_the_same_vector() {
    let rig = rig(json!({})).await;
    let first = embed(&rig, TITAN, json!({"input": ["one", "two"]})).await;
    assert_eq!(texts_sent(&rig), 2);
    let again = embed(&rig, TITAN, json!({"input": ["two", "three", "one"]})).await;
    assert_eq!(texts_sent(&rig), 3, "only `three` is new");
    for (old, new) in [(0, 2), (1, 0)] {
        assert_eq!(first.json["data"][old]["embedding"], again.json["data"][new]["embedding"]);
    }
    let known = embed(&rig, TITAN, json!({"input": "one"})).await;
    assert_eq!(known.json["usage"], json!({"prompt_tokens": 0, "total_tokens": 0}));
    let metrics = rig.host.get("/metrics").await.text;
    for line in
        ["pipewright_embedding_cache_hits_total 3", "pipewright_embedding_cache_misses_total 3"]
    {
        assert!(metrics.contains(line), "{line} is missing from\n{metrics}");
    }
}

#[actix_web::test]
async fn models_dimensions_and_purposes_are_kept_apart() {
    let rig = rig(json!({})).await;
    let calls = [
        (TITAN, json!({"input": "one"})),
        (TITAN, json!({"input": "one", "dimensions": 256})),
        (COHERE, json!({"input": "one"})),
        (COHERE, json!({"input": "one", "input_type": "search_query"})),
    ];
    for _ in 0..2 {
        for (model, body) in &calls {
            embed(&rig, model, body.clone()).await;
        }
        assert_eq!(texts_sent(&rig), calls.len());
    }
}

#[actix_web::test]
async fn changed_valves_may_mean_another_model() {
    let rig = rig(json!({})).await;
    embed(&rig, TITAN, json!({"input": "one"})).await;
    let turned = rig.host.update_valves(PIPE, &json!({"prompt_caching": "auto"})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    embed(&rig, TITAN, json!({"input": "one"})).await;
    assert_eq!(texts_sent(&rig), 2);
}

#[actix_web::test]
async fn without_memory_every_text_is_sent() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let builder = Builder::new().flag("--embedding-cache-mib", "0");
    let host = bedrock::host_of(builder, &emulator, &[]).await;
    let rig = Rig { bedrock: emulator, host };
    for _ in 0..2 {
        embed(&rig, TITAN, json!({"input": "one"})).await;
    }
    assert_eq!(texts_sent(&rig), 2);
}
