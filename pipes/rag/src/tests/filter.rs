//! Retrieval in front of other models.

use super::{Rig, rig_with, upload};
use pipe_sdk::{FilterBody, FilterCall, Pipe, Serves};
use serde_json::{Value, json};

async fn filter() -> Rig {
    let rig = rig_with(|valves| valves.filter = true).await;
    rig.put_documents(vec![upload("leave.md", "# Leave\nParents get thirty weeks.")]).await;
    rig
}

async fn passed(rig: &Rig, body: Value) -> Value {
    let Value::Object(body) = body else { panic!("no object") };
    let call = FilterCall { body: FilterBody(body), user: None, host: rig.scripted.host() };
    Value::Object(rig.rag.inlet(call).await.unwrap().0)
}

#[tokio::test]
async fn as_a_filter_it_has_no_models_and_stands_before_all_others() {
    let rig = filter().await;
    let Serves::Filter { pipelines, .. } = rig.rag.serves() else { panic!("no filter") };
    assert_eq!(pipelines, ["*"]);
}

#[tokio::test]
async fn what_is_found_stands_before_the_question_and_the_rest_stays() {
    let rig = filter().await;
    let picture = json!({"type": "image_url", "image_url": {"url": "data:x"}});
    let question = json!([{"type": "text", "text": "How many weeks do parents get?"}, picture]);
    let body = json!({"model": "other", "zeta": 1, "messages": [{"role": "user", "content": question, "x": 1}]});
    let passed = passed(&rig, body).await;
    assert_eq!((&passed["zeta"], &passed["messages"][0]["x"]), (&json!(1), &json!(1)));
    let content = &passed["messages"][0]["content"];
    let text = content[0]["text"].as_str().unwrap();
    assert!(text.contains("thirty weeks") && text.ends_with("do parents get?"), "{text}");
    assert_eq!(content[1], picture);
}

#[tokio::test]
async fn chats_that_documents_cannot_help_pass_as_they_are() {
    let rig = filter().await;
    let said =
        |text: &str| json!({"model": "other", "messages": [{"role": "user", "content": text}]});
    let mut task = said("parents weeks");
    task["metadata"] = json!({"task": "tags_generation"});
    let has = said("<source id=\"1\">parents</source> weeks?");
    for body in [said("zebra?"), task, has, json!({"model": "other", "messages": []})] {
        assert_eq!(passed(&rig, body.clone()).await, body);
    }
}
