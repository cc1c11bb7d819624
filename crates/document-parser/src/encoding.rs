//! Detects the encoding of bytes and decodes them.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use std::borrow::Cow;

/// The most bytes that the encoding is guessed from.
const MAX_SAMPLE_BYTES: usize = 1 << 20;

/// Decodes bytes. `declared` is the encoding that the file declares; it is used unless the bytes
/// contradict it.
pub(crate) fn decode<'a>(bytes: &'a [u8], declared: Option<&'static Encoding>) -> Cow<'a, str> {
    if let Some(text) = decode_utf_32(bytes) {
        return Cow::Owned(text);
    }
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default()).0;
    }
    detect_utf_16(bytes)
        .or_else(|| detect_iso_2022_jp(bytes))
        .or_else(|| detect_utf_8(bytes))
        .or(declared)
        .unwrap_or_else(|| guess_encoding(bytes))
        .decode_without_bom_handling(bytes)
        .0
}

/// Decodes UTF-32 with a byte order mark. `encoding_rs` does not support UTF-32, as browsers do
/// not.
fn decode_utf_32(bytes: &[u8]) -> Option<String> {
    let read: fn([u8; 4]) -> u32 = match bytes {
        [0xff, 0xfe, 0, 0, ..] => u32::from_le_bytes,
        [0, 0, 0xfe, 0xff, ..] => u32::from_be_bytes,
        _ => return None,
    };
    let (units, _) = bytes.get(4..)?.as_chunks::<4>();
    Some(
        units
            .iter()
            .map(|unit| char::from_u32(read(*unit)).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

/// Detects UTF-16 without a byte order mark: in most texts every other byte of it is zero.
fn detect_utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let (pairs, _) = bytes.get(..bytes.len().min(4096))?.as_chunks::<2>();
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    let (first, second) = (zeros(0), zeros(1));
    let (many, few) = (pairs.len() * 3 / 10, pairs.len() / 50);
    match () {
        () if pairs.is_empty() => None,
        () if second > many && first <= few => Some(UTF_16LE),
        () if first > many && second <= few => Some(UTF_16BE),
        () => None,
    }
}

/// Detects ISO-2022-JP, in which Japanese mail is sent: ASCII alone, with escapes that switch to
/// Japanese characters.
fn detect_iso_2022_jp(bytes: &[u8]) -> Option<&'static Encoding> {
    let has_switch = bytes
        .split(|byte| *byte == 0x1b)
        .skip(1)
        .any(|after| after.starts_with(b"$B") || after.starts_with(b"$@"));
    let is_valid = || !ISO_2022_JP.decode_without_bom_handling(bytes).1;
    (has_switch && bytes.is_ascii() && is_valid()).then_some(ISO_2022_JP)
}

/// Detects UTF-8, also with a few invalid bytes. In a truncated file one letter is lost then, where
/// another encoding would make all of them wrong.
fn detect_utf_8(bytes: &[u8]) -> Option<&'static Encoding> {
    let (mut good, mut bad) = (0_usize, 0_usize);
    for chunk in bytes.utf8_chunks() {
        bad += usize::from(!chunk.invalid().is_empty());
        if bad == 0 && chunk.invalid().is_empty() {
            return Some(UTF_8);
        }
        good += chunk.valid().chars().filter(|char| !char.is_ascii()).count();
    }
    (good >= bad * 20).then_some(UTF_8)
}

/// Guesses the encoding by the frequency of characters.
fn guess_encoding(bytes: &[u8]) -> &'static Encoding {
    let start =
        bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or_default().saturating_sub(64);
    let sample = bytes.get(start..).unwrap_or_default();
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(
        sample.get(..sample.len().min(MAX_SAMPLE_BYTES)).unwrap_or_default(),
        sample.len() <= MAX_SAMPLE_BYTES,
    );
    let guess = detector.guess(None, Utf8Detection::Deny);
    // In Windows-1252 every byte is a character, so nothing is lost.
    if guess.decode_without_bom_handling(bytes).1 { WINDOWS_1252 } else { guess }
}

