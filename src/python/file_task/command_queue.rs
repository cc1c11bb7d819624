//! The commands to the task of a Python file, in their order, but that a deletion breaks off what
//! is going on.

use crate::python::slot::{Deletion, FileCommand};
use std::{collections::VecDeque, future::Future, pin::pin};
use tokio::sync::mpsc;

/// The largest number of deferred commands to a file.
pub const MAX_COMMANDS: usize = 16;

/// The commands that a task has not obeyed yet.
pub struct CommandQueue {
    receiver: mpsc::Receiver<FileCommand>,
    /// Commands that came before a deletion was looked for.
    deferred: VecDeque<FileCommand>,
}

impl CommandQueue {
    /// Returns the queue of what comes by this channel.
    pub fn new(receiver: mpsc::Receiver<FileCommand>) -> Self {
        Self { receiver, deferred: VecDeque::new() }
    }

    /// Returns the next command; `None` if none will come any more.
    pub async fn next(&mut self) -> Option<FileCommand> {
        match self.deferred.pop_front() {
            Some(command) => Some(command),
            None => self.receiver.recv().await,
        }
    }

    /// Runs `work` to its end.
    ///
    /// # Errors
    /// Returns a deletion that came before, which has broken the work off.
    pub async fn run_until_deletion<T>(
        &mut self,
        work: impl Future<Output = T>,
    ) -> Result<T, Deletion> {
        let mut work = pin!(work);
        loop {
            let command = tokio::select! {
                done = &mut work => return Ok(done),
                command = self.receiver.recv(), if self.deferred.len() < MAX_COMMANDS => command,
            };
            match command {
                Some(FileCommand::Delete(deletion)) => return Err(deletion),
                Some(command) => self.deferred.push_back(command),
                // The host is stopping, which ends this task, too.
                None => return Ok(work.await),
            }
        }
    }
}
