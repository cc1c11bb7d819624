//! Connections to servers: whom they trust, and pools of HTTP ones that are kept open between requests.

mod plain;
mod trust;

pub use plain::ConnectionError;
pub use trust::{roots, tls};

use plain::PlainClient;
use reqwest::{Client, ClientBuilder, Request, Response, redirect::Policy};
use std::{
    env,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// One pool of HTTP connections. Its clones share it.
///
/// `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` are obeyed, and so is `SSL_CERT_FILE`, which names whom to trust. There is no read
/// time-out: only the caller knows how long is too long. And no redirects: a key goes where it was meant for.
#[derive(Clone, Debug)]
pub struct Connections {
    connect_timeout: Duration,
    http: Http,
    client: Arc<OnceLock<Client>>,
    /// For servers that are asked over plain HTTP and not by way of a proxy.
    plain: Arc<OnceLock<Option<PlainClient>>>,
}

/// Which HTTP is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1 alone.
    One,
    /// HTTP/2 where a server has it over TLS, else HTTP/1.1.
    Newest,
}

/// How long an unused connection stays open.
const IDLE: Duration = Duration::from_secs(60);

/// How the client names itself.
const AGENT: &str = concat!("pipewright/", env!("CARGO_PKG_VERSION"));

/// The variables that name a proxy for plain HTTP.
const PROXIES: [&str; 4] = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

impl Connections {
    /// None yet. A new one may take so long, with looking up its name.
    pub fn new(connect_timeout: Duration, http: Http) -> Self {
        Self { connect_timeout, http, client: Arc::default(), plain: Arc::default() }
    }

    /// The same ones, unless new ones are now to be had in another time.
    #[must_use]
    pub fn turned(&self, connect_timeout: Duration) -> Self {
        if connect_timeout == self.connect_timeout {
            return self.clone();
        }
        Self::new(connect_timeout, self.http)
    }

    /// Sends this request, and comes back with the head of its answer.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn execute(&self, request: Request) -> Result<Response, ConnectionError> {
        let plain = self.plain.get_or_init(|| {
            let is_proxied =
                PROXIES.iter().any(|name| env::var_os(name).is_some_and(|url| !url.is_empty()));
            (!is_proxied).then(|| PlainClient::new(self.connect_timeout))
        });
        match plain.as_ref().filter(|_| request.url().scheme() == "http") {
            Some(plain) => plain.execute(request).await,
            None => Ok(self.client().execute(request).await?),
        }
    }

    /// What asks over them.
    #[expect(
        clippy::expect_used,
        reason = "fails only for settings that are not in the tree, and these are constants"
    )]
    pub fn client(&self) -> &Client {
        self.client.get_or_init(|| {
            builder(self.connect_timeout, self.http).build().expect("a client of constant settings")
        })
    }
}

#[cfg(feature = "testing")]
impl Connections {
    /// Connections whose names are looked up so.
    #[expect(clippy::expect_used, reason = "for tests")]
    pub fn resolving(
        connect_timeout: Duration,
        resolver: impl reqwest::dns::Resolve + 'static,
    ) -> Self {
        let http = Http::Newest;
        let builder = builder(connect_timeout, http).no_proxy().dns_resolver(Arc::new(resolver));
        let client = builder.build().expect("a client of constant settings");
        let plain = Arc::new(None.into());
        Self { connect_timeout, http, client: Arc::new(client.into()), plain }
    }
}

fn builder(connect_timeout: Duration, http: Http) -> ClientBuilder {
    let mut tls = tls(roots());
    let builder = Client::builder()
        .tcp_nodelay(true)
        .connect_timeout(connect_timeout)
        .pool_idle_timeout(IDLE)
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .user_agent(AGENT);
    match http {
        Http::One => {
            tls.alpn_protocols = vec![b"http/1.1".into()];
            builder.http1_only().tls_backend_preconfigured(tls)
        }
        Http::Newest => {
            tls.alpn_protocols = vec![b"h2".into(), b"http/1.1".into()];
            builder.tls_backend_preconfigured(tls)
        }
    }
}
