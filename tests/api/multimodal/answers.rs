//! Text and images, each to the model that suits it, and one answer.

use super::{
    chat, content, fails, frames, image, parts, png, question, rig, said, says_slowly, three_images,
};
use crate::openai_proxy::server::{ResponseStep, delta, end, event, head, stream};
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::Notify;

#[actix_web::test]
async fn a_plain_answer_has_text_and_images_under_their_headings() {
    let rig = rig(json!({})).await;
    let answered = rig.post(&three_images()).await;
    assert_eq!(content(&answered), "TEXT:\nfrom text\n\nIMAGES:\nfrom vision");
    assert_eq!(answered.json["usage"]["total_tokens"], 26, "the calls of both");
    assert_eq!(answered.json["choices"][0]["finish_reason"], "stop");
    let [text] = &rig.server.asked_of("text")[..] else { panic!("one call") };
    let shown = text["messages"].to_string();
    assert!(shown.contains("[Image 3]") && !shown.contains("image_url"), "{shown}");
    let [vision] = &rig.server.asked_of("vision")[..] else { panic!("one call") };
    assert_eq!(parts(vision, "image_url").len(), 3);
    assert!(parts(vision, "text")[0]["text"].as_str().unwrap().ends_with("Which is the reddest?"));
}

/// Reads a stream until this was said.
async fn read_until(response: &mut reqwest::Response, read: &mut String, word: &str) {
    while !read.contains(word) {
        let bytes = response.chunk().await.unwrap().expect(word);
        read.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

#[actix_web::test]
async fn parts_are_streamed_as_they_arrive() {
    let headings = ["TEXT:\nfrom text", "IMAGES:\nfrom vision"];
    for (slow, first, second) in
        [("vision", headings[0], headings[1]), ("text", headings[1], headings[0])]
    {
        let rig = rig(json!({})).await;
        let gate = Arc::new(Notify::new());
        rig.server.answer_model_with(slow, says_slowly(&format!("from {slow}"), &gate));
        let mut body = three_images();
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
        let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
        let mut response = request.send().await.unwrap();
        let mut read = String::new();
        let quick = if slow == "vision" { "from text" } else { "from vision" };
        read_until(&mut response, &mut read, quick).await;
        assert_eq!(said(&read), first);
        gate.notify_one();
        read_until(&mut response, &mut read, "[DONE]").await;
        assert_eq!(said(&read), format!("{first}\n\n{second}"));
        let frames = frames(&read);
        let tokens = frames.iter().filter_map(|frame| frame["usage"]["total_tokens"].as_u64());
        assert_eq!(tokens.collect::<Vec<_>>(), [26]);
    }
}

#[actix_web::test]
async fn open_webui_is_told_what_is_being_done() {
    let rig = rig(json!({})).await;
    rig.server.answer_model_with("vision", fails());
    let mut body = three_images();
    body["stream"] = true.into();
    let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
    let request = request.header("user-agent", "Python/3.11 aiohttp/3.12");
    let text = request.send().await.unwrap().text().await.unwrap();
    let frames = frames(&text);
    let statuses: Vec<_> = frames
        .iter()
        .filter(|frame| frame["event"]["type"] == "status")
        .map(|frame| frame["event"]["data"].clone())
        .collect();
    let lines: Vec<_> = statuses.iter().map(|data| data["description"].as_str().unwrap()).collect();
    assert_eq!(lines[0], "Reading text and images");
    assert!(lines.contains(&"The text is read"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("The images are not read: ")), "{lines:?}");
    let done: Vec<_> = statuses.iter().map(|data| data["done"].as_bool().unwrap()).collect();
    assert_eq!(done, [false, false, true]);
}

#[actix_web::test]
async fn a_part_that_fails_does_not_lose_the_other() {
    for (failing, answered, failed) in
        [("vision", "TEXT:\nfrom text", "IMAGES:\n"), ("text", "IMAGES:\nfrom vision", "TEXT:\n")]
    {
        let rig = rig(json!({})).await;
        rig.server.answer_model_with(failing, fails());
        let failed = format!("{failed}(not answered: ");
        let plain = rig.post(&three_images()).await;
        let streamed = said(&rig.streamed(&three_images()).await.text);
        for text in [content(&plain), &streamed] {
            assert!(text.contains(answered) && text.contains(&failed), "{text}");
        }
        assert_eq!(plain.json["usage"]["total_tokens"], 13);
    }
}

#[actix_web::test]
async fn a_part_that_breaks_off_keeps_what_it_said() {
    let rig = rig(json!({})).await;
    let half = ResponseStep::Send(event(&delta(json!({"content": "half"}))));
    rig.server.answer_model_with("vision", vec![head(), half, ResponseStep::Close]);
    let streamed = rig.streamed(&three_images()).await.text;
    let text = said(&streamed);
    assert!(text.contains("TEXT:\nfrom text"), "{text}");
    assert!(text.contains("IMAGES:\nhalf\n\n(not all is answered: "), "{text}");
    assert!(streamed.contains("The images are read in part: "), "{streamed}");
}

#[actix_web::test]
async fn if_all_parts_fail_the_chat_fails() {
    let rig = rig(json!({})).await;
    rig.server.answer_model_with("vision", fails());
    rig.server.answer_model_with("text", fails());
    let plain = rig.post(&three_images()).await;
    assert_eq!(plain.status, 400, "{}", plain.text);
    let streamed = rig.streamed(&three_images()).await;
    let frames = frames(&streamed.text);
    assert!(frames.last().unwrap()["error"]["message"].is_string(), "{}", streamed.text);
    assert_eq!(said(&streamed.text), "");
}

#[actix_web::test]
async fn a_fusion_model_answers_from_all_parts() {
    let rig = rig(json!({
        "fusion_model": "openai_proxy.fusion",
        "fusion_template": r"SEEN: {{images}}\n\nREAD: {{text}}",
    }))
    .await;
    rig.server.answer_model_with("text", fails());
    let mut body = three_images();
    body["response_format"] = json!({"type": "json_object"});
    let plain = rig.post(&body).await;
    assert_eq!(content(&plain), "from fusion");
    assert_eq!(plain.json["usage"]["total_tokens"], 26, "two answers");
    assert_eq!(said(&rig.streamed(&body).await.text), "from fusion");
    let asked = rig.server.asked_of("fusion");
    assert_eq!(asked[0]["response_format"]["type"], "json_object");
    let shown = asked[0]["messages"].to_string();
    assert!(shown.contains(r"SEEN: from vision\n\nREAD: (not answered: "), "{shown}");
    assert!(shown.contains("Which is the reddest?") && shown.contains("[Image 1]"), "{shown}");
    assert!(!shown.contains("base64"), "{shown}");
}

#[actix_web::test]
async fn json_needs_one_model_that_answers() {
    let rig = rig(json!({})).await;
    let mut body = three_images();
    body["response_format"] = json!({"type": "json_object"});
    let refused = rig.post(&body).await;
    assert!(refused.error_message(400).contains("fusion_model"), "{}", refused.text);
}

#[actix_web::test]
async fn a_chat_of_one_kind_is_answered_by_its_model_alone() {
    let rig = rig(json!({})).await;
    assert_eq!(rig.host.answer_text("multimodal", "hi").await, "from text");
    let only = chat("multimodal", &json!({"role": "user", "content": [image(1)]}));
    assert_eq!(content(&rig.post(&only).await), "from vision");
    assert_eq!(rig.server.chat_requests().len(), 2);
}

#[actix_web::test]
async fn images_beside_the_message_are_read_as_ollama_sends_them() {
    let rig = rig(json!({})).await;
    let message = json!({"role": "user", "content": "Which?", "images": [png(1, 8), png(2, 8)]});
    let answered = rig.post(&chat("multimodal", &message)).await;
    assert_eq!(content(&answered), "TEXT:\nfrom text\n\nIMAGES:\nfrom vision");
    let vision = rig.server.asked_of("vision");
    let urls: Vec<_> = parts(&vision[0], "image_url")
        .iter()
        .map(|part| part["image_url"]["url"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(urls, [1, 2].map(|shade| format!("data:image/png;base64,{}", png(shade, 8))));
    assert!(rig.server.asked_of("text")[0]["messages"][0]["images"].is_null());
}

#[actix_web::test]
async fn files_go_to_their_model_and_images_in_groups() {
    let rig = rig(json!({"file_model": "openai_proxy.fusion", "max_images_per_call": 2})).await;
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}});
    let body = chat("multimodal", &question(&[image(1), image(2), image(3), file]));
    let answered = rig.post(&body).await;
    let expected = "TEXT:\nfrom text\n\nIMAGES:\nfrom vision\n\nfrom vision\n\nFILES:\nfrom fusion";
    assert_eq!(content(&answered), expected);
    assert_eq!(answered.json["usage"]["total_tokens"], 52);
    let groups = rig.server.asked_of("vision");
    let mut sizes: Vec<_> = groups.iter().map(|body| parts(body, "image_url").len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2]);
    assert_eq!(parts(&rig.server.asked_of("fusion")[0], "file").len(), 1);
    assert!(!rig.server.asked_of("text")[0].to_string().contains("JVBERg"));
}

