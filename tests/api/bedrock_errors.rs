//! The errors that a client reads when Bedrock refuses, fails or falls silent
//! (`docs/reference/bedrock.md`, "Errors").

use crate::{
    process::{MODEL, Process},
    rig::{LITE, Rig, THINKER, chat_body, chunks, model_id, rig_without_fallbacks, with_stream},
    support::TestResponse,
};
use bedrock_emulator::{
    ANY, BedrockException, DEMO_KEY, Emulator, EmulatorOptions, ExchangeOutcome, InjectedFault,
    ModelAnswer, Operation, Script,
};
use reqwest::Method;
use serde_json::{Value, json};
use std::{fs, path::Path, time::Duration};
use tokio::time::timeout;

const INVALID: &str = "invalid_request_error";
const OURS: &str = "server_error";
const THEIRS: &str = "api_error";
const LIMITED: &str = "rate_limit_error";

/// Returns the status, the type and the code of this error.
fn error_fields(refused: &TestResponse) -> (u16, String, Value) {
    let error = &refused.json["error"];
    assert!(error.is_object(), "{}", refused.text);
    assert_eq!(refused.json["detail"], error["message"], "both readers read the same");
    (refused.status, error["type"].as_str().unwrap().to_owned(), error["code"].clone())
}

fn expected_error(status: u16, kind: &str, code: Option<&str>) -> (u16, String, Value) {
    (status, kind.into(), json!(code))
}

/// Starts a host that asks a model again, however often it fails.
async fn rig_with_retries(mut valves: Value) -> Rig {
    valves["breaker_failures"] = 0.into();
    valves["retry_percent"] = 100.into();
    rig_without_fallbacks(valves).await
}

/// The valves under which plain chats are streamed from Bedrock, and those under which they are
/// asked for in one piece.
fn streamed_and_plain(valves: &Value) -> [(Value, Operation); 2] {
    [(0, Operation::ConverseStream), (8192, Operation::Converse)].map(|(limit, operation)| {
        let mut valves = valves.clone();
        valves["stream_above_max_tokens"] = limit.into();
        (valves, operation)
    })
}

/// Returns the error of a chat that meets this script every time, and how often it was sent.
async fn failed_chat(rig: &Rig, script: Script, streamed: bool) -> (TestResponse, usize) {
    rig.bedrock.clear_scripts();
    rig.bedrock.script(ANY, script.always());
    let before = rig.model_requests().len();
    let refused = rig.post(&with_stream(chat_body(LITE, &json!({})), streamed)).await;
    assert_ne!(refused.status, 200, "{}", refused.text);
    (refused, rig.model_requests().len() - before)
}

