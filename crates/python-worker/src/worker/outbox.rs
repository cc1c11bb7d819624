//! Frames on their way to a worker.

use crate::protocol::HostFrame;
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Frames on their way to the process. There are no more of them than calls, their items and their
/// questions give rise to.
#[derive(Default)]
pub struct Outbox {
    frames: Mutex<VecDeque<Vec<u8>>>,
    pub added: Notify,
    taken: Notify,
}

/// The number of frames from which on replies wait.
const MAX_WAITING_FRAMES: usize = 256;

impl Outbox {
    /// Adds a frame.
    pub fn push(&self, frame: &HostFrame<'_>) {
        match serde_json::to_vec(frame) {
            Ok(frame) => {
                self.frames.lock().unwrap_or_else(PoisonError::into_inner).push_back(frame);
                self.added.notify_one();
            }
            Err(error) => tracing::error!(%error, "A frame for a Python worker cannot be written."),
        }
    }

    /// Returns the next frame, if there is one.
    pub fn pop(&self) -> Option<Vec<u8>> {
        let frame = self.frames.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        self.taken.notify_waiters();
        frame
    }

    /// Waits until few frames are waiting.
    pub async fn wait_for_room(&self) {
        loop {
            let taken = self.taken.notified();
            let waiting = self.frames.lock().unwrap_or_else(PoisonError::into_inner).len();
            if waiting < MAX_WAITING_FRAMES {
                return;
            }
            taken.await;
        }
    }
}
