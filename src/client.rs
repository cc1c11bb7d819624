//! The client of the commands that ask somebody: a running host, or who has models.

use anyhow::Context;
use reqwest::Client;
use rustls::{ClientConfig, RootCertStore, crypto::ring, version};
use std::{sync::Arc, time::Duration};

/// A client that trusts whom this machine trusts.
pub fn client() -> anyhow::Result<Client> {
    let mut roots = RootCertStore::empty();
    // What cannot be read is not trusted; the rest is.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .context("TLS has no version that both sides know")?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("pipewright/", env!("CARGO_PKG_VERSION")));
    client.build().context("no client can be made")
}
