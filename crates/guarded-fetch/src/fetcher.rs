//! The client: fetches a link and follows its redirects.

use crate::{
    FetchError, FetchPolicy, FetchedFile, Resolver, SystemResolver, UnreachableCause,
    connection::connect,
    exchange::{Outcome, send_request},
    target::Target,
    tls,
};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// A client that fetches users' links within a policy. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher(Arc<Shared>);

/// The parts that all clones share.
struct Shared {
    policy: FetchPolicy,
    resolver: Box<dyn Resolver>,
    tls: TlsConnector,
}

impl Fetcher {
    /// Creates a client that looks names up with the system's resolver. Reads the system's root
    /// certificates.
    pub fn new(policy: FetchPolicy) -> Self {
        Self::with_resolver(policy, SystemResolver)
    }

    /// Creates a client that looks names up with this resolver.
    pub fn with_resolver(policy: FetchPolicy, resolver: impl Resolver) -> Self {
        let tls = tls::connector(http_client::root_certificates());
        Self(Arc::new(Shared { policy, resolver: Box::new(resolver), tls }))
    }

    /// Fetches the file that a link leads to. Dropping the future cancels the fetch at once.
    pub async fn fetch(&self, url: &str) -> Result<FetchedFile, FetchError> {
        let policy = &self.0.policy;
        let deadline = Instant::now() + policy.total_timeout;
        let mut target = Target::parse(url, policy)?;
        for _ in 0..=policy.max_redirects {
            match self.request_target(&target, deadline).await? {
                Outcome::File(file) => return Ok(file),
                Outcome::Redirect { location } => {
                    target = target.resolve_redirect(&location, policy)?;
                }
            }
        }
        Err(FetchError::TooManyRedirects(policy.max_redirects))
    }

    /// Requests the target on a new connection.
    async fn request_target(
        &self,
        target: &Target,
        deadline: Instant,
    ) -> Result<Outcome, FetchError> {
        let Shared { policy, resolver, tls } = &*self.0;
        let connect_deadline = deadline.min(Instant::now() + policy.connect_timeout);
        let stream = timeout_at(connect_deadline, connect(target, policy, resolver.as_ref(), tls))
            .await
            .unwrap_or(Err(UnreachableCause::TimedOut))
            .map_err(|cause| FetchError::Unreachable { host: target.host.to_string(), cause })?;
        send_request(stream, target, policy, deadline).await
    }
}
