//! Whom this machine trusts.

use rustls::{ClientConfig, RootCertStore, crypto::ring, version};
use std::sync::{Arc, LazyLock};

/// Reading them takes a while, so it is done once, and only when something is asked.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // What cannot be read is not trusted; the rest is.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?found.errors, "This machine trusts no certificates: nothing can be reached by https.");
    }
    Arc::new(roots)
});

/// The authorities that the system trusts, or those that `SSL_CERT_FILE` names.
pub fn roots() -> Arc<RootCertStore> {
    Arc::clone(&ROOTS)
}

/// TLS towards hosts that these authorities vouch for, in its versions 1.2 and 1.3.
#[expect(clippy::expect_used, reason = "ring has both versions")]
pub fn tls(roots: Arc<RootCertStore>) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
