//! Frames of AWS's event stream
//! (<https://docs.aws.amazon.com/transcribe/latest/dg/streaming-setting-up.html#streaming-event-stream>).

use std::ops::Range;

const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;
const STRING_TYPE: u8 = 7;

/// Appends a frame with an event to the buffer.
pub fn write_frame(buffer: &mut Vec<u8>, event: &str, payload: &[u8]) {
    let mut headers = Vec::with_capacity(96);
    write_header(&mut headers, ":event-type", event);
    write_header(&mut headers, ":content-type", "application/json");
    write_header(&mut headers, ":message-type", "event");
    let start = buffer.len();
    let total = PRELUDE + headers.len() + payload.len() + CHECKSUM;
    buffer.extend(to_u32(total).to_be_bytes());
    buffer.extend(to_u32(headers.len()).to_be_bytes());
    buffer.extend(crc32fast::hash(&buffer[start..]).to_be_bytes());
    buffer.extend(headers);
    buffer.extend(payload);
    buffer.extend(crc32fast::hash(&buffer[start..]).to_be_bytes());
}

fn write_header(buffer: &mut Vec<u8>, name: &str, value: &str) {
    buffer.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    buffer.extend(name.as_bytes());
    buffer.push(STRING_TYPE);
    buffer.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
    buffer.extend(value.as_bytes());
}

fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A frame at the front of a buffer.
pub struct Frame<'a> {
    /// The length of the whole frame.
    pub length: usize,
    /// The name of the event.
    pub event: &'a str,
    /// The place of the payload in the buffer.
    pub payload: Range<usize>,
}

/// Reads the frame at the front of the buffer, if it is whole and its checksums are right.
pub fn read_frame(buffer: &[u8]) -> Option<Frame<'_>> {
    let length = usize::try_from(read_u32(buffer, 0)?).ok()?;
    let headers = usize::try_from(read_u32(buffer, 4)?).ok()?;
    let frame = buffer.get(..length)?;
    let end = length.checked_sub(CHECKSUM)?;
    let is_sound = crc32fast::hash(frame.get(..8)?) == read_u32(frame, 8)?
        && crc32fast::hash(frame.get(..end)?) == read_u32(frame, end)?;
    if !is_sound {
        return None;
    }
    let payload = PRELUDE + headers..end;
    let event = find_header(frame.get(PRELUDE..payload.start)?, b":event-type").unwrap_or_default();
    Some(Frame { length, event, payload })
}

fn read_u32(buffer: &[u8], at: usize) -> Option<u32> {
    let bytes = buffer.get(at..at + 4)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

fn find_header<'a>(mut headers: &'a [u8], wanted: &[u8]) -> Option<&'a str> {
    loop {
        let name_end = 1 + usize::from(*headers.first()?);
        let name = headers.get(1..name_end)?;
        let length = headers.get(name_end + 1..name_end + 3)?;
        let value_start = name_end + 3;
        let value_end = value_start + usize::from(u16::from_be_bytes(length.try_into().ok()?));
        let value = headers.get(value_start..value_end)?;
        if name == wanted {
            return std::str::from_utf8(value).ok();
        }
        headers = headers.get(value_end..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        let mut buffer = Vec::new();
        write_frame(&mut buffer, "messageStop", b"{}");
        write_frame(&mut buffer, "metadata", b"{\"a\":1}");
        let first = read_frame(&buffer).unwrap();
        assert_eq!((first.event, &buffer[first.payload.clone()]), ("messageStop", &b"{}"[..]));
        let second = read_frame(&buffer[first.length..]).unwrap();
        assert_eq!(second.event, "metadata");
        assert!(read_frame(&buffer[..first.length - 1]).is_none());
        buffer[20] ^= 1;
        assert!(read_frame(&buffer).is_none());
    }
}