#[actix_web::test]
async fn each_refusal_has_its_status_its_kind_and_its_attempts() {
    let rig = rig_with_retries(json!({})).await;
    let soon = |fault: BedrockException| fault.header("retry-after", "1");
    for (fault, expected, retry_after, attempts) in [
        (BedrockException::validation("odd"), expected_error(400, INVALID, None), "", 1),
        (
            BedrockException::validation("The provided model identifier is invalid."),
            expected_error(404, INVALID, Some("model_not_found")),
            "",
            1,
        ),
        (
            BedrockException::access_denied("no"),
            expected_error(403, "permission_error", None),
            "",
            1,
        ),
        (
            BedrockException::not_found("gone"),
            expected_error(404, INVALID, Some("model_not_found")),
            "",
            1,
        ),
        (
            BedrockException::not_found("This model version has reached the end of its life."),
            expected_error(404, INVALID, Some("model_not_found")),
            "",
            1,
        ),
        (
            BedrockException::throttling("Too many requests"),
            expected_error(429, LIMITED, Some("rate_limit_exceeded")),
            "5",
            3,
        ),
        (
            soon(BedrockException::throttling("Too many tokens")),
            expected_error(429, LIMITED, Some("rate_limit_exceeded")),
            "1",
            3,
        ),
        (
            BedrockException::throttling("Too many tokens per day"),
            expected_error(429, LIMITED, Some("rate_limit_exceeded")),
            "",
            1,
        ),
        (
            BedrockException::throttling("wait").header("retry-after", "60"),
            expected_error(429, LIMITED, Some("rate_limit_exceeded")),
            "60",
            1,
        ),
        (
            BedrockException::from_name("ServiceQuotaExceededException", "enough"),
            expected_error(429, LIMITED, Some("rate_limit_exceeded")),
            "",
            1,
        ),
        (
            BedrockException::from_name("ModelTimeoutException", "slow"),
            expected_error(504, "timeout", None),
            "",
            1,
        ),
        (
            BedrockException::from_name("ModelErrorException", "oops"),
            expected_error(502, THEIRS, None),
            "",
            1,
        ),
        (BedrockException::model_error(500, "oops"), expected_error(502, THEIRS, None), "", 1),
        (BedrockException::model_error(400, "odd"), expected_error(400, INVALID, None), "", 1),
        (
            BedrockException::from_name("InternalServerException", "oops"),
            expected_error(502, THEIRS, None),
            "",
            3,
        ),
        (
            BedrockException::from_name("ServiceUnavailableException", "later"),
            expected_error(503, THEIRS, None),
            "5",
            3,
        ),
        (
            BedrockException::from_name("ConflictException", "twice"),
            expected_error(409, INVALID, None),
            "",
            1,
        ),
        (
            BedrockException::new(418, "SomethingNewException", "hm"),
            expected_error(400, INVALID, None),
            "",
            1,
        ),
        (
            BedrockException::new(413, "RequestEntityTooLargeException", "hm"),
            expected_error(413, INVALID, None),
            "",
            1,
        ),
    ] {
        for streamed in [true, false] {
            let (refused, asked) = failed_chat(&rig, Script::fault(fault.clone()), streamed).await;
            let told = (error_fields(&refused), refused.header("retry-after"), asked);
            assert_eq!(
                told,
                (expected.clone(), retry_after, attempts),
                "{fault}: {}",
                refused.text
            );
            assert_eq!(refused.json["error"]["param"], Value::Null);
            assert_eq!(refused.header("x-pipewright-model"), "", "nobody has answered");
        }
    }
}

#[actix_web::test]
async fn a_model_that_is_being_loaded_says_when_to_come_back() {
    let rig = rig_with_retries(json!({})).await;
    let fault =
        BedrockException::from_name("ModelNotReadyException", "Model is not ready for inference.");
    let (refused, attempts) = failed_chat(&rig, Script::fault(fault), true).await;
    assert_eq!((refused.status, attempts), (503, 3), "{}", refused.text);
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((5..=30).contains(&wait), "{wait}");
}

#[actix_web::test]
async fn a_model_that_is_being_loaded_is_a_server_error() {
    let rig = rig_with_retries(json!({"max_attempts": 1})).await;
    let fault =
        BedrockException::from_name("ModelNotReadyException", "Model is not ready for inference.");
    let (refused, _) = failed_chat(&rig, Script::fault(fault), true).await;
    assert_eq!(error_fields(&refused), expected_error(503, OURS, None));
}

/// Returns the status that a failure of the model's own server, which had this one, comes out with.
async fn status_of(rig: &Rig, original: u16) -> u16 {
    failed_chat(rig, Script::fault(BedrockException::model_error(original, "words")), true)
        .await
        .0
        .status
}

#[actix_web::test]
async fn a_model_s_own_failure_is_a_bad_gateway() {
    let rig = rig_with_retries(json!({"max_attempts": 1})).await;
    for (original, status) in [(424, 502), (500, 502), (503, 502)] {
        assert_eq!(status_of(&rig, original).await, status, "{original}");
    }
}

#[actix_web::test]
async fn a_model_s_own_refusal_keeps_its_status() {
    let rig = rig_with_retries(json!({"max_attempts": 1})).await;
    for original in [400, 404, 408, 413, 422, 429] {
        assert_eq!(status_of(&rig, original).await, original, "{original}");
    }
}

