//! The status lines that Open WebUI shows above an answer.

use pipe_sdk::{Chunk, Event};

/// Returns a status line of Open WebUI.
pub fn status(line: &str, is_done: bool) -> Chunk {
    Chunk::Event(Event::status(line, is_done))
}
