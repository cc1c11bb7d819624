//! Images for models that take none: a description stands in their place.

use super::{Rig, chat, content, fails, frames, image, question, rig, rig_listing, said};
use crate::{openai_proxy::server::json_of, support::TestResponse};
use reqwest::Method;
use serde_json::{Value, json};

const MODEL: &str = "openai_proxy.text";

async fn describing_rig(globs: &str) -> Rig {
    rig(json!({"describe_images_for": globs})).await
}

fn last_message(rig: &Rig) -> String {
    rig.server.asked_of("text").last().unwrap()["messages"].to_string()
}

#[actix_web::test]
async fn a_model_without_eyes_gets_descriptions_that_are_kept() {
    let rig = describing_rig("openai_proxy.*").await;
    let body = chat(MODEL, &question(&[image(1), image(2), image(1)]));
    let answered = rig.post(&body).await;
    assert_eq!(content(&answered), "from text");
    assert_eq!(answered.json["model"], MODEL);
    assert_eq!(answered.json["usage"]["total_tokens"], 39, "two descriptions and the answer");
    let first = last_message(&rig);
    assert!(first.contains("[Image 3, as another model describes it: from vision]"), "{first}");
    assert!(!first.contains("base64") && first.contains("Which is the reddest?"), "{first}");
    assert!(rig.server.asked_of("text")[0]["messages"][0]["content"].is_string());
    let again = rig.streamed(&body).await;
    assert_eq!(said(&again.text), "from text");
    assert_eq!(rig.server.asked_of("vision").len(), 2, "nothing is described twice");
    let tokens: Vec<_> = frames(&again.text)
        .iter()
        .filter_map(|frame| frame["usage"]["total_tokens"].as_u64())
        .collect();
    assert_eq!(tokens, [13]);
}

#[actix_web::test]
async fn every_api_and_every_name_of_the_model_is_served() {
    let rig = describing_rig(MODEL).await;
    let source = json!({"type": "base64", "media_type": "image/png", "data": super::png(7, 8)});
    let message = json!({"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": source}]});
    let body = json!({"model": "text", "max_tokens": 50, "messages": [message]});
    let answered = rig.host.post("/v1/messages", &body).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert_eq!(answered.json["content"][0]["text"], "from text");
    let url = format!("data:image/png;base64,{}", super::png(8, 8));
    let input = json!([{"role": "user", "content": [{"type": "input_image", "image_url": url}, {"type": "input_text", "text": "hi"}]}]);
    let answered = rig.host.post("/responses", &json!({"model": MODEL, "input": input})).await;
    assert_eq!(answered.status, 200, "{}", answered.text);
    assert!(last_message(&rig).contains("describes it: from vision"), "{}", last_message(&rig));
    assert_eq!(rig.server.asked_of("vision").len(), 2);
}

#[actix_web::test]
async fn other_models_and_other_chats_stay_as_they_are() {
    let rig = describing_rig("openai_proxy.*, !*.fusion").await;
    for model in ["openai_proxy.vision", "openai_proxy.fusion"] {
        let answered = rig.post(&chat(model, &question(&[image(1)]))).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
    }
    assert!(rig.server.asked_of("fusion")[0].to_string().contains("base64"));
    assert!(rig.server.asked_of("vision")[0].to_string().contains("base64"));
    assert_eq!(rig.host.answer_text(MODEL, "hi").await, "from text");
    assert_eq!(rig.server.chat_requests().len(), 3, "nothing was described");
    let hidden = rig.post(&chat("multimodal.openai_proxy.fusion", &question(&[]))).await;
    hidden.error_message(404);
}

#[actix_web::test]
async fn an_image_that_cannot_be_described_is_said_so() {
    let rig = describing_rig(MODEL).await;
    rig.server.answer_model_with("vision", fails());
    let mut body = chat(MODEL, &question(&[image(1)]));
    body["stream"] = true.into();
    let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
    let request = request.header("user-agent", "Python/3.11 aiohttp/3.12");
    let text = request.send().await.unwrap().text().await.unwrap();
    assert_eq!(said(&text), "from text");
    assert!(text.contains("An image could not be described: "), "{text}");
    assert!(
        last_message(&rig).contains("[Image 1: it could not be described]"),
        "{}",
        last_message(&rig)
    );
}

#[actix_web::test]
async fn open_webui_lets_people_attach_images_to_the_model() {
    let listing = json!({"object": "list", "data": [
        {"id": "text", "object": "model", "capabilities": {"vision": false}},
        {"id": "vision", "object": "model", "capabilities": {"vision": true}},
    ]});
    let listing = json_of("200 OK", "", &listing);
    let rig = rig_listing(listing, json!({"describe_images_for": MODEL})).await;
    let request = rig.host.request(Method::GET, "/models");
    let request = request.header("user-agent", "Python/3.11 aiohttp/3.12");
    let models = TestResponse::read(request.send().await.unwrap()).await.json;
    let entry =
        |id: &str| models["data"].as_array().unwrap().iter().find(|one| one["id"] == id).cloned();
    let vision = |id: &str| entry(id).unwrap()["info"]["meta"]["capabilities"]["vision"].clone();
    assert_eq!(vision(MODEL), true, "{models}");
    assert_eq!(vision("multimodal"), true, "{models}");
}

fn inlet(model: &str) -> Value {
    let body = json!({
        "model": model, "stream": true, "kept": 1, "metadata": {"chat_id": "c"},
        "messages": [{"role": "assistant", "content": "earlier", "odd": [1]}, question(&[image(1)])],
    });
    json!({"user": {"id": "ann"}, "body": body})
}

#[actix_web::test]
async fn as_a_filter_it_describes_images_for_other_connections() {
    let rig = rig(json!({"describe_images_for": "other.*", "filter": true})).await;
    let request = rig.host.request(Method::GET, "/models");
    let request = request.header("user-agent", "Python/3.11 aiohttp/3.12");
    let models = TestResponse::read(request.send().await.unwrap()).await.json;
    let entry = models["data"].as_array().unwrap().iter().find(|one| one["id"] == "multimodal");
    assert_eq!(entry.unwrap()["pipeline"]["type"], "filter");
    let sent = inlet("other.blind");
    let filtered = rig.host.post("/multimodal/filter/inlet", &sent).await;
    assert_eq!(filtered.status, 200, "{}", filtered.text);
    assert_eq!(filtered.json["kept"], 1);
    assert_eq!(filtered.json["messages"][0], sent["body"]["messages"][0]);
    let text = filtered.json["messages"][1]["content"].as_str().unwrap();
    assert!(text.ends_with("[Image 1, as another model describes it: from vision]"), "{text}");
    let sent = inlet("seeing");
    let filtered = rig.host.post("/multimodal/filter/inlet", &sent).await;
    assert_eq!(filtered.json["messages"], sent["body"]["messages"]);
    rig.post(&chat("multimodal", &question(&[]))).await.error_message(404);
}

#[actix_web::test]
async fn valves_that_cannot_work_are_refused() {
    let rig = rig(json!({})).await;
    for (valves, word) in [
        (json!({"describe_images_for": "*", "image_model": null}), "image_model"),
        (json!({"filter": true}), "describe_images_for"),
        (json!({"fusion_template": "{{text}}"}), "{{images}}"),
        (json!({"text_model": "multimodal"}), "text_model"),
        (json!({"image_model": "openai_proxy.none"}), "image_model"),
        (json!({"image_hosts": "https://x/"}), "image_hosts"),
    ] {
        let refused = rig.host.update_valves("multimodal", &valves).await;
        assert!(refused.error_message(422).contains(word), "{}", refused.text);
    }
}
