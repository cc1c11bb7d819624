//! Bedrock through the whole host: what a client sends on one side, what Bedrock gets on the other.
#![expect(clippy::needless_pass_by_value, reason = "a test writes `json!` where it is read")]

mod caching;
mod families;
mod formats;
mod fuzz;
mod media;
mod requests;
mod schemas;
mod service;
mod snapshots;
mod thinking;
mod tools;
mod turns;

use crate::{
    support::{Builder, TestHost, TestResponse, chat},
    valves::pages_transform,
};
use bedrock_emulator::{
    ANY, BedrockException, Catalogue, DEMO_KEY, Emulator, EmulatorOptions, ExchangeOutcome,
    FoundationModel, InjectedFault, ModelAnswer, Operation, RecordedRequest, Script, TokenUsage,
    validate,
};
use pipewright::{pipes::PIPES, valves::Pins};
use serde_json::{Value, json};

const MODEL: &str = "bedrock_models.amazon.nova-lite-v1:0";

const HAIKU_3: &str = "anthropic.claude-3-haiku-20240307-v1:0";
const HAIKU_4_5: &str = "anthropic.claude-haiku-4-5-20251001-v1:0";
const SONNET_3_7: &str = "anthropic.claude-3-7-sonnet-20250219-v1:0";
const SONNET_4_5: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
const OPUS_4_8: &str = "anthropic.claude-opus-4-8";
const NOVA: &str = "amazon.nova-lite-v1:0";
const NOVA_2: &str = "amazon.nova-2-lite-v1:0";
const LLAMA: &str = "meta.llama3-3-70b-instruct-v1:0";
const MISTRAL_7B: &str = "mistral.mistral-7b-instruct-v0:2";

const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// A host, and a Bedrock that has every chat model there is.
struct Rig {
    bedrock: Emulator,
    host: TestHost,
}

async fn rig() -> Rig {
    rig_with(&[]).await
}

/// With these valves turned.
async fn rig_with(valves: &[(&str, &str)]) -> Rig {
    let options =
        EmulatorOptions { catalogue: Catalogue::all_chat_models(), ..EmulatorOptions::default() };
    let bedrock = Emulator::start(options).unwrap();
    let host = host_with(&bedrock, valves).await;
    Rig { bedrock, host }
}

impl Rig {
    async fn ask(&self, model: &str, mut body: Value) -> TestResponse {
        body["model"] = format!("bedrock_models.{model}").into();
        self.host.post("/chat/completions", &body).await
    }

    /// Returns the request that Bedrock accepted at the first attempt.
    async fn sent_body(&self, model: &str, body: Value) -> Value {
        let before = chats(&self.bedrock).len();
        let answered = self.ask(model, body).await;
        assert_eq!(answered.status, 200, "{model}: {}", answered.text);
        let sent = chats(&self.bedrock).split_off(before);
        assert_eq!(sent.len(), 1, "{model}: {:?}", refusals(&self.bedrock));
        sent[0].json.clone()
    }

    /// Returns the field for which a chat was refused before Bedrock was asked.
    async fn refused_field(&self, model: &str, body: Value) -> String {
        let before = chats(&self.bedrock).len();
        let answered = self.ask(model, body).await;
        assert_eq!(answered.status, 400, "{model}: {}", answered.text);
        assert_eq!(chats(&self.bedrock).len(), before, "{model} was asked: {}", answered.text);
        let param = answered.json["error"]["param"].as_str();
        param.unwrap_or_else(|| panic!("no field is named: {}", answered.text)).to_owned()
    }

    /// Returns the chunks of a streamed answer.
    async fn chunks(&self, model: &str, mut body: Value) -> Vec<Value> {
        body["stream"] = true.into();
        let answered = self.ask(model, body).await;
        assert_eq!(answered.status, 200, "{model}: {}", answered.text);
        let data = answered.text.split("\n\n").filter_map(|frame| frame.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    fn script(&self, answer: ModelAnswer) {
        self.bedrock.script(ANY, Script::answer(answer));
    }
}

/// All text of these chunks.
fn text_of(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

/// Returns the last reason to end that these chunks give.
fn finish_of(chunks: &[Value]) -> Option<&str> {
    chunks.iter().rev().find_map(|chunk| chunk["choices"][0]["finish_reason"].as_str())
}

/// Returns the chats that the emulator received, in order.
fn chats(bedrock: &Emulator) -> Vec<RecordedRequest> {
    let is_chat = |request: &RecordedRequest| {
        matches!(request.operation, Some(Operation::ConverseStream | Operation::Converse))
    };
    bedrock.requests().into_iter().filter(is_chat).collect()
}

/// Returns the requests that Bedrock refuses for their form: the error, the model and the body.
fn refusals(bedrock: &Emulator) -> Vec<String> {
    chats(bedrock).iter().filter_map(|chat| refusal(bedrock, chat)).collect()
}

/// Returns the error with which Bedrock refuses this for its form, if it does. A refusal after
/// which the request is corrected shows here too.
fn refusal(bedrock: &Emulator, chat: &RecordedRequest) -> Option<String> {
    let target = chat.target.as_deref().unwrap();
    let model = bedrock.catalogue().resolve_model(&chat.region, target).unwrap();
    let validate = match chat.operation {
        Some(Operation::Converse) => validate::check_converse,
        _ => validate::check_converse_stream,
    };
    let fault = validate(model, &chat.json).err()?;
    Some(format!("{target}: {fault:?} {}", chat.json))
}

/// Returns whether this is the id of a Claude of one of these names, as in `opus-4-1`.
fn is_claude(id: &str, names: &[&str]) -> bool {
    let name = id.strip_prefix("anthropic.claude-");
    name.is_some_and(|name| names.iter().any(|beginning| name.starts_with(beginning)))
}

/// Returns a chat of these messages.
fn chat_of_messages(messages: Value) -> Value {
    json!({"messages": messages})
}

/// Returns a chat of one question, with these fields beside it.
fn chat_with(fields: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "Hello"}]});
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// Returns a chat of one message with these parts.
fn chat_with_parts(parts: Value) -> Value {
    chat_of_messages(json!([{"role": "user", "content": parts}]))
}

