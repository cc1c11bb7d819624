//! Writes server-sent events, each with its name and a sequence number.

use actix_web::web::{BufMut, BytesMut};
use serde::Serialize;

/// The buffer of written events.
#[derive(Debug, Default)]
pub struct EventBuffer {
    /// The bytes that are written and not sent.
    pub buffer: BytesMut,
    written: u64,
}

/// A piece of an item's text.
#[derive(Serialize)]
pub struct Delta<'a> {
    /// The item.
    pub item_id: &'a str,
    /// The place in the answer.
    pub output_index: usize,
    /// The index of the part of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_index: Option<u8>,
    /// The index of the part of a summary of reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_index: Option<u8>,
    /// The piece.
    pub delta: &'a str,
    /// Messages have them, though always empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<[u8; 0]>,
}

impl<'a> Delta<'a> {
    /// Returns a piece of the text of the item at this place.
    pub fn new(item_id: &'a str, output_index: usize, delta: &'a str) -> Self {
        let (content_index, summary_index, logprobs) = (None, None, None);
        Self { item_id, output_index, content_index, summary_index, delta, logprobs }
    }
}

impl EventBuffer {
    /// Writes an event of this type with these fields, which are an object.
    pub fn write_event(&mut self, kind: &str, fields: &impl Serialize) {
        for piece in ["event: ", kind, "\ndata: {\"type\":\"", kind, "\",\"sequence_number\":"] {
            self.buffer.extend_from_slice(piece.as_bytes());
        }
        let number = self.written;
        self.write_json(&number);
        self.written += 1;
        let brace = self.buffer.len();
        self.write_json(fields);
        // The fields continue the object that was begun above.
        self.buffer[brace] = b',';
        self.buffer.extend_from_slice(b"\n\n");
    }

    fn write_json(&mut self, value: &impl Serialize) {
        // Writing texts and numbers into memory cannot fail.
        _ = serde_json::to_writer((&mut self.buffer).writer(), value);
    }
}
