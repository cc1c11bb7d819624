//! The way to a host: its addresses, judged, and a connection to one of them.

use crate::{
    Resolver, Rules, Unreached, address,
    target::{Target, literal},
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

/// How many addresses of a host are tried: its owner chose them, and could have us knock at a thousand doors of others.
const MOST_ADDRESSES: usize = 8;

/// A connection, encrypted or not.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Connects to the target, at an address that was judged: nobody looks it up again.
pub(crate) async fn connect(
    target: &Target,
    rules: &Rules,
    resolver: &dyn Resolver,
    tls: &TlsConnector,
) -> Result<Box<dyn Stream>, Unreached> {
    let addresses = open_addresses(target, rules, resolver).await?;
    let stream = first(&addresses, target.port, rules.connect).await?;
    if !target.is_encrypted {
        return Ok(Box::new(stream));
    }
    let name = target
        .server_name()
        .ok_or_else(|| Unreached::Connection(io::ErrorKind::InvalidInput.into()))?;
    Ok(Box::new(tls.connect(name, stream).await.map_err(Unreached::Connection)?))
}

/// The addresses of the target that the rules open. Those that the link spells out go the same way as those that were looked up.
async fn open_addresses(
    target: &Target,
    rules: &Rules,
    resolver: &dyn Resolver,
) -> Result<Vec<IpAddr>, Unreached> {
    let mut addresses = match (literal(&target.host), &target.host) {
        (Some(literal), _) => vec![literal],
        (None, host) => resolver.addresses(&host.to_string()).await.map_err(Unreached::Name)?,
    };
    addresses.retain(|address| address::is_open(*address, &rules.also));
    addresses.truncate(MOST_ADDRESSES);
    if addresses.is_empty() { Err(Unreached::NotOpen) } else { Ok(addresses) }
}

/// A connection to the first address that takes one. All get the same share of the time, or a dead one would use it up.
async fn first(addresses: &[IpAddr], port: u16, time: Duration) -> Result<TcpStream, Unreached> {
    let share = time / u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut trouble = Unreached::NotOpen;
    for address in addresses {
        match timeout(share, TcpStream::connect(SocketAddr::new(*address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => trouble = Unreached::Connection(error),
            Err(_) => trouble = Unreached::Silent,
        }
    }
    Err(trouble)
}
