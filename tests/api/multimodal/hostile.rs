//! Images that nobody should send.

use super::{chat, content, image, image_at, question, rig};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

#[actix_web::test]
async fn bad_images_are_refused_by_their_field() {
    let rig = rig(json!({"describe_images_for": "openai_proxy.text"})).await;
    let broken = STANDARD.encode(b"\x89PNG\r\n\x1a\nbroken");
    let large = format!("data:image/png;base64,{}", "A".repeat(50 << 20));
    for (url, word) in [
        (large.as_str(), "too large"),
        ("http://169.254.169.254/latest/meta-data", "http:// links are not fetched"),
        ("https://127.0.0.1/a.png", "private network"),
        ("https://[::1]/a.png", "private network"),
        ("file:///etc/passwd", "base64"),
        (&broken, "broken"),
        ("data:image/svg+xml;base64,PHN2Zy8+", "PNG, JPEG, GIF or WebP"),
        ("data:image/png,hello", "must hold base64"),
        ("", "PNG, JPEG, GIF or WebP"),
    ] {
        for model in ["multimodal", "openai_proxy.text"] {
            let body = chat(model, &question(&[image(1), image_at(url)]));
            let refused = rig.post(&body).await;
            assert!(refused.error_message(400).contains(word), "{}", refused.text);
            assert_eq!(
                refused.json["error"]["param"], "messages[0].content[2]",
                "{}",
                refused.text
            );
        }
    }
    assert!(rig.server.chat_requests().is_empty(), "nothing was asked of a model");
}

#[actix_web::test]
async fn a_thousand_images_are_too_many_and_old_ones_are_left_out() {
    let rig = rig(json!({"max_images": 3})).await;
    let thousand: Vec<_> = (0..1000).map(|shade| image(shade as u8)).collect();
    let started = Instant::now();
    let refused = rig.post(&chat("multimodal", &question(&thousand))).await;
    assert!(refused.error_message(400).contains("3 images at most"), "{}", refused.text);
    assert_eq!(refused.json["error"]["param"], "messages[0].content[4]");
    assert!(started.elapsed() < Duration::from_secs(5));
    let old = question(&[image(1), image_at("broken"), image(3), image(4)]);
    let answer = json!({"role": "assistant", "content": "ok"});
    let body = json!({"model": "multimodal", "messages": [old, answer, question(&[image(5)])]});
    let answered = rig.post(&body).await;
    assert!(content(&answered).contains("from vision"));
    let text = rig.server.asked_of("text")[0].to_string();
    for word in ["[Image 1: not shown]", "[Image 2: not shown]", "[Image 3]", "[Image 5]"] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let vision = &rig.server.asked_of("vision")[0];
    assert_eq!(super::parts(vision, "image_url").len(), 3);
}

#[actix_web::test]
async fn images_of_odd_shapes_are_refused() {
    let rig = rig(json!({})).await;
    for (images, status) in [
        (json!([1]), 400),
        (json!([{"image_url": {}}]), 400),
        (json!([null]), 400),
        (json!("text"), 200),
        (json!([]), 200),
        (Value::Null, 200),
    ] {
        let message = json!({"role": "user", "content": "hi", "images": images});
        let answered = rig.post(&chat("multimodal", &message)).await;
        assert_eq!(answered.status, status, "{}", answered.text);
    }
}
