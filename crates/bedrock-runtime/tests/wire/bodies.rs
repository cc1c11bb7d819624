//! Answers on their way.

use crate::support::*;
use bedrock_emulator::{ANY, ExchangeOutcome, InjectedFault, ModelAnswer, Script};
use bedrock_runtime::{BodyError, EventStreamDecoder, Operation};
use futures_util::StreamExt;

fn answer() -> ModelAnswer {
    ModelAnswer::with_text(["one", "two", "three"])
}

#[tokio::test]
async fn the_headers_are_there_before_the_events_are() {
    let bedrock = bedrock();
    bedrock.script(ANY, Script::answer(answer()).fail_after(0, InjectedFault::Hang));
    let response = runtime(&bedrock).send(hello()).await.unwrap();
    assert_eq!(response.header("content-type"), Some("application/vnd.amazon.eventstream"));
}

#[tokio::test]
async fn events_can_be_read_as_they_come() {
    let bedrock = bedrock();
    bedrock.script(ANY, Script::answer(answer()));
    let mut body = runtime(&bedrock).send(hello()).await.unwrap().into_body();
    let (mut decoder, mut names) = (EventStreamDecoder::default(), Vec::new());
    while let Some(bytes) = body.next().await {
        decoder.push(&bytes.unwrap());
        while let Some(frame) = decoder.next_frame().unwrap() {
            names.push(frame.name.to_owned());
        }
    }
    assert_eq!(names.first().unwrap(), "messageStart");
    assert_eq!(names.iter().filter(|name| *name == "contentBlockDelta").count(), 3);
    assert_eq!(names.last().unwrap(), "metadata");
}

#[tokio::test]
async fn dropping_the_bytes_closes_the_connection() {
    let bedrock = bedrock();
    bedrock.script(ANY, Script::answer(answer()).fail_after(2, InjectedFault::Hang));
    let mut body = runtime(&bedrock).send(hello()).await.unwrap().into_body();
    body.next().await.unwrap().unwrap();
    drop(body);
    assert_eq!(bedrock.wait_for_outcome(0).await, ExchangeOutcome::Aborted);
}

#[tokio::test]
async fn a_cut_connection_is_no_end() {
    let bedrock = bedrock();
    bedrock.script(ANY, Script::answer(answer()).fail_after(2, InjectedFault::Reset));
    let body = runtime(&bedrock).send(hello()).await.unwrap().into_body();
    assert_eq!(body.read_up_to(1 << 20).await, Err(BodyError::ConnectionClosed));
}

#[tokio::test]
async fn a_whole_answer_is_no_longer_than_is_wanted() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    let converse = async |limit| {
        bedrock.script(ANY, Script::answer(answer()));
        let response = runtime.send(request(Operation::Converse(LITE), HELLO)).await.unwrap();
        response.into_body().read_up_to(limit).await
    };
    let whole = converse(1 << 20).await.unwrap();
    assert!(String::from_utf8_lossy(&whole).contains("onetwothree"));
    assert_eq!(converse(whole.len()).await.unwrap().len(), whole.len());
    for limit in [0, 10, whole.len() - 1] {
        assert_eq!(converse(limit).await, Err(BodyError::TooLong(limit)));
    }
}
