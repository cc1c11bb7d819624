//! The stop sequence at which an answer has ended, as clients of Messages and of chats read it.

use super::{CLAUDE, NOVA, with_fields};
use crate::{
    bedrock::{emulator, host, sent_bodies},
    openai_proxy,
    support::{TestHost, TestResponse},
};
use bedrock_emulator::{ANY, BedrockException, Emulator, ModelAnswer, Script};
use serde_json::{Value, json};

/// Asks for a message with these stop sequences, and returns its text, stop reason and stop
/// sequence. `prepare` is called before each request; streamed and whole answers must be the same.
async fn ended(
    host: &TestHost,
    model: &str,
    stops: &Value,
    prepare: impl Fn(bool),
) -> (String, Value, Value) {
    let body = json!({"model": model, "max_tokens": 9, "stop_sequences": stops, "messages": [{"role": "user", "content": "hi"}]});
    prepare(false);
    let whole = host.post("/v1/messages", &body).await;
    assert_eq!(whole.status, 200, "{}", whole.text);
    let text = whole.json["content"][0]["text"].as_str().unwrap_or_default().to_owned();
    let ended = (text, whole.json["stop_reason"].clone(), whole.json["stop_sequence"].clone());
    prepare(true);
    let streamed = host.post("/v1/messages", &with_fields(body, json!({"stream": true}))).await;
    assert_eq!(read_stream(&streamed), ended, "streamed on the left, whole on the right");
    ended
}

fn read_stream(answered: &TestResponse) -> (String, Value, Value) {
    let events = super::events(&answered.text);
    let pieces = events.iter().filter_map(|event| event["delta"]["text"].as_str());
    let end = events.iter().find(|event| event["type"] == "message_delta");
    let end = &end.unwrap_or_else(|| panic!("{}", answered.text))["delta"];
    (pieces.collect(), end["stop_reason"].clone(), end["stop_sequence"].clone())
}

fn end_of_answer(text: &str, reason: &str, sequence: Value) -> (String, Value, Value) {
    (text.to_owned(), reason.into(), sequence)
}

/// Has the next model refuse stop sequences, from which its quirk is learned.
fn refuse_stop_sequences(emulator: &Emulator) {
    let refusal =
        "This model doesn't support the stopSequences field. Remove stopSequences and try again.";
    emulator.script(ANY, Script::fault(BedrockException::validation(refusal)));
}

fn script(emulator: &Emulator, answer: &ModelAnswer) {
    emulator.script(ANY, Script::answer(answer.clone()));
}

#[actix_web::test]
async fn a_message_names_the_stop_sequence_that_bedrock_has_met() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let answer = ModelAnswer::with_text(["one "]).stop("stop_sequence");
    let only = ended(&host, CLAUDE, &json!(["END"]), |_| script(&emulator, &answer)).await;
    assert_eq!(only, end_of_answer("one ", "stop_sequence", "END".into()));
    assert!(
        sent_bodies(&emulator).pop().unwrap().get("additionalModelResponseFieldPaths").is_none()
    );

    let answer = answer.response_fields(json!({"stop_sequence": "STOP"}));
    let stops = json!(["END", "STOP"]);
    let one_of_two = ended(&host, CLAUDE, &stops, |_| script(&emulator, &answer)).await;
    assert_eq!(one_of_two, end_of_answer("one ", "stop_sequence", "STOP".into()));
    let paths = sent_bodies(&emulator).pop().unwrap()["additionalModelResponseFieldPaths"].clone();
    assert_eq!(paths, json!(["/stop_sequence"]));
}

#[actix_web::test]
async fn a_message_names_the_stop_sequence_at_which_the_host_has_cut_it() {
    let emulator = emulator();
    let host = host(&emulator).await;
    let answer = ModelAnswer::with_text(["one EN", "D two STOP"]);
    refuse_stop_sequences(&emulator);
    for stops in [json!(["END"]), json!(["STOP", "END"])] {
        let cut = ended(&host, NOVA, &stops, |_| script(&emulator, &answer)).await;
        assert!(
            sent_bodies(&emulator).pop().unwrap()["inferenceConfig"].get("stopSequences").is_none()
        );
        assert_eq!(cut, end_of_answer("one ", "stop_sequence", "END".into()));
    }
    let whole = ended(&host, NOVA, &json!(["NEVER"]), |_| script(&emulator, &answer)).await;
    assert_eq!(whole, end_of_answer("one END two STOP", "end_turn", Value::Null));
    // Claude takes no blank stop sequences.
    let lines = ModelAnswer::with_text(["one\n", "\ntwo"]);
    let cut = ended(&host, CLAUDE, &json!(["\n\n"]), |_| script(&emulator, &lines)).await;
    assert_eq!(cut, end_of_answer("one", "stop_sequence", "\n\n".into()));
}

#[actix_web::test]
async fn a_chat_names_the_stop_sequence_beside_its_choices() {
    let emulator = emulator();
    let host = host(&emulator).await;
    refuse_stop_sequences(&emulator);
    script(&emulator, &ModelAnswer::with_text(["one END two"]));
    let chat =
        json!({"model": NOVA, "stop": "END", "messages": [{"role": "user", "content": "hi"}]});
    let answered = host.post("/chat/completions", &chat).await;
    assert_eq!(answered.json["x_stop_sequence"], "END", "{}", answered.text);
    assert_eq!(answered.json["choices"][0]["finish_reason"], "stop");
}

#[actix_web::test]
async fn a_message_names_the_stop_sequence_that_a_server_reports() {
    let (server, host) = openai_proxy::server_and_host().await;
    let choice = |streamed: bool, fields: &Value| {
        let part = if streamed { "delta" } else { "message" };
        let mut choice = json!({"index": 0, "finish_reason": "stop"});
        choice[part] = json!({"role": "assistant", "content": "one "});
        json!({"choices": [with_fields(choice, fields.clone())]})
    };
    for (fields, expected) in [
        (json!({"stop_reason": "END"}), end_of_answer("one ", "stop_sequence", "END".into())),
        (json!({"matched_stop": "END"}), end_of_answer("one ", "stop_sequence", "END".into())),
        (json!({"stop_reason": 128_009}), end_of_answer("one ", "end_turn", Value::Null)),
        (json!({"stop_reason": "end_turn"}), end_of_answer("one ", "end_turn", Value::Null)),
        (json!({}), end_of_answer("one ", "end_turn", Value::Null)),
    ] {
        let script = |streamed: bool| {
            let answer = choice(streamed, &fields);
            server.script(if streamed {
                openai_proxy::server::stream(&[answer])
            } else {
                openai_proxy::server::json_of("200 OK", "", &answer)
            });
        };
        let stops = json!(["STOP", "END"]);
        assert_eq!(ended(&host, "openai_proxy.m", &stops, script).await, expected, "{fields}");
    }
}
