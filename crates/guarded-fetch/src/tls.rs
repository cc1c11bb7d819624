//! TLS with the given root certificates.

use std::sync::Arc;
use tokio_rustls::{TlsConnector, rustls::RootCertStore};

/// Creates a connector that accepts hosts whose certificate one of these roots signed.
pub(crate) fn connector(roots: Arc<RootCertStore>) -> TlsConnector {
    TlsConnector::from(Arc::new(http_client::tls_config(roots)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tokio::{io::duplex, join};
    use tokio_rustls::{
        TlsAcceptor,
        rustls::{
            ServerConfig,
            crypto::ring,
            pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
        },
    };

    /// Performs the handshake between a client that trusts `trusted` and a host with this
    /// certificate, which the client takes for `example.com`.
    async fn handshake(
        certified: &rcgen::CertifiedKey<rcgen::KeyPair>,
        trusted: &CertificateDer<'static>,
    ) -> io::Result<()> {
        let mut roots = RootCertStore::empty();
        roots.add(trusted.clone()).unwrap();
        let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key.into())
            .unwrap();
        let (near, far) = duplex(64 * 1024);
        let name = ServerName::try_from("example.com").unwrap();
        let connector = connector(roots.into());
        let (client, _) =
            join!(connector.connect(name, near), TlsAcceptor::from(Arc::new(config)).accept(far));
        client.map(drop)
    }

    fn certificate(name: &str) -> rcgen::CertifiedKey<rcgen::KeyPair> {
        rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
    }

    #[tokio::test]
    async fn a_host_needs_a_certificate_of_its_name_from_a_known_authority() {
        let (own, other) = (certificate("example.com"), certificate("example.org"));
        handshake(&own, own.cert.der()).await.unwrap();
        handshake(&own, other.cert.der()).await.unwrap_err();
        handshake(&other, other.cert.der()).await.unwrap_err();
    }
}
