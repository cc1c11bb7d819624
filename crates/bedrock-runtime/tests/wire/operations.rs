//! Operations that are no chats, which go through the AWS SDK.

use crate::support::*;
use aws_credential_types::{Token, provider::token::SharedTokenProvider};
use bedrock_emulator::{
    ANY, AuthKind, BedrockException, DEMO_BEARER_TOKEN, DEMO_KEY, Emulator, Operation as Asked,
    Script,
};
use bedrock_runtime::{
    Attempt, Identity, InvokeModelResponse, OperationError, Runtime, SendError, ServiceError,
};
use bytes::Bytes;
use std::time::Duration;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const TITAN: &str = "amazon.titan-embed-text-v2:0";
const ATTEMPT: Attempt = Attempt { number: 2, max: 3 };
const COUNT: &str =
    r#"{"input":{"converse":{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}}}"#;

async fn embed(runtime: &Runtime) -> Result<InvokeModelResponse, OperationError> {
    let body = Bytes::from_static(br#"{"inputText":"Hello"}"#);
    runtime.invoke_model("us-east-1", TITAN, body, ATTEMPT).await
}

async fn count(runtime: &Runtime) -> Result<u64, OperationError> {
    let body = Bytes::from_static(COUNT.as_bytes());
    runtime.count_tokens("us-east-1", LITE, body, ATTEMPT).await
}

/// Returns the error of a service that answers by this script.
async fn error_by(bedrock: &Emulator, script: Script) -> ServiceError {
    bedrock.script(ANY, script);
    match embed(&runtime(bedrock)).await {
        Err(OperationError::Send(SendError::Service(error))) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_model_answers_in_its_own_format() {
    let bedrock = bedrock();
    let response = embed(&runtime(&bedrock)).await.unwrap();
    assert!(String::from_utf8_lossy(&response.body).contains("\"embedding\""));
    assert!(response.input_tokens.is_some_and(|count| count > 0));
    let asked = bedrock.requests().pop().unwrap();
    assert_eq!((asked.operation, asked.auth), (Some(Asked::InvokeModel), AuthKind::SigV4));
    assert_eq!(asked.target.unwrap(), TITAN);
    assert_eq!(asked.headers["content-type"], "application/json");
    assert_eq!(asked.headers["amz-sdk-request"], "attempt=2; max=3");
}

#[tokio::test]
async fn tokens_are_counted_of_the_body_as_it_is() {
    let bedrock = bedrock();
    assert!(count(&runtime(&bedrock)).await.unwrap() > 0);
    let asked = bedrock.requests().pop().unwrap();
    assert_eq!(asked.operation, Some(Asked::CountTokens));
    assert_eq!(asked.body, COUNT);
}

#[tokio::test]
async fn all_operations_use_the_same_connection() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    for _ in 0..3 {
        embed(&runtime).await.unwrap();
        count(&runtime).await.unwrap();
        runtime.send(hello()).await.unwrap().into_body().read_up_to(1 << 20).await.unwrap();
    }
    assert_eq!(bedrock.connection_counts().accepted, 1);
}

#[tokio::test]
async fn a_bearer_key_goes_as_it_is() {
    let bedrock = bedrock();
    let tokens = SharedTokenProvider::new(Token::new(DEMO_BEARER_TOKEN, None));
    embed(&runtime_as(&bedrock, Identity::from_tokens(tokens))).await.unwrap();
    assert_eq!(bedrock.requests().pop().unwrap().auth, AuthKind::Bearer);
}

#[tokio::test]
async fn an_error_keeps_the_words_of_aws() {
    let bedrock = bedrock();
    let throttling = BedrockException::throttling("Please wait.").header("retry-after", "7");
    let error = error_by(&bedrock, Script::fault(throttling)).await;
    assert_eq!((error.code.as_str(), error.status), ("ThrottlingException", 429));
    assert_eq!(error.message, "Please wait.");
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert!(error.request_id.is_some());
    let unknown = BedrockException::new(418, "SomethingNewException", "hm");
    assert_eq!(error_by(&bedrock, Script::fault(unknown)).await.code, "SomethingNewException");
    let model = BedrockException::model_error(400, "bad prompt");
    let error = error_by(&bedrock, Script::fault(model)).await;
    assert_eq!((error.status, error.original_status), (424, Some(400)));
    let error = error_by(&bedrock, Script::html(502)).await;
    assert_eq!((error.code.as_str(), error.message.as_str(), error.status), ("", "", 502));
    assert_eq!(bedrock.requests().len(), 4, "there are no retries");
}

#[tokio::test]
async fn a_count_without_a_number_cannot_be_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let respond = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        stream
    };
    let runtime = runtime_at(endpoint, demo_keys());
    let (counted, _stream) = tokio::join!(count(&runtime), respond);
    assert_eq!(counted, Err(OperationError::Unreadable));
}

#[tokio::test]
async fn credentials_that_are_refused_are_fetched_anew() {
    let bedrock = bedrock();
    let source = Counting::new(|before| Ok(keys(if before == 0 { "revoked" } else { DEMO_KEY.1 })));
    let runtime = runtime_as(&bedrock, source.identity());
    assert!(embed(&runtime).await.unwrap_err().is_credentials_error());
    assert!(runtime.has_new_credentials().await);
    embed(&runtime).await.unwrap();
    assert_eq!(source.asked(), 2);
}

#[tokio::test]
async fn without_credentials_nothing_is_sent() {
    let bedrock = bedrock();
    let source = Counting::new(|_| Err(lost()));
    let error = embed(&runtime_as(&bedrock, source.identity())).await.unwrap_err();
    assert!(matches!(error, OperationError::Send(SendError::CredentialsUnavailable(_))));
    assert!(bedrock.requests().is_empty());
}

#[tokio::test]
async fn a_closed_port_gives_no_response() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    drop(bedrock);
    assert_eq!(embed(&runtime).await, Err(SendError::Unreachable.into()));
    let nowhere = runtime_at("bedrock".into(), demo_keys());
    assert_eq!(embed(&nowhere).await, Err(SendError::Unreachable.into()));
}
