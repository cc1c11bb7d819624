//! A connection that can end with a reset (RST) instead of a close (FIN).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A switch that makes its connection end with a reset.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    /// Lets the connection end with a TCP reset.
    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }
}

/// The numbers of accepted and open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// The connections accepted since the start.
    pub accepted: usize,
    /// The open connections.
    pub open: usize,
}

/// Counters of accepted and closed connections.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounters {
    accepted: AtomicUsize,
    closed: AtomicUsize,
}

impl ConnectionCounters {
    /// Returns the present counts.
    pub(crate) fn read(&self) -> ConnectionCounts {
        let closed = self.closed.load(Relaxed);
        let accepted = self.accepted.load(Relaxed);
        ConnectionCounts { accepted, open: accepted - closed }
    }
}

/// A counted connection.
pub(crate) struct Socket {
    stream: TcpStream,
    reset_switch: ResetSwitch,
    connection_counters: Arc<ConnectionCounters>,
}

impl Socket {
    /// Creates a socket, and returns it with its connection number.
    pub(crate) fn new(
        stream: TcpStream,
        reset_switch: ResetSwitch,
        connection_counters: Arc<ConnectionCounters>,
    ) -> io::Result<(Self, usize)> {
        stream.set_nodelay(true)?;
        let number = connection_counters.accepted.fetch_add(1, Relaxed);
        Ok((Self { stream, reset_switch, connection_counters }, number))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset_switch.0.load(Relaxed) {
            // An error means that the connection is closed already.
            drop(self.stream.set_zero_linger());
        }
        self.connection_counters.closed.fetch_add(1, Relaxed);
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
