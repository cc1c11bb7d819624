//! Checks and converts the sources of images and documents.

use super::content::{Block, Content};
use crate::http::field_error::field_error;
use pipe_sdk::PipeError;
use serde_json::{Value, json};

const IMAGE_TYPES: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Returns the source of the image in this field, as a link or a data URL.
pub fn image_url(source: &Value, field: &str) -> Result<String, PipeError> {
    let text = |name: &str| source[name].as_str().unwrap_or_default();
    match text("type") {
        "url" => Ok(text("url").into()),
        "base64" if !IMAGE_TYPES.contains(&text("media_type")) => Err(source_error(
            field,
            "media_type",
            &format!("must be one of {}", IMAGE_TYPES.join(", ")),
        )),
        "base64" => {
            let data = base64_data(source, field)?;
            Ok(format!("data:{};base64,{data}", text("media_type")))
        }
        _ => Err(source_error(field, "type", "must be `base64` or `url` for an image")),
    }
}

/// Returns the checked source of the document in this field.
pub fn document_source(source: Value, field: &str) -> Result<Value, PipeError> {
    let text = |name: &str| source[name].as_str().unwrap_or_default();
    match text("type") {
        "text" if text("media_type") != "text/plain" => {
            return Err(source_error(field, "media_type", "must be `text/plain` for a text"));
        }
        "base64" if !text("media_type").contains('/') => {
            let rule = "must be a media type, as in `application/pdf`";
            return Err(source_error(field, "media_type", rule));
        }
        "base64" => _ = base64_data(&source, field)?,
        "content" => {
            let field = format!("{field}.source.content");
            let content = serde_json::from_value(source["content"].clone());
            let content =
                content.map_err(|_| field_error(&field, "must be a text or a list of blocks"))?;
            return text_source(content, &field);
        }
        "text" | "url" => {}
        _ => {
            return Err(source_error(
                field,
                "type",
                "must be `base64`, `text`, `url` or `content`",
            ));
        }
    }
    Ok(source)
}

/// Returns the text of this field's content as a document's source.
pub fn text_source(content: Content, field: &str) -> Result<Value, PipeError> {
    let texts = match content {
        Content::Text(text) => vec![text],
        Content::Object(_) => return Err(field_error(field, "must be a text or a list of blocks")),
        Content::Blocks(blocks) => {
            let text = |(place, block): (usize, Block)| match block.text {
                Some(text) if block.kind == "text" => Ok(text),
                _ => Err(field_error(&format!("{field}[{place}].type"), "must be `text`")),
            };
            blocks.into_iter().enumerate().map(text).collect::<Result<_, _>>()?
        }
    };
    let data = texts.join("\n\n");
    if data.trim().is_empty() {
        return Err(field_error(field, "must not be empty"));
    }
    Ok(json!({"type": "text", "media_type": "text/plain", "data": data}))
}

fn base64_data<'a>(source: &'a Value, field: &str) -> Result<&'a str, PipeError> {
    let data = source["data"].as_str().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_ \r\n\t".contains(&byte);
    if data.trim().is_empty() {
        return Err(source_error(field, "data", "must not be empty"));
    }
    if data.bytes().all(fits) {
        Ok(data)
    } else {
        Err(source_error(field, "data", "must be base64"))
    }
}

fn source_error(field: &str, name: &str, rule: &str) -> PipeError {
    field_error(&format!("{field}.source.{name}"), rule)
}
