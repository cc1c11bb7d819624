//! The requests that Bedrock gets.

use crate::support::*;
use bedrock_emulator::{AuthKind, Operation as Asked};
use bedrock_runtime::{Attempt, Operation, Request, SendError};
use http::HeaderMap;

#[tokio::test]
async fn a_signed_request_is_accepted_in_every_region() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    for region in ["us-east-1", "us-west-2"] {
        runtime.send(Request { region, ..hello() }).await.unwrap();
    }
    let asked = bedrock.requests();
    let regions: Vec<_> = asked.iter().map(|request| request.region.as_str()).collect();
    assert_eq!(regions, ["us-east-1", "us-west-2"]);
    assert!(asked.iter().all(|request| request.auth == AuthKind::SigV4));
}

#[tokio::test]
async fn each_chat_operation_finds_its_way() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    for (operation, asked) in [
        (Operation::Converse(LITE), Asked::Converse),
        (Operation::ConverseStream(LITE), Asked::ConverseStream),
    ] {
        let response = runtime.send(request(operation, HELLO)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.request_id().is_some());
        assert_eq!(bedrock.requests().pop().unwrap().operation, Some(asked));
    }
}

#[tokio::test]
async fn an_arn_is_one_segment_of_the_path() {
    let arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/k3v9x2m7q1ab";
    let bedrock = bedrock();
    runtime(&bedrock).send(request(Operation::Converse(arn), HELLO)).await.unwrap();
    let asked = bedrock.requests().pop().unwrap();
    assert_eq!(asked.target.unwrap(), arn);
    assert_eq!(
        asked.path,
        "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A123456789012%3Aapplication-inference-profile%2Fk3v9x2m7q1ab/converse"
    );
}

#[tokio::test]
async fn headers_say_who_asks_and_how_often() {
    let bedrock = bedrock();
    let mut headers = HeaderMap::new();
    headers.insert("x-amzn-bedrock-trace", "ENABLED".parse().unwrap());
    let attempt = Attempt { number: 2, max: 3 };
    runtime(&bedrock).send(Request { headers, attempt, ..hello() }).await.unwrap();
    let asked = bedrock.requests().pop().unwrap();
    let header = |name: &str| asked.headers[name].to_str().unwrap();
    assert_eq!(asked.attempt, 2);
    assert_eq!(header("amz-sdk-request"), "attempt=2; max=3");
    assert_eq!(header("amz-sdk-invocation-id").len(), 36);
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("user-agent"), concat!("pipewright/", env!("CARGO_PKG_VERSION")));
    let signed = header("authorization");
    let names = "SignedHeaders=content-type;host;x-amz-date;x-amzn-bedrock-trace,";
    assert!(signed.contains(names), "{signed}");
}

#[tokio::test]
async fn an_endpoint_may_be_below_a_path() {
    let bedrock = bedrock();
    let runtime = runtime_at(format!("{}/below/", bedrock.endpoint()), demo_keys());
    // The emulator has nothing there.
    assert_eq!(refused(runtime.send(hello()).await).code, "UnknownOperationException");
    assert!(bedrock.requests()[0].path.starts_with("/below/model/amazon.nova"));
}

#[tokio::test]
async fn connections_are_used_again() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    for _ in 0..5 {
        runtime.clone().send(hello()).await.unwrap().into_body().read_up_to(1 << 20).await.unwrap();
        refused(runtime.send(request(Operation::Converse(LITE), "{}")).await);
    }
    assert_eq!(bedrock.connection_counts().accepted, 1);
}

#[tokio::test]
async fn a_closed_port_gives_no_response() {
    let bedrock = bedrock();
    let runtime = runtime(&bedrock);
    drop(bedrock);
    let failure = runtime.send(hello()).await.unwrap_err();
    assert_eq!(failure, SendError::Unreachable);
    let nowhere = runtime_at("bedrock".into(), demo_keys()).send(hello()).await.unwrap_err();
    assert_eq!(nowhere, SendError::Unreachable);
}
