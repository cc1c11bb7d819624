//! Pictures: data URLs whose base64 goes to Bedrock as it came.

use super::body::{Image, Source};
use pipe_sdk::{PipeError, Result};

/// How many characters of base64 show what a picture is.
const HEAD: usize = 16;

/// The picture in this URL, which stands in this field of the chat.
///
/// Its kind is read from its first bytes; labels are often wrong, and Bedrock refuses what is labelled wrongly.
pub fn image<'a>(url: &'a str, field: impl FnOnce() -> String) -> Result<Image<'a>> {
    read(url).map_err(|message| PipeError::bad_field(field(), message))
}

fn read(url: &str) -> Result<Image<'_>, &'static str> {
    let Some(data) = strip_scheme(url) else {
        return Err(
            "images are taken as data URLs only, as in data:image/png;base64,…: images behind links are not fetched",
        );
    };
    let (label, bytes) = data.split_once(',').ok_or("the data URL of the image has no data")?;
    if !label.to_ascii_lowercase().ends_with(";base64") {
        return Err("the data URL of the image must be in base64");
    }
    let bytes = bytes.trim();
    if !is_base64(bytes.as_bytes()) {
        return Err("the image is not valid base64");
    }
    let format = format(bytes).ok_or("the image must be a PNG, JPEG, GIF or WebP")?;
    Ok(Image { format, source: Source { bytes } })
}

fn strip_scheme(url: &str) -> Option<&str> {
    let (scheme, data) = url.trim().split_at_checked(5)?;
    scheme.eq_ignore_ascii_case("data:").then_some(data)
}

/// Whether this is base64 with its padding, in the standard alphabet.
fn is_base64(text: &[u8]) -> bool {
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    let letters = &text[..text.len() - padding];
    let alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4)
        && padding <= 2
        && !letters.is_empty()
        && letters.iter().all(alphabet)
}

/// The kind of picture, by its first bytes.
fn format(base64: &str) -> Option<&'static str> {
    let head = decoded(base64.as_bytes().get(..HEAD)?)?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("webp"),
        _ => None,
    }
}

/// The bytes of base64 without padding.
fn decoded(base64: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(HEAD);
    for letters in base64.chunks_exact(4) {
        let bits =
            letters.iter().try_fold(0u32, |bits, letter| Some(bits << 6 | sextet(*letter)?))?;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..]);
    }
    Some(bytes)
}

fn sextet(letter: u8) -> Option<u32> {
    let sextet = match letter {
        b'A'..=b'Z' => letter - b'A',
        b'a'..=b'z' => letter - b'a' + 26,
        b'0'..=b'9' => letter - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(sextet))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

    #[test]
    fn a_mislabelled_picture_is_what_its_bytes_say() {
        for (label, data, format) in [
            ("data:image/jpeg;base64,", PNG, "png"),
            ("DATA:;BASE64,", PNG, "png"),
            ("data:image/png;base64,", "/9j/4AAQSkZJRgABAQAAAQABAAD/2w==", "jpeg"),
            (
                "data:image/png;base64,",
                "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
                "gif",
            ),
            (
                "data:image/png;base64,",
                "UklGRh4AAABXRUJQVlA4TBEAAAAvAAAAAAfQ//73v/+BiOh/AAA=",
                "webp",
            ),
        ] {
            let image = read(&format!("{label}{data}")).map(|image| image.format);
            assert_eq!(image, Ok(format));
        }
    }

    #[test]
    fn what_is_no_picture_is_refused_with_its_field() {
        for url in [
            "https://example.com/a.png",
            "data:image/png;base64",
            "data:image/png,abc",
            "data:image/png;base64,",
            "data:image/png;base64,!!!!",
            "data:image/png;base64,iVBORw0KGgo",
            "data:image/png;base64,=VBORw0KGgoAAAAN",
            "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53",
            "ab\u{e9}\u{e9}",
        ] {
            let error = image(url, || "messages[1].content[0]".into()).unwrap_err();
            let PipeError::BadRequest { param, .. } = error else { panic!("{error}") };
            assert_eq!(param.as_deref(), Some("messages[1].content[0]"), "{url}");
        }
    }
}