fn tool(name: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": "Does it.", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}})
}

fn tool_call(id: &str, name: &str, arguments: &str) -> Value {
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn tool_result(id: &str, text: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": text})
}

pub(crate) async fn host(emulator: &Emulator) -> TestHost {
    host_with(emulator, &[]).await
}

async fn host_with(emulator: &Emulator, valves: &[(&str, &str)]) -> TestHost {
    host_of(Builder::new(), emulator, valves).await
}

pub(crate) async fn host_of(
    builder: Builder,
    emulator: &Emulator,
    valves: &[(&str, &str)],
) -> TestHost {
    let (id, secret) = DEMO_KEY;
    let endpoint = emulator.endpoint();
    let usual = [
        ("endpoint_url", &*endpoint),
        ("aws_access_key_id", id),
        ("aws_secret_access_key", secret),
    ];
    let pins = usual.iter().chain(valves).fold(Pins::default(), |pins, (valve, value)| {
        pins.with_pin("bedrock_models", valve, "test", *value)
    });
    builder.pipes(PIPES).pins(pins).start().await
}

pub fn emulator() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

/// Returns the bodies of all chats that Bedrock got.
pub fn sent_bodies(emulator: &Emulator) -> Vec<Value> {
    chats(emulator).into_iter().map(|request| request.json).collect()
}

/// Waits for the chat of this number, from 0, and gives its place among all requests.
async fn nth_chat(emulator: &Emulator, n: usize) -> usize {
    let mut seen = 0;
    loop {
        let requests = emulator.wait_for_requests(seen + 1).await;
        let chats = [Some(Operation::ConverseStream), Some(Operation::Converse)];
        let is_chat = |place: &usize| chats.contains(&requests[*place].operation);
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
            assert_eq!(host.update_valves(pipe.id, &turned).await.status, 200);
            let before = host.valves(pipe.id).await;
            let sent_back = host.update_valves(pipe.id, &pages_transform(&spec, &before)).await;
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
        Script::answer(ModelAnswer::with_text(["Hel", "lo"]).usage(TokenUsage {
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
    let sent = sent_bodies(&emulator);
    assert_eq!(sent[0], sent[1], "the same request gives the same body, streamed or not");
    let content = json!([{"text": "hi"}, {"cachePoint": {"type": "default"}}]);
    assert_eq!(sent[0]["messages"], json!([{"role": "user", "content": content}]));
}

#[actix_web::test]
async fn errors_of_bedrock_come_out_as_they_should() {
    let emulator = emulator();
    let host = host(&emulator).await;
    for (fault, status, code) in [
        (BedrockException::validation("bad thing"), 400, Value::Null),
        (
            BedrockException::validation("Input is too long for requested model."),
            400,
            json!("context_length_exceeded"),
        ),
        (BedrockException::access_denied("no"), 403, Value::Null),
        (BedrockException::not_found("gone"), 404, json!("model_not_found")),
        (
            BedrockException::from_name("ServiceQuotaExceededException", "quota"),
            429,
            json!("rate_limit_exceeded"),
        ),
        (BedrockException::from_name("ModelTimeoutException", "slow"), 504, Value::Null),
        (
            BedrockException::from_name("ExpiredTokenException", "old"),
            500,
            json!("upstream_auth_error"),
        ),
        (
            BedrockException::from_name("UnrecognizedClientException", "who"),
            500,
            json!("upstream_auth_error"),
        ),
    ] {
        let kind = fault.kind().to_owned();
        emulator.script(ANY, Script::fault(fault).always());
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
    for mishap in [InjectedFault::Close, InjectedFault::Reset, InjectedFault::BadMessageCrc] {
        let kind = format!("{mishap:?}");
        emulator.script(
            ANY,
            Script::answer(ModelAnswer::with_text(["half", "more"])).fail_after(2, mishap),
        );
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
    let begun =
        Script::answer(ModelAnswer::with_text(["half", "more"])).fail_after(2, InjectedFault::Hang);
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
        let closed = tokio::time::timeout(
            std::time::Duration::from_secs(1),
            emulator.wait_for_outcome(asked),
        )
        .await;
        assert_eq!(closed.expect("the upstream still runs"), ExchangeOutcome::Aborted);
    }
}

#[actix_web::test]
async fn without_credentials_the_list_names_what_is_missing_and_a_chat_explains() {
    let emulator = emulator();
    let pins =
        Pins::default().with_pin("bedrock_models", "endpoint_url", "test", emulator.endpoint());
    let pins = pins.with_pin("bedrock_models", "aws_access_key_id", "test", "AKIAWRONG");
    let pins = pins.with_pin("bedrock_models", "aws_secret_access_key", "test", "wrong");
    let host = Builder::new().pipes(PIPES).pins(pins).start().await;
    let list = host.get("/models").await.json;
    let entries = list["data"].as_array().unwrap().iter();
    let models: Vec<_> = entries.filter(|entry| entry["pipeline"]["type"] != "filter").collect();
    let [model] = models[..] else { panic!("{list}") };
    let id = model["id"].as_str().unwrap();
    let explained = host.chat(id, "hi").await;
    assert_eq!(explained.status, 500, "{}", explained.text);
    assert_eq!(explained.json["error"]["code"], "upstream_auth_error");
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["bedrock_models"]));
}
