//! Texts become vectors, with Bedrock behind.

use crate::{
    rig::{LITE, PIPE, Rig, model_id, rig_with_flag, rig_without_cache as rig, without_fallbacks},
    support::{KEY, TestResponse},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bedrock_emulator::{BedrockException, ExchangeOutcome, Operation, RecordedRequest, Script};
use reqwest::Method;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::{io::Write, net::SocketAddr, time::Duration};
use tokio::time::timeout;

const TITAN: &str = "amazon.titan-embed-text-v2:0";
const TITAN_1: &str = "amazon.titan-embed-text-v1";
const COHERE: &str = "cohere.embed-english-v3";
const COHERE_4: &str = "us.cohere.embed-v4:0";
const NOVA: &str = "amazon.nova-2-multimodal-embeddings-v1:0";
const MULTIMODAL: &str = "amazon.titan-embed-image-v1";

/// Starts a host with these valves and without fallbacks.
async fn rig_without_fallbacks(valves: Value) -> Rig {
    rig(without_fallbacks(valves)).await
}

/// Asks this model for the vectors of this input, with the other fields of the body.
async fn embed(rig: &Rig, model: &str, mut body: Value) -> TestResponse {
    body["model"] = model_id(model).into();
    rig.host.post("/embeddings", &body).await
}

async fn vectors(rig: &Rig, model: &str, body: Value) -> Vec<Vec<f32>> {
    let answered = embed(rig, model, body).await;
    assert_eq!(answered.status, 200, "{model}: {}", answered.text);
    let data = answered.json["data"].as_array().unwrap();
    for (place, item) in data.iter().enumerate() {
        assert_eq!((&item["object"], &item["index"]), (&json!("embedding"), &json!(place)));
    }
    data.iter().map(|item| serde_json::from_value(item["embedding"].clone()).unwrap()).collect()
}

/// The field for which this is refused before Bedrock is asked.
async fn refused_field(rig: &Rig, model: &str, body: Value) -> String {
    let before = model_requests(rig).len();
    let answered = embed(rig, model, body).await;
    assert_eq!(answered.status, 400, "{}", answered.text);
    assert_eq!(model_requests(rig).len(), before, "{model} was asked: {}", answered.text);
    answered.json["error"]["param"].as_str().unwrap().to_owned()
}

fn model_requests(rig: &Rig) -> Vec<RecordedRequest> {
    let is_invoke = |request: &RecordedRequest| request.operation == Some(Operation::InvokeModel);
    rig.bedrock.requests().into_iter().filter(is_invoke).collect()
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text number {number}")).collect()
}

#[actix_web::test]
async fn each_family_is_asked_in_its_own_words() {
    let rig = rig(json!({})).await;
    let nova = |purpose: &str| {
        json!({
            "schemaVersion": "nova-multimodal-embed-v1", "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {"embeddingPurpose": purpose, "text": {"truncationMode": "END", "value": "a"}},
        })
    };
    let mut short_nova = nova("TEXT_RETRIEVAL");
    short_nova["singleEmbeddingParams"]["embeddingDimension"] = 384.into();
    let cohere = json!({"texts": ["a"], "input_type": "search_document", "truncate": "END"});
    let mut short_cohere = cohere.clone();
    short_cohere["output_dimension"] = 512.into();
    for (model, wishes, sent, length) in [
        (TITAN_1, json!({}), json!({"inputText": "a"}), 1536),
        ("amazon.titan-embed-g1-text-02", json!({}), json!({"inputText": "a"}), 1536),
        (TITAN_1, json!({"dimensions": 1536}), json!({"inputText": "a"}), 1536),
        (TITAN, json!({}), json!({"inputText": "a", "normalize": true}), 1024),
        (
            TITAN,
            json!({"dimensions": 256}),
            json!({"inputText": "a", "normalize": true, "dimensions": 256}),
            256,
        ),
        (MULTIMODAL, json!({}), json!({"inputText": "a"}), 1024),
        (
            MULTIMODAL,
            json!({"dimensions": 384}),
            json!({"inputText": "a", "embeddingConfig": {"outputEmbeddingLength": 384}}),
            384,
        ),
        (COHERE, json!({}), cohere.clone(), 1024),
        ("cohere.embed-multilingual-v3", json!({"dimensions": 1024}), cohere.clone(), 1024),
        (COHERE_4, json!({}), cohere, 1536),
        (COHERE_4, json!({"dimensions": 512}), short_cohere, 512),
        (NOVA, json!({}), nova("GENERIC_INDEX"), 3072),
        (NOVA, json!({"dimensions": 384, "input_type": "search_query"}), short_nova, 384),
    ] {
        let mut body = wishes;
        body["input"] = "a".into();
        let vectors = vectors(&rig, model, body).await;
        assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [length], "{model}");
        assert_eq!(model_requests(&rig).pop().unwrap().json, sent, "{model}");
    }
}

