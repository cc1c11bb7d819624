//! Attachments: the images, files and sounds of a chat, in every shape in which clients send them.

use pipe_sdk::{Content, Message, Part, PipeError, Result};
use serde_json::{Map, Value};
use std::mem;

/// The field beside the content in which Ollama's clients send images
/// (<https://docs.ollama.com/api/chat>).
const IMAGES: &str = "images";

/// A kind of attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttachmentKind {
    Image,
    File,
    Audio,
}

/// An attachment and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub kind: AttachmentKind,
    /// The index of the message.
    pub message: usize,
    /// The index of the part in the message's content.
    pub part: usize,
    /// The place in the request as the client wrote it, as in `messages[2].content[1]`.
    pub field: String,
}

/// Returns whether a chat holds images.
pub(crate) fn has_images(messages: &[Message]) -> bool {
    messages.iter().any(|message| {
        let beside = message.rest.get(IMAGES).and_then(Value::as_array);
        beside.is_some_and(|images| !images.is_empty())
            || parts(message).iter().any(|part| kind(part) == Some(AttachmentKind::Image))
    })
}

/// Finds the attachments of a chat. Images of every shape become parts of the type `image_url`,
/// whose URL may be plain base64.
///
/// # Errors
/// An image whose location cannot be read.
pub(crate) fn find(messages: &mut [Message]) -> Result<Vec<Attachment>> {
    let mut found = Vec::new();
    for (index, message) in messages.iter_mut().enumerate() {
        let beside = add_images_beside(message, index)?;
        let Some(Content::Parts(parts)) = &mut message.content else { continue };
        let first_beside = parts.len() - beside;
        for (place, part) in parts.iter_mut().enumerate() {
            let Some(kind) = kind(part) else { continue };
            let field = match place.checked_sub(first_beside) {
                Some(beside) => format!("messages[{index}].{IMAGES}[{beside}]"),
                None => format!("messages[{index}].content[{place}]"),
            };
            if kind == AttachmentKind::Image {
                let missing = || PipeError::bad_field(&field, "the image has no URL and no data");
                let image_url = take_image(part).ok_or_else(missing)?;
                *part = Part::ImageUrl { image_url, rest: Map::new() };
            }
            found.push(Attachment { kind, message: index, part: place, field });
        }
    }
    Ok(found)
}

/// Returns the parts of a message; none if its content is a text.
fn parts(message: &Message) -> &[Part] {
    match &message.content {
        Some(Content::Parts(parts)) => parts,
        Some(Content::Text(_)) | None => &[],
    }
}

/// Makes plain texts of those of these messages that hold nothing else: not every model takes
/// parts.
pub(crate) fn join_texts<'a>(
    messages: &mut [Message],
    changed: impl IntoIterator<Item = &'a Attachment>,
) {
    for place in changed {
        let Some(message) = messages.get_mut(place.message) else { continue };
        let texts: Option<Vec<_>> = match &message.content {
            Some(Content::Parts(parts)) => parts.iter().map(plain_text).collect(),
            Some(Content::Text(_)) | None => None,
        };
        if let Some(texts) = texts {
            message.content = Some(Content::Text(texts.join("\n\n")));
        }
    }
}

/// Returns the text of a part that holds nothing else.
fn plain_text(part: &Part) -> Option<&str> {
    match part {
        Part::Text { text, rest } if rest.is_empty() => Some(text),
        Part::Text { .. } | Part::ImageUrl { .. } | Part::Other(_) => None,
    }
}

/// Returns the kind of attachment that a part is; `None` for text.
fn kind(part: &Part) -> Option<AttachmentKind> {
    let rest = match part {
        Part::Text { .. } => return None,
        Part::ImageUrl { .. } => return Some(AttachmentKind::Image),
        Part::Other(rest) => rest,
    };
    match rest.get("type").and_then(Value::as_str)? {
        "image" | "input_image" => Some(AttachmentKind::Image),
        "file" | "input_file" | "document" => Some(AttachmentKind::File),
        "input_audio" | "audio_url" | "audio" => Some(AttachmentKind::Audio),
        _ => None,
    }
}

