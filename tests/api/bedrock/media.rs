//! Pictures, files, films and sounds; links to them, and places in S3.

use super::*;

fn picture(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn png(label: &str) -> Value {
    picture(&format!("data:{label};base64,{PNG}"))
}

/// Returns a file of this name with this label.
fn file(name: &str, label: &str, base64: &str) -> Value {
    json!({"type": "file", "file": {"filename": name, "file_data": format!("data:{label};base64,{base64}")}})
}

const PDF: &str = "JVBERi0xLjcK";
const HELLO: &str = "aGVsbG8=";
const MP4: &str = "AAAAGGZ0eXBtcDQy";

/// Returns the blocks of the first turn, without cache points.
fn blocks(sent: &Value) -> Vec<Value> {
    let blocks = sent["messages"][0]["content"].as_array().unwrap().iter();
    blocks.filter(|block| block.get("cachePoint").is_none()).cloned().collect()
}

#[actix_web::test]
async fn a_picture_goes_out_as_it_came_in_every_shape_of_its_part() {
    let rig = rig().await;
    let url = format!("data:image/png;base64,{PNG}");
    for part in [
        json!({"type": "image_url", "image_url": {"url": url, "detail": "low"}}),
        json!({"type": "image_url", "image_url": url}),
        json!({"type": "input_image", "image_url": url}),
        json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}),
        json!({"type": "file", "file": {"file_data": url}}),
    ] {
        let sent = rig.sent_body(HAIKU_3, chat_with_parts(json!([part]))).await;
        assert_eq!(
            blocks(&sent),
            [json!({"image": {"format": "png", "source": {"bytes": PNG}}})],
            "{part}"
        );
    }
}

#[actix_web::test]
async fn the_type_of_an_image_is_read_from_its_bytes_whatever_its_label() {
    let rig = rig().await;
    for (bytes, format) in [
        (PNG, "png"),
        ("/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAg=", "jpeg"),
        ("R0lGODlhAQABAAAAACw=", "gif"),
        ("UklGRgAAAABXRUJQVlA4IA==", "webp"),
    ] {
        for label in ["image/jpeg", "image/png", "application/octet-stream", "IMAGE/*"] {
            let part = picture(&format!("data:{label};base64,{bytes}"));
            let sent = rig.sent_body(HAIKU_3, chat_with_parts(json!([part]))).await;
            assert_eq!(blocks(&sent)[0]["image"]["format"], format, "{label}");
        }
    }
}

#[actix_web::test]
async fn pictures_that_bedrock_would_refuse_are_refused_with_their_place() {
    let rig = rig().await;
    let refused = async |part: Value| {
        rig.refused_field(HAIKU_3, chat_with_parts(json!([{"type": "text", "text": "?"}, part])))
            .await
    };
    let place = "messages[0].content[1]";
    let large = format!("iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB{}", "A".repeat(5_300_000));
    let wide = "iVBORw0KGgoAAAANSUhEUgAAH0EAAAABCAYAAAA=";
    for url in [
        format!("data:image/png;base64,{large}"),
        format!("data:image/png;base64,{wide}"),
        "data:image/png;base64,AAAA".into(),
        "data:image/png;base64,!".into(),
        "data:image/svg+xml;utf8,<svg/>".into(),
        "ftp://example.com/a.png".into(),
    ] {
        assert_eq!(refused(picture(&url)).await, place, "{}", url.len());
    }
    let many = vec![png("image/png"); 21];
    assert_eq!(
        rig.refused_field(HAIKU_3, chat_with_parts(many.into())).await,
        "messages[0].content[20]"
    );
    rig.sent_body(HAIKU_3, chat_with_parts(vec![png("image/png"); 20].into())).await;
}

#[actix_web::test]
async fn a_model_that_sees_nothing_refuses_pictures_with_their_place() {
    let rig = rig().await;
    for model in ["amazon.nova-micro-v1:0", "openai.gpt-oss-20b-1:0", LLAMA] {
        let field = rig.refused_field(model, chat_with_parts(json!([png("image/png")]))).await;
        assert_eq!(field, "messages[0].content[0]", "{model}");
    }
}

