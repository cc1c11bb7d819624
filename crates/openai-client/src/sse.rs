//! A decoder of server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>).
//!
//! It takes bytes in pieces of any size. It accepts LF, CR and CRLF as line ends, skips a byte
//! order mark at the start, and ignores comments and all fields other than `data` and `event`.
//! Invalid UTF-8 is replaced. No line and no event is longer than [`MAX_EVENT_BYTES`].

use memchr::{memchr, memchr2};
use std::{borrow::Cow, ops::Range};

/// The bytes that have arrived, and how far they are decoded.
#[derive(Debug, Default)]
pub(crate) struct SseDecoder {
    bytes: Vec<u8>,
    /// The end of the last decoded line.
    read: usize,
    /// The end of the bytes that hold no further line end.
    searched: usize,
    /// `true` if the last line ended with a CR, so that an LF that follows belongs to it.
    is_after_cr: bool,
    has_started: bool,
    name: String,
    data: Option<EventData>,
}

/// The data of an event that is not complete yet.
#[derive(Debug)]
enum EventData {
    /// One line, as a range of the bytes: nearly every event has one line, and is not copied.
    Line(Range<usize>),
    /// Several lines, or a line whose bytes are gone.
    Text(String),
}

/// A complete event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SseEvent<'a> {
    /// The name; mostly empty.
    pub name: String,
    /// The data lines, joined with line feeds.
    pub data: Cow<'a, str>,
}

/// The error of a line or an event that is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLongError;

/// The most bytes of an event. Images come in one line, as base64.
pub(crate) const MAX_EVENT_BYTES: usize = 4 << 20;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

impl SseDecoder {
    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(EventData::Line(line)) = &self.data {
            let text = String::from_utf8_lossy(&self.bytes[line.clone()]).into_owned();
            self.data = Some(EventData::Text(text));
        }
        self.bytes.drain(..self.read);
        self.searched -= self.read;
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the next complete event.
    pub fn next(&mut self) -> Result<Option<SseEvent<'_>>, TooLongError> {
        while self.skip_line_start() {
            let Some(end) = memchr2(b'\n', b'\r', &self.bytes[self.searched..]) else {
                self.searched = self.bytes.len();
                let is_too_long = self.bytes.len() - self.read > MAX_EVENT_BYTES;
                return if is_too_long { Err(TooLongError) } else { Ok(None) };
            };
            let line = self.read..self.searched + end;
            self.is_after_cr = self.bytes[line.end] == b'\r';
            (self.read, self.searched) = (line.end + 1, line.end + 1);
            let is_blank = line.is_empty();
            self.decode_line(line)?;
            if is_blank && self.data.is_some() {
                return Ok(self.take_event());
            }
            if is_blank {
                self.name.clear();
            }
        }
        Ok(None)
    }

    /// Returns the last event, if the bytes have ended without the blank line that ends an event.
    pub fn last(&mut self) -> Result<Option<SseEvent<'_>>, TooLongError> {
        let line = self.read..self.bytes.len();
        (self.read, self.searched) = (line.end, line.end);
        self.decode_line(line)?;
        Ok(self.take_event())
    }

    /// Skips a byte order mark at the start, and the LF of a CRLF. Returns `false` if that needs
    /// more bytes.
    fn skip_line_start(&mut self) -> bool {
        let waiting = &self.bytes[self.read..];
        if waiting.is_empty() {
            return false;
        }
        if !self.has_started {
            if waiting.len() < BYTE_ORDER_MARK.len() && BYTE_ORDER_MARK.starts_with(waiting) {
                return false;
            }
            self.has_started = true;
            if waiting.starts_with(BYTE_ORDER_MARK) {
                self.read += BYTE_ORDER_MARK.len();
                self.searched = self.read;
            }
        } else if self.is_after_cr && waiting[0] == b'\n' {
            self.read += 1;
            self.searched = self.searched.max(self.read);
        }
        self.is_after_cr = false;
        true
    }

    fn decode_line(&mut self, line: Range<usize>) -> Result<(), TooLongError> {
        let bytes = &self.bytes[line.clone()];
        if bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLongError);
        }
        let colon = memchr(b':', bytes).unwrap_or(bytes.len());
        let has_space = bytes.get(colon + 1) == Some(&b' ');
        let value = (line.start + colon + 1 + usize::from(has_space)).min(line.end)..line.end;
        match &bytes[..colon] {
            b"data" => self.data = Some(self.append_data(value)?),
            b"event" => self.name = String::from_utf8_lossy(&self.bytes[value]).into_owned(),
            _ => {}
        }
        Ok(())
    }

    /// Returns the data with one line more.
    fn append_data(&mut self, line: Range<usize>) -> Result<EventData, TooLongError> {
        let mut text = match self.data.take() {
            None => return Ok(EventData::Line(line)),
            Some(EventData::Line(first)) => {
                String::from_utf8_lossy(&self.bytes[first]).into_owned()
            }
            Some(EventData::Text(text)) => text,
        };
        if text.len() + line.len() > MAX_EVENT_BYTES {
            return Err(TooLongError);
        }
        text.push('\n');
        text.push_str(&String::from_utf8_lossy(&self.bytes[line]));
        Ok(EventData::Text(text))
    }

    fn take_event(&mut self) -> Option<SseEvent<'_>> {
        let name = std::mem::take(&mut self.name);
        let data = match self.data.take()? {
            EventData::Line(line) => decode_utf8(&self.bytes[line]),
            EventData::Text(text) => Cow::Owned(text),
        };
        Some(SseEvent { name, data })
    }
}