#[actix_web::test]
async fn base64_holds_the_same_numbers() {
    let rig = rig(json!({})).await;
    for model in [TITAN, COHERE, NOVA] {
        let floats = vectors(&rig, model, json!({"input": "a b"})).await;
        let body = json!({"input": "a b", "encoding_format": "base64"});
        let answered = embed(&rig, model, body).await;
        let text = answered.json["data"][0]["embedding"].as_str().unwrap();
        let bytes = BASE64_STANDARD.decode(text).unwrap();
        let decoded: Vec<_> = bytes
            .chunks_exact(4)
            .map(|number| f32::from_le_bytes(number.try_into().unwrap()))
            .collect();
        assert_eq!(decoded, floats[0], "{model}");
    }
}

#[actix_web::test]
async fn two_hundred_texts_keep_their_order() {
    let rig = rig(json!({})).await;
    let (forwards, mut backwards) = (texts(200), texts(200));
    backwards.reverse();
    for (model, requests) in [(TITAN, 200), (COHERE, 3), (COHERE_4, 3), (NOVA, 200)] {
        let before = model_requests(&rig).len();
        let body = |texts: &[String]| match model {
            COHERE => json!({"input": texts}),
            _ => json!({"input": texts, "dimensions": 256}),
        };
        let one = vectors(&rig, model, body(&forwards)).await;
        assert_eq!(model_requests(&rig).len() - before, requests, "{model}");
        let mut other = vectors(&rig, model, body(&backwards)).await;
        other.reverse();
        assert!(one == other, "{model} has mixed up its texts");
        assert!(one[0] != one[1] && one.len() == 200, "{model}");
    }
}

#[actix_web::test]
async fn eight_requests_are_under_way_at_once_and_end_with_the_client() {
    let rig = rig(json!({})).await;
    rig.bedrock.script(TITAN, Script::hang().always());
    let before = rig.bedrock.requests().len();
    let body = json!({"model": model_id(TITAN), "input": texts(20)});
    let request = rig.host.request(Method::POST, "/embeddings").json(&body);
    let client = actix_web::rt::spawn(request.send());
    rig.bedrock.wait_for_requests(before + 8).await;
    let ninth = rig.bedrock.wait_for_requests(before + 9);
    timeout(Duration::from_millis(300), ninth).await.expect_err("a ninth request is under way");
    client.abort();
    for request in before..before + 8 {
        let closed = timeout(Duration::from_secs(1), rig.bedrock.wait_for_outcome(request)).await;
        assert_eq!(closed.expect("Bedrock is still asked"), ExchangeOutcome::Aborted);
    }
}

#[actix_web::test]
async fn expired_credentials_are_told_and_do_not_stick() {
    let rig = rig_without_fallbacks(json!({})).await;
    rig.bedrock.expire_credentials(true);
    let refused = embed(&rig, TITAN, json!({"input": "a"})).await;
    assert_eq!(refused.json["error"]["code"], "upstream_auth_error", "{}", refused.text);
    rig.bedrock.expire_credentials(false);
    assert_eq!(vectors(&rig, TITAN, json!({"input": "a"})).await.len(), 1);
}