#[actix_web::test]
async fn a_picture_of_a_tool_stands_in_its_result_where_the_family_sees_it_and_else_after_it() {
    let rig = rig().await;
    let body = chat_of_messages(json!([
        {"role": "user", "content": "Look."},
        {"role": "assistant", "content": null, "tool_calls": [tool_call("a", "look", "{}")]},
        {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "There:"}, png("image/png")]},
    ]));
    let image = json!({"image": {"format": "png", "source": {"bytes": PNG}}});
    for model in [HAIKU_3, NOVA] {
        let sent = rig.sent_body(model, body.clone()).await;
        let content = &sent["messages"][2]["content"][0]["toolResult"]["content"];
        assert_eq!(*content, json!([{"text": "There:"}, image]), "{model}");
    }
    for model in ["openai.gpt-6-sol", "xai.grok-4.7", "meta.llama4-scout-17b-instruct-v1:0"] {
        let sent = rig.sent_body(model, body.clone()).await;
        let content = &sent["messages"][2]["content"];
        assert_eq!(content[0]["toolResult"]["content"], json!([{"text": "There:"}]), "{model}");
        // Llama takes nothing beside a result, so the picture has a turn of its own.
        let shown = if model.starts_with("meta.") {
            &sent["messages"][4]["content"][0]
        } else {
            &content[1]
        };
        assert_eq!(*shown, image, "{model}");
    }
}

#[actix_web::test]
async fn a_picture_that_the_assistant_showed_stands_in_the_users_next_turn() {
    let rig = rig().await;
    let body = chat_of_messages(json!([
        {"role": "user", "content": "Draw."},
        {"role": "assistant", "content": [{"type": "text", "text": "Here:"}, png("image/png")]},
        {"role": "user", "content": "Nicer."},
    ]));
    let sent = rig.sent_body(HAIKU_3, body).await;
    assert_eq!(sent["messages"][1]["content"], json!([{"text": "Here:"}]));
    assert!(sent["messages"][2]["content"][0]["image"].is_object());
}

#[actix_web::test]
async fn a_file_goes_out_as_what_it_is_under_a_name_that_bedrock_takes() {
    let rig = rig().await;
    for (part, format, name) in [
        (file("Report_2024: final.pdf", "application/pdf", PDF), "pdf", "Report 2024 final pdf"),
        (file("wrong.txt", "text/plain", PDF), "pdf", "wrong txt"),
        (file("ä/ö", "text/plain", HELLO), "txt", "document"),
        (file("a.csv", "application/octet-stream", HELLO), "csv", "a csv"),
        (file("a.md", "", HELLO), "md", "a md"),
        (file("main.rs", "text/x-rust", HELLO), "txt", "main rs"),
        (file("a.docx", "application/octet-stream", "UEsDBAAAAAA="), "docx", "a docx"),
        (file("a.xls", "application/octet-stream", "0M8R4KGxGuE="), "xls", "a xls"),
        (json!({"type": "input_file", "filename": "a.html", "file_data": HELLO}), "html", "a html"),
    ] {
        let sent = rig
            .sent_body(HAIKU_3, chat_with_parts(json!([{"type": "text", "text": "?"}, part])))
            .await;
        let document = &blocks(&sent)[1]["document"];
        assert_eq!(
            (&document["format"], &document["name"]),
            (&json!(format), &json!(name)),
            "{part}"
        );
    }
}

#[actix_web::test]
async fn files_of_one_name_are_told_apart_always_in_the_same_way_and_have_words_beside_them() {
    let rig = rig().await;
    let parts = vec![file("a.pdf", "application/pdf", PDF); 3];
    let sent = rig.sent_body(NOVA, chat_with_parts(parts.clone().into())).await;
    let names: Vec<_> =
        blocks(&sent).iter().map(|block| block["document"]["name"].clone()).collect();
    assert_eq!(names[..3], ["a pdf", "a pdf (2)", "a pdf (3)"]);
    assert_eq!(blocks(&sent)[3], json!({"text": "."}));
    assert_eq!(rig.sent_body(NOVA, chat_with_parts(parts.into())).await, sent);
}

#[actix_web::test]
async fn files_that_bedrock_would_refuse_are_refused_with_their_place() {
    let rig = rig().await;
    let large = format!("{PDF}{}", "A".repeat(6_400_000));
    for part in [
        file("a.pdf", "application/pdf", &large),
        file("a.bin", "application/octet-stream", "AAEC"),
        json!({"type": "file", "file": {"file_id": "file-123"}}),
        json!({"type": "file", "file": {}}),
        json!({"type": "document"}),
    ] {
        let field = rig.refused_field(HAIKU_3, chat_with_parts(json!([part]))).await;
        assert_eq!(field, "messages[0].content[0]");
    }
    let many = vec![file("a.pdf", "application/pdf", PDF); 6];
    assert_eq!(
        rig.refused_field(HAIKU_3, chat_with_parts(many.into())).await,
        "messages[0].content[5]"
    );
    let system = json!([{"role": "system", "content": [file("a.pdf", "application/pdf", PDF)]}, {"role": "user", "content": "?"}]);
    assert_eq!(
        rig.refused_field(HAIKU_3, chat_of_messages(system)).await,
        "messages[0].content[0]"
    );
}

