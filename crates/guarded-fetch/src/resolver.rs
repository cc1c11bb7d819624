//! From names to addresses.

use futures_util::future::BoxFuture;
use std::{io, net::IpAddr};
use tokio::net::lookup_host;

/// Finds the addresses of a host.
///
/// It need not judge them: whatever it finds is judged before a connection, and it is asked once for each.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of the host with this name.
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// Asks the system, so `/etc/hosts` and `resolv.conf` count.
#[derive(Clone, Copy, Debug, Default)]
pub struct System;

impl Resolver for System {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(
            async move { Ok(lookup_host((name, 0)).await?.map(|address| address.ip()).collect()) },
        )
    }
}
