//! Permits to decode images, which all callers share and get in turn: a caller with many large
//! images does not hold up the others.

use pipe_sdk::{CallerId, CallerMap};
use std::sync::Arc;
use tokio::sync::{AcquireError, Mutex, OwnedSemaphorePermit, Semaphore};

/// The permits of all callers.
pub(crate) struct DecodePermits {
    permits: Arc<Semaphore>,
    /// The callers that have images to decode.
    callers: CallerMap<Mutex<()>>,
}

impl DecodePermits {
    /// Allows this number of images to be decoded at once.
    pub fn new(max_concurrent: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(max_concurrent)), callers: CallerMap::default() }
    }

    /// Returns the access of one caller.
    pub fn for_caller(&self, caller: CallerId) -> CallerPermits {
        let place_in_queue = self.callers.get_or_insert_with(caller, Mutex::default);
        CallerPermits { permits: Arc::clone(&self.permits), place_in_queue }
    }
}

/// The access of one caller to the permits.
pub(crate) struct CallerPermits {
    permits: Arc<Semaphore>,
    /// Held by the image of the caller that waits in the queue of all callers.
    place_in_queue: Arc<Mutex<()>>,
}

impl CallerPermits {
    /// Waits for a permit. As long as other callers wait, each caller has one image in the queue,
    /// which is served first in, first out; a caller alone gets all permits.
    ///
    /// # Errors
    /// The permits are closed.
    pub async fn acquire(&self) -> Result<OwnedSemaphorePermit, AcquireError> {
        // A permit that is free is one that nobody waits for.
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        let _place = self.place_in_queue.lock().await;
        Arc::clone(&self.permits).acquire_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

    /// Caller 0 waits for permits of four images in as many chats; then the callers 1 and 2 come
    /// with one image each.
    #[tokio::test]
    async fn callers_get_permits_in_turn() {
        let permits = DecodePermits::new(2);
        let chat_of = |caller: usize| permits.for_caller(CallerId::from_name(&caller));
        let first = chat_of(0);
        let busy = [first.acquire().await.unwrap(), first.acquire().await.unwrap()];
        let chats = [0, 0, 0, 0, 1, 2].map(|caller| (caller, chat_of(caller)));
        let mut waiting: FuturesUnordered<_> = chats
            .iter()
            .map(|(caller, chat)| chat.acquire().map(move |permit| (*caller, permit.unwrap())))
            .collect();
        assert!(waiting.next().now_or_never().is_none(), "both permits are held");
        drop(busy);
        let mut order = Vec::new();
        while let Some((caller, permit)) = waiting.next().await {
            order.push(caller);
            drop(permit);
        }
        assert_eq!(order.len(), 6);
        assert!(order[..4].contains(&1) && order[..4].contains(&2), "{order:?}");
    }
}
