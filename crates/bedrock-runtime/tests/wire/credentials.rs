//! Credentials, and what happens when they change.

use crate::support::*;
use aws_credential_types::{Token, provider::token::SharedTokenProvider};
use bedrock_emulator::{AuthKind, DEMO_BEARER_TOKEN, DEMO_KEY};
use bedrock_runtime::{Identity, SendError};
use futures_util::future::join_all;
use std::time::Duration;

#[tokio::test]
async fn a_bearer_key_goes_as_it_is() {
    let bedrock = bedrock();
    let tokens = SharedTokenProvider::new(Token::new(DEMO_BEARER_TOKEN, None));
    runtime_as(&bedrock, Identity::from_tokens(tokens)).send(hello()).await.unwrap();
    let asked = bedrock.requests().pop().unwrap();
    assert_eq!(asked.auth, AuthKind::Bearer);
    assert!(!asked.headers.contains_key("x-amz-date"));
}

#[tokio::test]
async fn credentials_are_asked_for_once() {
    let bedrock = bedrock();
    let source = Counting::gated(|_| Ok(keys(DEMO_KEY.1)));
    let runtime = runtime_as(&bedrock, source.identity());
    let (answers, ()) =
        tokio::join!(join_all((0..8).map(|_| runtime.send(hello()))), source.open());
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn what_is_refused_at_once_is_asked_for_anew_once() {
    let bedrock = bedrock();
    let source = Counting::new(|before| Ok(keys(if before == 0 { "revoked" } else { DEMO_KEY.1 })));
    let runtime = runtime_as(&bedrock, source.identity());
    for error in join_all((0..8).map(|_| runtime.send(hello()))).await.into_iter().map(refused) {
        assert!(error.is_credentials_error());
    }
    let others = join_all((0..8).map(|_| runtime.has_new_credentials())).await;
    assert_eq!(others, [true; 8]);
    assert!(join_all((0..8).map(|_| runtime.send(hello()))).await.iter().all(Result::is_ok));
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn the_same_credentials_again_are_no_others() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    assert!(!runtime.has_new_credentials().await);
    bedrock.expire_credentials(true);
    assert_eq!(refused(runtime.send(hello()).await).code, "ExpiredTokenException");
    assert!(!runtime.has_new_credentials().await);
    bedrock.expire_credentials(false);
    runtime.send(hello()).await.unwrap();
}

#[tokio::test]
async fn new_ones_are_asked_for_shortly_before_the_end() {
    let bedrock = bedrock();
    let source = Counting::new(|before| Ok(for_seconds(if before == 0 { 30 } else { 3600 })));
    let runtime = runtime_as(&bedrock, source.identity());
    runtime.send(hello()).await.unwrap();
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    for _ in 0..3 {
        runtime.send(hello()).await.unwrap();
    }
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn old_ones_do_while_they_are_valid_and_there_are_no_others() {
    let bedrock = bedrock();
    let source =
        Counting::new(|before| if before == 0 { Ok(for_seconds(30)) } else { Err(lost()) });
    let runtime = runtime_as(&bedrock, source.identity());
    runtime.send(hello()).await.unwrap();
    for asked in [2, 3] {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(6)).await;
        tokio::time::resume();
        for _ in 0..3 {
            runtime.send(hello()).await.unwrap();
        }
        assert_eq!(source.asked(), asked);
    }
}

#[tokio::test]
async fn all_who_wait_are_told_why_there_are_none() {
    let bedrock = bedrock();
    let source = Counting::gated(|_| Err(lost()));
    let runtime = runtime_as(&bedrock, source.identity());
    let (answers, ()) =
        tokio::join!(join_all((0..8).map(|_| runtime.send(hello()))), source.open());
    assert!(
        answers
            .into_iter()
            .all(|answer| matches!(answer.unwrap_err(), SendError::CredentialsUnavailable(_)))
    );
    assert_eq!(source.asked(), 1);
    assert!(bedrock.requests().is_empty());
}
