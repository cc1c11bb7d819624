//! Finds personal data by its form: addresses of mail and of machines, numbers of phones, cards and
//! accounts, keys, and words that were named.

use std::{net::IpAddr, ops::Range};

/// Finds personal data.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    /// The words to find, in lower case, the longest first.
    words: Vec<Vec<char>>,
}

/// A personal datum that was found, and its kind.
type Detection = (Range<usize>, &'static str);

impl Detector {
    /// Returns a detector of data by their form, and of these words.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let words = words.into_iter().map(|word| word.trim().to_lowercase());
        let words = words.filter(|word| word.chars().count() > 1);
        let mut words: Vec<Vec<char>> = words.map(|word| word.chars().collect()).collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.len()));
        words.dedup();
        Self { words }
    }

    /// Returns the personal data of this text, in order and without overlaps.
    pub fn find(&self, text: &str) -> Vec<Detection> {
        let mut found = self.find_words(text);
        find_tokens(text, &mut found);
        find_numbers(text, &mut found);
        found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
        let mut end = 0;
        found.retain(|(range, _)| {
            let is_free = range.start >= end;
            if is_free {
                end = range.end;
            }
            is_free
        });
        found
    }

    /// Returns the places of the named words, in capitals or not.
    fn find_words(&self, text: &str) -> Vec<Detection> {
        if self.words.is_empty() {
            return Vec::new();
        }
        let letters: Vec<(usize, char)> = text
            .char_indices()
            .flat_map(|(at, letter)| letter.to_lowercase().map(move |letter| (at, letter)))
            .collect();
        let mut found = Vec::new();
        for word in &self.words {
            for start in 0..letters.len().saturating_sub(word.len() - 1) {
                let here = letters.iter().skip(start).take(word.len()).map(|(_, letter)| letter);
                if !here.eq(word.iter()) {
                    continue;
                }
                let is_inside = |at: Option<usize>| {
                    at.and_then(|at| letters.get(at))
                        .is_some_and(|(_, letter)| letter.is_alphanumeric())
                };
                if is_inside(start.checked_sub(1)) || is_inside(Some(start + word.len())) {
                    continue;
                }
                let from = letters.get(start).map_or(0, |(at, _)| *at);
                let to = letters.get(start + word.len()).map_or(text.len(), |(at, _)| *at);
                found.push((from..to, "WORD"));
            }
        }
        found
    }
}

/// Finds personal data in words without spaces.
fn find_tokens(text: &str, found: &mut Vec<Detection>) {
    let is_end = |c: char| c.is_whitespace() || ",;()[]{}<>\"'`|=".contains(c);
    let mut from = 0;
    for piece in text.split_inclusive(is_end) {
        let start = from;
        from += piece.len();
        let piece = piece.trim_end_matches(is_end);
        let lead = piece.len() - piece.trim_start_matches(['*', '_', ':', '/']).len();
        let token = piece.trim_start_matches(['*', '_', ':', '/']);
        let token = token.trim_end_matches(['.', ':', '!', '?', '*', '_', '/']);
        let range = start + lead..start + lead + token.len();
        if let Some(kind) = classify_token(token) {
            found.push((range, kind));
        } else if let Some((prefix, rest)) = token.rsplit_once([':', '/'])
            && let Some(kind) = classify_token(rest)
        {
            // `mailto:jane@example.com`
            let at = start + lead + prefix.len() + 1;
            found.push((at..at + rest.len(), kind));
        }
    }
}