/// Appends the images beside a message's content to its parts, and returns their number.
fn add_images_beside(message: &mut Message, index: usize) -> Result<usize> {
    if !message.rest.get(IMAGES).is_some_and(Value::is_array) {
        return Ok(0);
    }
    let Some(Value::Array(images)) = message.rest.shift_remove(IMAGES) else { return Ok(0) };
    if images.is_empty() {
        return Ok(0);
    }
    let count = images.len();
    let mut parts = match message.content.take() {
        Some(Content::Parts(parts)) => parts,
        Some(Content::Text(text)) if !text.is_empty() => vec![Part::from_text(text)],
        Some(Content::Text(_)) | None => Vec::new(),
    };
    for (place, image) in images.into_iter().enumerate() {
        let url = image_beside(image).ok_or_else(|| {
            let field = format!("messages[{index}].{IMAGES}[{place}]");
            PipeError::bad_field(field, "an image must be base64, a data URL or a link")
        })?;
        parts.push(Part::ImageUrl { image_url: url, rest: Map::new() });
    }
    message.content = Some(Content::Parts(parts));
    Ok(count)
}

/// Returns the URL or base64 of an image beside a message: a text, or OpenAI's part.
fn image_beside(mut image: Value) -> Option<String> {
    match &mut image {
        Value::String(text) => Some(mem::take(text)),
        Value::Object(fields) => url_in(fields.get_mut("image_url")?),
        _ => None,
    }
}

/// Returns the text of a URL, which is a text or an object with the field `url`.
fn url_in(value: &mut Value) -> Option<String> {
    match value {
        Value::String(url) => Some(mem::take(url)),
        Value::Object(fields) => url_in(fields.get_mut("url")?),
        _ => None,
    }
}

/// Returns the URL or base64 of an image part.
fn take_image(part: &mut Part) -> Option<String> {
    let rest = match part {
        Part::Text { .. } => return None,
        Part::ImageUrl { image_url, .. } => return Some(mem::take(image_url)),
        Part::Other(rest) => rest,
    };
    if let Some(url) = rest.get_mut("image_url") {
        return url_in(url);
    }
    // Anthropic's shape.
    let source = rest.get_mut("source")?.as_object_mut()?;
    let field = if source.contains_key("url") { "url" } else { "data" };
    url_in(source.get_mut(field)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn messages(value: &Value) -> Vec<Message> {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn attachments_of_every_shape_are_found_with_their_place() {
        let mut all = messages(&json!([
            {"role": "user", "content": "a", "images": ["aaaa", "data:image/png;base64,bbbb"]},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": [
                {"type": "text", "text": "c"},
                {"type": "image_url", "image_url": {"url": "cccc"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "dddd"}},
                {"type": "image", "source": {"type": "url", "url": "https://e"}},
                {"type": "input_image", "image_url": "ffff"},
                {"type": "file", "file": {"file_data": "x"}},
                {"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}},
            ], "images": [{"type": "image_url", "image_url": {"url": "gggg"}}]},
            {"role": "user", "content": "", "images": ["hhhh"]},
        ]));
        assert!(has_images(&all));
        let found = find(&mut all).unwrap();
        let image = |at: &Attachment| match &parts(&all[at.message])[at.part] {
            Part::ImageUrl { image_url, .. } => image_url.clone(),
            other => format!("{:?} of {other:?}", at.kind).chars().take(5).collect(),
        };
        let shown: Vec<_> = found.iter().map(|at| format!("{} {}", at.field, image(at))).collect();
        assert_eq!(
            shown,
            [
                "messages[0].images[0] aaaa",
                "messages[0].images[1] data:image/png;base64,bbbb",
                "messages[2].content[1] cccc",
                "messages[2].content[2] dddd",
                "messages[2].content[3] https://e",
                "messages[2].content[4] ffff",
                "messages[2].content[5] File ",
                "messages[2].content[6] Audio",
                "messages[2].images[0] gggg",
                "messages[3].images[0] hhhh",
            ]
        );
        assert_eq!(all[0].text(), "a");
        assert!(all.iter().all(|message| !message.rest.contains_key(IMAGES)));
    }

    #[test]
    fn images_that_are_none_are_named() {
        for (message, field) in [
            (json!({"role": "user", "content": "", "images": [1]}), "messages[0].images[0]"),
            (
                json!({"role": "user", "content": [{"type": "image", "source": {}}]}),
                "messages[0].content[0]",
            ),
        ] {
            let error = find(&mut messages(&json!([message]))).unwrap_err();
            assert!(
                matches!(&error, PipeError::BadRequest { param: Some(param), .. } if param == field),
                "{error:?}"
            );
        }
        assert!(!has_images(&messages(&json!([{"role": "user", "content": "", "images": []}]))));
    }
}
