//! The emulator's record of requests.

use crate::client::{Ask, LITE, hello};
use bedrock_emulator::{AuthKind, Emulator, EmulatorOptions, Operation};
use http::Method;
use serde_json::json;

#[tokio::test]
async fn a_request_is_kept_as_it_came() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let mut ask = Ask { region: "us-west-2", ..Ask::converse(LITE) };
    ask.headers.push(("amz-sdk-request", "attempt=2; max=3"));
    ask.json(&emulator).await;
    let requests = emulator.wait_for_requests(1).await;
    let request = &requests[0];
    assert_eq!(request.operation, Some(Operation::Converse));
    assert_eq!((request.region.as_str(), request.target.as_deref()), ("us-west-2", Some(LITE)));
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/model/amazon.nova-lite-v1%3A0/converse")
    );
    assert_eq!((&request.json, request.body.len()), (&hello(), hello().to_string().len()));
    assert_eq!((request.attempt, request.auth, request.connection), (2, AuthKind::SigV4, 0));
}

#[tokio::test]
async fn what_is_no_operation_is_kept_and_refused() {
    let emulator = Emulator::start(EmulatorOptions::default()).unwrap();
    let (status, _) = Ask::new(Method::GET, "/nothing/here", &json!(null)).json(&emulator).await;
    assert_eq!((status, emulator.requests()[0].operation), (404, None));
}
