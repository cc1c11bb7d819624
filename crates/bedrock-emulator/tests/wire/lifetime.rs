//! Emulators begin and end, several at once.

use crate::client::{Ask, LITE, chunk};
use bedrock_emulator::{
    ANY, Catalogue, ConnectionCounts, Emulator, EmulatorOptions, InjectedFault, ModelAnswer, Script,
};
use std::net::TcpStream;
use tokio::task::LocalSet;

#[tokio::test]
async fn dropping_the_emulator_ends_its_streams_and_frees_its_port() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    emulator.script(
        ANY,
        Script::answer(ModelAnswer::with_text(["hi"])).fail_after(1, InjectedFault::Hang),
    );
    let mut body = Ask::stream(LITE).send(&emulator).await.unwrap().into_body();
    chunk(&mut body).await.unwrap().unwrap();
    let address = emulator.endpoint().replace("http://", "");
    drop(emulator);
    assert!(chunk(&mut body).await.unwrap().is_err());
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn two_emulators_do_not_meet() {
    let (one, other) = (
        Emulator::start(EmulatorOptions::default()).unwrap(),
        Emulator::start(EmulatorOptions::default()).unwrap(),
    );
    one.script(ANY, Script::throttle().always());
    assert_eq!(Ask::converse(LITE).json(&one).await.0, 429);
    assert_eq!(Ask::converse(LITE).json(&other).await.0, 200);
    assert_eq!((one.requests().len(), other.requests().len()), (1, 1));
}

#[tokio::test(flavor = "current_thread")]
async fn it_serves_from_a_single_thread_with_local_tasks() {
    let tasks = LocalSet::new();
    let (status, _) = tasks
        .run_until(async {
            let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
            Ask::converse(LITE).json(&emulator).await
        })
        .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn connections_are_counted() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    emulator.script(
        ANY,
        Script::answer(ModelAnswer::with_text(["hi"])).fail_after(1, InjectedFault::Hang),
    );
    let body = Ask::stream(LITE).send(&emulator).await.unwrap().into_body();
    assert_eq!(emulator.connection_counts(), ConnectionCounts { accepted: 1, open: 1 });
    drop(body);
    emulator.wait_for_outcome(0).await;
}

#[tokio::test]
async fn the_catalogue_is_the_callers_to_choose() {
    let catalogue = r#"{ "models": [{ "id": "acme.chat-v1", "name": "Chat", "provider": "Acme",
        "regions": ["us-east-1"], "inference": ["ON_DEMAND"] }], "profiles": [] }"#;
    let catalogue = Catalogue::from_json(catalogue).unwrap();
    let emulator =
        Emulator::start(EmulatorOptions { catalogue, ..EmulatorOptions::default() }).unwrap();
    assert_eq!(Ask::converse("acme.chat-v1").json(&emulator).await.0, 200);
    assert_eq!(Ask::converse(LITE).json(&emulator).await.0, 400);
}
