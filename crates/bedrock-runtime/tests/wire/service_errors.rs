//! The errors of AWS, and of proxies in between.

use crate::support::*;
use bedrock_emulator::{ANY, BedrockException, Script};
use std::time::Duration;

#[tokio::test]
async fn a_refusal_keeps_the_words_of_aws() {
    let bedrock = bedrock();
    let fault =
        BedrockException::throttling("Too many tokens, please wait.").header("retry-after", "7");
    bedrock.script(ANY, Script::fault(fault));
    let error = refused(runtime(&bedrock).send(hello()).await);
    assert_eq!((error.code.as_str(), error.status), ("ThrottlingException", 429));
    assert_eq!(error.message, "Too many tokens, please wait.");
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(error.original_status, None);
    assert!(error.request_id.is_some());
}

#[tokio::test]
async fn names_that_no_sdk_knows_are_kept() {
    let bedrock = bedrock();
    let fault = BedrockException::new(418, "SomethingNewException", "hm");
    bedrock.script(ANY, Script::fault(fault));
    assert_eq!(refused(runtime(&bedrock).send(hello()).await).code, "SomethingNewException");
}

#[tokio::test]
async fn the_status_of_the_models_own_server_is_kept() {
    let bedrock = bedrock();
    bedrock.script(ANY, Script::fault(BedrockException::model_error(400, "bad prompt")));
    let error = refused(runtime(&bedrock).send(hello()).await);
    assert_eq!((error.status, error.original_status), (424, Some(400)));
}

#[tokio::test]
async fn a_page_of_html_becomes_an_error_of_its_status() {
    let bedrock = bedrock();
    bedrock.script(ANY, Script::html(502));
    let error = refused(runtime(&bedrock).send(hello()).await);
    assert_eq!((error.code.as_str(), error.message.as_str()), ("", ""));
    assert_eq!(error.status, 502);
}
