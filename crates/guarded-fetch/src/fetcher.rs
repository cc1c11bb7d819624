//! The client: from a link, over its redirects, to what it leads to.

use crate::{
    Fetched, Refusal, Resolver, Rules, System, Unreached,
    answer::{Answer, ask},
    connection::connect,
    target::Target,
    tls,
};
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

/// Fetches what users' links lead to, by its rules. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher(Arc<Parts>);

struct Parts {
    rules: Rules,
    resolver: Box<dyn Resolver>,
    tls: TlsConnector,
}

impl Fetcher {
    /// Fetches by these rules, and asks the system for addresses. Reads the system's certificate authorities.
    pub fn new(rules: Rules) -> Self {
        Self::with_resolver(rules, System)
    }

    /// Fetches by these rules, and asks this resolver for addresses.
    pub fn with_resolver(rules: Rules, resolver: impl Resolver) -> Self {
        let tls = tls::connector(http_client::roots());
        Self(Arc::new(Parts { rules, resolver: Box::new(resolver), tls }))
    }

    /// What this link leads to. Dropping the future ends it at once.
    pub async fn fetch(&self, url: &str) -> Result<Fetched, Refusal> {
        let rules = &self.0.rules;
        let deadline = Instant::now() + rules.total;
        let mut target = Target::read(url, rules)?;
        for _ in 0..=rules.most_redirects {
            match self.visit(&target, deadline).await? {
                Answer::Fetched(fetched) => return Ok(fetched),
                Answer::Moved { location } => target = target.moved(&location, rules)?,
            }
        }
        Err(Refusal::TooManyRedirects(rules.most_redirects))
    }

    /// What the target's host answers, on a connection of its own.
    async fn visit(&self, target: &Target, deadline: Instant) -> Result<Answer, Refusal> {
        let Parts { rules, resolver, tls } = &*self.0;
        let connected = deadline.min(Instant::now() + rules.connect);
        let stream = timeout_at(connected, connect(target, rules, resolver.as_ref(), tls))
            .await
            .unwrap_or(Err(Unreached::Silent))
            .map_err(|cause| Refusal::Unreachable { host: target.host.to_string(), cause })?;
        ask(stream, target, rules, deadline).await
    }
}