/// Each of these refusals says that the conversation is too long.
async fn are_too_long(refusals: &[&str]) {
    let rig = rig_with_retries(json!({})).await;
    for words in refusals {
        let fault = BedrockException::validation(format!(
            "The model returned the following errors: {words}"
        ));
        let (refused, attempts) = failed_chat(&rig, Script::fault(fault), true).await;
        let expected = expected_error(400, INVALID, Some("context_length_exceeded"));
        assert_eq!((error_fields(&refused), attempts), (expected, 1), "{words}");
    }
}

#[actix_web::test]
async fn a_conversation_that_is_too_long_has_its_own_code() {
    are_too_long(&[
        "Input is too long for requested model.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "Too many total text bytes in the request",
        "The input exceeds the maximum context length of the model",
        "input length and max_tokens exceed context limit: 190000 + 20000 > 200000",
    ])
    .await;
}

#[actix_web::test]
async fn a_conversation_that_is_too_long_in_any_words_has_its_own_code() {
    are_too_long(&[
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
        "The request exceeds the maximum allowed context",
    ])
    .await;
}

#[actix_web::test]
async fn a_model_that_the_account_may_not_use_is_refused_with_what_to_do() {
    let rig = rig_with_retries(json!({})).await;
    let words = "You don't have access to the model with the specified model ID.";
    let (refused, _) =
        failed_chat(&rig, Script::fault(BedrockException::access_denied(words)), true).await;
    let message = refused.error_message(403);
    for part in ["bedrock:InvokeModel", "access", "Nova Lite", "us-east-1"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[actix_web::test]
async fn what_stands_before_bedrock_fails_as_a_bad_gateway_and_its_page_is_not_shown() {
    let rig = rig_with_retries(json!({})).await;
    for (status, expected, attempts) in [
        (500, expected_error(502, THEIRS, None), 3),
        (502, expected_error(502, THEIRS, None), 3),
        (403, expected_error(403, "permission_error", None), 1),
        (429, expected_error(429, LIMITED, Some("rate_limit_exceeded")), 3),
    ] {
        let (refused, asked) = failed_chat(&rig, Script::html(status), true).await;
        assert_eq!(
            (error_fields(&refused), asked),
            (expected, attempts),
            "{status}: {}",
            refused.text
        );
        assert!(!refused.text.contains('<'), "{}", refused.text);
    }
}

#[actix_web::test]
async fn whatever_failure_a_proxy_shows_is_a_bad_gateway() {
    let rig = rig_with_retries(json!({"max_attempts": 1})).await;
    for status in [503, 504] {
        let (refused, _) = failed_chat(&rig, Script::html(status), true).await;
        assert_eq!(
            error_fields(&refused),
            expected_error(502, THEIRS, None),
            "{status}: {}",
            refused.text
        );
    }
}

#[actix_web::test]
async fn a_bedrock_that_cannot_be_reached_is_a_bad_gateway() {
    let Rig { bedrock, host } = rig_with_retries(json!({})).await;
    assert_eq!(host.chat(&model_id(LITE), "hi").await.status, 200);
    drop(bedrock);
    let refused = host.chat(&model_id(LITE), "hi").await;
    assert_eq!(error_fields(&refused), expected_error(502, THEIRS, None));
    assert!(refused.text.contains("cannot be reached"), "{}", refused.text);
}

#[actix_web::test]
async fn a_bedrock_that_does_not_begin_is_given_up_in_time() {
    let rig = rig_with_retries(json!({"first_event_timeout_seconds": 1})).await;
    let unbegun =
        || Script::answer(ModelAnswer::with_text(["a"])).fail_after(0, InjectedFault::Hang);
    for script in [Script::hang(), unbegun()] {
        let (refused, attempts) = failed_chat(&rig, script, true).await;
        assert_eq!((error_fields(&refused), attempts), (expected_error(504, "timeout", None), 1));
    }
    let valves = json!({"first_event_timeout_seconds": 1, "idle_timeout_seconds": 1});
    for (valves, operation) in streamed_and_plain(&valves) {
        for script in [Script::hang(), unbegun()] {
            let rig = rig_with_retries(valves.clone()).await;
            let (refused, attempts) = failed_chat(&rig, script, false).await;
            assert_eq!(
                (error_fields(&refused), attempts),
                (expected_error(504, "timeout", None), 1)
            );
            assert_eq!(rig.model_requests().pop().unwrap().operation, Some(operation));
            // A model whose whole answer has not come in time is asked for a stream the next time.
            rig.bedrock.clear_scripts();
            assert_eq!(rig.post(&chat_body(LITE, &json!({}))).await.status, 200);
            assert_eq!(
                rig.model_requests().pop().unwrap().operation,
                Some(Operation::ConverseStream)
            );
        }
    }
}

#[actix_web::test]
async fn a_whole_answer_may_take_as_long_as_a_begun_one_may_be_silent() {
    let rig =
        rig_with_retries(json!({"first_event_timeout_seconds": 1, "idle_timeout_seconds": 60}))
            .await;
    let slow = Script::answer(ModelAnswer::with_text(["a"])).delay(Duration::from_millis(1500));
    rig.bedrock.script(ANY, slow.always());
    assert_eq!(rig.host.answer_text(&model_id(LITE), "hi").await, "a");
    assert_eq!(rig.model_requests()[0].operation, Some(Operation::Converse));
    let streamed = rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await;
    assert_eq!(error_fields(&streamed), expected_error(504, "timeout", None));
}

/// Returns the faults of an answer, and the errors that clients read.
fn failures_within() -> Vec<(InjectedFault, (u16, String, Value))> {
    let exception = |fault| InjectedFault::Exception(fault);
    let named = |name: &str| exception(BedrockException::from_name(name, "words"));
    vec![
        (named("throttlingException"), expected_error(429, LIMITED, Some("rate_limit_exceeded"))),
        (named("serviceUnavailableException"), expected_error(503, THEIRS, None)),
        (named("internalServerException"), expected_error(502, THEIRS, None)),
        (named("validationException"), expected_error(400, INVALID, None)),
        (named("modelTimeoutException"), expected_error(504, "timeout", None)),
        (named("modelStreamErrorException"), expected_error(502, THEIRS, None)),
        (
            exception(BedrockException::stream_error(500, "words")),
            expected_error(502, THEIRS, None),
        ),
        (
            exception(BedrockException::stream_error(400, "words")),
            expected_error(400, INVALID, None),
        ),
        (named("somethingNewException"), expected_error(502, THEIRS, None)),
        (
            InjectedFault::Error { code: "InternalError".into(), message: "words".into() },
            expected_error(502, THEIRS, None),
        ),
        (InjectedFault::Close, expected_error(502, THEIRS, None)),
        (InjectedFault::TruncatedFrame, expected_error(502, THEIRS, None)),
        (InjectedFault::Reset, expected_error(502, THEIRS, None)),
        (InjectedFault::BadMessageCrc, expected_error(502, THEIRS, None)),
        (InjectedFault::BadPreludeCrc, expected_error(502, THEIRS, None)),
    ]
}

#[actix_web::test]
async fn what_fails_before_a_word_is_said_is_the_status_of_the_whole() {
    for (valves, operation) in streamed_and_plain(&json!({"max_attempts": 1})) {
        let rig = rig_with_retries(valves).await;
        for (mishap, expected) in failures_within() {
            for (events, streamed) in [(0, true), (0, false), (1, true), (1, false)] {
                let script = Script::answer(ModelAnswer::with_text(["a"]))
                    .fail_after(events, mishap.clone());
                let (refused, attempts) = failed_chat(&rig, script, streamed).await;
                let told = (error_fields(&refused), attempts);
                let context = format!("{mishap:?} after {events}, {operation:?}: {}", refused.text);
                assert_eq!(told, (expected.clone(), 1), "{context}");
            }
        }
    }
}

#[actix_web::test]
async fn what_fails_after_a_word_is_an_error_frame_and_no_end_is_made_up() {
    let rig = rig_with_retries(json!({})).await;
    for (mishap, (_, kind, code)) in failures_within() {
        let script =
            Script::answer(ModelAnswer::with_text(["one", "two"])).fail_after(2, mishap.clone());
        rig.bedrock.script(ANY, script);
        let before = rig.model_requests().len();
        let chunks = chunks(&rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await);
        assert_eq!(rig.model_requests().len(), before + 1, "a begun answer is never tried again");
        let (last, said) = chunks.split_last().unwrap();
        assert_eq!(last.as_object().unwrap().len(), 1, "{mishap:?}: {last}");
        let error = &last["error"];
        assert_eq!((&error["type"], &error["code"]), (&json!(kind), &code), "{mishap:?}: {last}");
        assert!(error["message"].is_string() && error["param"].is_null(), "{last}");
        let deltas: Vec<_> = said.iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
        let role = json!({"role": "assistant", "content": ""});
        assert_eq!(deltas, [&role, &json!({"content": "one"})], "{mishap:?}");
        let ends = |chunk: &&Value| !chunk["choices"][0]["finish_reason"].is_null();
        assert!(!said.iter().any(|chunk| ends(&chunk) || !chunk["usage"].is_null()), "{said:?}");
    }
}

#[actix_web::test]
async fn a_plain_answer_that_breaks_off_is_an_error_as_a_whole() {
    for (valves, operation) in streamed_and_plain(&json!({"max_attempts": 1})) {
        let rig = rig_with_retries(valves).await;
        for (mishap, expected) in failures_within() {
            let script = Script::answer(ModelAnswer::with_text(["one", "two"]))
                .fail_after(2, mishap.clone());
            let (refused, attempts) = failed_chat(&rig, script, false).await;
            assert_eq!(
                (error_fields(&refused), attempts),
                (expected, 1),
                "{mishap:?}: {}",
                refused.text
            );
            assert!(!refused.text.contains("one"), "{}", refused.text);
            assert_eq!(rig.model_requests().pop().unwrap().operation, Some(operation));
        }
    }
}

#[actix_web::test]
async fn a_failure_before_the_first_event_is_tried_again_like_a_refusal() {
    let rig = rig_with_retries(json!({})).await;
    let busy = InjectedFault::Exception(BedrockException::throttling("Too many requests"));
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["a"])).fail_after(0, busy));
    rig.bedrock.script(ANY, Script::answer(ModelAnswer::with_text(["b"])));
    assert_eq!(rig.host.answer_text(&model_id(LITE), "hi").await, "b");
    let attempts: Vec<_> = rig.model_requests().iter().map(|asked| asked.attempt).collect();
    assert_eq!(attempts, [1, 2]);
}

