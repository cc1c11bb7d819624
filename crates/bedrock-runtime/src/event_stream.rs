//! The decoder of AWS's event stream, for bytes that arrive in any pieces.
//!
//! The SDK has a decoder too, but it makes a map of headers and a typed event for each token, drops
//! the names of exceptions, and ends the stream at a kind of event that it does not know
//! (`docs/reference/bedrock.md`, "Event stream"). This one allocates nothing for a frame.

use std::fmt;

/// The bytes that have arrived, and how far they are read.
#[derive(Debug, Default)]
pub struct EventStreamDecoder {
    bytes: Vec<u8>,
    consumed: usize,
}

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The frame's type.
    pub message_type: MessageType,
    /// The name of the event, of the exception, or the code of the error.
    pub name: &'a str,
    /// The message of an error. Events and exceptions have it in the payload.
    pub error_message: &'a str,
    /// The JSON text.
    pub payload: &'a [u8],
}

/// The type of a frame, by its header `:message-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageType {
    /// A step of the answer.
    Event,
    /// A failure that the service's model knows.
    Exception,
    /// A failure that it does not know.
    Error,
}

/// An error of decoding: the bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A length that cannot be.
    Length,
    /// A checksum that does not fit.
    Checksum,
    /// Headers that cannot be read.
    Headers,
}

/// Lengths of the frame and of its headers, and a checksum of the two.
const PRELUDE: usize = 12;
/// The size of a checksum, in bytes.
const CHECKSUM: usize = 4;

/// AWS sends at most 16 MiB in a frame; more is a broken length, not a long answer.
const MAX_FRAME_BYTES: usize = 16 << 20;

impl EventStreamDecoder {
    /// Adds bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.consumed == self.bytes.len() {
            self.bytes.clear();
        } else {
            self.bytes.drain(..self.consumed);
        }
        self.consumed = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next whole frame, if it is there.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, DecodeError> {
        let waiting = &self.bytes[self.consumed..];
        let Some(prelude) = waiting.first_chunk::<PRELUDE>() else { return Ok(None) };
        let (length, headers) = decode_prelude(prelude)?;
        let Some(frame) = waiting.get(..length) else { return Ok(None) };
        self.consumed += length;
        let (content, checksum) = frame.split_at(length - CHECKSUM);
        if crc32fast::hash(content) != u32_be(checksum) {
            return Err(DecodeError::Checksum);
        }
        let (headers, payload) = content[PRELUDE..].split_at(headers);
        decode_frame(headers, payload).map(Some)
    }
}

/// Returns the length of the whole frame and of its headers.
fn decode_prelude(prelude: &[u8; PRELUDE]) -> Result<(usize, usize), DecodeError> {
    let (lengths, checksum) = prelude.split_at(8);
    if crc32fast::hash(lengths) != u32_be(checksum) {
        return Err(DecodeError::Checksum);
    }
    let (length, headers) = (u32_be(&lengths[..4]) as usize, u32_be(&lengths[4..]) as usize);
    let fits = length <= MAX_FRAME_BYTES && headers.saturating_add(PRELUDE + CHECKSUM) <= length;
    if fits { Ok((length, headers)) } else { Err(DecodeError::Length) }
}

fn decode_frame<'a>(headers: &'a [u8], payload: &'a [u8]) -> Result<Frame<'a>, DecodeError> {
    let mut frame =
        Frame { message_type: MessageType::Event, name: "", error_message: "", payload };
    let mut rest = headers;
    while !rest.is_empty() {
        let (name, value);
        (name, value, rest) = split_header(rest).ok_or(DecodeError::Headers)?;
        match name {
            b":message-type" => frame.message_type = message_type(value)?,
            b":event-type" | b":exception-type" | b":error-code" => frame.name = utf8(value)?,
            b":error-message" => frame.error_message = utf8(value)?,
            _ => {}
        }
    }
    Ok(frame)
}

/// Returns the first header's name and value, and what comes after it.
fn split_header(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(length))?;
    let (&kind, rest) = rest.split_first()?;
    let (length, rest) = match kind {
        0 | 1 => (0, rest),
        2 => (1, rest),
        3 => (2, rest),
        4 => (4, rest),
        5 | 8 => (8, rest),
        6 | 7 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        9 => (16, rest),
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((name, value, rest))
}

fn message_type(value: &[u8]) -> Result<MessageType, DecodeError> {
    match value {
        b"event" => Ok(MessageType::Event),
        b"exception" => Ok(MessageType::Exception),
        b"error" => Ok(MessageType::Error),
        _ => Err(DecodeError::Headers),
    }
}

