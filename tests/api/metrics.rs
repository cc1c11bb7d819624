//! Metrics, as Prometheus reads them.

use crate::{
    rig::{LITE, chat_body, rig_without_fallbacks, with_stream},
    support::{Builder, TestResponse, host},
};
use bedrock_emulator::{ANY, BedrockException, Script};
use reqwest::Method;
use serde_json::json;

#[actix_web::test]
async fn an_answer_is_measured_in_tokens_and_seconds() {
    let rig = rig_without_fallbacks(json!({})).await;
    assert_eq!(rig.post(&with_stream(chat_body(LITE, &json!({})), true)).await.status, 200);
    rig.bedrock.script(ANY, Script::fault(BedrockException::access_denied("no")));
    rig.post(&chat_body(LITE, &json!({}))).await.error_message(403);
    let metrics = rig.host.get("/metrics").await;
    assert!(metrics.header("content-type").starts_with("application/openmetrics-text"));
    let model = format!(
        "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"aws.bedrock\",gen_ai_request_model=\"{LITE}\""
    );
    for line in [
        format!("gen_ai_server_request_duration_seconds_count{{{model},error_type=\"\"}} 1"),
        format!("gen_ai_server_request_duration_seconds_count{{{model},error_type=\"denied\"}} 1"),
        format!("gen_ai_server_time_to_first_token_seconds_count{{{model}}} 1"),
        format!("gen_ai_client_token_usage_count{{{model},gen_ai_token_type=\"output\"}} 1"),
        "pipelines_upstream_errors_total{pipe=\"bedrock_models\",kind=\"denied\"} 1".into(),
        "pipelines_in_flight{pipe=\"bedrock_models\"} 0".into(),
        "pipewright_pipe_up{pipe=\"bedrock_models\"} 1".into(),
        "pipelines_default_api_key 0".into(),
        "pipewright_build_info{version=".into(),
        "process_cpu_seconds_total ".into(),
        "process_resident_memory_bytes ".into(),
        "process_open_fds ".into(),
        "process_start_time_seconds ".into(),
    ] {
        assert!(metrics.text.contains(&line), "{line} is missing from\n{}", metrics.text);
    }
    let route = "http_route=\"/chat/completions\",http_response_status_code=\"403\"";
    assert!(metrics.text.contains(route), "{}", metrics.text);
}

#[actix_web::test]
async fn words_that_clients_make_up_are_no_labels() {
    let host = host().await;
    host.chat("script.nobody-has-this", "hi").await;
    host.get("/some/path/of/mine").await;
    let text = host.get("/metrics").await.text;
    assert!(!text.contains("nobody-has-this") && !text.contains("of/mine"), "{text}");
    assert!(text.contains("gen_ai_request_model=\"other\""), "{text}");
}

#[actix_web::test]
async fn metrics_need_the_key_unless_they_are_opened() {
    let closed = host().await;
    TestResponse::read(closed.request_without_key(Method::GET, "/metrics").send().await.unwrap())
        .await
        .error_message(401);
    let open = Builder::new().switch("--metrics-open").start().await;
    let metrics = TestResponse::read(
        open.request_without_key(Method::GET, "/v1/metrics").send().await.unwrap(),
    )
    .await;
    assert!(metrics.text.ends_with("# EOF\n"), "{}", metrics.text);
}
