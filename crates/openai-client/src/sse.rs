//! Server-sent events, out of bytes that arrive in any pieces.
//!
//! Every line end counts (LF, CR, CRLF, across pieces too), a byte order mark at the front does not, nor do comments and fields other than
//! `data` and `event`. What is not UTF-8 is replaced. No line and no event is longer than [`LONGEST`].

use memchr::memchr2;
use std::borrow::Cow;

/// The bytes that have arrived, and how far they are read.
#[derive(Debug, Default)]
pub(crate) struct Events {
    bytes: Vec<u8>,
    /// Up to here all lines are read.
    read: usize,
    /// Up to here no line ends.
    searched: usize,
    /// The last line ended with a CR, so that an LF that follows belongs to it.
    after_cr: bool,
    begun: bool,
    name: String,
    data: Option<String>,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name; mostly empty.
    pub name: String,
    /// Its lines of data, joined.
    pub data: String,
}

/// A line or an event is longer than any that makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Pictures come in one line, as base64.
pub(crate) const LONGEST: usize = 4 << 20;

const BOM: &[u8] = b"\xEF\xBB\xBF";

impl Events {
    /// Adds bytes as they come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.read);
        self.searched -= self.read;
        self.read = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole event, if it is there.
    pub fn next(&mut self) -> Result<Option<Event>, TooLong> {
        while self.skip_what_is_no_line() {
            let Some(end) = memchr2(b'\n', b'\r', &self.bytes[self.searched..]) else {
                self.searched = self.bytes.len();
                let is_too_long = self.bytes.len() - self.read > LONGEST;
                return if is_too_long { Err(TooLong) } else { Ok(None) };
            };
            let (start, end) = (self.read, self.searched + end);
            self.after_cr = self.bytes[end] == b'\r';
            (self.read, self.searched) = (end + 1, end + 1);
            if let Some(event) = self.line(start, end)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The last event, if the bytes have ended without the empty line that ends events.
    pub fn last(&mut self) -> Result<Option<Event>, TooLong> {
        let (start, end) = (self.read, self.bytes.len());
        (self.read, self.searched) = (end, end);
        if start < end {
            self.line(start, end)?;
        }
        Ok(self.dispatch())
    }

    /// Passes over a byte order mark at the front, and over the LF of a CRLF. `false` if more bytes must come before that is known.
    fn skip_what_is_no_line(&mut self) -> bool {
        let waiting = &self.bytes[self.read..];
        if waiting.is_empty() {
            return false;
        }
        if !self.begun {
            if waiting.len() < BOM.len() && BOM.starts_with(waiting) {
                return false;
            }
            self.begun = true;
            if waiting.starts_with(BOM) {
                self.read += BOM.len();
                self.searched = self.read;
            }
        } else if self.after_cr && waiting[0] == b'\n' {
            self.read += 1;
            self.searched = self.searched.max(self.read);
        }
        self.after_cr = false;
        true
    }

    /// Reads the line between these places; an empty one ends the event.
    fn line(&mut self, start: usize, end: usize) -> Result<Option<Event>, TooLong> {
        let line = &self.bytes[start..end];
        if line.len() > LONGEST {
            return Err(TooLong);
        }
        if line.is_empty() {
            return Ok(self.dispatch());
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &[][..]),
        };
        let value = String::from_utf8_lossy(value.strip_prefix(b" ").unwrap_or(value));
        match field {
            b"data" => self.data = Some(joined(self.data.take(), value)?),
            b"event" => self.name = value.into_owned(),
            _ => {}
        }
        Ok(None)
    }

    fn dispatch(&mut self) -> Option<Event> {
        let name = std::mem::take(&mut self.name);
        self.data.take().map(|data| Event { name, data })
    }
}

/// The data so far, and one line more.
fn joined(data: Option<String>, line: Cow<'_, str>) -> Result<String, TooLong> {
    let Some(data) = data else { return Ok(line.into_owned()) };
    if data.len() + line.len() > LONGEST { Err(TooLong) } else { Ok(data + "\n" + &line) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All events of these pieces.
    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Event>, TooLong> {
        let (mut events, mut told) = (Events::default(), Vec::new());
        for piece in pieces {
            events.push(piece);
            while let Some(event) = events.next()? {
                told.push(event);
            }
        }
        told.extend(events.last()?);
        Ok(told)
    }

    fn data(bytes: &[u8]) -> Vec<String> {
        read([bytes]).unwrap().into_iter().map(|event| event.data).collect()
    }

    #[test]
    fn lines_of_all_kinds_are_read() {
        for (bytes, told) in [
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
            assert_eq!(data(bytes), told, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn an_event_may_have_a_name_that_the_next_one_has_not() {
        let events = read([&b"event: error\ndata: a\n\ndata: b\n\n"[..]]).unwrap();
        let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["error", ""]);
    }

    #[test]
    fn what_is_longer_than_makes_sense_is_refused_before_it_ends() {
        let piece = [b'a'; 64 << 10];
        for line in [&b"data: "[..], b": ", b""] {
            let pieces = [line].into_iter().chain(std::iter::repeat_n(&piece[..], 100));
            assert_eq!(read(pieces), Err(TooLong));
        }
        let lines = std::iter::repeat_n(&b"data: aaaaaaaaaaaaaaaaaaaaaaaaa\n"[..], LONGEST / 20);
        assert_eq!(read(lines), Err(TooLong));
    }

    #[test]
    fn comments_without_end_are_no_event_and_take_no_room() {
        let mut events = Events::default();
        for _ in 0..100_000 {
            events.push(b": still thinking\n\n");
            assert_eq!(events.next(), Ok(None));
        }
        assert!(events.bytes.capacity() < 1024);
    }

    proptest! {
        /// F8: however the bytes are cut, the events are the same.
        #[test]
        fn any_chunking_gives_the_same_events(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    &b"data: {\"a\": \"\xF0\x9F\xA6\x80\xE2\x82\xAC\"}"[..],
                    b"\n", b"\r", b"\r\n", b"\n\n", b"\xEF\xBB\xBF", b":", b"data:", b"event: x", b"\xFF\xFE", b" ", b"\0",
                ]),
                0..40,
            ),
            cuts in proptest::collection::vec(0..400usize, 0..40),
        ) {
            let bytes = parts.concat();
            let whole = read([&bytes[..]]).unwrap();
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]);
            prop_assert_eq!(&read(pieces).unwrap(), &whole);
            prop_assert_eq!(&read(bytes.chunks(1)).unwrap(), &whole);
        }
    }
}
