//! The reasons why an MCP server cannot be used, in words that hold nothing of what it sends.

use super::http::HttpError;
use rmcp::{
    ServiceError,
    service::ClientInitializeError,
    transport::{DynamicTransportError, streamable_http_client::StreamableHttpError},
};

/// Describes why a server is not ready.
pub(super) fn describe_start(error: &ClientInitializeError) -> String {
    match error {
        ClientInitializeError::TransportError { error, .. } => describe_transport(error),
        ClientInitializeError::ConnectionClosed(_) => "it ended before it was ready".into(),
        ClientInitializeError::JsonRpcError(error) => {
            format!("it refuses the connection (error {})", error.code.0)
        }
        _ => "it speaks no version of MCP that is known here".into(),
    }
}

/// Describes why a request to a server failed.
pub(super) fn describe_call(error: &ServiceError) -> String {
    match error {
        ServiceError::McpError(error) => {
            format!("it responds with the error {}", error.code.0)
        }
        ServiceError::TransportSend(error) => describe_transport(error),
        ServiceError::TransportClosed => "it has ended".into(),
        _ => "its response is not understood".into(),
    }
}

/// Describes why a message could not be exchanged.
fn describe_transport(error: &DynamicTransportError) -> String {
    match error.error.downcast_ref::<StreamableHttpError<HttpError>>() {
        Some(StreamableHttpError::Client(error)) => error.to_string(),
        Some(StreamableHttpError::SessionExpired) => "its session has expired".into(),
        Some(_) => "its response is not understood".into(),
        None => "it has ended".into(),
    }
}