fn classify_token(token: &str) -> Option<&'static str> {
    if is_email(token) {
        return Some("EMAIL");
    }
    let is_key = |prefix: &str, least: usize| {
        token.strip_prefix(prefix).is_some_and(|rest| {
            rest.len() >= least
                && rest.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
        })
    };
    let keys = [
        ("AKIA", 16),
        ("ASIA", 16),
        ("sk-", 16),
        ("ghp_", 20),
        ("gho_", 20),
        ("github_pat_", 20),
        ("glpat-", 16),
        ("xoxb-", 10),
        ("xoxp-", 10),
        ("AIza", 30),
        ("eyJ", 30),
    ];
    if keys.iter().any(|(prefix, least)| is_key(prefix, *least)) {
        return Some("KEY");
    }
    if (token.matches('.').count() == 3 || token.matches(':').count() >= 2)
        && token.parse::<IpAddr>().is_ok()
    {
        return Some("IP");
    }
    // A token of JSON Web Tokens has points between its parts.
    if token.starts_with("eyJ") && token.matches('.').count() == 2 && token.len() > 40 {
        return Some("KEY");
    }
    None
}

fn is_email(token: &str) -> bool {
    let Some((name, host)) = token.rsplit_once('@') else { return false };
    let is_part = |part: &str| {
        !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))
    };
    !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || "._%+-!#$&*/=?^~".contains(c))
        && host.contains('.')
        && host.split('.').all(is_part)
}

/// Finds personal data among digits with spaces and marks between them.
fn find_numbers(text: &str, found: &mut Vec<Detection>) {
    let bytes = text.as_bytes();
    let is_word =
        |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphanumeric() || *b >= 0x80);
    let mut at = 0;
    while at < bytes.len() {
        let begins = bytes[at].is_ascii_digit()
            || bytes[at] == b'+'
            || (bytes[at] == b'(' && bytes.get(at + 1).is_some_and(u8::is_ascii_digit));
        let is_account = bytes[at].is_ascii_uppercase() && (at == 0 || !is_word(at - 1));
        if is_account && let Some(end) = find_iban_end(bytes, at) {
            found.push((at..end, "IBAN"));
            at = end;
            continue;
        }
        if !begins || (at > 0 && (is_word(at - 1) || bytes[at - 1] == b'.')) {
            at += 1;
            continue;
        }
        let (mut end, mut next) = (at, at);
        while let Some(byte) = bytes.get(next) {
            if byte.is_ascii_digit() {
                end = next + 1;
            } else if !matches!(byte, b' ' | b'-' | b'.' | b'(' | b')' | b'/' | b'+')
                || next - end >= 3
            {
                break;
            }
            next += 1;
        }
        let end = end.max(at + 1);
        if !is_word(end)
            && let Some(kind) = text.get(at..end).and_then(classify_number)
        {
            found.push((at..end, kind));
        }
        at = end;
    }
}

fn classify_number(text: &str) -> Option<&'static str> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let groups: Vec<_> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    let lengths: Vec<_> = groups.iter().map(|group| group.len()).collect();
    if (13..=19).contains(&digits.len()) && !text.contains('.') && passes_luhn_check(&digits) {
        return Some("CARD");
    }
    if lengths == [3, 2, 4] && text.matches('-').count() == 2 {
        return Some("SSN");
    }
    // Dates, amounts and versions.
    let is_date =
        matches!(lengths.as_slice(), [4, 1..=2, 1..=2] | [1..=2, 1..=2, 4] | [1..=2, 1..=2, 2]);
    let is_sum = text.contains('.') && lengths.len() == 2;
    if is_date || is_sum || lengths.iter().all(|length| *length < 3) && !text.starts_with('+') {
        return None;
    }
    let has_marks =
        text.starts_with(['+', '(']) || (lengths.len() > 1 && text.contains(['-', ' ', '/', '.']));
    let is_long = (7..=15).contains(&digits.len());
    let is_plain = lengths.len() == 1 && (10..=11).contains(&digits.len());
    (is_long && (has_marks || is_plain)).then_some("PHONE")
}

