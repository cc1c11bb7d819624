//! The reader of server-sent events, for `fuzz/` alone.

use crate::sse::Events;

/// Returns the events in these pieces, each as its name and its data, and at the end `None` if a line
/// or an event was too long.
pub fn events(pieces: &[&[u8]]) -> Vec<Option<(String, String)>> {
    let (mut events, mut read) = (Events::default(), Vec::new());
    for piece in pieces {
        events.push(piece);
        loop {
            match events.next() {
                Ok(Some(event)) => read.push(Some((event.name, event.data))),
                Ok(None) => break,
                Err(_) => {
                    read.push(None);
                    return read;
                }
            }
        }
    }
    read
}