#[actix_web::test]
async fn an_answer_that_was_cut_after_its_end_lacks_its_usage_alone() {
    let rig = rig_with_retries(json!({})).await;
    for mishap in [InjectedFault::Close, InjectedFault::Reset] {
        rig.bedrock
            .script(ANY, Script::answer(ModelAnswer::with_text(["a"])).fail_after(4, mishap));
        let chunks = chunks(&rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await);
        assert_eq!(chunks.last().unwrap()["choices"][0]["finish_reason"], "stop");
        assert!(chunks.iter().all(|chunk| chunk["usage"].is_null()), "none is made up");
    }
}

#[actix_web::test]
async fn credentials_that_aws_refuses_are_our_fault_and_said_without_its_words() {
    let rig = rig_with_retries(json!({})).await;
    let (id, secret) = DEMO_KEY;
    let words = format!("The Canonical String was x-amz-security-token:canary {id} {secret}");
    for code in [
        "UnrecognizedClientException",
        "InvalidSignatureException",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
    ] {
        for status in [403, 400] {
            let fault = BedrockException::new(status, code, &words);
            let (refused, attempts) = failed_chat(&rig, Script::fault(fault), true).await;
            let expected = (expected_error(500, OURS, Some("upstream_auth_error")), 1);
            assert_eq!((error_fields(&refused), attempts), expected, "{code}");
            for secret in ["canary", id, secret] {
                assert!(!refused.text.contains(secret), "{}", refused.text);
            }
        }
    }
}

