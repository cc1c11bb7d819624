//! The decoder of server-sent events, for `fuzz/` alone.

use crate::sse::SseDecoder;

/// Returns the events in these pieces, each as its name and its data, and at the end `None` if a
/// line or an event was too long.
pub fn events(pieces: &[&[u8]]) -> Vec<Option<(String, String)>> {
    let (mut decoder, mut events) = (SseDecoder::default(), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(Some((event.name, event.data.into_owned()))),
                Ok(None) => break,
                Err(_) => {
                    events.push(None);
                    return events;
                }
            }
        }
    }
    events
}