#[actix_web::test]
async fn a_text_file_reaches_every_family_if_need_be_in_words() {
    let rig = rig().await;
    let body =
        chat_with_parts(json!([{"type": "text", "text": "?"}, file("a.txt", "text/plain", HELLO)]));
    for model in [LLAMA, MISTRAL_7B, "openai.gpt-oss-20b-1:0", "us.deepseek.r1-v1:0"] {
        let sent = rig.sent_body(model, body.clone()).await;
        let quoted = json!({"text": "<file name=\"a.txt\">\nhello\n</file>"});
        assert_eq!(blocks(&sent), [json!({"text": "?"}), quoted], "{model}");
    }
    let parts = vec![file("a.txt", "text/plain", HELLO); 7];
    let sent = rig.sent_body(HAIKU_3, chat_with_parts(parts.into())).await;
    let documents = blocks(&sent).iter().filter(|block| block.get("document").is_some()).count();
    assert_eq!(documents, 5);
}

#[actix_web::test]
async fn other_files_are_refused_by_families_that_read_none_if_the_admin_wants_no_trials() {
    let rig = rig_with(&[("files_everywhere", "false")]).await;
    let body = chat_with_parts(json!([file("a.pdf", "application/pdf", PDF)]));
    for model in [LLAMA, "openai.gpt-oss-20b-1:0"] {
        assert_eq!(
            rig.refused_field(model, body.clone()).await,
            "messages[0].content[0]",
            "{model}"
        );
    }
}

#[actix_web::test]
async fn claude_names_its_sources_in_files_that_can_be_cited() {
    let rig = rig().await;
    for (model, file, citations) in [
        (HAIKU_3, file("a.pdf", "application/pdf", PDF), json!({"enabled": true})),
        (HAIKU_3, file("a.txt", "text/plain", HELLO), json!({"enabled": true})),
        (HAIKU_3, file("a.csv", "text/csv", HELLO), Value::Null),
        (NOVA, file("a.pdf", "application/pdf", PDF), Value::Null),
    ] {
        let mut cited = file;
        cited["citations"] = json!({"enabled": true});
        let sent = rig.sent_body(model, chat_with_parts(json!([cited]))).await;
        assert_eq!(blocks(&sent)[0]["document"]["citations"], citations, "{model} {cited}");
    }
    let part = json!({"type": "document", "source": {"type": "text", "data": "hello"}, "title": "Notes", "context": "Old."});
    let sent = rig.sent_body(HAIKU_3, chat_with_parts(json!([part]))).await;
    let document =
        json!({"format": "txt", "name": "Notes", "source": {"text": "hello"}, "context": "Old."});
    assert_eq!(blocks(&sent)[0]["document"], document);
}

#[actix_web::test]
async fn films_go_to_models_that_see_them() {
    let rig = rig().await;
    let url = format!("data:video/mp4;base64,{MP4}");
    for part in [
        json!({"type": "video_url", "video_url": {"url": url}}),
        json!({"type": "input_video", "video_url": url}),
        json!({"type": "file", "file": {"filename": "a.mp4", "file_data": url}}),
    ] {
        let sent = rig.sent_body(NOVA, chat_with_parts(json!([part]))).await;
        assert_eq!(blocks(&sent)[0], json!({"video": {"format": "mp4", "source": {"bytes": MP4}}}));
        let field = rig.refused_field(HAIKU_3, chat_with_parts(json!([part]))).await;
        assert_eq!(field, "messages[0].content[0]");
    }
    let part = json!({"type": "video_url", "video_url": {"url": "data:video/odd;base64,AAAA"}});
    assert_eq!(
        rig.refused_field(NOVA, chat_with_parts(json!([part]))).await,
        "messages[0].content[0]"
    );
}

#[actix_web::test]
async fn sounds_go_to_models_that_hear_them() {
    let rig = rig().await;
    for (format, sent) in [("wav", "wav"), ("mp3", "mp3"), ("pcm16", "pcm")] {
        let part =
            json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": format}});
        let body =
            rig.sent_body("mistral.voxtral-mini-3b-2507", chat_with_parts(json!([part]))).await;
        assert_eq!(
            blocks(&body)[0],
            json!({"audio": {"format": sent, "source": {"bytes": "AAAA"}}})
        );
        assert_eq!(
            rig.refused_field(NOVA, chat_with_parts(json!([part]))).await,
            "messages[0].content[0]"
        );
    }
    for audio in [json!({"data": "AAAA", "format": "odd"}), json!({}), json!({"data": "AAAA"})] {
        let part = json!({"type": "input_audio", "input_audio": audio});
        let field =
            rig.refused_field("mistral.voxtral-mini-3b-2507", chat_with_parts(json!([part]))).await;
        assert_eq!(field, "messages[0].content[0]");
    }
}