#[actix_web::test]
async fn keys_that_have_expired_end_the_chat_and_not_the_list() {
    let rig = rig_with_retries(json!({})).await;
    assert_eq!(rig.host.chat(&model_id(LITE), "hi").await.status, 200);
    rig.bedrock.expire_credentials(true);
    let before = rig.model_requests().len();
    let refused = rig.host.chat(&model_id(LITE), "hi").await;
    assert_eq!(error_fields(&refused), expected_error(500, OURS, Some("upstream_auth_error")));
    assert_eq!(rig.model_requests().len(), before + 1, "there are no other keys to try");
    let models = rig.host.get("/models").await.json;
    assert!(models["data"].as_array().unwrap().len() > 1);
    rig.bedrock.expire_credentials(false);
    assert_eq!(rig.host.chat(&model_id(LITE), "hi").await.status, 200);
}

/// Nothing of whom this machine is to AWS.
const NOBODY: [(&str, &str); 3] = [
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ("AWS_CONFIG_FILE", "/dev/null"),
];

/// Returns a host whose keys come from a program that gives good ones but for these times, counted
/// from 1.
fn with_keys_of_a_program(emulator: &Emulator, folder: &Path, revoked: &str) -> Process {
    let (script, config) = (folder.join("keys"), folder.join("config"));
    let (id, secret) = DEMO_KEY;
    let keys = format!(
        r#"n=0; [ -f "$0.n" ] && read n <"$0.n"; n=$((n + 1)); echo $n >"$0.n"
        secret={secret}; case $n in {revoked}) secret=revoked$n;; esac
        echo "{{\"Version\":1,\"AccessKeyId\":\"{id}\",\"SecretAccessKey\":\"$secret\"}}""#
    );
    fs::write(&script, keys).unwrap();
    let process = format!("[default]\ncredential_process = /bin/sh {}\n", script.display());
    fs::write(&config, process).unwrap();
    let config = config.display().to_string();
    let [metadata, shared, _] = NOBODY;
    Process::start_as(&[metadata, shared, ("AWS_CONFIG_FILE", &config)], emulator, folder, &[])
}

