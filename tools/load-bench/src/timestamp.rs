//! The time at which a token was sent, written into the token itself. The receiver computes the
//! time on the way from it, whatever proxy stands between.

use memchr::memchr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Stands before and after each timestamp.
const MARK: u8 = b'@';

/// Returns the microseconds since 1970, by the clock that all processes of the machine share.
pub fn now_micros() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// Returns a token of an answer, as in ` @1764500000000000@`.
pub fn token_text() -> String {
    format!(" @{}@", now_micros())
}

/// Finds timestamps in a body that arrives in pieces.
#[derive(Default)]
pub struct TimestampScanner {
    /// The end of the last piece, which may hold the beginning of a timestamp.
    rest: Vec<u8>,
}

impl TimestampScanner {
    /// Returns the timestamps that this piece completes.
    pub fn scan(&mut self, piece: &[u8]) -> Vec<u64> {
        self.rest.extend_from_slice(piece);
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(start) = memchr(MARK, &self.rest[from..]).map(|at| from + at + 1) {
            let digits = self.rest[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let Some(after) = self.rest.get(start + digits) else {
                from = start - 1;
                self.rest.drain(..from);
                return found;
            };
            from = start;
            if *after == MARK && digits > 0 {
                let number = std::str::from_utf8(&self.rest[start..start + digits]);
                found.extend(number.ok().and_then(|number| number.parse::<u64>().ok()));
                from = start + digits + 1;
            }
        }
        self.rest.clear();
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_found_wherever_a_piece_ends() {
        let body = b"data: {\"content\":\" @17@\"} me@host @5 @ @23@ @4@";
        for cut in 0..body.len() {
            let mut scanner = TimestampScanner::default();
            let mut found = scanner.scan(&body[..cut]);
            found.extend(scanner.scan(&body[cut..]));
            assert_eq!(found, [17, 23, 4], "cut at {cut}");
        }
    }
}
