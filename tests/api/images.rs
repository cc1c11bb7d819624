//! Words become pictures, with Bedrock behind.

use crate::{
    rig::{MICRO, Rig, chat_body, chunks, model_id, rig, rig_without_fallbacks, with_stream},
    support::TestResponse,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bedrock_emulator::{ExchangeOutcome, Operation, RecordedRequest, Script};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const CANVAS: &str = "amazon.nova-canvas-v1:0";
const TITAN: &str = "amazon.titan-image-generator-v2:0";
const SD3: &str = "stability.sd3-5-large-v1:0";
const CORE: &str = "stability.stable-image-core-v1:1";
const ULTRA: &str = "stability.stable-image-ultra-v1:1";
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// Asks this model for a picture, with the other fields of the body.
async fn paint(rig: &Rig, model: &str, mut body: Value) -> TestResponse {
    body["model"] = model_id(model).into();
    if body["prompt"].is_null() {
        body["prompt"] = "a red fox".into();
    }
    rig.host.post("/images/generations", &body).await
}

/// The pictures that this model makes.
async fn pictures(rig: &Rig, model: &str, body: Value) -> Vec<Vec<u8>> {
    let answered = paint(rig, model, body).await;
    assert_eq!(answered.status, 200, "{model}: {}", answered.text);
    assert!(answered.json["created"].as_u64().unwrap() > 1_700_000_000);
    let picture =
        |item: &Value| BASE64_STANDARD.decode(item["b64_json"].as_str().unwrap()).unwrap();
    answered.json["data"].as_array().unwrap().iter().map(picture).collect()
}

/// The field for which this is refused before Bedrock is asked.
async fn refused_field(rig: &Rig, model: &str, body: Value) -> String {
    let before = model_requests(rig).len();
    let answered = paint(rig, model, body).await;
    assert_eq!(answered.status, 400, "{}", answered.text);
    assert_eq!(model_requests(rig).len(), before, "{model} was asked: {}", answered.text);
    let field = answered.json["error"]["param"].as_str().unwrap();
    assert!(answered.error_message(400).starts_with(field), "{}", answered.text);
    field.to_owned()
}

fn model_requests(rig: &Rig) -> Vec<RecordedRequest> {
    let is_invoke = |request: &RecordedRequest| request.operation == Some(Operation::InvokeModel);
    rig.bedrock.requests().into_iter().filter(is_invoke).collect()
}

/// The last body without its seed, where that is left to chance.
fn last_body(rig: &Rig) -> Value {
    let mut body = model_requests(rig).pop().unwrap().json;
    if let Some(config) = body.get_mut("imageGenerationConfig").and_then(Value::as_object_mut) {
        config.remove("seed").unwrap();
    }
    body
}

fn size(picture: &[u8]) -> (u32, u32) {
    let side = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert!(picture.starts_with(b"\x89PNG"));
    (side(16), side(20))
}

#[actix_web::test]
async fn each_family_is_asked_in_its_own_words() {
    let rig = rig(json!({})).await;
    let amazon = |params: Value, width: u32, height: u32| {
        json!({
            "taskType": "TEXT_IMAGE", "textToImageParams": params,
            "imageGenerationConfig": {"numberOfImages": 1, "width": width, "height": height, "quality": "standard"},
        })
    };
    let fox = || json!({"text": "a red fox"});
    let mut best = amazon(fox(), 1280, 720);
    best["imageGenerationConfig"]["quality"] = "premium".into();
    best["imageGenerationConfig"]["cfgScale"] = 7.5.into();
    for (model, wishes, body, shape) in [
        (CANVAS, json!({}), amazon(fox(), 1024, 1024), (1024, 1024)),
        (
            CANVAS,
            json!({"size": "auto", "style": "vivid"}),
            amazon(fox(), 1024, 1024),
            (1024, 1024),
        ),
        (CANVAS, json!({"size": "1280x720", "quality": "hd", "cfg_scale": 7.5}), best, (1280, 720)),
        (
            CANVAS,
            json!({"negative_prompt": "snow", "style": "design sketch", "size": "512x512"}),
            amazon(
                json!({"text": "a red fox", "negativeText": "snow", "style": "DESIGN_SKETCH"}),
                512,
                512,
            ),
            (512, 512),
        ),
        (
            TITAN,
            json!({"size": "768x1152", "background": "opaque"}),
            amazon(fox(), 768, 1152),
            (768, 1152),
        ),
        (
            CORE,
            json!({"quality": "high", "user": "someone"}),
            json!({"prompt": "a red fox", "output_format": "png", "mode": "text-to-image"}),
            (64, 64),
        ),
        (
            SD3,
            json!({"size": "1792x1024", "seed": 5, "negative_prompt": "snow", "output_format": "jpeg"}),
            json!({
                "prompt": "a red fox", "output_format": "jpeg", "negative_prompt": "snow", "mode": "text-to-image",
                "aspect_ratio": "16:9", "seed": 5,
            }),
            (1024, 576),
        ),
    ] {
        let made = pictures(&rig, model, wishes.clone()).await;
        assert_eq!(last_body(&rig), body, "{model} {wishes}");
        assert_eq!(
            made.iter().map(|picture| size(picture)).collect::<Vec<_>>(),
            [shape],
            "{model}"
        );
    }
}

#[actix_web::test]
async fn several_pictures_come_of_one_request_or_of_several() {
    let rig = rig(json!({})).await;
    for (model, requests) in [(CANVAS, 1), (TITAN, 1), (ULTRA, 3)] {
        let before = model_requests(&rig).len();
        let made = pictures(&rig, model, json!({"n": 3, "seed": 4_000})).await;
        assert_eq!(model_requests(&rig).len() - before, requests, "{model}");
        assert!(made.len() == 3 && made[0] != made[1] && made[1] != made[2], "{model}");
        assert_eq!(pictures(&rig, model, json!({"n": 3, "seed": 4_000})).await, made, "{model}");
    }
    let by_chance = pictures(&rig, CANVAS, json!({})).await;
    assert_ne!(pictures(&rig, CANVAS, json!({})).await, by_chance, "it always paints the same");
}

#[actix_web::test]
async fn a_url_holds_the_picture() {
    let rig = rig(json!({})).await;
    let answered = paint(&rig, CANVAS, json!({"response_format": "url", "seed": 1})).await;
    let item = &answered.json["data"][0];
    let base64 = item["url"].as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap();
    let same = pictures(&rig, CANVAS, json!({"seed": 1})).await;
    assert_eq!(BASE64_STANDARD.decode(base64).unwrap(), same[0]);
    assert!(item["b64_json"].is_null());
    assert_eq!(answered.json["output_format"], "png");
}

#[actix_web::test]
async fn what_a_model_cannot_do_is_refused_by_name() {
    let rig = rig(json!({})).await;
    for (model, body, field) in [
        (CANVAS, json!({"prompt": " "}), "prompt"),
        (CANVAS, json!({"prompt": "a".repeat(1025)}), "prompt"),
        (CANVAS, json!({"negative_prompt": "a".repeat(1025)}), "negative_prompt"),
        (CANVAS, json!({"n": 6}), "n"),
        (CANVAS, json!({"n": 11}), "n"),
        (CANVAS, json!({"n": 0}), "n"),
        (CANVAS, json!({"size": "256x256"}), "size"),
        (CANVAS, json!({"size": "1000x1000"}), "size"),
        (CANVAS, json!({"size": "2048x2064"}), "size"),
        (CANVAS, json!({"size": "4096x1008"}), "size"),
        (CANVAS, json!({"size": "big"}), "size"),
        (CANVAS, json!({"style": "baroque"}), "style"),
        (CANVAS, json!({"quality": "best"}), "quality"),
        (CANVAS, json!({"output_format": "jpeg"}), "output_format"),
        (CANVAS, json!({"background": "transparent"}), "background"),
        (CANVAS, json!({"cfg_scale": 11}), "cfg_scale"),
        (CANVAS, json!({"seed": 2_147_483_647}), "seed"),
        (CANVAS, json!({"stream": true}), "stream"),
        (CANVAS, json!({"response_format": "file"}), "response_format"),
        (TITAN, json!({"prompt": "a".repeat(513)}), "prompt"),
        (TITAN, json!({"size": "1024x1536"}), "size"),
        (TITAN, json!({"style": "photorealism"}), "style"),
        (ULTRA, json!({"output_format": "webp"}), "output_format"),
        (ULTRA, json!({"cfg_scale": 7}), "cfg_scale"),
        (ULTRA, json!({"style": "photorealism"}), "style"),
        (ULTRA, json!({"seed": 4_294_967_295_u64}), "seed"),
        (ULTRA, json!({"background": "transparent"}), "background"),
    ] {
        assert_eq!(refused_field(&rig, model, body.clone()).await, field, "{model} {body}");
    }
    let chats = paint(&rig, MICRO, json!({})).await;
    assert_eq!(chats.json["error"]["param"], "model", "{}", chats.text);
    paint(&rig, "amazon.nova-nonsense", json!({})).await.error_message(404);
    let nobody = rig.host.post("/images/generations", &json!({"prompt": "a"})).await;
    assert_eq!(nobody.json["error"]["param"], "model", "{}", nobody.text);
}

#[actix_web::test]
async fn what_the_filters_refuse_is_told_so() {
    let rig = rig(json!({})).await;
    for (model, name) in
        [(CANVAS, "Nova Canvas"), (TITAN, "Titan Image"), (SD3, "SD3"), (CORE, "Core")]
    {
        for prompt in ["gore", "a nude"] {
            let answered = paint(&rig, model, json!({"prompt": prompt})).await;
            assert_eq!(answered.json["error"]["code"], "content_policy_violation", "{model}");
            let said = answered.error_message(400);
            assert!(
                (said.contains(name) || said.contains(model)) && !said.contains(prompt),
                "{said}"
            );
        }
    }
    // Pictures that the filters leave are handed over.
    assert_eq!(pictures(&rig, CANVAS, json!({"prompt": "a nude", "n": 3})).await.len(), 2);
}

#[actix_web::test]
async fn four_requests_are_under_way_at_once_and_end_with_the_client() {
    let rig = rig_without_fallbacks(json!({})).await;
    rig.bedrock.script(ULTRA, Script::hang().always());
    let before = rig.bedrock.requests().len();
    let body = json!({"model": model_id(ULTRA), "prompt": "a", "n": 10});
    let request = rig.host.request(Method::POST, "/images/generations").json(&body);
    let client = actix_web::rt::spawn(request.send());
    rig.bedrock.wait_for_requests(before + 4).await;
    let fifth = rig.bedrock.wait_for_requests(before + 5);
    timeout(Duration::from_millis(300), fifth).await.expect_err("a fifth request is under way");
    client.abort();
    for request in before..before + 4 {
        let closed = timeout(Duration::from_secs(1), rig.bedrock.wait_for_outcome(request)).await;
        assert_eq!(closed.expect("Bedrock is still asked"), ExchangeOutcome::Aborted);
    }
}

#[actix_web::test]
async fn another_model_paints_where_one_cannot() {
    let rig =
        rig(json!({"max_attempts": 1, "fallbacks": format!("{CANVAS} > {MICRO} > {ULTRA}")})).await;
    rig.bedrock.script(CANVAS, Script::throttle().always());
    assert_eq!(size(&pictures(&rig, CANVAS, json!({"size": "1280x720"})).await[0]), (1024, 576));
    rig.bedrock.script(ULTRA, Script::throttle().always());
    paint(&rig, CANVAS, json!({})).await.error_message(429);
}

#[actix_web::test]
async fn models_that_paint_are_listed_beside_those_that_chat() {
    let rig = rig(json!({})).await;
    let list = rig.host.get("/models").await.json;
    let entries = list["data"].as_array().unwrap();
    for model in [CANVAS, TITAN, SD3, CORE, ULTRA] {
        let entry = entries.iter().find(|entry| entry["id"] == model_id(model)).unwrap();
        assert_eq!(entry["info"]["meta"]["capabilities"]["builtin_tools"], false, "{entry}");
    }
}

#[actix_web::test]
async fn a_streamed_chat_is_answered_with_a_file_beside_the_text() {
    let rig = rig(json!({})).await;
    let answered =
        rig.post(&with_stream(chat_body(CANVAS, &json!({"size": "320x640"})), true)).await;
    let chunks = chunks(&answered);
    let shown: Vec<_> =
        chunks.iter().filter(|chunk| !chunk["choices"][0]["delta"]["images"].is_null()).collect();
    let [chunk] = shown[..] else { panic!("{}", answered.text) };
    let delta = &chunk["choices"][0]["delta"];
    assert_eq!(
        (&delta["content"], &delta["images"][0]["type"]),
        (&json!("hi"), &json!("image_url"))
    );
    let url = delta["images"][0]["image_url"]["url"].as_str().unwrap();
    let png = url.strip_prefix("data:image/png;base64,").unwrap();
    assert_eq!(size(&BASE64_STANDARD.decode(png).unwrap()), (320, 640));
    assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
    assert_eq!(answered.header("x-pipewright-model"), model_id(CANVAS));
}

#[actix_web::test]
async fn elsewhere_a_chat_is_answered_in_markdown() {
    let rig = rig(json!({})).await;
    let text = |words: &str| json!([{"role": "user", "content": words}]);
    let message = json!({"model": model_id(ULTRA), "max_tokens": 9, "messages": text("a fox")});
    let message = rig.host.post("/v1/messages", &message).await;
    assert!(message.text.contains("![a fox](data:image/png;base64,"), "{}", message.text);
    for stream in [false, true] {
        let response = json!({"model": model_id(ULTRA), "input": "a fox", "stream": stream});
        let response = rig.host.post("/responses", &response).await;
        assert!(response.text.contains("![a fox](data:image/png;base64,"), "{}", response.text);
    }
    rig.host.update_valves("bedrock_models", &json!({"image_answers": "markdown"})).await;
    let streamed = rig.post(&with_stream(chat_body(ULTRA, &json!({})), true)).await;
    assert!(streamed.text.contains(r#"{"content":"![hi](data:image/png;base64,"#));
}

#[actix_web::test]
async fn a_chat_paints_what_was_said_last() {
    let rig = rig(json!({})).await;
    let said = |role: &str, content: Value| json!({"role": role, "content": content});
    let url = format!("data:image/png;base64,{PNG}");
    let parts = json!([{"type": "text", "text": "in blue"}, {"type": "image_url", "image_url": {"url": url}}]);
    let begun = [
        said("system", json!("Be kind.")),
        said("user", json!("a fox")),
        said("assistant", json!("![a fox](x)")),
    ];
    let chat = |last: Value, more: Value| {
        let mut more = more;
        more["messages"] = begun.iter().cloned().chain([last]).collect();
        more
    };
    let again =
        chat(said("user", json!("a hare")), json!({"seed": "9", "negative_prompt": "snow"}));
    let answered = rig.post(&chat_body(CORE, &again)).await;
    let content = answered.json["choices"][0]["message"]["content"].as_str().unwrap();
    let note = "*An earlier picture was not looked at: attach it to begin from it.*\n\n";
    assert!(content.starts_with(note), "{}", answered.text);
    let body = json!({
        "prompt": "a hare", "output_format": "png", "negative_prompt": "snow", "mode": "text-to-image", "seed": 9,
    });
    assert_eq!(last_body(&rig), body);

    let varied = chat(said("user", parts.clone()), json!({"strength": 0.4}));
    let answered = rig.post(&chat_body(CANVAS, &varied)).await;
    assert!(!answered.text.contains("not looked at"), "{}", answered.text);
    let params = &last_body(&rig)["imageVariationParams"];
    assert_eq!(*params, json!({"text": "in blue", "images": [PNG], "similarityStrength": 0.6}));
    assert_eq!(rig.post(&chat_body(SD3, &varied)).await.status, 200);
    let body = last_body(&rig);
    assert_eq!(
        (&body["mode"], &body["image"], &body["strength"]),
        (&json!("image-to-image"), &json!(PNG), &json!(0.4))
    );

    for (model, last, field) in [
        (CORE, said("user", parts), "image"),
        (CORE, said("user", json!(" ")), "messages"),
        (
            CANVAS,
            said(
                "user",
                json!([{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]),
            ),
            "messages[3].content[1]",
        ),
        (CORE, said("user", json!("### Task:\nGenerate a title.")), "model"),
    ] {
        let before = model_requests(&rig).len();
        let answered = rig.post(&chat_body(model, &chat(last, json!({})))).await;
        assert_eq!(answered.json["error"]["param"], field, "{}", answered.text);
        answered.error_message(400);
        assert_eq!(model_requests(&rig).len(), before);
    }
    let silent = json!({"messages": [said("assistant", json!("hello"))]});
    assert_eq!(rig.post(&chat_body(CORE, &silent)).await.json["error"]["param"], "messages");
    let counted = json!({"model": model_id(CORE), "messages": [said("user", json!("a"))]});
    rig.host.post("/v1/messages/count_tokens", &counted).await.error_message(400);
}

#[actix_web::test]
async fn a_picture_of_an_earlier_turn_is_a_word_to_a_model_that_reads() {
    let rig = rig(json!({})).await;
    rig.host.update_valves("bedrock_models", &json!({"image_answers": "markdown"})).await;
    let painted = rig.host.answer_text(&model_id(CANVAS), "a fox").await;
    assert!(painted.len() > 100_000);
    let messages = json!([
        {"role": "user", "content": "a fox"},
        {"role": "assistant", "content": format!("Here: {painted}")},
        {"role": "user", "content": "What did you paint?"},
    ]);
    assert_eq!(rig.post(&chat_body(MICRO, &json!({"messages": messages}))).await.status, 200);
    let sent = rig.model_requests().pop().unwrap().json;
    assert_eq!(sent["messages"][1]["content"], json!([{"text": "Here: [image: a fox]"}]));
}

#[actix_web::test]
async fn the_paths_are_there_with_v1_too_and_need_the_key() {
    let rig = rig(json!({})).await;
    let body = json!({"model": model_id(CORE), "prompt": "a"});
    for prefix in ["/v1", "/api/v1"] {
        let path = format!("{prefix}/images/generations");
        assert_eq!(rig.host.post(&path, &body).await.status, 200);
        let request = rig.host.request_without_key(Method::POST, &path).json(&body);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 401);
    }
}