fn attempts(emulator: &Emulator) -> Vec<u32> {
    let models = [Some(Operation::ConverseStream), Some(Operation::InvokeModel)];
    let asked = emulator.requests().into_iter().filter(|asked| models.contains(&asked.operation));
    asked.map(|asked| asked.attempt).collect()
}

#[actix_web::test]
async fn keys_that_were_taken_back_are_asked_for_once_more_and_then_given_up() {
    // The first keys are for the list, the second for the chat.
    for (revoked, status) in [("2", 200), ("2|3", 500)] {
        let folder = tempfile::tempdir().unwrap();
        let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
        let host = with_keys_of_a_program(&emulator, folder.path(), revoked);
        let answer = TestResponse::read(host.chat().await).await;
        assert_eq!((answer.status, attempts(&emulator)), (status, vec![1, 2]), "{}", answer.text);
        assert!(!answer.text.contains("revoked"), "{}", answer.text);
    }
}

#[actix_web::test]
async fn so_they_are_for_vectors() {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let host = with_keys_of_a_program(&emulator, folder.path(), "2");
    let body = json!({"model": "bedrock_models.cohere.embed-english-v3", "input": "a"});
    let answer = TestResponse::read(host.post("/embeddings", &body).await).await;
    assert_eq!((answer.status, attempts(&emulator)), (200, vec![1, 2]), "{}", answer.text);
}

/// Returns the answer to a chat with this model from a host without credentials.
async fn refused_as_nobody(model: &str) -> TestResponse {
    let folder = tempfile::tempdir().unwrap();
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let host = Process::start_as(&NOBODY, &emulator, folder.path(), &[]);
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    let refused = TestResponse::read(host.post("/chat/completions", &body).await).await;
    assert!(emulator.requests().is_empty(), "nothing is asked without a signature");
    refused
}