/// Removes control characters such as NUL, and makes all lines end in `\n`.
pub(crate) fn remove_control_chars(text: Cow<'_, str>) -> Cow<'_, str> {
    if has_no_control_chars(&text) {
        return text;
    }
    let mut clean = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' | '\u{c}' | '\u{b}' => clean.push('\n'),
            '\n' | '\t' => clean.push(char),
            _ if char.is_ascii_control() => {}
            _ => clean.push(char),
        }
    }
    Cow::Owned(clean)
}

/// Does the same for text from a parser, because a file can have such characters as escapes.
pub(crate) fn remove_control_chars_in_place(text: &mut String) {
    if !has_no_control_chars(text) {
        *text = remove_control_chars(Cow::Borrowed(text)).into_owned();
    }
}

fn has_no_control_chars(text: &str) -> bool {
    !text.bytes().any(|byte| byte < b' ' && byte != b'\n' && byte != b'\t' || byte == 0x7f)
}

/// Returns whether this is text: compressed or compiled bytes have many control characters. NULs do
/// not count, because some programs pad text files with them.
pub(crate) fn is_text(text: &str) -> bool {
    let (mut all, mut controls) = (0_usize, 0_usize);
    for char in text.chars().filter(|char| *char != '\0').take(100_000) {
        all += 1;
        controls += usize::from(
            char.is_control()
                && !matches!(
                    char,
                    '\t' | '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{8}' | '\u{1b}' | '\u{85}'
                ),
        );
    }
    controls * 50 <= all
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Der Käufer prüft die Ware unverzüglich. Größe, Maß und Gewicht stehen außen; im Übrigen gilt §5.";

    #[test]
    fn western_letters_are_kept_in_every_encoding() {
        let utf_16 = |to: fn(u16) -> [u8; 2]| TEXT.encode_utf16().flat_map(to).collect::<Vec<_>>();
        let utf_32 = |to: fn(u32) -> [u8; 4]| {
            TEXT.chars().flat_map(|char| to(char.into())).collect::<Vec<_>>()
        };
        let marked = |mark: &[u8], bytes: &[u8]| [mark, bytes].concat();
        for bytes in [
            TEXT.as_bytes().to_vec(),
            marked(&[0xef, 0xbb, 0xbf], TEXT.as_bytes()),
            WINDOWS_1252.encode(TEXT).0.into_owned(),
            utf_16(u16::to_le_bytes),
            utf_16(u16::to_be_bytes),
            marked(&[0xff, 0xfe], &utf_16(u16::to_le_bytes)),
            marked(&[0xfe, 0xff], &utf_16(u16::to_be_bytes)),
            marked(&[0xff, 0xfe, 0, 0], &utf_32(u32::to_le_bytes)),
            marked(&[0, 0, 0xfe, 0xff], &utf_32(u32::to_be_bytes)),
        ] {
            assert_eq!(decode(&bytes, None), TEXT);
        }
    }

    #[test]
    fn other_alphabets_are_told_apart() {
        for (name, text) in [
            (
                "windows-1251",
                "Покупатель обязан проверить товар немедленно после получения и сообщить о недостатках.",
            ),
            ("shift_jis", "購入者は、商品を受け取った後、直ちに検査しなければならない。"),
            ("iso-2022-jp", "購入者は、商品を受け取った後、直ちに検査しなければならない。"),
            ("gb18030", "买方应当在收到货物后立即进行检验，并及时通知卖方。"),
        ] {
            let encoding = Encoding::for_label(name.as_bytes()).unwrap();
            assert_eq!(decode(&encoding.encode(text).0, None), text, "{name}");
        }
    }

    #[test]
    fn one_wrong_byte_does_not_spoil_a_text() {
        let mut bytes = TEXT.repeat(10).into_bytes();
        bytes.push(0xc3);
        assert_eq!(decode(&bytes, None), format!("{}\u{fffd}", TEXT.repeat(10)));
    }

    #[test]
    fn control_characters_go_and_lines_end_alike() {
        assert_eq!(remove_control_chars("a\r\nb\rc\0d\u{7f}\te".into()), "a\nb\ncd\te");
        let colours = "\u{1b}[31mred\u{1b}[0m costs $B";
        assert_eq!(decode(colours.as_bytes(), None), colours);
        assert!(is_text("a\0\0\0\0\0b") && !is_text("\u{1}\u{2}a\u{3}"));
    }
}
