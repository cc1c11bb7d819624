//! TLS settings that all clients of this program share.

use rustls::{ClientConfig, RootCertStore, crypto::ring, version};
use std::sync::{Arc, LazyLock};

/// The root certificates. Reading them takes a while, so the first use reads them, once.
static ROOTS: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| {
    let loaded = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A certificate that cannot be parsed is skipped; the others are trusted all the same.
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        tracing::warn!(errors = ?loaded.errors, "This machine has no root certificates: no https server can be reached.");
    }
    Arc::new(roots)
});

/// Returns the root certificates of the system, or those of the file in `SSL_CERT_FILE`.
pub fn root_certificates() -> Arc<RootCertStore> {
    Arc::clone(&ROOTS)
}

/// Returns the settings of a client that trusts these root certificates, for TLS 1.2 and 1.3.
#[expect(clippy::expect_used, reason = "ring has both versions")]
pub fn tls_config(roots: Arc<RootCertStore>) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .expect("versions that ring has")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