#[actix_web::test]
async fn a_place_in_s3_is_passed_on() {
    let rig = rig_with(&[("s3_locations", "*")]).await;
    let at = |uri: &str| json!({"s3Location": {"uri": uri}});
    for (part, block) in [
        (
            picture("s3://bucket/a.png"),
            json!({"image": {"format": "png", "source": at("s3://bucket/a.png")}}),
        ),
        (
            json!({"type": "video_url", "video_url": {"url": "s3://bucket/a.mp4"}}),
            json!({"video": {"format": "mp4", "source": at("s3://bucket/a.mp4")}}),
        ),
        (
            json!({"type": "file", "file": {"file_data": "s3://bucket/a.pdf", "filename": "a.pdf"}}),
            json!({"document": {"format": "pdf", "name": "a pdf", "source": at("s3://bucket/a.pdf")}}),
        ),
    ] {
        let sent = rig.sent_body(NOVA, chat_with_parts(json!([part]))).await;
        assert_eq!(blocks(&sent)[0], block);
    }
}

#[actix_web::test]
async fn only_places_in_s3_that_the_admin_allows_are_passed_on() {
    let rig = rig_with(&[("s3_locations", "ours, theirs/public/")]).await;
    for uri in ["s3://ours/a.png", "s3://theirs/public/a.png"] {
        rig.sent_body(NOVA, chat_with_parts(json!([picture(uri)]))).await;
    }
    for uri in ["s3://ours-too/a.png", "s3://theirs/private/a.png", "s3://theirs/a.png"] {
        let field = rig.refused_field(NOVA, chat_with_parts(json!([picture(uri)]))).await;
        assert_eq!(field, "messages[0].content[0]", "{uri}");
    }
}

#[actix_web::test]
async fn no_place_in_s3_is_passed_on_before_the_admin_allows_it() {
    let rig = rig().await;
    let mut body = chat_with_parts(json!([picture("s3://bucket/a.png")]));
    body["model"] = format!("bedrock_models.{NOVA}").into();
    let refused = rig.host.post("/chat/completions", &body).await;
    assert!(refused.error_message(400).contains("s3_locations"), "{}", refused.text);
    assert!(chats(&rig.bedrock).is_empty());
}

/// A link to each kind of address that leads inside.
const INSIDE: [&str; 10] = [
    "http://127.0.0.1/a.png",
    "http://localhost/a.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/a.png",
    "http://[::ffff:10.0.0.1]/a.png",
    "http://[fd00:ec2::254]/a.png",
    "http://10.0.0.1/a.png",
    "http://192.168.1.1/a.png",
    "http://0x7f000001/a.png",
    "http://2130706433/a.png",
];

#[actix_web::test]
async fn links_are_refused_where_the_admin_names_no_hosts() {
    let rig = rig_with(&[("image_hosts", "")]).await;
    for url in
        ["https://example.com/a.png", "http://example.com/a.png", "HTTPS://example.com/a.png"]
    {
        let body = chat_with_parts(json!([{"type": "text", "text": "?"}, picture(url)]));
        assert_eq!(rig.refused_field(HAIKU_3, body).await, "messages[0].content[1]");
    }
}

#[actix_web::test]
async fn links_that_lead_inside_are_refused_even_if_every_host_is_allowed() {
    let rig = rig().await;
    let valves = rig.host.valves("bedrock_models").await;
    assert_eq!(valves["image_hosts"], "*", "every host is allowed at first");
    for url in INSIDE {
        for url in [url.to_owned(), url.replace("http:", "https:")] {
            let body = chat_with_parts(json!([{"type": "text", "text": "?"}, picture(&url)]));
            assert_eq!(rig.refused_field(HAIKU_3, body).await, "messages[0].content[1]", "{url}");
        }
    }
}

#[actix_web::test]
async fn links_to_hosts_that_are_not_allowed_are_not_fetched() {
    let rig = rig_with(&[("image_hosts", "example.org")]).await;
    let body = chat_with_parts(json!([picture("https://example.com/a.png")]));
    assert_eq!(rig.refused_field(HAIKU_3, body).await, "messages[0].content[0]");
}
