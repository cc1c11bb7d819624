//! A connection that many share: questions follow each other without waiting for answers, and it is made anew when it breaks.

use super::{address::Address, failure};
use crate::{Result, StoreError};
use futures_util::{StreamExt, stream};
use std::sync::{self, Arc, PoisonError};
use tokio::{
    sync::{Mutex, mpsc},
    task::JoinSet,
    time::Instant,
};
use tokio_postgres::{AsyncMessage, Client};

/// Nothing may run or wait for ever, wherever the other end went.
const SESSION: &str = "SET statement_timeout = '30s'; SET lock_timeout = '5s'";

/// A place for one connection.
pub(super) struct SharedConnection {
    line: Mutex<Option<Arc<Line>>>,
    /// What is said first.
    session: &'static str,
    /// What went wrong the last time, if it did.
    failing: sync::Mutex<Option<Failing>>,
}

/// What went wrong, and until when nobody tries again.
#[derive(Clone)]
pub(super) struct Failing {
    /// What went wrong.
    pub error: StoreError,
    /// When the next may try.
    pub until: Instant,
}

/// A connection; it closes when dropped.
pub struct Line {
    /// What asks the database.
    pub client: Client,
    /// Rings when somebody has notified; it ends when the connection does.
    pub(super) rings: mpsc::Receiver<()>,
    /// Ends with the line.
    _driver: JoinSet<()>,
}

impl SharedConnection {
    pub fn new(session: &'static str) -> Self {
        Self { line: Mutex::new(None), session, failing: sync::Mutex::default() }
    }

    /// What went wrong the last time, if it did.
    pub fn failing(&self) -> Option<Failing> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps what went wrong, or that nothing did.
    pub fn set_failing(&self, failing: Option<Failing>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failing;
    }

    /// The connection, made if there is none.
    pub async fn line(&self, address: &Address) -> Result<Arc<Line>> {
        let mut place = self.line.lock().await;
        if let Some(line) = place.as_ref().filter(|line| !line.client.is_closed()) {
            return Ok(Arc::clone(line));
        }
        let line = Arc::new(Line::begin(address, self.session).await?);
        *place = Some(Arc::clone(&line));
        Ok(line)
    }

    /// Leaves a connection that did not do what it should. Others may have done so already.
    pub async fn leave(&self, line: &Arc<Line>) {
        let mut place = self.line.lock().await;
        if place.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, line)) {
            *place = None;
        }
    }
}

impl Line {
    /// Connects, and says this first.
    ///
    /// # Errors
    /// When the database is away, or does not take what is said.
    pub async fn begin(address: &Address, session: &str) -> Result<Self> {
        // Some ten kB, which would make every question as large.
        let connected = Box::pin(address.config.connect(address.tls.clone())).await;
        let (client, mut connection) = connected.map_err(failure)?;
        let (ring, rings) = mpsc::channel(1);
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            let mut messages = stream::poll_fn(move |cx| connection.poll_message(cx));
            while let Some(Ok(message)) = messages.next().await {
                if let AsyncMessage::Notification(_) = message {
                    // When it already rings, it need not ring twice.
                    _ = ring.try_send(());
                }
            }
        });
        client.batch_execute(SESSION).await.map_err(failure)?;
        client.batch_execute(session).await.map_err(failure)?;
        Ok(Self { client, rings, _driver: driver })
    }
}