#[actix_web::test]
async fn a_large_image_is_shrunk() {
    let rig = rig(json!({"max_image_side": 64})).await;
    let large = super::image_at(&format!("data:image/png;base64,{}", png(1, 1000)));
    assert_eq!(rig.post(&chat("multimodal", &question(&[large]))).await.status, 200);
    let vision = rig.server.asked_of("vision");
    let url = parts(&vision[0], "image_url")[0]["image_url"]["url"].as_str().unwrap().to_owned();
    let base64 = url.strip_prefix("data:image/jpeg;base64,").unwrap();
    let file = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap();
    let small = image::load_from_memory(&file).unwrap();
    assert_eq!((small.width(), small.height()), (64, 64));
}

#[actix_web::test]
async fn a_client_that_leaves_ends_all_calls() {
    let rig = rig(json!({"max_images_per_call": 1})).await;
    for model in ["text", "vision"] {
        rig.server.answer_model_with(model, vec![ResponseStep::Hold]);
    }
    let mut body = three_images();
    body["stream"] = true.into();
    let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
    let response = request.send().await.unwrap();
    rig.server.wait_for_chats(4).await;
    drop(response);
    rig.server.wait_for_disconnects(4).await;
}

#[actix_web::test]
async fn limits_count_each_call() {
    let rig = rig(json!({"max_images_per_call": 1})).await;
    let limits = json!({"exceptions": "model openai_proxy.vision: 4 requests/day"});
    let turned = rig.host.update_valves("rate_limit", &limits).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let asked = |count: usize| {
        let rig = &rig;
        async move {
            let images: Vec<_> = (0..count).map(|shade| image(shade as u8)).collect();
            let mut body = chat("multimodal", &question(&images));
            body["user"] = json!({"id": "ann"});
            rig.post(&body).await
        }
    };
    assert_eq!(
        content(&asked(3).await),
        "TEXT:\nfrom text\n\nIMAGES:\nfrom vision\n\nfrom vision\n\nfrom vision"
    );
    let refused = asked(2).await;
    let text = content(&refused);
    assert!(text.contains("(not answered: the limit of 4 requests a day is reached"), "{text}");
    assert_eq!(rig.server.asked_of("vision").len(), 3);
    assert_eq!(rig.server.asked_of("text").len(), 2);
}

#[actix_web::test]
async fn tools_are_called_by_the_model_for_text() {
    let rig = rig(json!({})).await;
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    rig.server.answer_model_with("text", stream(&[delta(call), end("tool_calls")]));
    let mut body = three_images();
    body["tools"] =
        json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let answered = rig.post(&body).await;
    let choice = &answered.json["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls", "{}", answered.text);
    assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "f");
    assert_eq!(rig.server.asked_of("vision")[0]["tools"], Value::Null);
}
