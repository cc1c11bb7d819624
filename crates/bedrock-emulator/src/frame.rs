//! Encodes event-stream frames, valid and corrupt ones.

use crate::event::StreamEvent;
use crate::exception::BedrockException;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::{Value, json};
use std::io;

/// Encodes an event, with random padding as Bedrock adds it to hide the length of the text.
pub(crate) fn event(event: &StreamEvent) -> io::Result<Bytes> {
    let mut payload = event.payload.clone();
    payload["p"] = padding().into();
    encode(
        [
            (":event-type", &event.name),
            (":content-type", "application/json"),
            (":message-type", "event"),
        ],
        &payload,
    )
}

/// Encodes an exception that Bedrock declares (message type `exception`).
pub(crate) fn exception(fault: &BedrockException) -> io::Result<Bytes> {
    let kind = fault.exception_type();
    let headers = [
        (":exception-type", kind.as_str()),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    encode(headers, &fault.body())
}

/// Encodes an error that Bedrock does not declare (message type `error`).
pub(crate) fn error(code: &str, message: &str) -> io::Result<Bytes> {
    encode(
        [(":error-code", code), (":error-message", message), (":message-type", "error")],
        &Value::Null,
    )
}

/// Returns the first half of a frame.
pub(crate) fn half_frame() -> io::Result<Bytes> {
    let whole = plain_frame()?;
    Ok(whole.slice(..whole.len() / 2))
}

/// Returns a frame with a wrong message checksum.
pub(crate) fn bad_message_crc() -> io::Result<Bytes> {
    let length = plain_frame()?.len();
    corrupt_frame(length - 1)
}

/// Returns a frame with a wrong prelude checksum.
pub(crate) fn bad_prelude_crc() -> io::Result<Bytes> {
    corrupt_frame(PRELUDE_CRC_AT)
}

const PRELUDE_CRC_AT: usize = 8;

/// Returns a frame of which the byte at this place is wrong.
fn corrupt_frame(at: usize) -> io::Result<Bytes> {
    let mut bytes = plain_frame()?.to_vec();
    bytes[at] ^= 0xff;
    Ok(bytes.into())
}

// Returns a frame without padding, so that its length is always the same.
/// Returns a frame of an event with a text.
fn plain_frame() -> io::Result<Bytes> {
    let headers = [
        (":event-type", "contentBlockDelta"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    encode(headers, &json!({ "delta": { "text": "lost" }, "contentBlockIndex": 0 }))
}

/// Encodes a frame of the event stream.
fn encode(headers: [(&'static str, &str); 3], payload: &Value) -> io::Result<Bytes> {
    let payload = if payload.is_null() { Vec::new() } else { serde_json::to_vec(payload)? };
    let message = headers.into_iter().fold(Message::new(payload), |message, (name, value)| {
        message.add_header(Header::new(name, HeaderValue::String(value.to_owned().into())))
    });
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).map_err(io::Error::other)?;
    Ok(frame.into())
}

/// Returns the field `p`, letters of a random number, which hide the length of an event.
fn padding() -> &'static str {
    const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let random = usize::from(uuid::Uuid::new_v4().as_bytes()[0]);
    LETTERS.get(..=random % LETTERS.len()).unwrap_or(LETTERS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::read_message_from;

    fn header(message: &Message, name: &str) -> String {
        let header =
            message.headers().iter().find(|header| header.name().as_str() == name).unwrap();
        header.value().as_string().unwrap().as_str().to_owned()
    }

    #[test]
    fn an_event_is_padded_and_names_itself() {
        let frame =
            event(&StreamEvent::new("messageStart", json!({ "role": "assistant" }))).unwrap();
        let message = read_message_from(frame).unwrap();
        let payload: Value = serde_json::from_slice(message.payload()).unwrap();
        assert_eq!(header(&message, ":event-type"), "messageStart");
        assert_eq!(payload["role"], "assistant");
        assert!(payload["p"].as_str().unwrap().starts_with('a'));
    }

    #[test]
    fn an_exception_names_its_type() {
        let message =
            read_message_from(exception(&BedrockException::throttling("slow")).unwrap()).unwrap();
        assert_eq!(header(&message, ":exception-type"), "throttlingException");
        assert_eq!(message.payload().as_ref(), br#"{"message":"slow"}"#);
    }

    #[test]
    fn spoilt_frames_cannot_be_read() {
        for frame in [half_frame(), bad_message_crc(), bad_prelude_crc()] {
            assert!(read_message_from(frame.unwrap()).is_err());
        }
    }
}
