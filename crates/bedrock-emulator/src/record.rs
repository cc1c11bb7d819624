//! What has come in, kept for tests to look at and to wait for.

use crate::call::Call;
use crate::credential::AuthKind;
use crate::operation::Operation;
use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// One request, as it was received.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The region of its credential scope; the default region for bearer calls.
    pub region: String,
    /// What it asks for, or `None` where there is no such thing.
    pub operation: Option<Operation>,
    /// The model id, profile or guardrail in its path, decoded.
    pub target: Option<String>,
    /// The HTTP method.
    pub method: String,
    /// The path and query, as sent.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// The body read as JSON; `Null` if it is none.
    pub json: Value,
    /// Which of the client's attempts this is, from 1.
    pub attempt: u32,
    /// How it was signed.
    pub auth: AuthKind,
    /// Which connection it came over, from 0.
    pub connection: usize,
    /// When it had come in.
    pub at: Instant,
}

/// How an exchange came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All of the answer was handed over.
    Answered,
    /// The client went away, or the script broke off, before that.
    BrokenOff,
}

/// All requests, and how each has ended.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    pages: Arc<Mutex<Vec<Page>>>,
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct Page {
    recorded: Recorded,
    ending: Option<Ending>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { pages: Arc::default(), changed: watch::Sender::new(()) }
    }
}

impl Journal {
    pub(crate) fn open(&self, call: &Call, connection: usize) -> Exchange {
        let recorded = Recorded {
            region: call.region.clone(),
            operation: call.operation,
            target: call.target.clone(),
            method: call.method.to_string(),
            path: call.uri.to_string(),
            headers: call.headers.clone(),
            body: call.body.clone(),
            json: serde_json::from_slice(&call.body).unwrap_or_default(),
            attempt: call.attempt(),
            auth: call.credential.kind(),
            connection,
            at: Instant::now(),
        };
        let index = self.write(|pages| {
            pages.push(Page { recorded, ending: None });
            pages.len() - 1
        });
        Exchange { journal: self.clone(), index, ending: Ending::BrokenOff }
    }

    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.read(|pages| pages.iter().map(|page| page.recorded.clone()).collect())
    }

    pub(crate) async fn count(&self, at_least: usize) -> Vec<Recorded> {
        self.when(|pages| (pages.len() >= at_least).then_some(())).await;
        self.requests()
    }

    pub(crate) async fn ending(&self, request: usize) -> Ending {
        self.when(|pages| pages.get(request)?.ending).await
    }

    async fn when<T>(&self, ready: impl Fn(&[Page]) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(found) = self.read(&ready) {
                return found;
            }
            // Cannot fail: `self` holds the sender.
            drop(changed.changed().await);
        }
    }

    fn read<T>(&self, look: impl FnOnce(&[Page]) -> T) -> T {
        look(&self.pages.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Vec<Page>) -> T) -> T {
        let result = change(&mut self.pages.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }
}

/// A request being answered. It travels with the answer, so that its end is the exchange's end.
#[derive(Debug)]
pub(crate) struct Exchange {
    journal: Journal,
    index: usize,
    ending: Ending,
}

impl Exchange {
    pub(crate) fn answered(&mut self) {
        self.ending = Ending::Answered;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.journal.write(|pages| pages[self.index].ending = Some(self.ending));
    }
}
