//! A connection that can be ended with a reset instead of a farewell.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Blown, it makes its connection's end a reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fuse(Arc<AtomicBool>);

impl Fuse {
    pub(crate) fn blow(&self) {
        self.0.store(true, Relaxed);
    }
}

/// How many connections there have been, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// All since the start.
    pub accepted: usize,
    /// Those still open.
    pub open: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Census {
    accepted: AtomicUsize,
    closed: AtomicUsize,
}

impl Census {
    pub(crate) fn count(&self) -> Connections {
        let closed = self.closed.load(Relaxed);
        let accepted = self.accepted.load(Relaxed);
        Connections { accepted, open: accepted - closed }
    }
}

pub(crate) struct Socket {
    stream: TcpStream,
    fuse: Fuse,
    census: Arc<Census>,
}

impl Socket {
    /// The socket and its number among the accepted.
    pub(crate) fn new(
        stream: TcpStream,
        fuse: Fuse,
        census: Arc<Census>,
    ) -> io::Result<(Self, usize)> {
        stream.set_nodelay(true)?;
        let number = census.accepted.fetch_add(1, Relaxed);
        Ok((Self { stream, fuse, census }, number))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.fuse.0.load(Relaxed) {
            // A connection that is gone already needs no reset.
            drop(self.stream.set_zero_linger());
        }
        self.census.closed.fetch_add(1, Relaxed);
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
