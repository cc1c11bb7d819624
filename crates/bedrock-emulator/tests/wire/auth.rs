//! Authentication: accepted credentials, and the errors for all others.

use crate::client::{Ask, LITE};
use bedrock_emulator::{AuthKind, DEMO_BEARER_TOKEN, Emulator, EmulatorOptions};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use std::time::Duration;

fn started() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

async fn refused(ask: Ask, emulator: &Emulator) -> (u16, String, String) {
    let response = ask.send(emulator).await.unwrap();
    let status = response.status().as_u16();
    let kind = response.headers()["x-amzn-errortype"]
        .to_str()
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let ask = Ask { secret: "wrong", ..Ask::converse(LITE) };
    let (status, kind, body) = refused(ask, &started()).await;
    assert_eq!((status, kind.as_str()), (403, "InvalidSignatureException"));
    assert!(body.contains("does not match the signature you provided"), "{body}");
}

#[tokio::test]
async fn an_old_signature_is_refused() {
    let mut ask = Ask::converse(LITE);
    ask.time -= Duration::from_secs(600);
    let (status, kind, body) = refused(ask, &started()).await;
    assert_eq!((status, kind.as_str()), (403, "InvalidSignatureException"));
    assert!(body.contains("Signature expired"), "{body}");
}

#[tokio::test]
async fn credentials_can_expire_and_be_renewed() {
    let emulator = started();
    emulator.expire_credentials(true);
    assert_eq!(refused(Ask::converse(LITE), &emulator).await.1, "ExpiredTokenException");
    emulator.expire_credentials(false);
    assert_eq!(Ask::converse(LITE).json(&emulator).await.0, 200);
}

#[tokio::test]
async fn a_bearer_token_opens_what_no_name_does_not() {
    let emulator = started();
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<&[u8]>>();
    for (authorization, status, kind) in [
        (Some(format!("Bearer {DEMO_BEARER_TOKEN}")), 200, AuthKind::Bearer),
        (Some("Bearer nonsense".to_owned()), 403, AuthKind::Bearer),
        (Some("Basic nonsense".to_owned()), 403, AuthKind::None),
        (None, 403, AuthKind::None),
    ] {
        let request = http::Request::get(format!("{}/foundation-models", emulator.endpoint()));
        let request = authorization
            .iter()
            .fold(request, |request, value| request.header("authorization", value));
        let response = client.request(request.body(Empty::new()).unwrap()).await.unwrap();
        assert_eq!(response.status(), status, "{authorization:?}");
        assert_eq!(emulator.requests().last().unwrap().auth, kind);
    }
}