/// Returns the bytes as text, with U+FFFD for what is no UTF-8. The check of whole texts is several
/// times as fast as [`String::from_utf8_lossy`], which looks for the invalid parts at once.
pub(crate) fn decode_utf8(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns all events of these pieces, each as its name and its data.
    fn decode<'a>(
        pieces: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Vec<(String, String)>, TooLongError> {
        let (mut decoder, mut events) = (SseDecoder::default(), Vec::new());
        let owned = |event: SseEvent<'_>| (event.name, event.data.into_owned());
        for piece in pieces {
            decoder.push(piece);
            while let Some(event) = decoder.next()? {
                events.push(owned(event));
            }
        }
        events.extend(decoder.last()?.map(owned));
        Ok(events)
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        decode([bytes]).unwrap().into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn lines_of_all_kinds_are_decoded() {
        for (bytes, expected) in [
            (&b"data: a\n\ndata: b\n\n"[..], &["a", "b"][..]),
            (b"data: a\r\n\r\ndata: b\r\n\r\n", &["a", "b"]),
            (b"data: a\r\rdata: b\r\r", &["a", "b"]),
            (b"data:a\n\n", &["a"]),
            (b"data:  a\n\n", &[" a"]),
            (b"\xEF\xBB\xBFdata: a\n\n", &["a"]),
            (b"data: a\ndata: b\n\n", &["a\nb"]),
            (b"data\n\n", &[""]),
            (b": comment\n\n: \n\nid: 7\nretry: 1\ndata: a\n\n", &["a"]),
            (b"database: a\n\n", &[]),
            (b"data: a", &["a"]),
            (b"data: a\n", &["a"]),
            (b"", &[]),
            (b"\n\n\n", &[]),
            (b"data: \xFFa\n\n", &["\u{fffd}a"]),
            (b"data: a\0b\n\n", &["a\0b"]),
        ] {
            assert_eq!(data(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn an_event_may_have_a_name_that_the_next_one_has_not() {
        let events = decode([&b"event: error\ndata: a\n\ndata: b\n\n"[..]]).unwrap();
        let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["error", ""]);
    }

    #[test]
    fn an_event_of_one_line_is_not_copied() {
        let mut decoder = SseDecoder::default();
        decoder.push(b"data: a\n\n");
        let event = decoder.next().unwrap().unwrap();
        assert!(matches!(event.data, Cow::Borrowed("a")), "{event:?}");
    }

    #[test]
    fn what_is_longer_than_makes_sense_is_refused_before_it_ends() {
        let piece = [b'a'; 64 << 10];
        for line in [&b"data: "[..], b": ", b""] {
            let pieces = [line].into_iter().chain(std::iter::repeat_n(&piece[..], 100));
            assert_eq!(decode(pieces), Err(TooLongError));
        }
        let lines =
            std::iter::repeat_n(&b"data: aaaaaaaaaaaaaaaaaaaaaaaaa\n"[..], MAX_EVENT_BYTES / 20);
        assert_eq!(decode(lines), Err(TooLongError));
    }

    #[test]
    fn comments_without_end_are_no_event_and_take_no_memory() {
        let mut decoder = SseDecoder::default();
        for _ in 0..100_000 {
            decoder.push(b": still thinking\n\n");
            assert_eq!(decoder.next(), Ok(None));
        }
        assert!(decoder.bytes.capacity() < 1024);
    }

    proptest! {
        /// F8: however the bytes are cut, the events are the same.
        #[test]
        fn any_chunking_gives_the_same_events(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    &b"data: {\"a\": \"\xF0\x9F\xA6\x80\xE2\x82\xAC\"}"[..],
                    b"\n", b"\r", b"\r\n", b"\n\n", b"\xEF\xBB\xBF", b":", b"data:", b"event: x",
                    b"\xFF\xFE", b" ", b"\0",
                ]),
                0..40,
            ),
            cuts in proptest::collection::vec(0..400usize, 0..40),
        ) {
            let bytes = parts.concat();
            let whole = decode([&bytes[..]]).unwrap();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            prop_assert_eq!(&decode(pieces).unwrap(), &whole);
            prop_assert_eq!(&decode(bytes.chunks(1)).unwrap(), &whole);
        }
    }
}
