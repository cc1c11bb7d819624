//! The connections to all servers, kept open between requests.

use rustls::{ClientConfig, RootCertStore, crypto::ring, version};
use std::{
    sync::{Arc, LazyLock, OnceLock},
    time::Duration,
};

/// One pool of connections, HTTP/2 where a server has it. Its clones share it.
///
/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are obeyed, and so is `SSL_CERT_FILE`, which names whom to trust.
#[derive(Clone, Debug)]
pub struct Connections {
    connect_timeout: Duration,
    client: Arc<OnceLock<reqwest::Client>>,
}

/// How long an unused connection stays open.
const IDLE: Duration = Duration::from_secs(60);

/// The certificates that this machine trusts. Reading them takes a while, so it is done once, and only when something is asked.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?found.errors, "This machine trusts no certificates, so no https upstream can be reached.");
    }
    Arc::new(roots)
});

impl Connections {
    /// None yet. A new one may take so long, with looking up its name.
    pub fn new(connect_timeout: Duration) -> Self {
        Self { connect_timeout, client: Arc::default() }
    }

    /// The same ones, unless new ones are now to be had in another time.
    #[must_use]
    pub fn turned(&self, connect_timeout: Duration) -> Self {
        if connect_timeout == self.connect_timeout {
            return self.clone();
        }
        Self::new(connect_timeout)
    }

    pub(crate) fn client(&self) -> &reqwest::Client {
        self.client.get_or_init(|| built(builder(self.connect_timeout)))
    }
}

/// No read timeout: how long is too long differs between a first byte and the next. And no redirects: a key goes where it was meant for.
fn builder(connect_timeout: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls())
        .tcp_nodelay(true)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(concat!("pipewright/", env!("CARGO_PKG_VERSION")))
}

#[expect(
    clippy::expect_used,
    reason = "fails only for settings that are not in the tree, and these are constants"
)]
fn built(builder: reqwest::ClientBuilder) -> reqwest::Client {
    builder.build().expect("a client of constant settings")
}

#[expect(clippy::expect_used, reason = "ring has both versions")]
fn tls() -> ClientConfig {
    let mut tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("versions that ring has")
        .with_root_certificates(Arc::clone(&ROOTS))
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
    tls
}

#[cfg(test)]
impl Connections {
    /// Connections whose names are looked up so.
    pub(crate) fn resolving(
        connect_timeout: Duration,
        resolver: impl reqwest::dns::Resolve + 'static,
    ) -> Self {
        let client = built(builder(connect_timeout).no_proxy().dns_resolver(Arc::new(resolver)));
        Self { connect_timeout, client: Arc::new(client.into()) }
    }
}
