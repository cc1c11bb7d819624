//! Responses that are stored, and continued by their ids.

use super::{MODEL, Rig, rig, rig_with};
use crate::support::{Builder, TestResponse};
use reqwest::Method;
use serde_json::{Value, json};

async fn respond(rig: &Rig, input: &str, more: Value) -> TestResponse {
    let mut body = json!({"model": MODEL, "input": input});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    rig.host.post("/responses", &body).await
}

fn id(answered: &TestResponse) -> String {
    assert_eq!(answered.status, 200, "{}", answered.text);
    answered.json["id"].as_str().unwrap().to_owned()
}

#[actix_web::test]
async fn a_response_is_continued_by_its_id() {
    let rig = rig(json!({"store_responses": true, "persona": null})).await;
    let first = respond(&rig, "one", json!({"store": true, "instructions": "Be brief."})).await;
    assert_eq!(first.json["store"], true);
    assert_eq!(rig.message_lines(), ["system: Be brief.", "user: one"]);
    let second = respond(&rig, "two", json!({"previous_response_id": id(&first)})).await;
    assert_eq!(second.json["previous_response_id"], first.json["id"]);
    assert_eq!(rig.message_lines(), ["user: one", "assistant: answer 0", "user: two"]);
    let third = respond(&rig, "three", json!({"previous_response_id": id(&second)})).await;
    assert_eq!(rig.message_lines().len(), 5);
    // Another branch of the same conversation.
    let branch = respond(&rig, "other", json!({"previous_response_id": id(&first)})).await;
    assert_eq!(rig.message_lines(), ["user: one", "assistant: answer 0", "user: other"]);
    assert_ne!(id(&third), id(&branch));
    let streamed =
        respond(&rig, "s", json!({"previous_response_id": id(&second), "stream": true})).await;
    assert!(streamed.text.contains("response.completed"), "{}", streamed.text);
    let streamed_id = streamed.text.split("\"id\":\"").nth(1).unwrap().split('"').next().unwrap();
    respond(&rig, "after", json!({"previous_response_id": streamed_id})).await;
    assert_eq!(rig.message_lines().len(), 7, "{:?}", rig.message_lines());
}

#[actix_web::test]
async fn what_is_not_to_be_stored_is_not() {
    let rig = rig(json!({"store_responses": true})).await;
    let unstored = respond(&rig, "one", json!({"store": false})).await;
    assert_eq!(unstored.json["store"], false);
    let unknown = respond(&rig, "two", json!({"previous_response_id": id(&unstored)})).await;
    assert!(unknown.error_message(400).contains("not found"), "{}", unknown.text);
    assert_eq!(unknown.json["error"]["code"], "previous_response_not_found");
    assert_eq!(unknown.json["error"]["param"], "previous_response_id");
    let listed = rig.host.get("/conversations").await;
    assert_eq!(listed.json["data"], json!([]));
}

#[actix_web::test]
async fn nobody_continues_the_response_of_another() {
    let builder = Builder::new().flag("--api-keys", "ci=secret-of-ci,cd=secret-of-cd");
    let rig = rig_with(builder, json!({"store_responses": true})).await;
    let send = async |key: &str, body: Value| {
        let request = rig.host.request_without_key(Method::POST, "/responses").bearer_auth(key);
        TestResponse::read(request.json(&body).send().await.unwrap()).await
    };
    let first = send("secret-of-ci", json!({"model": MODEL, "input": "one"})).await;
    let next = json!({"model": MODEL, "input": "two", "previous_response_id": id(&first)});
    send("secret-of-cd", next.clone()).await.error_message(400);
    assert_eq!(send("secret-of-ci", next).await.status, 200);
}

#[actix_web::test]
async fn a_conversation_is_named_as_in_chats() {
    let rig = rig(json!({"store_responses": true, "persona": null})).await;
    respond(&rig, "one", json!({"conversation": "c"})).await;
    respond(&rig, "two", json!({"conversation": {"id": "c"}})).await;
    assert_eq!(rig.message_lines(), ["user: one", "assistant: answer 0", "user: two"]);
    let both = json!({"conversation": "c", "previous_response_id": "resp_1"});
    assert!(respond(&rig, "three", both).await.error_message(400).starts_with("conversation"));
}

#[actix_web::test]
async fn without_the_valve_and_for_other_models_nothing_is_stored() {
    let rig = rig(json!({})).await;
    let refused = respond(&rig, "two", json!({"previous_response_id": "resp_1"})).await;
    assert!(refused.error_message(400).contains("nothing is stored here"), "{}", refused.text);
    let first = respond(&rig, "one", json!({"store": true})).await;
    assert_eq!((first.status, &first.json["store"]), (200, &json!(false)));
    rig.host.update_valves("conversation", &json!({"store_responses": true})).await;
    let other = json!({"model": "openai_proxy.m", "previous_response_id": "resp_1"});
    respond(&rig, "two", other).await.error_message(400);
}
