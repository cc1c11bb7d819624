//! Lone surrogates: escapes in JSON that JavaScript and Python write and Rust cannot read.
//!
//! Open WebUI's texts may have them, as in `"\ud83d"` (`docs/reference/open-webui.md`, "Lone
//! surrogates"). They are no characters, so each becomes the replacement character, in place: the
//! escapes are equally long.

use memchr::memchr;

/// Returns the same JSON with every lone surrogate replaced; `None` when there is none.
pub fn without_lone_surrogates(json: &[u8]) -> Option<Vec<u8>> {
    find_lone_surrogate(json, 0)?;
    let mut repaired = json.to_vec();
    replace_lone_surrogates(&mut repaired);
    Some(repaired)
}

/// Replaces every lone surrogate of this JSON in place.
pub fn replace_lone_surrogates(json: &mut [u8]) {
    let mut at = 0;
    while let Some(start) = find_lone_surrogate(json, at) {
        at = start + 6;
        json[start..at].copy_from_slice(br"\ufffd");
    }
}

/// Returns the position of the first lone surrogate at or after this place; an escape may not begin
/// before it.
fn find_lone_surrogate(json: &[u8], mut at: usize) -> Option<usize> {
    while let Some(backslash) = json.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        let start = at + backslash;
        at = start + 2;
        match (unit(json, start), unit(json, start + 6)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => at = start + 12,
            (Some(0xD800..=0xDFFF), _) => return Some(start),
            _ => {}
        }
    }
    None
}

/// Returns the UTF-16 unit of the escape `\uXXXX` at this place.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(br"\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_surrogates_are_replaced_and_all_else_stays() {
        for (sent, read) in [
            (r#""\ud83d""#, Some(r#""\ufffd""#)),
            (r#""a\uDE00b""#, Some(r#""a\ufffdb""#)),
            (r#""\ud83d\ud83d\ude00""#, Some(r#""\ufffd\ud83d\ude00""#)),
            (r#""\ud83d\n""#, Some(r#""\ufffd\n""#)),
            (r#""\ud83d\ude00""#, None),
            (r#""\\ud83d""#, None),
            (r#""\\\ud83d""#, Some(r#""\\\ufffd""#)),
            (r#""\u00e4""#, None),
            (r#""\ud8"#, None),
        ] {
            assert_eq!(
                without_lone_surrogates(sent.as_bytes()).as_deref(),
                read.map(str::as_bytes),
                "{sent}"
            );
        }
    }
}
