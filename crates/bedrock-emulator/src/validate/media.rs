//! Pictures and documents: how many, how big, and that they are what they say.

use super::block;
use super::by_model;
use super::family::FAMILIES;
use crate::body::{list, messages};
use crate::catalogue::Model;
use crate::fault::Fault;
use aws_smithy_types::base64;
use serde_json::Value;
use std::collections::HashSet;

const MAX_IMAGES: usize = 20;
const MAX_IMAGE_BYTES: usize = 3_932_160;
const MAX_DOCUMENTS: usize = 5;
const MAX_DOCUMENT_BYTES: usize = 4_718_592;
const MAX_PIXELS: u32 = 8000;
const MAX_BYTES_IN_ALL: usize = 26_214_400;

pub(super) fn all(model: &Model, body: &Value) -> Result<(), Fault> {
    let images: Vec<_> = members(body, "image").collect();
    let documents: Vec<_> = members(body, "document").collect();
    if images.len() > MAX_IMAGES || documents.len() > MAX_DOCUMENTS {
        let (pictures, files) = (images.len(), documents.len());
        let message = format!(
            "too many images and documents: {pictures} + {files} > {MAX_IMAGES} + {MAX_DOCUMENTS}"
        );
        return Err(by_model(message));
    }
    images.iter().try_for_each(|(path, image)| sound_image(path, image))?;
    documents.iter().try_for_each(|(path, document)| sound_document(path, document))?;
    distinct_names(&documents)?;
    accompanied(body)?;
    in_all(model, body)
}

fn in_all(model: &Model, body: &Value) -> Result<(), Fault> {
    let media = ["image", "document", "video"].into_iter().flat_map(|kind| members(body, kind));
    let sizes = media.filter_map(|(_, medium)| medium["source"]["bytes"].as_str().map(size));
    if FAMILIES.twenty_five_megabytes.has(model) && sizes.sum::<usize>() > MAX_BYTES_IN_ALL {
        return Err(by_model(
            "The images, documents and videos exceed the maximum of 25 MB in all.",
        ));
    }
    Ok(())
}

/// The media of a kind, also those inside tool results, with their places.
fn members<'a>(body: &'a Value, kind: &'static str) -> impl Iterator<Item = (String, &'a Value)> {
    block::all(body).flat_map(move |block| {
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

fn sound_image(path: &str, image: &Value) -> Result<(), Fault> {
    let Some(bytes) = image["source"]["bytes"].as_str() else { return Ok(()) };
    let format = image["format"].as_str().unwrap_or_default();
    if size(bytes) > MAX_IMAGE_BYTES {
        return Err(by_model(format!(
            "{path}.source.base64: image exceeds the maximum of 3.75 MB"
        )));
    }
    if format_of(bytes) != Some(format) {
        return Err(wrong_format(path, "Image", &format!("image/{format}")));
    }
    if png_sides(bytes).is_some_and(|sides| sides.iter().any(|side| *side > MAX_PIXELS)) {
        return Err(by_model(format!(
            "{path}.source.base64: image dimensions exceed the maximum of {MAX_PIXELS} pixels"
        )));
    }
    Ok(())
}

/// Width and height, which the other formats tell less plainly.
fn png_sides(bytes: &str) -> Option<[u32; 2]> {
    let head = base64::decode(bytes.chars().take(32).collect::<String>()).ok()?;
    let sides = head.strip_prefix(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?.first_chunk::<8>()?;
    let [a, b, c, d, e, f, g, h] = *sides;
    Some([u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])])
}

fn sound_document(path: &str, document: &Value) -> Result<(), Fault> {
    let bytes = document["source"]["bytes"].as_str().unwrap_or_default();
    if size(bytes) > MAX_DOCUMENT_BYTES {
        return Err(by_model(format!(
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
    Err(Fault::validation(
        "The document file name can only contain alphanumeric characters, whitespace characters, hyphens, parentheses, \
         and square brackets. The name can't contain more than one consecutive whitespace character.",
    ))
}

fn wrong_format(path: &str, what: &str, media_type: &str) -> Fault {
    by_model(format!(
        "{path}.source.base64: {what} does not match the provided media type {media_type}"
    ))
}

fn size(base64: &str) -> usize {
    base64.trim_end_matches('=').len() * 3 / 4
}

/// What the first bytes say they are.
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

fn distinct_names(documents: &[(String, &Value)]) -> Result<(), Fault> {
    let mut names = HashSet::new();
    match documents.iter().find(|(_, document)| !names.insert(&document["name"])) {
        None => Ok(()),
        Some((path, document)) => {
            let name = &document["name"];
            Err(Fault::validation(format!(
                "The document name {name} at {path}.name is used twice: names must be unique."
            )))
        }
    }
}

fn accompanied(body: &Value) -> Result<(), Fault> {
    let lone = |turn: &Value| {
        let content = list(&turn["content"]);
        content.iter().any(|block| block.get("document").is_some())
            && !content.iter().any(|block| block.get("text").is_some())
    };
    match messages(body).iter().position(lone) {
        None => Ok(()),
        Some(at) => Err(Fault::validation(format!(
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
