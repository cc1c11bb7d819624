//! Bedrock through the whole host: what a client sends on one side, what Bedrock gets on the other.

use crate::{
    support::{Builder, TestHost, chat},
    valves::pages_transform,
};
use bedrock_emulator::{
    ANY, Answer, DEMO_KEY, Emulator, Ending, Fault, Mishap, Operation, Options, Script, Usage,
};
use pipewright::{pipes::PIPES, valves::Pins};
use serde_json::{Value, json};

const MODEL: &str = "bedrock_models.amazon.nova-lite-v1:0";

pub async fn host(emulator: &Emulator) -> TestHost {
    let (id, secret) = DEMO_KEY;
    let pin =
        |pins: Pins, valve: &str, value: &str| pins.with("bedrock_models", valve, "test", value);
    let pins = pin(Pins::default(), "endpoint_url", &emulator.endpoint());
    let pins = pin(pin(pins, "aws_access_key_id", id), "aws_secret_access_key", secret);
    Builder::new().pipes(PIPES).pins(pins).start().await
}

pub fn emulator() -> Emulator {
    Emulator::start(Options::default()).unwrap()
}

/// The bodies of all chats that Bedrock got.
pub fn sent(emulator: &Emulator) -> Vec<Value> {
    let chats = emulator
        .requests()
        .into_iter()
        .filter(|request| request.operation == Some(Operation::ConverseStream));
    chats.map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

/// Waits for the chat of this number, from 0, and gives its place among all requests.
async fn nth_chat(emulator: &Emulator, n: usize) -> usize {
    let mut seen = 0;
    loop {
        let requests = emulator.wait_for_requests(seen + 1).await;
        let is_chat = |place: &usize| requests[*place].operation == Some(Operation::ConverseStream);
        if let Some(place) = (0..requests.len()).filter(is_chat).nth(n) {
            return place;
        }
        seen = requests.len();
    }
}

#[actix_web::test]
async fn models_of_both_regions_are_listed_with_what_they_can_do() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let list = host.get("/models").await.json;
    let ids: Vec<_> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert!(ids.contains(&MODEL), "{ids:?}");
    assert!(ids.iter().any(|id| id.starts_with("bedrock_models.us.anthropic.claude-")), "{ids:?}");
    let unique: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!(unique.len(), ids.len());
    let model = host.get(&format!("/models/{MODEL}")).await.json;
    assert!(model["description"].as_str().unwrap().ends_with("us-east-1"));
    assert_eq!(model["info"]["meta"]["capabilities"]["builtin_tools"], true);
    assert_eq!(model["info"]["meta"]["capabilities"]["vision"], true);
}

#[actix_web::test]
async fn what_the_page_reads_and_sends_back_untouched_changes_nothing_in_any_pipe() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for pipe in PIPES {
        let spec = host.get(&format!("/{}/valves/spec", pipe.id)).await.json;
        for turned in [
            json!({}),
            json!({"idle_timeout_seconds": "77", "regions": ["us-west-2"], "legacy_models": true}),
        ] {
            assert_eq!(host.turn(pipe.id, &turned).await.status, 200);
            let before = host.valves(pipe.id).await;
            let sent_back = host.turn(pipe.id, &pages_transform(&spec, &before)).await;
            assert_eq!((sent_back.status, &sent_back.json), (200, &before), "{}", pipe.id);
            assert_eq!(host.valves(pipe.id).await, before);
        }
    }
}

#[actix_web::test]
async fn a_chat_is_answered_streamed_and_plain() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let answer = || {
        Script::answer(Answer::says(["Hel", "lo"]).usage(Usage {
            input: 10,
            output: 7,
            cache_read: Some(100),
            cache_write: Some(5),
        }))
    };
    emulator.script(ANY, answer());
    emulator.script(ANY, answer());
    let frames = host.stream(MODEL, "hi").await;
    let text: String = frames
        .iter()
        .filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, "Hello");
    let plain = host.chat(MODEL, "hi").await.json;
    assert_eq!(plain["choices"][0]["message"]["content"], "Hello");
    assert_eq!(plain["usage"]["prompt_tokens"], 115);
    assert_eq!(plain["usage"]["total_tokens"], 122);
    let sent = sent(&emulator);
    assert_eq!(sent[0], sent[1], "the same request gives the same body, streamed or not");
    assert_eq!(sent[0]["messages"], json!([{"role": "user", "content": [{"text": "hi"}]}]));
}