#[actix_web::test]
async fn tokens_are_counted_by_the_model_or_by_aws() {
    let rig = rig(json!({})).await;
    for model in [TITAN, COHERE, COHERE_4, NOVA, MULTIMODAL] {
        let one = embed(&rig, model, json!({"input": ["a text of some length"]})).await.json;
        let two = json!({"input": vec!["a text of some length"; 2]});
        let two = embed(&rig, model, two).await.json;
        assert_eq!((&one["object"], &one["model"]), (&json!("list"), &json!(model_id(model))));
        for answer in [&one, &two] {
            assert_eq!(answer["usage"]["prompt_tokens"], answer["usage"]["total_tokens"]);
        }
        let tokens = |answer: &Value| answer["usage"]["prompt_tokens"].as_u64().unwrap();
        assert!(0 < tokens(&one) && tokens(&one) < tokens(&two), "{model}: {one} {two}");
    }
}

#[actix_web::test]
async fn a_wrong_field_is_named() {
    let rig = rig(json!({})).await;
    for (wrong, field) in [
        (json!({}), "input"),
        (json!({"input": null}), "input"),
        (json!({"input": []}), "input"),
        (json!({"input": ""}), "input"),
        (json!({"input": 7}), "input"),
        (json!({"input": ["a", ""]}), "input[1]"),
        (json!({"input": ["a", 7]}), "input[1]"),
        (json!({"input": ["a", null]}), "input[1]"),
        (json!({"input": [[1], []]}), "input[1]"),
        (json!({"input": [[1], [2, "a"]]}), "input[1][1]"),
        (json!({"input": [1, -1]}), "input[1]"),
        (json!({"input": [["a"]]}), "input[0][0]"),
        (json!({"input": vec!["a"; 2049]}), "input"),
        (json!({"input": "a", "dimensions": 300}), "dimensions"),
        (json!({"input": "a", "dimensions": 0}), "dimensions"),
        (json!({"input": "a", "dimensions": "many"}), "dimensions"),
        (json!({"input": "a", "encoding_format": "hex"}), "encoding_format"),
        (json!({"input": "a", "input_type": "image"}), "input_type"),
    ] {
        assert_eq!(refused_field(&rig, TITAN, wrong.clone()).await, field, "{wrong}");
    }
    let many = embed(&rig, TITAN, json!({"input": "a", "dimensions": "many"})).await;
    assert_eq!(many.error_message(400), "dimensions: must be a whole number, 1 or more");
    for (model, size) in [(TITAN_1, 256), (COHERE, 512), (COHERE_4, 384), (NOVA, 512)] {
        let body = json!({"input": "a", "dimensions": size});
        assert_eq!(refused_field(&rig, model, body).await, "dimensions", "{model}");
    }
    assert_eq!(refused_field(&rig, LITE, json!({"input": "a"})).await, "model");
}

#[actix_web::test]
async fn tokens_are_read_as_the_text_that_they_were() {
    let rig = rig(json!({})).await;
    // "hello world" and "tiktoken is great!", as OpenAI's own library has them.
    let (hello, great) = (json!([15339, 1917]), json!([83, 1609, 5963, 374, 2294, 0]));
    let plain =
        vectors(&rig, COHERE, json!({"input": ["hello world", "tiktoken is great!"]})).await;
    assert_eq!(vectors(&rig, COHERE, json!({"input": hello})).await, plain[..1]);
    assert_eq!(vectors(&rig, COHERE, json!({"input": [hello, great]})).await, plain);
    let mixed = json!({"input": ["hello world", great]});
    assert_eq!(vectors(&rig, COHERE, mixed).await, plain);
    let unknown = json!({"input": ["a", [4_000_000]]});
    assert_eq!(refused_field(&rig, COHERE, unknown).await, "input[1]");
}

