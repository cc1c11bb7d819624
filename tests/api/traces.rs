//! Traces, as a collector gets them.

use crate::process::{KEY, MODEL, Process};
use actix_web::{App, HttpServer, web};
use bedrock_emulator::{Emulator, EmulatorOptions};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value},
    trace::v1::{Span, span::SpanKind},
};
use pipe_sdk::Task;
use prost::Message;
use serde_json::json;
use std::sync::{Arc, Mutex};

const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A collector that keeps what it is sent.
struct Collector {
    url: String,
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    _server: Task,
}

impl Collector {
    fn start() -> Self {
        let taken = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&taken);
        let server = HttpServer::new(move || {
            let kept = Arc::clone(&kept);
            let take = move |body: web::Bytes| {
                kept.lock().unwrap().push(ExportTraceServiceRequest::decode(body).unwrap());
                async { "" }
            };
            App::new().route("/v1/traces", web::post().to(take))
        });
        let server = server.workers(1).bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", server.addrs()[0]);
        let running = server.run();
        let server = Task::spawn(async { running.await.unwrap() });
        Self { url, taken, _server: server }
    }

    fn spans(&self) -> Vec<Span> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        let scopes = resources.flat_map(|resource| &resource.scope_spans);
        scopes.flat_map(|scope| scope.spans.clone()).collect()
    }

    fn services(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let resources = taken.iter().flat_map(|request| &request.resource_spans);
        let said = resources.filter_map(|spans| spans.resource.as_ref());
        said.filter_map(|resource| text(&resource.attributes, "service.name")).collect()
    }
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.key == name)?;
    match attribute.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(text) => Some(text.clone()),
        any_value::Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

fn process(emulator: &Emulator, folder: &std::path::Path, more: &[(&str, &str)]) -> Process {
    let (id, secret) = bedrock_emulator::DEMO_KEY;
    let keys = [
        ("BEDROCK_MODELS_AWS_ACCESS_KEY_ID", id),
        ("BEDROCK_MODELS_AWS_SECRET_ACCESS_KEY", secret),
    ];
    let variables: Vec<_> = keys.into_iter().chain(more.iter().copied()).collect();
    Process::start_as(&variables, emulator, folder, &[])
}

async fn chat(host: &Process) -> u16 {
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": "planet earth"}]});
    let asked = host.client.post(format!("{}/v1/chat/completions", host.url));
    let asked = asked.bearer_auth(KEY).header("traceparent", CALLER).json(&body);
    let answered = asked.send().await.unwrap();
    let status = answered.status().as_u16();
    answered.bytes().await.unwrap();
    status
}

#[actix_web::test]
async fn a_request_and_its_answer_are_spans_below_the_callers() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let collector = Collector::start();
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str())];
    let host = process(&emulator, folder.path(), &endpoint);
    assert_eq!(chat(&host).await, 200);
    host.signal("-TERM");
    assert!(host.log().await.contains("0af7651916cd43dd8448eb211c80319c"));

    assert_eq!(collector.services(), ["pipewright"]);
    let spans = collector.spans();
    let [answer, request] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(request.name, "POST /chat/completions");
    assert_eq!(request.kind(), SpanKind::Server);
    assert_eq!(request.trace_id, 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    assert_eq!(request.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    assert_eq!(text(&request.attributes, "http.response.status_code").as_deref(), Some("200"));
    assert_eq!(answer.name, format!("chat {MODEL}"));
    assert_eq!((&answer.trace_id, &answer.parent_span_id), (&request.trace_id, &request.span_id));
    for name in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
        assert!(text(&answer.attributes, name).is_some(), "{name}: {answer:?}");
    }
    assert!(!format!("{spans:?}").contains("planet earth"));
}

#[actix_web::test]
async fn a_dead_collector_stops_nobody() {
    let (emulator, folder) =
        (Emulator::start(EmulatorOptions::default()).unwrap(), tempfile::tempdir().unwrap());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dead = format!("http://{closed}");
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", dead.as_str())];
    let host = process(&emulator, folder.path(), &endpoint);
    assert_eq!(chat(&host).await, 200);
    host.signal("-TERM");
    assert_eq!(host.wait_for_exit().await.code(), Some(0));
}
