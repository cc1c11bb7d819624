//! Documents are put in order, with Bedrock behind.

use crate::{
    rig::{LITE, Rig, model_id, rig},
    support::TestResponse,
};
use bedrock_emulator::{Operation, Script};
use serde_json::{Value, json};

const COHERE: &str = "cohere.rerank-v3-5:0";
const AMAZON: &str = "amazon.rerank-v1:0";
const DOCUMENTS: [&str; 3] = ["red wine", "the sky is blue", "a blue car"];

async fn rerank(rig: &Rig, model: &str, mut body: Value) -> TestResponse {
    body["model"] = model_id(model).into();
    rig.host.post("/rerank", &body).await
}

fn last_body(rig: &Rig) -> Value {
    let mut requests = rig.bedrock.requests().into_iter();
    requests.rfind(|request| request.operation == Some(Operation::InvokeModel)).unwrap().json
}

fn ranked_indexes(answered: &TestResponse) -> Vec<u64> {
    assert_eq!(answered.status, 200, "{}", answered.text);
    let results = answered.json["results"].as_array().unwrap();
    results.iter().map(|result| result["index"].as_u64().unwrap()).collect()
}

#[actix_web::test]
async fn the_best_documents_come_first() {
    let rig = rig(json!({})).await;
    for (model, version) in [(COHERE, json!(2)), (AMAZON, Value::Null)] {
        let body = json!({"query": "blue sky", "documents": DOCUMENTS});
        let answered = rerank(&rig, model, body).await;
        assert_eq!(ranked_indexes(&answered), [1, 2, 0]);
        let scores: Vec<_> = (0..3)
            .map(|n| answered.json["results"][n]["relevance_score"].as_f64().unwrap())
            .collect();
        assert!(scores.is_sorted_by(|one, other| one >= other), "{scores:?}");
        assert_eq!(answered.json["model"], model_id(model));
        assert!(
            answered.json["id"].is_string() && answered.json["results"][0]["document"].is_null()
        );
        assert!(answered.json["usage"]["total_tokens"].as_u64().unwrap() > 0);
        let sent = last_body(&rig);
        assert_eq!((&sent["query"], &sent["top_n"]), (&json!("blue sky"), &json!(3)));
        assert_eq!((&sent["documents"], &sent["api_version"]), (&json!(DOCUMENTS), &version));
    }
}

#[actix_web::test]
async fn what_open_webui_posts_is_answered_as_it_reads() {
    let rig = rig(json!({})).await;
    let body = json!({"query": "blue sky", "documents": DOCUMENTS, "top_n": 3});
    let answered = rerank(&rig, COHERE, body).await;
    // It puts them back into their own order and takes the scores alone.
    let mut results = answered.json["results"].as_array().unwrap().clone();
    results.sort_by_key(|result| result["index"].as_u64());
    let scores: Vec<_> = results.iter().map(|r| r["relevance_score"].as_f64().unwrap()).collect();
    assert!(scores.len() == 3 && scores[1] > scores[2] && scores[2] > scores[0], "{scores:?}");
}

#[actix_web::test]
async fn so_many_are_given_as_are_wanted_and_with_their_texts_if_that_is_wished() {
    let rig = rig(json!({})).await;
    let documents = json!([DOCUMENTS[0], {"text": DOCUMENTS[1]}, {"text": DOCUMENTS[2]}]);
    let body =
        json!({"query": "blue sky", "documents": documents, "top_n": 2, "return_documents": true});
    let answered = rerank(&rig, COHERE, body).await;
    assert_eq!(ranked_indexes(&answered), [1, 2]);
    assert_eq!(answered.json["results"][0]["document"], json!({"text": DOCUMENTS[1]}));
    assert_eq!(last_body(&rig)["documents"], json!(DOCUMENTS));
    let body = json!({"query": "blue sky", "documents": DOCUMENTS, "top_n": 99});
    assert_eq!(ranked_indexes(&rerank(&rig, COHERE, body).await).len(), 3);
}

#[actix_web::test]
async fn a_wrong_field_is_named() {
    let rig = rig(json!({})).await;
    for (wrong, field) in [
        (json!({"query": "", "documents": ["a"]}), "query"),
        (json!({"query": "a", "documents": []}), "documents"),
        (json!({"query": "a", "documents": ["a", ""]}), "documents[1]"),
        (json!({"query": "a", "documents": ["a", 7]}), "documents[1]"),
        (json!({"query": "a", "documents": [{"title": "a"}]}), "documents[0].text"),
        (json!({"query": "a", "documents": ["a"], "top_n": 0}), "top_n"),
        (json!({"query": "a", "documents": vec!["a"; 1001]}), "documents"),
    ] {
        let answered = rerank(&rig, COHERE, wrong.clone()).await;
        assert_eq!(answered.json["error"]["param"], field, "{wrong}: {}", answered.text);
        answered.error_message(400);
    }
    let body = json!({"query": "a", "documents": ["a"]});
    assert_eq!(rerank(&rig, LITE, body.clone()).await.json["error"]["param"], "model");
    rerank(&rig, "cohere.rerank-nonsense", body).await.error_message(404);
}

#[actix_web::test]
async fn the_same_model_answers_in_another_region() {
    let rig = rig(json!({"max_attempts": 1})).await;
    rig.bedrock.script_model_in("us-east-1", COHERE, Script::throttle().always());
    let body = json!({"query": "blue sky", "documents": DOCUMENTS});
    assert_eq!(ranked_indexes(&rerank(&rig, COHERE, body).await), [1, 2, 0]);
}

#[actix_web::test]
async fn a_pipe_without_such_a_model_says_so() {
    let host = crate::support::host().await;
    let body = json!({"model": "typed", "query": "a", "documents": ["a"]});
    let refused = host.post("/rerank", &body).await;
    let said = refused.error_message(404);
    assert!(said.starts_with("Model `typed` was not found: "), "{said}");
}
