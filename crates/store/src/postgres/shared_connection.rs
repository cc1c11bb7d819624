//! A connection that many tasks share. Queries are pipelined, and a broken connection is replaced.

use super::{address::Address, to_store_error};
use crate::{Result, StoreError};
use futures_util::{StreamExt, stream};
use std::sync::{self, Arc, PoisonError};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_postgres::{AsyncMessage, Client};

/// Limits every statement on the server's side too, in case this side is gone.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'";

/// A slot for one connection, which is opened when it is first used.
pub(super) struct SharedConnection {
    current: Mutex<Option<Arc<Connection>>>,
    /// SQL that runs first on each new connection.
    session: &'static str,
    last_failure: sync::Mutex<Option<LastFailure>>,
}

/// The last failure, and the time before which no query is tried again.
#[derive(Clone)]
pub(super) struct LastFailure {
    pub error: StoreError,
    pub retry_at: Instant,
}

/// An open connection. Dropping it closes it.
pub struct Connection {
    /// The client that runs queries.
    pub client: Client,
    /// Receives a message after one or more notifications; ends with the connection.
    pub(super) notifications: mpsc::Receiver<()>,
    /// The task that reads from the socket; it ends with the connection.
    _driver: JoinSet<()>,
}

impl SharedConnection {
    pub fn new(session: &'static str) -> Self {
        Self { current: Mutex::new(None), session, last_failure: sync::Mutex::default() }
    }

    /// Returns the last failure, unless a query has succeeded since.
    pub fn last_failure(&self) -> Option<LastFailure> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_last_failure(&self, failure: Option<LastFailure>) {
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }

    /// Returns the connection, opening one if there is none.
    pub async fn get(&self, address: &Address) -> Result<Arc<Connection>> {
        let mut current = self.current.lock().await;
        if let Some(open) = current.as_ref().filter(|open| !open.client.is_closed()) {
            return Ok(Arc::clone(open));
        }
        let opened = Arc::new(Connection::open(address, self.session).await?);
        *current = Some(Arc::clone(&opened));
        Ok(opened)
    }

    /// Discards a connection that has failed, unless another task has replaced it already.
    pub async fn discard(&self, failed: &Arc<Connection>) {
        let mut current = self.current.lock().await;
        if current.as_ref().is_some_and(|open| Arc::ptr_eq(open, failed)) {
            *current = None;
        }
    }
}

impl Connection {
    /// Connects, and runs this SQL first.
    ///
    /// # Errors
    /// If the database is unavailable, or refuses the SQL.
    pub async fn open(address: &Address, session: &str) -> Result<Self> {
        // The future has some 10 kB, which would be part of the future of every query.
        let connected = Box::pin(address.config.connect(address.tls.clone())).await;
        let (client, mut connection) = connected.map_err(to_store_error)?;
        let (sender, notifications) = mpsc::channel(1);
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(_) = message {
                    // A full channel means that the receiver will look anyway.
                    _ = sender.try_send(());
                }
            }
        });
        client.batch_execute(SESSION).await.map_err(to_store_error)?;
        client.batch_execute(session).await.map_err(to_store_error)?;
        Ok(Self { client, notifications, _driver: driver })
    }
}