/// Returns whether the last digit of a card number is right (Luhn's algorithm).
fn passes_luhn_check(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Returns the end of an international bank account number that begins here.
fn find_iban_end(bytes: &[u8], from: usize) -> Option<usize> {
    let head = bytes.get(from..from + 4)?;
    let is_head = head[0].is_ascii_uppercase()
        && head[1].is_ascii_uppercase()
        && head[2].is_ascii_digit()
        && head[3].is_ascii_digit();
    if !is_head {
        return None;
    }
    let (mut letters, mut end, mut best) = (Vec::new(), from, None);
    while let Some(byte) = bytes.get(end).filter(|_| letters.len() < 34) {
        match byte {
            b' ' if !letters.is_empty() => {}
            byte if byte.is_ascii_digit() || byte.is_ascii_uppercase() => letters.push(*byte),
            _ => break,
        }
        end += 1;
        let ends = !bytes.get(end).is_some_and(u8::is_ascii_alphanumeric);
        if letters.len() >= 15 && ends && *byte != b' ' && passes_iban_check(&letters) {
            best = Some(end);
        }
    }
    best
}

/// Returns whether the check digits of ISO 13616 are right: the remainder by 97 is 1.
fn passes_iban_check(letters: &[u8]) -> bool {
    let (head, tail) = letters.split_at(4);
    let remainder = tail.iter().chain(head).fold(0u32, |remainder, letter| {
        let value = if letter.is_ascii_digit() {
            u32::from(letter - b'0')
        } else {
            u32::from(letter - b'A') + 10
        };
        (remainder * if value > 9 { 100 } else { 10 } + value) % 97
    });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, &'static str)> {
        let detector = Detector::new(["Jane Doe".to_owned(), "Ärger GmbH".to_owned()]);
        detector
            .find(text)
            .into_iter()
            .map(|(range, kind)| (text.get(range).unwrap().to_owned(), kind))
            .collect()
    }

    #[test]
    fn personal_data_are_found_by_their_form() {
        for (text, data, kind) in [
            ("Write to jane.doe+x@mail.example.co.uk.", "jane.doe+x@mail.example.co.uk", "EMAIL"),
            ("mailto:a@b.example", "a@b.example", "EMAIL"),
            ("{\"to\":\"a@b.example\"}", "a@b.example", "EMAIL"),
            ("Call +49 (30) 1234-5678 now", "+49 (30) 1234-5678", "PHONE"),
            ("Call (555) 123-4567.", "(555) 123-4567", "PHONE"),
            ("Call 555-123-4567.", "555-123-4567", "PHONE"),
            ("Call 5551234567.", "5551234567", "PHONE"),
            ("My card is 4111 1111 1111 1111, thanks", "4111 1111 1111 1111", "CARD"),
            ("4111111111111111", "4111111111111111", "CARD"),
            ("SSN 078-05-1120", "078-05-1120", "SSN"),
            ("IBAN DE89 3704 0044 0532 0130 00 please", "DE89 3704 0044 0532 0130 00", "IBAN"),
            ("GB82WEST12345698765432", "GB82WEST12345698765432", "IBAN"),
            ("at 203.0.113.7:", "203.0.113.7", "IP"),
            ("at 2001:db8::1", "2001:db8::1", "IP"),
            ("key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE", "KEY"),
            ("key=sk-abcdefghijklmnopqrstuv", "sk-abcdefghijklmnopqrstuv", "KEY"),
            ("I am JANE DOE.", "JANE DOE", "WORD"),
            ("Die ärger gmbh ruft.", "ärger gmbh", "WORD"),
        ] {
            assert_eq!(found(text), [(data.to_owned(), kind)], "{text}");
        }
    }

    #[test]
    fn texts_without_personal_data_are_left() {
        for text in [
            "On 2024-05-06 at 12:30 it cost 1,234.50 dollars.",
            "Version 1.2.3 of 3 parts, 100 200 in all",
            "6 * 7 = 42",
            "janedoe and Jane Doesnt",
            "@home a@b user@ 06.05.2024",
            "1234567.89",
            "3.14159265358979",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ranges_are_in_order_and_cut_no_letters(text in "\\PC{0,80}|[0-9+() .@a-zA-Z:-]{0,80}") {
            let mut end = 0;
            for (range, _) in Detector::new(["ab".to_owned()]).find(&text) {
                proptest::prop_assert!(range.start >= end && range.end > range.start);
                proptest::prop_assert!(text.get(range.clone()).is_some());
                end = range.end;
            }
        }
    }
}
