//! An HTTP client with a connection pool, and the TLS settings that all clients share.
//!
//! ```no_run
//! use http_client::{ConnectionError, HttpClient, HttpVersion};
//! use reqwest::{Method, Request};
//! use std::time::Duration;
//!
//! # async fn example(url: reqwest::Url) -> Result<(), ConnectionError> {
//! let client = HttpClient::new(Duration::from_secs(5), HttpVersion::Http2Preferred);
//! let response = client.execute(Request::new(Method::GET, url)).await?;
//! println!("{}", response.status());
//! # Ok(())
//! # }
//! ```

mod error;
mod metadata_address;
mod plain_http;
mod resolver;
mod tls;

pub use error::ConnectionError;
pub use metadata_address::{
    MetadataAddressError, extract_embedded_v4, is_metadata_address, is_metadata_host,
};
pub use tls::{root_certificates, tls_config};

use plain_http::PlainHttpClient;
use reqwest::{Client, ClientBuilder, Request, Response, redirect::Policy};
use resolver::CheckedResolver;
use std::{
    env,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// An HTTP client with a pool of connections. Its clones share the pool.
///
/// It follows `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, and trusts the certificates in
/// `SSL_CERT_FILE`. It has no read time-out, because only the caller knows how long an answer may
/// take. It follows no redirects, so that an API key reaches no other server than it was meant for.
/// It connects to no link-local address and to no metadata service of a cloud, whatever a host's
/// name resolves to; behind a proxy, the proxy resolves names. Only a client that fetches
/// credentials does, by [`HttpClient::for_credentials`].
#[derive(Clone, Debug)]
pub struct HttpClient {
    connect_timeout: Duration,
    version: HttpVersion,
    client: Arc<OnceLock<Client>>,
    /// The client for plain HTTP; `None` where a proxy is to be used.
    plain_http: Arc<OnceLock<Option<PlainHttpClient>>>,
    /// `true` if metadata services are reached, at literal addresses.
    reaches_metadata: bool,
}

/// The versions of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.1 only.
    Http1Only,
    /// HTTP/2 with servers that offer it over TLS, else HTTP/1.1.
    Http2Preferred,
}

/// The time that an unused connection stays open.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// The value of the `User-Agent` header.
const USER_AGENT: &str = concat!("pipewright/", env!("CARGO_PKG_VERSION"));

/// The environment variables that name a proxy for plain HTTP.
const PROXY_VARIABLES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

impl HttpClient {
    /// Creates a client without connections. `connect_timeout` includes the look-up of the name.
    pub fn new(connect_timeout: Duration, version: HttpVersion) -> Self {
        let (client, plain_http) = Default::default();
        Self { connect_timeout, version, client, plain_http, reaches_metadata: false }
    }

    /// Returns a client for sources of credentials. It shares the pool for HTTPS. Plain HTTP goes
    /// through no proxy, and reaches the metadata services of clouds too, at literal addresses.
    #[must_use]
    pub fn for_credentials(&self) -> Self {
        let plain_http = Some(PlainHttpClient::new(self.connect_timeout));
        Self {
            plain_http: Arc::new(OnceLock::from(plain_http)),
            reaches_metadata: true,
            ..self.clone()
        }
    }

    /// Returns a clone that shares the pool, or a new client if the time-out differs.
    #[must_use]
    pub fn with_connect_timeout(&self, connect_timeout: Duration) -> Self {
        if connect_timeout == self.connect_timeout {
            return self.clone();
        }
        let client = Self::new(connect_timeout, self.version);
        if self.reaches_metadata { client.for_credentials() } else { client }
    }

    /// Sends a request, and returns as soon as the head of the response is there.
    ///
    /// # Errors
    /// Returns an error if there is no response.
    pub async fn execute(&self, request: Request) -> Result<Response, ConnectionError> {
        let is_plain = request.url().scheme() == "http";
        // Only names are resolved.
        if is_metadata_host(request.url()) && !(self.reaches_metadata && is_plain) {
            return Err(MetadataAddressError.into());
        }
        let plain_http = self.plain_http.get_or_init(|| {
            let is_proxied = PROXY_VARIABLES
                .iter()
                .any(|name| env::var_os(name).is_some_and(|url| !url.is_empty()));
            (!is_proxied).then(|| PlainHttpClient::new(self.connect_timeout))
        });
        match plain_http.as_ref().filter(|_| is_plain) {
            Some(client) => client.execute(request).await,
            None => Ok(self.reqwest().execute(request).await?),
        }
    }

    #[expect(
        clippy::expect_used,
        reason = "fails only for settings that are not in the tree, and these are constants"
    )]
    /// Returns the client, which is built at the first use.
    fn reqwest(&self) -> &Client {
        self.client.get_or_init(|| {
            client_builder(self.connect_timeout, self.version, CheckedResolver::default())
                .build()
                .expect("a client of constant settings")
        })
    }
}

#[cfg(feature = "testing")]
impl HttpClient {
    /// Creates a client that looks up host names with this resolver.
    #[expect(clippy::expect_used, reason = "for tests")]
    pub fn with_resolver(
        connect_timeout: Duration,
        resolver: impl reqwest::dns::Resolve + 'static,
    ) -> Self {
        let version = HttpVersion::Http2Preferred;
        let resolver = CheckedResolver::new(resolver);
        let builder = client_builder(connect_timeout, version, resolver).no_proxy();
        let client = builder.build().expect("a client of constant settings");
        Self {
            client: Arc::new(client.into()),
            plain_http: Arc::new(None.into()),
            ..Self::new(connect_timeout, version)
        }
    }
}

fn client_builder(
    connect_timeout: Duration,
    version: HttpVersion,
    resolver: CheckedResolver,
) -> ClientBuilder {
    let mut tls = tls_config(root_certificates());
    let builder = Client::builder()
        .dns_resolver(Arc::new(resolver))
        .tcp_nodelay(true)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(POOL_IDLE_TIMEOUT)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(USER_AGENT);
    match version {
        HttpVersion::Http1Only => {
            tls.alpn_protocols = vec![b"http/1.1".into()];
            builder.http1_only().tls_backend_preconfigured(tls)
        }
        HttpVersion::Http2Preferred => {
            tls.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
            builder.tls_backend_preconfigured(tls)
        }
    }
}
