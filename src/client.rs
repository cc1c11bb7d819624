//! The HTTP client of the commands.

use anyhow::Context;
use http_client::{root_certificates, tls_config};
use reqwest::Client;
use std::time::Duration;

/// Returns a client that trusts the root certificates of this machine.
pub fn build_client() -> anyhow::Result<Client> {
    let client = Client::builder()
        .tls_backend_preconfigured(tls_config(root_certificates()))
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("pipewright/", env!("CARGO_PKG_VERSION")));
    client.build().context("no client can be made")
}