#[actix_web::test]
async fn without_credentials_the_entry_of_the_list_says_where_to_set_them() {
    let refused = refused_as_nobody("bedrock_models.error").await;
    assert_eq!(error_fields(&refused), expected_error(500, OURS, Some("upstream_auth_error")));
    assert!(refused.text.contains("AWS_ACCESS_KEY_ID"), "{}", refused.text);
}

#[actix_web::test]
async fn without_credentials_a_chat_with_any_model_says_where_to_set_them() {
    let refused = refused_as_nobody(MODEL).await;
    assert_eq!(
        error_fields(&refused),
        expected_error(500, OURS, Some("upstream_auth_error")),
        "{}",
        refused.text
    );
}

#[actix_web::test]
async fn what_aws_says_at_length_is_cut() {
    let rig = rig_with_retries(json!({})).await;
    let long = BedrockException::validation("ü".repeat(100_000));
    let (refused, _) = failed_chat(&rig, Script::fault(long), true).await;
    assert_eq!(refused.status, 400);
    assert!(refused.text.len() < 4000, "{}", refused.text.len());
}

#[actix_web::test]
async fn a_reasoning_model_that_fails_while_it_thinks_ends_in_an_error_frame() {
    let rig = rig_with_retries(json!({})).await;
    let answer = ModelAnswer::new().reasoning(["hm", "hm"], "signed").text(["a"]);
    let busy = InjectedFault::Exception(BedrockException::throttling("Too many requests"));
    rig.bedrock.script(ANY, Script::answer(answer).fail_after(2, busy));
    let body = chat_body(THINKER, &json!({"reasoning_effort": "low"}));
    let chunks = chunks(&rig.post(&with_stream(body, true)).await);
    assert_eq!(chunks.last().unwrap()["error"]["code"], "rate_limit_exceeded");
}

#[actix_web::test]
async fn an_answer_that_falls_silent_is_given_up_with_an_error_frame() {
    let rig = rig_with_retries(json!({"idle_timeout_seconds": 1})).await;
    let silent = || {
        Script::answer(ModelAnswer::with_text(["one", "two"])).fail_after(2, InjectedFault::Hang)
    };
    rig.bedrock.script(ANY, silent());
    let chunks = chunks(&rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await);
    assert_eq!(chunks.last().unwrap()["error"]["type"], "timeout");
    assert!(chunks.iter().all(|chunk| chunk["choices"][0]["finish_reason"].is_null()));
    let rig =
        rig_with_retries(json!({"idle_timeout_seconds": 1, "stream_above_max_tokens": 0})).await;
    let (refused, attempts) = failed_chat(&rig, silent(), false).await;
    assert_eq!((error_fields(&refused), attempts), (expected_error(504, "timeout", None), 1));
}

#[actix_web::test]
async fn a_client_that_leaves_a_plain_chat_closes_bedrock_s_connection_within_a_second() {
    let begun =
        Script::answer(ModelAnswer::with_text(["half", "more"])).fail_after(2, InjectedFault::Hang);
    for (valves, operation) in streamed_and_plain(&json!({})) {
        let rig = rig_with_retries(valves).await;
        for script in [Script::hang(), begun.clone()] {
            rig.bedrock.script(ANY, script);
            let place = rig.bedrock.requests().len();
            let body = chat_body(LITE, &json!({}));
            let request = rig.host.request(Method::POST, "/chat/completions").json(&body);
            let client = actix_web::rt::spawn(request.send());
            let asked = rig.bedrock.wait_for_requests(place + 1).await;
            assert_eq!(asked[place].operation, Some(operation));
            client.abort();
            let closed = timeout(Duration::from_secs(1), rig.bedrock.wait_for_outcome(place)).await;
            assert_eq!(closed.expect("the upstream still runs"), ExchangeOutcome::Aborted);
        }
    }
}
