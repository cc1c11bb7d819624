//! The connection to a host, at an address that the policy allows.

use crate::{
    FetchPolicy, Resolver, UnreachableCause, address,
    target::{Target, ip_literal},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

/// The most addresses of a host that are tried. The owner of the name chooses its addresses, and
/// could otherwise make this host connect to a thousand foreign ones.
const MAX_ADDRESSES: usize = 8;

/// A connection, with TLS or without.
pub(crate) trait IoStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> IoStream for T {}

/// Connects to the target, at an address that passed the check. Nothing looks the name up again.
pub(crate) async fn connect(
    target: &Target,
    policy: &FetchPolicy,
    resolver: &dyn Resolver,
    tls: &TlsConnector,
) -> Result<Box<dyn IoStream>, UnreachableCause> {
    let addresses = resolve_allowed_addresses(target, policy, resolver).await?;
    let stream = connect_to_first(&addresses, target.port, policy.connect_timeout).await?;
    if !target.is_https {
        return Ok(Box::new(stream));
    }
    let name = target
        .server_name()
        .ok_or_else(|| UnreachableCause::Connection(io::ErrorKind::InvalidInput.into()))?;
    Ok(Box::new(tls.connect(name, stream).await.map_err(UnreachableCause::Connection)?))
}

/// Returns the addresses of the target that the policy allows. An address in the link itself is
/// checked like one from the look-up.
async fn resolve_allowed_addresses(
    target: &Target,
    policy: &FetchPolicy,
    resolver: &dyn Resolver,
) -> Result<Vec<IpAddr>, UnreachableCause> {
    let mut addresses = match (ip_literal(&target.host), &target.host) {
        (Some(literal), _) => vec![literal],
        (None, host) => {
            resolver.look_up(&host.to_string()).await.map_err(UnreachableCause::NameLookup)?
        }
    };
    addresses.retain(|address| address::is_allowed(*address, &policy.allowed_networks));
    addresses.truncate(MAX_ADDRESSES);
    if addresses.is_empty() { Err(UnreachableCause::NoAllowedAddress) } else { Ok(addresses) }
}

/// Connects to the first address that accepts a connection. Each address gets the same share of the
/// time, so that a dead one cannot use up all of it.
async fn connect_to_first(
    addresses: &[IpAddr],
    port: u16,
    time: Duration,
) -> Result<TcpStream, UnreachableCause> {
    let share = time / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut last_error = UnreachableCause::NoAllowedAddress;
    for address in addresses {
        match timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last_error = UnreachableCause::Connection(error),
            Err(_) => last_error = UnreachableCause::TimedOut,
        }
    }
    Err(last_error)
}
