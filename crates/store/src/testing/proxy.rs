//! A proxy to a database that can be disconnected.

use std::{io, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A proxy to a database that can be disconnected.
pub struct Proxy {
    /// The database's URL through the proxy.
    pub url: String,
    open: watch::Sender<bool>,
    _listening: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy to the database at this URL.
    ///
    /// # Errors
    /// If loopback cannot be listened on, or the URL is not that of a [`Server`](super::Server).
    pub async fn start(url: &str, is_open: bool) -> io::Result<Self> {
        let unknown = || io::Error::other("no URL of a test's server");
        let (before, rest) = url.split_once('@').ok_or_else(unknown)?;
        let (server, database) = rest.split_once('/').ok_or_else(unknown)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (open, is_open) = watch::channel(is_open);
        let mut listening = JoinSet::new();
        listening.spawn(listen(listener, Arc::from(server), is_open));
        let url = format!("{before}@127.0.0.1:{port}/{database}");
        Ok(Self { url, open, _listening: listening })
    }

    /// Closes all connections, and accepts no new ones.
    pub fn disconnect(&self) {
        self.open.send_replace(false);
    }

    /// Accepts connections again.
    pub fn reconnect(&self) {
        self.open.send_replace(true);
    }
}

async fn listen(listener: TcpListener, server: Arc<str>, is_open: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let (server, mut is_open) = (Arc::clone(&server), is_open.clone());
        if *is_open.borrow() {
            connections.spawn(async move {
                // A server that is gone closes the connection, as the proxy does.
                let Ok(mut server) = TcpStream::connect(&*server).await else { return };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = is_open.wait_for(|open| !open) => {}
                }
            });
        }
    }
}
