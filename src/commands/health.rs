//! `pipewright health`: a container's health check without a second program.

use super::server_client::ServerClient;
use reqwest::Method;
use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

/// The longest time that the server may take to answer.
const LIMIT: Duration = Duration::from_secs(3);

/// Asks the server whether it is alive, and prints why not.
pub async fn check_health(server: &ServerClient) -> anyhow::Result<ExitCode> {
    let request = server.request(Method::GET, "/health/live").timeout(LIMIT);
    let problem = match request.send().await {
        Ok(response) if response.status().is_success() => return Ok(ExitCode::SUCCESS),
        Ok(response) => format!("the server at {} answered {}", server.base(), response.status()),
        Err(error) => server.describe_send_error(&error).to_string(),
    };
    writeln!(io::stderr(), "Not healthy: {problem}.")?;
    Ok(ExitCode::FAILURE)
}
