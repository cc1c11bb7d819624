//! Images and documents: their number, size and format.

use super::block;
use super::family::FAMILIES;
use super::model_error;
use crate::body::{list, messages};
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use aws_smithy_types::base64;
use serde_json::Value;
use std::collections::HashSet;

const MAX_IMAGES: usize = 20;
const MAX_IMAGE_BYTES: usize = 3_932_160;
const MAX_DOCUMENTS: usize = 5;
const MAX_DOCUMENT_BYTES: usize = 4_718_592;
const MAX_PIXELS: u32 = 8000;
const MAX_TOTAL_BYTES: usize = 26_214_400;

/// Checks the media of a request.
pub(super) fn check_media(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let images: Vec<_> = members(body, "image").collect();
    let documents: Vec<_> = members(body, "document").collect();
    if images.len() > MAX_IMAGES || documents.len() > MAX_DOCUMENTS {
        let (pictures, files) = (images.len(), documents.len());
        let message = format!(
            "too many images and documents: {pictures} + {files} > {MAX_IMAGES} + {MAX_DOCUMENTS}"
        );
        return Err(model_error(message));
    }
    images.iter().try_for_each(|(path, image)| check_image(path, image))?;
    documents.iter().try_for_each(|(path, document)| check_document(path, document))?;
    check_unique_names(&documents)?;
    check_accompanying_text(body)?;
    check_total_size(model, body)
}

fn check_total_size(model: &FoundationModel, body: &Value) -> Result<(), BedrockException> {
    let media = ["image", "document", "video"].into_iter().flat_map(|kind| members(body, kind));
    let sizes =
        media.filter_map(|(_, medium)| medium["source"]["bytes"].as_str().map(decoded_size));
    if FAMILIES.media_limit_25_mb.has(model) && sizes.sum::<usize>() > MAX_TOTAL_BYTES {
        return Err(model_error(
            "The images, documents and videos exceed the maximum of 25 MB in all.",
        ));
    }
    Ok(())
}

/// Returns the media of a kind, also those in tool results, with their paths.
fn members<'a>(body: &'a Value, kind: &'static str) -> impl Iterator<Item = (String, &'a Value)> {
    block::all_blocks(body).flat_map(move |block| {
        let inner = block.member("toolResult").map_or(&[][..], |result| list(&result["content"]));
        let inner = inner.iter().enumerate().filter_map(move |(at, part)| {
            Some((format!("{}.toolResult.content.{at}.{kind}", block.path()), part.get(kind)?))
        });
        block
            .member(kind)
            .map(|medium| (format!("{}.{kind}", block.path()), medium))
            .into_iter()
            .chain(inner)
    })
}

fn check_image(path: &str, image: &Value) -> Result<(), BedrockException> {
    let Some(bytes) = image["source"]["bytes"].as_str() else { return Ok(()) };
    let format = image["format"].as_str().unwrap_or_default();
    if decoded_size(bytes) > MAX_IMAGE_BYTES {
        return Err(model_error(format!(
            "{path}.source.base64: image exceeds the maximum of 3.75 MB"
        )));
    }
    if format_of(bytes) != Some(format) {
        return Err(wrong_format(path, "Image", &format!("image/{format}")));
    }
    if png_dimensions(bytes).is_some_and(|sides| sides.iter().any(|side| *side > MAX_PIXELS)) {
        return Err(model_error(format!(
            "{path}.source.base64: image dimensions exceed the maximum of {MAX_PIXELS} pixels"
        )));
    }
    Ok(())
}

/// Returns width and height of a PNG. Other formats are not checked, because theirs are hard to
/// read.
fn png_dimensions(bytes: &str) -> Option<[u32; 2]> {
    let head = base64::decode(bytes.chars().take(32).collect::<String>()).ok()?;
    let sides = head.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?.first_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *sides;
    Some([u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])])
}

fn check_document(path: &str, document: &Value) -> Result<(), BedrockException> {
    let bytes = document["source"]["bytes"].as_str().unwrap_or_default();
    if decoded_size(bytes) > MAX_DOCUMENT_BYTES {
        return Err(model_error(format!(
            "{path}.source.base64: document exceeds the maximum of 4.5 MB"
        )));
    }
    if document["format"] == "pdf" && !bytes.is_empty() && format_of(bytes) != Some("pdf") {
        return Err(wrong_format(path, "Document", "application/pdf"));
    }
    let name = document["name"].as_str().unwrap_or_default();
    let allowed = |letter: char| {
        letter.is_ascii_alphanumeric() || letter.is_whitespace() || "-()[]".contains(letter)
    };
    if name.chars().all(allowed) && !name.contains("  ") {
        return Ok(());
    }
    Err(BedrockException::validation(
        "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, \
         and square brackets. The name can't contain more than one consecutive whitespace character.",
    ))
}

fn wrong_format(path: &str, what: &str, media_type: &str) -> BedrockException {
    model_error(format!(
        "{path}.source.base64: {what} does not match the provided media type {media_type}"
    ))
}

fn decoded_size(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// Detects the format from the first bytes.
fn format_of(bytes: &str) -> Option<&'static str> {
    let head: String = bytes.chars().take(16).collect();
    let head = base64::decode(head).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("png"),
        [0xff, 0xd8, 0xff, ..] => Some("jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => Some("webp"),
        [b'%', b'P', b'D', b'F', ..] => Some("pdf"),
        _ => None,
    }
}

fn check_unique_names(documents: &[(String, &Value)]) -> Result<(), BedrockException> {
    let mut names = HashSet::new();
    match documents.iter().find(|(_, document)| !names.insert(&document["name"])) {
        None => Ok(()),
        Some((path, document)) => {
            let name = &document["name"];
            Err(BedrockException::validation(format!(
                "The document name {name} at {path}.name is used twice: names must be unique."
            )))
        }
    }
}

fn check_accompanying_text(body: &Value) -> Result<(), BedrockException> {
    let lone = |turn: &Value| {
        let content = list(&turn["content"]);
        content.iter().any(|block| block.get("document").is_some())
            && !content.iter().any(|block| block.get("text").is_some())
    };
    match messages(body).iter().position(lone) {
        None => Ok(()),
        Some(at) => Err(BedrockException::validation(format!(
            "The Message object at messages.{at} has a document but no text. Add a ContentBlock with text, and try again."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_tell_the_format() {
        for (bytes, format) in [
            (&b"\x89PNG\r\n\x1a\n0000"[..], Some("png")),
            (b"\xff\xd8\xff\xe000000000", Some("jpeg")),
            (b"GIF89a000000", Some("gif")),
            (b"RIFF0000WEBPVP8 ", Some("webp")),
            (b"%PDF-1.7 000", Some("pdf")),
            (b"hello, world", None),
        ] {
            assert_eq!(format_of(&base64::encode(bytes)), format);
        }
    }
}