#[actix_web::test]
async fn errors_of_bedrock_come_out_as_they_should() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for (fault, status, code) in [
        (Fault::validation("bad thing"), 400, Value::Null),
        (
            Fault::validation("Input is too long for requested model."),
            400,
            json!("context_length_exceeded"),
        ),
        (Fault::access_denied("no"), 403, Value::Null),
        (Fault::not_found("gone"), 404, json!("model_not_found")),
        (Fault::of("ServiceQuotaExceededException", "quota"), 429, json!("rate_limit_exceeded")),
        (Fault::of("ModelTimeoutException", "slow"), 504, Value::Null),
        (Fault::of("ExpiredTokenException", "old"), 500, json!("upstream_auth_error")),
        (Fault::of("UnrecognizedClientException", "who"), 500, json!("upstream_auth_error")),
    ] {
        let kind = fault.kind().to_owned();
        emulator.script(ANY, Script::fault(fault));
        let mut body = chat(MODEL, "hi");
        body["stream"] = true.into();
        let answer = host.post("/chat/completions", &body).await;
        assert_eq!(
            (answer.status, &answer.json["error"]["code"]),
            (status, &code),
            "{kind}: {}",
            answer.text
        );
        emulator.clear_scripts();
    }
}

#[actix_web::test]
async fn a_stream_that_breaks_off_ends_in_an_error_frame() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for mishap in [Mishap::Close, Mishap::Reset, Mishap::BadMessageCrc] {
        let kind = format!("{mishap:?}");
        emulator.script(ANY, Script::answer(Answer::says(["half", "more"])).after(2, mishap));
        let frames = host.stream(MODEL, "hi").await;
        let last: Value =
            serde_json::from_str(frames[frames.len() - 2].strip_prefix("data: ").unwrap()).unwrap();
        assert!(last["error"]["message"].is_string(), "{kind}: {frames:?}");
        assert_eq!(frames.last().unwrap(), "data: [DONE]");
        assert!(!frames.iter().any(|frame| frame.contains("\"stop\"")), "{kind}");
    }
}

#[actix_web::test]
async fn a_client_that_leaves_closes_bedrocks_connection_within_a_second() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let begun = Script::answer(Answer::says(["half", "more"])).after(2, Mishap::Hang);
    for (n, script) in [Script::hang(), begun].into_iter().enumerate() {
        emulator.script(ANY, script);
        let mut body = chat(MODEL, "hi");
        body["stream"] = true.into();
        let request = host.request(reqwest::Method::POST, "/chat/completions").json(&body);
        let client = actix_web::rt::spawn(async move {
            let mut response = request.send().await.unwrap();
            while response.chunk().await.unwrap().is_some() {}
        });
        let asked = nth_chat(&emulator, n).await;
        client.abort();
        let closed =
            tokio::time::timeout(std::time::Duration::from_secs(1), emulator.closed(asked)).await;
        assert_eq!(closed.expect("the upstream still runs"), Ending::BrokenOff);
    }
}

#[actix_web::test]
async fn without_credentials_the_list_says_what_is_missing_and_a_chat_explains() {
    let emulator = emulator();
    let pins = Pins::default().with("bedrock_models", "endpoint_url", "test", emulator.endpoint());
    let pins = pins.with("bedrock_models", "aws_access_key_id", "test", "AKIAWRONG");
    let pins = pins.with("bedrock_models", "aws_secret_access_key", "test", "wrong");
    let host = Builder::new().pipes(PIPES).pins(pins).start().await;
    let list = host.get("/models").await.json;
    let models = list["data"].as_array().unwrap();
    assert_eq!(models.len(), 1, "{list}");
    let id = models[0]["id"].as_str().unwrap();
    let explained = host.chat(id, "hi").await;
    assert_eq!(explained.status, 500, "{}", explained.text);
    assert_eq!(explained.json["error"]["code"], "upstream_auth_error");
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["bedrock_models"]));
}
