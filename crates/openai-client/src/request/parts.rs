//! The parts of a message as OpenAI-compatible servers accept them.

use super::{ExtraFields, Vendor};
use crate::quirks::Quirks;
use base64::{Engine, prelude::BASE64_STANDARD};
use pipe_sdk::{Part, text_of_part};
use serde::Serialize;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A part of a message.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum RequestPart<'a> {
    Text {
        text: Cow<'a, str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Value>,
    },
    ImageUrl {
        image_url: Image<'a>,
    },
    File {
        file: File<'a>,
    },
    /// A part that goes out as it came, with its own type.
    #[serde(untagged)]
    Other(ExtraFields<'a>),
}

/// The field `image_url` of a part.
#[derive(Serialize)]
pub(super) struct Image<'a> {
    url: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a Value>,
}

/// The field `file` of a part.
#[derive(Serialize)]
pub(super) struct File<'a> {
    filename: Cow<'a, str>,
    file_data: Cow<'a, str>,
}

/// Types of parts that servers know beside text, images and files.
const MEDIA_TYPES: [&str; 6] =
    ["input_audio", "audio_url", "video_url", "image_embeds", "audio_embeds", "input_video"];

/// Subtypes of media types, and endings of names, of files that are text.
const TEXT_FORMATS: [&str; 18] = [
    "json",
    "xml",
    "yaml",
    "x-yaml",
    "yml",
    "toml",
    "csv",
    "tsv",
    "md",
    "markdown",
    "txt",
    "plain",
    "html",
    "htm",
    "javascript",
    "sql",
    "log",
    "x-sh",
];

impl<'a> RequestPart<'a> {
    pub fn from_text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text { text: text.into(), cache_control: None }
    }

    /// Returns the same part for a server; `None` for one that says nothing to it.
    pub fn from_part(part: &'a Part, vendor: Vendor, quirks: Quirks) -> Option<Self> {
        match part {
            Part::Text { text, rest } => {
                let is_cached = !vendor.is_strict() && !quirks.no_cache_control;
                let cache_control = rest.get("cache_control").filter(|_| is_cached);
                Some(Self::Text { text: text.into(), cache_control })
            }
            Part::ImageUrl { image_url, rest } => Some(Self::ImageUrl {
                image_url: Image { url: image_url.into(), detail: rest.get("detail") },
            }),
            Part::Other(fields) => Self::from_other(fields, quirks),
        }
    }

    fn from_other(fields: &'a Map<String, Value>, quirks: Quirks) -> Option<Self> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let kind = text("type").unwrap_or_default();
        match kind {
            "input_text" | "output_text" => text("text").map(Self::from_text),
            "refusal" => text("refusal").map(Self::from_text),
            // Reasoning has a field beside the parts.
            "thinking" | "redacted_thinking" => None,
            "input_image" => {
                let url = fields.get("image_url");
                let url = url.and_then(|url| url.as_str().or_else(|| url["url"].as_str()))?;
                Some(Self::ImageUrl {
                    image_url: Image { url: url.into(), detail: fields.get("detail") },
                })
            }
            "file" | "input_file" => Some(Self::from_file(fields, quirks)),
            "document" => Self::from_document(fields, quirks),
            _ if MEDIA_TYPES.contains(&kind) => {
                Some(Self::Other(ExtraFields(fields.iter().collect())))
            }
            _ => {
                let text = text_of_part(&Value::Object(fields.clone()))?;
                Some(Self::from_text(format!("[{kind}] {text}")))
            }
        }
    }

    /// Returns a file, or its text if it is one.
    fn from_file(fields: &'a Map<String, Value>, quirks: Quirks) -> Self {
        let file = fields.get("file").and_then(Value::as_object).unwrap_or(fields);
        let text = |name: &str| file.get(name).and_then(Value::as_str);
        let name = text("filename").or_else(|| text("name"));
        match text("file_data") {
            Some(data) => Self::from_data(&Data::parse(data, name), name, quirks),
            None => match text("file_url") {
                Some(url) => Self::from_text(format!("[file] {url}")),
                // A file that the server itself keeps.
                None => Self::Other(ExtraFields(fields.iter().collect())),
            },
        }
    }

    /// Returns a document of Anthropic's API.
    fn from_document(fields: &'a Map<String, Value>, quirks: Quirks) -> Option<Self> {
        let source = fields.get("source")?;
        let text = |name: &str| source[name].as_str();
        let [title, context] =
            ["title", "context"].map(|name| fields.get(name).and_then(Value::as_str));
        match text("type") {
            Some("base64") => {
                let (media_type, base64) = (text("media_type")?.into(), text("data")?);
                Some(Self::from_data(&Data { media_type, base64 }, title, quirks))
            }
            Some("text") => {
                let words = [context, text("data")].into_iter().flatten().collect::<Vec<_>>();
                Some(Self::from_text(describe_document(title, &words.join("\n\n"))))
            }
            Some("url") => Some(Self::from_text(describe_document(title, text("url")?))),
            _ => Some(Self::from_text(describe_document(title, &text_of_part(source)?))),
        }
    }

    fn from_data(data: &Data<'a>, name: Option<&'a str>, quirks: Quirks) -> Self {
        let name = name.filter(|name| !name.trim().is_empty());
        if data.is_text(name)
            && let Ok(bytes) = BASE64_STANDARD.decode(data.base64.trim())
        {
            return Self::from_text(describe_document(name, &String::from_utf8_lossy(&bytes)));
        }
        let media_type = &data.media_type;
        if quirks.no_files && !media_type.starts_with("image/") {
            let name = name.unwrap_or("without a name");
            return Self::from_text(format!(
                "[A file {name} ({media_type}) was left out: you cannot read files.]"
            ));
        }
        let url: Cow<'a, str> = format!("data:{media_type};base64,{}", data.base64).into();
        if media_type.starts_with("image/") {
            return Self::ImageUrl { image_url: Image { url, detail: None } };
        }
        Self::File {
            file: File { filename: name.unwrap_or("document.pdf").into(), file_data: url },
        }
    }

    /// Returns whether the part is text.
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

/// The content of a file.
struct Data<'a> {
    media_type: Cow<'a, str>,
    base64: &'a str,
}

impl<'a> Data<'a> {
    /// Parses a data URL, or bare base64 of a file with this name.
    fn parse(data: &'a str, name: Option<&str>) -> Self {
        let url = data.strip_prefix("data:").and_then(|url| url.split_once(','));
        if let Some((head, base64)) = url {
            let media_type = head.split(';').next().unwrap_or_default();
            return Self { media_type: media_type.into(), base64 };
        }
        let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
        let media_type = match ending.map(str::to_ascii_lowercase) {
            Some(ending) if TEXT_FORMATS.contains(&ending.as_str()) => "text/plain",
            _ => "application/pdf",
        };
        Self { media_type: media_type.into(), base64: data }
    }

    fn is_text(&self, name: Option<&str>) -> bool {
        let (kind, subtype) = self.media_type.split_once('/').unwrap_or_default();
        let ending = name.and_then(|name| name.rsplit_once('.')).map(|(_, ending)| ending);
        let is_octets = subtype == "octet-stream" || subtype.is_empty();
        kind == "text"
            || TEXT_FORMATS.contains(&subtype)
            || subtype.ends_with("+json")
            || is_octets && ending.is_some_and(|ending| TEXT_FORMATS.contains(&ending))
    }
}

fn describe_document(title: Option<&str>, text: &str) -> String {
    match title.filter(|title| !title.trim().is_empty()) {
        Some(title) => format!("Document `{title}`:\n\n{text}"),
        None => format!("Document:\n\n{text}"),
    }
}