#[actix_web::test]
async fn the_purpose_comes_from_the_body_a_header_or_the_valve() {
    let rig = rig(json!({"embedding_input_type": "clustering"})).await;
    let header = "x-pipewright-input-type";
    for (said, in_header, sent) in [
        (None, None, "clustering"),
        (None, Some("search_query"), "search_query"),
        (Some("classification"), Some("search_query"), "classification"),
    ] {
        let mut body = json!({"model": model_id(COHERE), "input": "a"});
        if let Some(said) = said {
            body["input_type"] = said.into();
        }
        let mut request = rig.host.request(Method::POST, "/embeddings").json(&body);
        if let Some(value) = in_header {
            request = request.header(header, value);
        }
        assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
        assert_eq!(model_requests(&rig).pop().unwrap().json["input_type"], sent);
    }
    let body = json!({"model": model_id(COHERE), "input": "a"});
    let request = rig.host.request(Method::POST, "/embeddings").header(header, "fun").json(&body);
    let answered = TestResponse::read(request.send().await.unwrap()).await;
    assert!(answered.error_message(400).starts_with(header), "{}", answered.text);
}

#[actix_web::test]
async fn models_that_do_not_chat_are_known_and_refuse_chats() {
    let rig = rig(json!({})).await;
    for model in [TITAN, COHERE, COHERE_4, NOVA, "cohere.rerank-v3-5:0"] {
        let one = rig.host.get(&format!("/models/{}", model_id(model))).await;
        assert_eq!((one.status, &one.json["id"]), (200, &json!(model_id(model))));
        let chat = rig.host.chat(&model_id(model), "hi").await;
        assert_eq!(chat.json["error"]["param"], "model", "{}", chat.text);
        chat.error_message(400);
    }
    let unknown = embed(&rig, "amazon.titan-embed-nonsense", json!({"input": "a"})).await;
    unknown.error_message(404);
}

#[actix_web::test]
async fn the_same_model_answers_in_another_region() {
    let rig = rig(json!({"max_attempts": 1, "fallbacks": format!("{TITAN} > {COHERE}")})).await;
    let usual = vectors(&rig, TITAN, json!({"input": ["a", "b"]})).await;
    rig.bedrock.script_model_in("us-east-1", TITAN, Script::throttle().always());
    assert_eq!(vectors(&rig, TITAN, json!({"input": ["a", "b"]})).await, usual);
    let last = model_requests(&rig).pop().unwrap();
    assert_eq!((last.region.as_str(), last.target.as_deref()), ("us-west-2", Some(TITAN)));
    rig.bedrock.script_model_in("us-west-2", TITAN, Script::throttle().always());
    let answered = embed(&rig, TITAN, json!({"input": "a"})).await;
    assert_eq!(answered.json["error"]["code"], "rate_limit_exceeded");
    answered.error_message(429);
    assert!(model_requests(&rig).iter().all(|asked| asked.target.as_deref() == Some(TITAN)));
}

#[actix_web::test]
async fn a_model_behind_a_profile_answers_to_its_own_id() {
    let rig = rig(json!({})).await;
    vectors(&rig, "cohere.embed-v4:0", json!({"input": "a"})).await;
    assert_eq!(model_requests(&rig).pop().unwrap().target.as_deref(), Some(COHERE_4));
}

#[actix_web::test]
async fn what_passes_is_tried_again_and_what_does_not_is_told() {
    let rig = rig_without_fallbacks(json!({})).await;
    rig.bedrock.script(TITAN, Script::throttle().times(2));
    assert_eq!(vectors(&rig, TITAN, json!({"input": "a"})).await.len(), 1);
    assert_eq!(model_requests(&rig).len(), 3);
    for (fault, status) in [
        (BedrockException::access_denied("no"), 403),
        (BedrockException::validation("bad thing"), 400),
        (BedrockException::from_name("ExpiredTokenException", "old"), 500),
    ] {
        rig.bedrock.script(TITAN, Script::fault(fault).always());
        embed(&rig, TITAN, json!({"input": "a"})).await.error_message(status);
        rig.bedrock.clear_scripts();
    }
}

