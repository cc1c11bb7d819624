//! Permits to decode images, which all chats share and get in turn: a chat with many large images
//! does not hold up the others.

use std::sync::Arc;
use tokio::sync::{AcquireError, Mutex, OwnedSemaphorePermit, Semaphore};

/// The permits of all chats.
pub(crate) struct DecodePermits(Arc<Semaphore>);

impl DecodePermits {
    /// Allows this number of images to be decoded at once.
    pub fn new(max_concurrent: usize) -> Self {
        Self(Arc::new(Semaphore::new(max_concurrent)))
    }

    /// Returns the access of one chat.
    pub fn for_chat(&self) -> ChatPermits {
        ChatPermits { permits: Arc::clone(&self.0), place_in_queue: Mutex::default() }
    }
}

/// The access of one chat to the permits.
pub(crate) struct ChatPermits {
    permits: Arc<Semaphore>,
    /// Held by the image of the chat that stands in the queue of all chats.
    place_in_queue: Mutex<()>,
}

impl ChatPermits {
    /// Waits for a permit. As long as other chats wait, each chat has one image in the queue, which
    /// is served first in, first out; a chat alone gets all permits.
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

    /// Chat 0 waits for permits of four images; then the chats 1 and 2 come with one image each.
    #[tokio::test]
    async fn chats_get_permits_in_turn() {
        let permits = DecodePermits::new(2);
        let chats = [permits.for_chat(), permits.for_chat(), permits.for_chat()];
        let busy = [chats[0].acquire().await.unwrap(), chats[0].acquire().await.unwrap()];
        let mut waiting: FuturesUnordered<_> = [0, 0, 0, 0, 1, 2]
            .into_iter()
            .map(|chat| chats[chat].acquire().map(move |permit| (chat, permit.unwrap())))
            .collect();
        assert!(waiting.next().now_or_never().is_none(), "both permits are held");
        drop(busy);
        let mut order = Vec::new();
        while let Some((chat, permit)) = waiting.next().await {
            order.push(chat);
            drop(permit);
        }
        assert_eq!(order.len(), 6);
        assert!(order[..4].contains(&1) && order[..4].contains(&2), "{order:?}");
    }
}
