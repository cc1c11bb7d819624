//! The server: accepts connections, reads requests and sends responses.

use crate::exception::BedrockException;
use crate::received_request::ReceivedRequest;
use crate::response::{Body, EmulatorResponse};
use crate::socket::{ResetSwitch, Socket};
use crate::state::EmulatorState;
use crate::{control, runtime};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Serves until the future is dropped, which also closes the connections.
pub(crate) async fn serve(listener: TcpListener, state: Arc<EmulatorState>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve_connection(stream, Arc::clone(&state)))),
                Err(error) => tracing::warn!(%error, "The emulator could not accept a connection."),
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<EmulatorState>) {
    let reset_switch = ResetSwitch::default();
    let Ok((socket, number)) =
        Socket::new(stream, reset_switch.clone(), Arc::clone(&state.connection_counters))
    else {
        return;
    };
    let service =
        service_fn(|request| exchange(Arc::clone(&state), number, reset_switch.clone(), request));
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await
    {
        tracing::debug!(%error, connection = number, "A connection of the emulator broke off.");
    }
}

/// Receives one HTTP request, answers it, and records both.
async fn exchange(
    state: Arc<EmulatorState>,
    connection: usize,
    reset_switch: ResetSwitch,
    request: Request<Incoming>,
) -> io::Result<Response<Body>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let mut call = ReceivedRequest::new(parts, body, &state.default_region);
    if state.serves_every_region && !state.catalogue.has_region(&call.region) {
        call.region.clone_from(&state.default_region);
    }
    let exchange = state.request_log.record(&call, connection);
    reply(&state, &call)
        .await
        .unwrap_or_else(EmulatorResponse::Exception)
        .into_response(exchange, reset_switch)
}

/// Answers one request, or returns the exception to answer with.
async fn reply(
    state: &EmulatorState,
    call: &ReceivedRequest,
) -> Result<EmulatorResponse, BedrockException> {
    let operation = call.operation.ok_or_else(unknown_operation)?;
    state.check(call, SystemTime::now())?;
    if operation.is_runtime() {
        runtime::reply(state, call, operation).await
    } else {
        control::reply(state, call, operation).await
    }
}

fn unknown_operation() -> BedrockException {
    BedrockException::from_name("UnknownOperationException", "There is no such operation.")
}
