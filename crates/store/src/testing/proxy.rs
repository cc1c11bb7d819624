//! A way to a database that can be cut.

use std::{io, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A way to a database that can be cut.
pub struct Proxy {
    /// The database's URL by this way.
    pub url: String,
    open: watch::Sender<bool>,
    _listening: JoinSet<()>,
}

impl Proxy {
    /// A way to the database at this URL.
    ///
    /// # Errors
    /// When loopback cannot be listened on, or the URL is not that of a [`Server`](super::Server).
    pub async fn to(url: &str, is_open: bool) -> io::Result<Self> {
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

    /// Ends what is under way, and takes nothing new.
    pub fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets everything through again.
    pub fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn listen(listener: TcpListener, server: Arc<str>, is_open: watch::Receiver<bool>) {
    let mut ways = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let (server, mut is_open) = (Arc::clone(&server), is_open.clone());
        if *is_open.borrow() {
            ways.spawn(async move {
                // A server that is gone is as good as a way that is cut.
                let Ok(mut server) = TcpStream::connect(&*server).await else { return };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut server) => {}
                    _ = is_open.wait_for(|open| !open) => {}
                }
            });
        }
    }
}
