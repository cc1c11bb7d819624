//! The look-up of host names, which leaves out the addresses of metadata services.
//!
//! The person who enters a URL need not be the operator of the machine, and the owner of a name
//! decides where it leads. So the addresses that a name has at the time of the connection are
//! checked, and those that passed the check are connected to.

use crate::metadata_address::{MetadataAddressError, is_metadata_address};
use hyper_util::client::legacy::connect::dns;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{
    error::Error,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    vec,
};
use tokio::net::lookup_host;
use tower_service::Service;

type BoxError = Box<dyn Error + Send + Sync>;

/// Returns the addresses that may be connected to.
fn retain_allowed(
    addresses: impl Iterator<Item = SocketAddr>,
) -> Result<vec::IntoIter<SocketAddr>, MetadataAddressError> {
    let (refused, allowed): (Vec<_>, Vec<_>) =
        addresses.partition(|address| is_metadata_address(address.ip()));
    if allowed.is_empty() && !refused.is_empty() {
        return Err(MetadataAddressError);
    }
    Ok(allowed.into_iter())
}

/// The operating system's resolver.
#[derive(Clone, Copy, Debug)]
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}

/// A resolver without the addresses of metadata services.
#[derive(Clone)]
pub(crate) struct CheckedResolver(Arc<dyn Resolve>);

impl CheckedResolver {
    /// Checks the addresses that this resolver returns.
    #[cfg(feature = "testing")]
    pub fn new(resolver: impl Resolve + 'static) -> Self {
        Self(Arc::new(resolver))
    }
}

impl Default for CheckedResolver {
    fn default() -> Self {
        Self(Arc::new(SystemResolver))
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.0.resolve(name);
        Box::pin(async move {
            let allowed: Addrs = Box::new(retain_allowed(addresses.await?)?);
            Ok(allowed)
        })
    }
}

/// hyper's interface of resolvers.
impl Service<dns::Name> for CheckedResolver {
    type Response = Addrs;
    type Error = BoxError;
    type Future = Resolving;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: dns::Name) -> Resolving {
        match name.as_str().parse() {
            Ok(name) => self.resolve(name),
            Err(_) => Box::pin(async { Err("an invalid host name".into()) }),
        }
    }
}
