//! The look-up of host names.

use futures_util::future::BoxFuture;
use std::{io, net::IpAddr};
use tokio::net::lookup_host;

/// Looks up the addresses of a host.
///
/// It need not check them: the fetcher calls it once for each connection, and checks every address
/// that it returns.
pub trait Resolver: Send + Sync + 'static {
    /// Looks up the addresses of the host with this name.
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The resolver of the operating system, which uses `/etc/hosts` and `resolv.conf`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolver for SystemResolver {
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(
            async move { Ok(lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) },
        )
    }
}
