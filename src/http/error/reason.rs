//! Messages as reason phrases of the status line.

use actix_web::http::StatusCode;
use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// The longest phrase, in characters; what is longer is cut.
const MAX_CHARS: usize = 200;

/// The largest number of phrases. actix takes only phrases with a static lifetime, so their number
/// is bounded: beyond it the status's own phrase is used.
const MAX_PHRASES: usize = 4096;

/// The reason phrases, each of which is kept once.
static PHRASES: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// Returns the message as one line that a status line can hold.
pub(super) fn reason_phrase(message: &str, status: StatusCode) -> &'static str {
    let line: String =
        message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS).collect();
    let mut kept = PHRASES.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    match kept.get(line.as_str()) {
        Some(phrase) => phrase,
        None if kept.len() >= MAX_PHRASES => status.canonical_reason().unwrap_or("Refused"),
        None => {
            let phrase: &'static str = line.leak();
            kept.insert(phrase);
            phrase
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_one_line_and_no_longer_than_it_may_be() {
        let phrase = reason_phrase(
            &format!("no\r\nSet-Cookie: x {}", "é".repeat(300)),
            StatusCode::FORBIDDEN,
        );
        assert!(phrase.starts_with("no  Set-Cookie: x é"));
        assert_eq!(phrase.chars().count(), MAX_CHARS);
    }
}
