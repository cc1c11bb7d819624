//! The host as a Lambda function, and an endpoint for Lambda invocations on a local machine.

use actix_web::{
    HttpRequest, HttpResponse, HttpServer,
    dev::Server,
    web::{self, Data},
};
use anyhow::{Context, anyhow};
use futures_util::FutureExt;
use lambda_adapter::LambdaFunction;
use pipewright::{
    app::App,
    http::{BodyLimit, MemoryBudget, ROUTES, Sender, read_body},
    settings::Settings,
};
use serde_json::{Value, json};
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    panic::AssertUnwindSafe,
};

/// The maximum size of an event, a limit of Lambda. A request's body is one text in it.
const EVENT_LIMIT: BodyLimit = BodyLimit { bytes: 6 << 20, pieces: Some(100_000) };

/// Returns the settings of a host that is reached only through its function.
pub fn loopback_settings(settings: &Settings) -> Settings {
    Settings { host: Some(Ipv4Addr::LOCALHOST.into()), port: 0, ..settings.clone() }
}

/// Handles Lambda's events until Lambda stops the function.
///
/// # Errors
/// Returns an error if Lambda's runtime API cannot be reached, or the host fails.
pub async fn run(app: App) -> anyhow::Result<()> {
    let function = build_function(&app);
    tokio::select! {
        ended = app.run_until_stopped() => ended,
        ended = run_function(function) => ended.context("Lambda's runtime API failed"),
    }
}

/// Runs the function. The runtime's client panics at an answer without Lambda's headers; that is
/// an error here, so that the program ends with a sentence.
async fn run_function(function: LambdaFunction) -> anyhow::Result<()> {
    match AssertUnwindSafe(function.run()).catch_unwind().await {
        Ok(ended) => ended.map_err(|error| anyhow!(error)),
        Err(_) => Err(anyhow!("the runtime API returned no valid event")),
    }
}

/// Listens for invocations on this port, as AWS's base images do outside Lambda.
///
/// # Errors
/// Returns an error if the address cannot be listened on.
pub fn listen(app: &App, host: IpAddr, port: u16) -> anyhow::Result<Server> {
    let function = Data::new(build_function(app));
    let memory_budget = Data::new(app.memory_budget().clone());
    let service = move || {
        let invocations = web::resource("/2015-03-31/functions/{function}/invocations");
        actix_web::App::new()
            .app_data(function.clone())
            .app_data(memory_budget.clone())
            .service(invocations.route(web::post().to(invoke)))
    };
    let address = SocketAddr::new(host, port);
    let server = HttpServer::new(service).workers(1).disable_signals().shutdown_timeout(2);
    let server = server.bind(address).with_context(|| format!("cannot listen on {address}"))?;
    let addresses = server.addrs();
    tracing::info!("Accepts Lambda invocations on {addresses:?}.");
    Ok(server.run())
}

/// Answers an event of AWS Lambda.
async fn invoke(
    function: Data<LambdaFunction>,
    memory_budget: Data<MemoryBudget>,
    request: HttpRequest,
    event: web::Payload,
) -> actix_web::Result<HttpResponse> {
    let sender = Sender::from_address(request.peer_addr().map(|peer| peer.ip()));
    let event = event.into_inner();
    let event = read_body(&memory_budget, sender, event, None, EVENT_LIMIT).await?;
    Ok(match function.invoke(&event.bytes).await {
        Ok(answer) => HttpResponse::Ok().json(answer),
        Err(error) => {
            let error = json!({"errorType": "InvalidEvent", "errorMessage": error.to_string()});
            HttpResponse::Ok().insert_header(("x-amz-function-error", "Unhandled")).json(error)
        }
    })
}

fn build_function(app: &App) -> LambdaFunction {
    LambdaFunction::new(app.port(), &describe_function())
}

/// Returns the response to an event that is no HTTP request.
fn describe_function() -> Value {
    let paths = ROUTES.iter().filter(|route| !route.path.contains('{'));
    let paths: Vec<_> = paths.map(|route| format!("{} {}", route.method, route.path)).collect();
    json!({
        "function": "pipewright",
        "version": env!("CARGO_PKG_VERSION"),
        "message": "It is up. This event is no HTTP request, so no model was asked: send requests to the function's URL, with the \
                    key as a bearer.",
        "paths": paths,
    })
}
