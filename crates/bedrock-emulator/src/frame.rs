//! The bytes of event-stream frames, sound ones and broken ones.

use crate::event::Event;
use crate::fault::Fault;
use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;
use serde_json::{Value, json};
use std::io;

/// A frame for an event, with the random padding Bedrock adds so that lengths betray nothing.
pub(crate) fn event(event: &Event) -> io::Result<Bytes> {
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

/// A frame for an exception that Bedrock's models declare.
pub(crate) fn exception(fault: &Fault) -> io::Result<Bytes> {
    let kind = fault.exception_type();
    let headers = [
        (":exception-type", kind.as_str()),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    encode(headers, &fault.body())
}

/// A frame for a failure that no model declares.
pub(crate) fn error(code: &str, message: &str) -> io::Result<Bytes> {
    encode(
        [(":error-code", code), (":error-message", message), (":message-type", "error")],
        &Value::Null,
    )
}

/// The first half of a frame.
pub(crate) fn cut() -> io::Result<Bytes> {
    let whole = spoilable()?;
    Ok(whole.slice(..whole.len() / 2))
}

/// A frame whose last checksum does not fit.
pub(crate) fn bad_message_crc() -> io::Result<Bytes> {
    let length = spoilable()?.len();
    flipped(length - 1)
}

/// A frame whose first checksum does not fit.
pub(crate) fn bad_prelude_crc() -> io::Result<Bytes> {
    flipped(PRELUDE_CRC_AT)
}

const PRELUDE_CRC_AT: usize = 8;

fn flipped(at: usize) -> io::Result<Bytes> {
    let mut bytes = spoilable()?.to_vec();
    bytes[at] ^= 0xff;
    Ok(bytes.into())
}

// Unpadded, so that it has the same length each time.
fn spoilable() -> io::Result<Bytes> {
    let headers = [
        (":event-type", "contentBlockDelta"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ];
    encode(headers, &json!({ "delta": { "text": "lost" }, "contentBlockIndex": 0 }))
}

fn encode(headers: [(&'static str, &str); 3], payload: &Value) -> io::Result<Bytes> {
    let payload = if payload.is_null() { Vec::new() } else { serde_json::to_vec(payload)? };
    let message = headers.into_iter().fold(Message::new(payload), |message, (name, value)| {
        message.add_header(Header::new(name, HeaderValue::String(value.to_owned().into())))
    });
    let mut frame = Vec::new();
    write_message_to(&message, &mut frame).map_err(io::Error::other)?;
    Ok(frame.into())
}

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
        let frame = event(&Event::new("messageStart", json!({ "role": "assistant" }))).unwrap();
        let message = read_message_from(frame).unwrap();
        let payload: Value = serde_json::from_slice(message.payload()).unwrap();
        assert_eq!(header(&message, ":event-type"), "messageStart");
        assert_eq!(payload["role"], "assistant");
        assert!(payload["p"].as_str().unwrap().starts_with('a'));
    }

    #[test]
    fn an_exception_names_its_type() {
        let message = read_message_from(exception(&Fault::throttling("slow")).unwrap()).unwrap();
        assert_eq!(header(&message, ":exception-type"), "throttlingException");
        assert_eq!(message.payload().as_ref(), br#"{"message":"slow"}"#);
    }

    #[test]
    fn spoilt_frames_cannot_be_read() {
        for frame in [cut(), bad_message_crc(), bad_prelude_crc()] {
            assert!(read_message_from(frame.unwrap()).is_err());
        }
    }
}
