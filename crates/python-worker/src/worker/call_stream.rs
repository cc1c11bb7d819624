//! The stream of a call's items.

use super::Shared;
use crate::{
    error::WorkerError,
    protocol::{CREDIT, HostFrame, Item, credit_of},
};
use futures_util::Stream;
use serde_json::Value;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};
use tokio::sync::mpsc;

/// The credit that is taken before the worker gets as much again.
const CREDIT_STEP: usize = CREDIT / 2;

/// The most bytes of a worker's items that wait to be read, over all its calls.
const MAX_UNREAD_BYTES: usize = 256 << 20;

/// The bytes of an item, which count as unread until this is dropped.
pub struct Unread {
    total: Arc<AtomicUsize>,
    bytes: usize,
}

impl Unread {
    /// Counts so many bytes as unread; `None` if there are too many.
    pub fn count(total: &Arc<AtomicUsize>, bytes: usize) -> Option<Self> {
        let before = total.fetch_add(bytes, Relaxed);
        let unread = Self { total: Arc::clone(total), bytes };
        (before + bytes <= MAX_UNREAD_BYTES).then_some(unread)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Relaxed);
    }
}

/// An event of a call.
pub enum CallEvent {
    /// An item, and the room that it takes until it is read.
    Item(Item, Unread),
    /// The end, with the result.
    End(Value),
    /// The end, with an error.
    Error(WorkerError),
}

/// The items of a call. Dropping it cancels the call.
pub struct CallStream {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u64,
    pub(super) events: mpsc::Receiver<CallEvent>,
    pub(super) taken: usize,
    pub(super) is_done: bool,
}

impl CallStream {
    /// Waits for the end of the call, and returns its result. Its items are dropped.
    ///
    /// # Errors
    /// The error of the call.
    pub async fn wait_for_end(&mut self) -> Result<Value, WorkerError> {
        loop {
            match std::future::poll_fn(|cx| self.poll_event(cx)).await {
                CallEvent::Item(..) => {}
                CallEvent::End(result) => return Ok(result),
                CallEvent::Error(error) => return Err(error),
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<CallEvent> {
        let event = ready!(self.events.poll_recv(cx));
        let event = event.unwrap_or_else(|| {
            let exit = self.shared.exited.borrow().clone();
            CallEvent::Error(match exit {
                Some(how) => WorkerError::Exited(how),
                None => WorkerError::Protocol("more came than was asked for or is read".into()),
            })
        });
        match event {
            CallEvent::Item(_, ref unread) => {
                self.taken += credit_of(unread.bytes);
                if self.taken >= CREDIT_STEP {
                    let frame = HostFrame::Credit { id: self.id, count: self.taken };
                    self.shared.outbox.push(&frame);
                    self.taken = 0;
                }
            }
            CallEvent::End(_) | CallEvent::Error(_) => self.is_done = true,
        }
        Poll::Ready(event)
    }
}

impl Stream for CallStream {
    type Item = Result<Item, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        Poll::Ready(match ready!(self.poll_event(cx)) {
            CallEvent::Item(item, _) => Some(Ok(item)),
            CallEvent::End(_) => None,
            CallEvent::Error(error) => Some(Err(error)),
        })
    }
}

impl Drop for CallStream {
    fn drop(&mut self) {
        if self.is_done || self.shared.exited.borrow().is_some() {
            return;
        }
        self.shared.outbox.push(&HostFrame::Cancel { id: self.id });
        // Calls of other models that this call has made are cancelled too.
        if let Some(entry) = self.shared.calls().get_mut(&self.id) {
            (entry.host_call_handler, entry.host_call_tasks) = (None, Vec::new());
        }
    }
}