#[actix_web::test]
async fn the_paths_are_there_with_v1_too_and_need_the_key() {
    let rig = rig(json!({})).await;
    let body = json!({"model": model_id(TITAN), "input": "a", "user": "someone"});
    assert_eq!(rig.host.post("/v1/embeddings", &body).await.status, 200);
    let request = rig.host.request_without_key(Method::POST, "/v1/embeddings").json(&body);
    assert_eq!(request.send().await.unwrap().status().as_u16(), 401);
    let valves = rig.host.valves(PIPE).await;
    assert_eq!(valves["embedding_input_type"], "search_document");
}

#[actix_web::test]
async fn a_text_that_is_too_long_is_refused_with_the_number_or_cut_where_that_is_wished() {
    let rig = rig_without_fallbacks(json!({})).await;
    let words: String = (0..8000).map(|n| format!("w{n:04} ")).collect();
    let longer = words.repeat(2);
    for model in [TITAN, TITAN_1] {
        let refused = embed(&rig, model, json!({"input": words})).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.text.contains("8192"), "{}", refused.text);
        assert_eq!(refused.json["error"]["code"], "context_length_exceeded");
        for truncate in [json!("END"), json!("START"), json!("end"), json!(true)] {
            for input in [&words, &longer] {
                vectors(&rig, model, json!({"input": input, "truncate": truncate})).await;
                let sent = model_requests(&rig).pop().unwrap().json;
                let sent = sent["inputText"].as_str().unwrap();
                assert!(sent.len() > 25_000, "{}", sent.len());
                let is_end = input.ends_with(sent);
                assert_eq!(is_end, truncate == "START", "{truncate}");
                assert!(is_end || input.starts_with(sent));
            }
        }
        for truncate in [json!("NONE"), json!(false)] {
            let refused = embed(&rig, model, json!({"input": words, "truncate": truncate})).await;
            assert_eq!(refused.status, 400, "{}", refused.text);
        }
    }
    let refused = embed(&rig, COHERE, json!({"input": words, "truncate": "NONE"})).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert_eq!(vectors(&rig, COHERE, json!({"input": words})).await.len(), 1);
    let odd = embed(&rig, TITAN, json!({"input": "a", "truncate": "MIDDLE"})).await;
    assert!(matches!(odd.status, 400 | 422), "{}", odd.text);
}

/// Posts this body, and reads nothing of the answer.
fn post_without_reading(rig: &Rig, path: &str, body: &Value) -> Socket {
    let body = body.to_string();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address: SocketAddr = rig.host.url.trim_start_matches("http://").parse().unwrap();
    socket.connect(&address.into()).unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    (&socket).write_all(head.as_bytes()).unwrap();
    (&socket).write_all(body.as_bytes()).unwrap();
    socket
}

#[actix_web::test]
async fn answers_that_a_caller_does_not_read_leave_no_room_for_its_next() {
    let rig = rig_with_flag("--max-bodies-mib", "48", json!({})).await;
    let mut unread = Vec::new();
    let ask = async || embed(&rig, COHERE, json!({"input": texts(960)})).await;
    while ask().await.status == 200 {
        let body = json!({"model": model_id(COHERE), "input": texts(960)});
        unread.push(post_without_reading(&rig, "/embeddings", &body));
        assert!(unread.len() < 20, "there is no limit");
    }
    let refused = ask().await;
    assert!(refused.error_message(429).contains("have not read"), "{}", refused.text);
    let answered = model_requests(&rig).len();
    assert_eq!((ask().await.status, model_requests(&rig).len()), (429, answered), "it was paid");
    drop(unread);
    while ask().await.status != 200 {}
}

#[actix_web::test]
async fn rankings_that_a_caller_does_not_read_leave_no_room_for_its_next() {
    let rig = rig_with_flag("--max-bodies-mib", "48", json!({})).await;
    let model = model_id("cohere.rerank-v3-5:0");
    let document = "x".repeat(6 << 20);
    let body =
        json!({"model": model, "query": "x", "documents": [document], "return_documents": true});
    let mut unread = Vec::new();
    while rig.host.post("/rerank", &body).await.status == 200 {
        unread.push(post_without_reading(&rig, "/rerank", &body));
        assert!(unread.len() < 20, "there is no limit");
    }
    drop(unread);
    while rig.host.post("/rerank", &body).await.status != 200 {}
}