/// Returns the value of a header as text.
fn utf8(value: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(value).map_err(|_| DecodeError::Headers)
}

fn u32_be(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a frame of an impossible length",
            Self::Checksum => "a frame whose checksum does not fit",
            Self::Headers => "a frame with unreadable headers",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::write_message_to;
    use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
    use proptest::prelude::*;

    fn event(name: &str, payload: &[u8], others: &[HeaderValue]) -> Vec<u8> {
        let text = |text: &str| HeaderValue::String(text.to_owned().into());
        let mut message = Message::new(payload.to_vec())
            .add_header(Header::new(":message-type", text("event")))
            .add_header(Header::new(":event-type", text(name)));
        for (number, value) in others.iter().enumerate() {
            message = message.add_header(Header::new(format!("h{number}"), value.clone()));
        }
        let mut bytes = Vec::new();
        write_message_to(&message, &mut bytes).unwrap();
        bytes
    }

    fn read_all(
        decoder: &mut EventStreamDecoder,
        into: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<(), DecodeError> {
        while let Some(frame) = decoder.next_frame()? {
            into.push((frame.name.to_owned(), frame.payload.to_vec()));
        }
        Ok(())
    }

    fn any_value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            any::<bool>().prop_map(HeaderValue::Bool),
            any::<i8>().prop_map(HeaderValue::Byte),
            any::<i16>().prop_map(HeaderValue::Int16),
            any::<i32>().prop_map(HeaderValue::Int32),
            any::<i64>().prop_map(HeaderValue::Int64),
            any::<u128>().prop_map(HeaderValue::Uuid),
            any::<Vec<u8>>().prop_map(|bytes| HeaderValue::ByteArray(bytes.into())),
        ]
    }

    fn any_events() -> impl Strategy<Value = Vec<(String, Vec<u8>, Vec<HeaderValue>)>> {
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        let others = prop::collection::vec(any_value(), 0..4);
        prop::collection::vec(("[a-zA-Z]{1,20}", payload, others), 0..8)
    }

    proptest! {
        #[test]
        fn what_the_official_encoder_writes_is_read_however_it_is_split(
            events in any_events(), splits in prop::collection::vec(1usize..200, 1..20),
        ) {
            let bytes: Vec<u8> =
                events.iter().flat_map(|(name, payload, others)| event(name, payload, others)).collect();
            let (mut decoder, mut seen, mut rest) = (EventStreamDecoder::default(), Vec::new(), &bytes[..]);
            for split in splits.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*split).min(rest.len()));
                decoder.push(now);
                read_all(&mut decoder, &mut seen).unwrap();
                rest = later;
            }
            let sent: Vec<_> = events.into_iter().map(|(name, payload, _)| (name, payload)).collect();
            prop_assert_eq!(seen, sent);
            prop_assert_eq!(decoder.consumed, decoder.bytes.len());
        }

        #[test]
        fn a_flipped_bit_is_never_read_as_a_frame(payload in any::<Vec<u8>>(), place in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = event("contentBlockDelta", &payload, &[]);
            let place = place.index(bytes.len());
            bytes[place] ^= 1 << bit;
            let mut decoder = EventStreamDecoder::default();
            decoder.push(&bytes);
            prop_assert!(decoder.next_frame().is_err());
        }

        #[test]
        fn a_cut_frame_is_waited_for(payload in any::<Vec<u8>>(), place in any::<prop::sample::Index>()) {
            let bytes = event("contentBlockDelta", &payload, &[]);
            let mut decoder = EventStreamDecoder::default();
            decoder.push(&bytes[..place.index(bytes.len())]);
            prop_assert_eq!(decoder.next_frame(), Ok(None));
        }

        #[test]
        fn any_bytes_are_survived(bytes in any::<Vec<u8>>()) {
            let mut decoder = EventStreamDecoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.next_frame() {}
        }

        #[test]
        fn any_headers_are_survived(headers in any::<Vec<u8>>()) {
            _ = decode_frame(&headers, b"");
        }
    }

    #[test]
    fn impossible_lengths_are_refused_before_they_are_waited_for() {
        for (length, headers) in [(15u32, 0u32), (100, 85), (17 << 20, 0), (100, u32::MAX)] {
            let mut bytes = [length.to_be_bytes(), headers.to_be_bytes()].concat();
            bytes.extend(crc32fast::hash(&bytes).to_be_bytes());
            let mut decoder = EventStreamDecoder::default();
            decoder.push(&bytes);
            assert_eq!(decoder.next_frame(), Err(DecodeError::Length), "{length} {headers}");
        }
    }
}
