//! Images, files, videos and audio, in all forms in which clients send them.
//!
//! Base64 is sent to Bedrock unchanged. The type of a file is detected from its first bytes: media
//! types are often wrong, and Bedrock refuses files with a wrong one.

use super::{
    Target, base64,
    body::{Block, Citations, Document, Media, MediaSource},
    media_formats::{
        self as formats, AUDIOS, DOCUMENTS, Formats, IMAGES, VIDEOS, by_extension, by_media_type,
        is_text,
    },
};
use serde_json::{Map, Value};
use std::{borrow::Cow, collections::HashSet};

/// The limits of one request to Bedrock (`docs/reference/bedrock.md`, "Converse request").
const MAX_IMAGES: usize = 20;
const MAX_IMAGE_BYTES: usize = 3_932_160;
const MAX_SIDE_PIXELS: u32 = 8000;
const MAX_DOCUMENTS: usize = 5;
const MAX_DOCUMENT_BYTES: usize = 4_718_592;

/// The largest number of characters of a file's name.
const MAX_NAME_CHARS: usize = 200;

/// The number of first bytes by which a type is detected.
const MAGIC_BYTES: usize = 32;

/// The number of first bytes in which an image's size is looked for.
const IMAGE_HEADER_BYTES: usize = 64 << 10;

/// The fault of a part, for the person who sent it.
pub type PartError = Cow<'static, str>;

/// The media of one request, counted.
#[derive(Debug, Default)]
pub struct MediaBudget {
    image_count: usize,
    document_count: usize,
    bytes: usize,
    names: HashSet<String>,
    /// The original names of files whose names Bedrock does not take, in words for the model.
    name_notes: Vec<String>,
}

/// The location of a part's content.
enum Location<'a> {
    /// Here. What it is labelled as, and its base64.
    Inline(&'a str, Cow<'a, str>),
    /// A file in S3.
    S3(&'a str),
}

/// A file in a shape that is common to all in which clients send it.
#[derive(Clone, Copy)]
struct FilePart<'a> {
    name: Option<&'a str>,
    data: FileData<'a>,
    context: Option<&'a str>,
    cited: bool,
}

/// The content of a file.
#[derive(Clone, Copy)]
enum FileData<'a> {
    /// A URL, or plain base64 with its label.
    Url(&'a str, Option<&'a str>),
    /// Plain text.
    Text(&'a str),
}

impl MediaBudget {
    /// Returns the picture in this URL.
    pub fn image<'a>(
        &mut self,
        url: &'a str,
        label: Option<&'a str>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        if target.inputs.image == Some(false) {
            return Err(target.unsupported("images"));
        }
        self.image_count += 1;
        if self.image_count > MAX_IMAGES {
            return Err(format!("a chat may hold {MAX_IMAGES} images at most").into());
        }
        let (format, source) = match locate(url, label, target)? {
            Location::S3(uri) => {
                (by_extension(uri, IMAGES).ok_or(NO_IMAGE)?, MediaSource::S3Location { uri })
            }
            Location::Inline(_, bytes) => {
                let format = check_image(&bytes)?;
                self.count_bytes(&bytes, target)?;
                (format, MediaSource::Bytes(bytes))
            }
        };
        Ok(Block::Image(Media { format, source }))
    }

    /// Returns the file in this part of the type `file` or `input_file`.
    pub fn file<'a>(
        &mut self,
        part: &'a Map<String, Value>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        let file = part.get("file").and_then(Value::as_object).unwrap_or(part);
        let text = |name: &str| file.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
        let label = text("format").or_else(|| text("mime_type"));
        let by_reference = ["file_id", "file_url"].into_iter().find_map(text);
        let url = text("file_data").or_else(|| text("data")).or(by_reference);
        let url = url.ok_or("the file has no `file_data`: send it as a data URL")?;
        let cited = has_citations(part.get("citations"));
        let (name, context) = (text("filename").or_else(|| text("name")), text("context"));
        self.add_file(FilePart { name, data: FileData::Url(url, label), context, cited }, target)
    }

    /// Returns the file in this part of the type `document`, as Anthropic's clients send it.
    pub fn document<'a>(
        &mut self,
        part: &'a Map<String, Value>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        let text = |name: &str| part.get(name).and_then(Value::as_str);
        let data = anthropic_source(part)?;
        let name = text("title").or_else(|| text("name"));
        let cited = has_citations(part.get("citations"));
        self.add_file(FilePart { name, data, context: text("context"), cited }, target)
    }

    /// Returns the picture in this part of the type `image`, as Anthropic's clients send it.
    pub fn anthropic_image<'a>(
        &mut self,
        part: &'a Map<String, Value>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        match anthropic_source(part)? {
            FileData::Url(url, label) => self.image(url, label, target),
            FileData::Text(_) => Err(NO_IMAGE.into()),
        }
    }

    /// Returns the film in this URL.
    pub fn video<'a>(&self, url: &'a str, target: &Target) -> Result<Block<'a>, PartError> {
        if target.inputs.video == Some(false) {
            return Err(target.unsupported("videos"));
        }
        let media = media(
            url,
            None,
            target,
            VIDEOS,
            "the video must be an MP4, MOV, MKV, WebM, FLV, MPEG, WMV or 3GP",
        )?;
        Ok(Block::Video(media))
    }

    /// Returns the sound in this base64 of this format.
    pub fn audio<'a>(
        &self,
        data: &'a str,
        format: Option<&'a str>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        if target.inputs.audio == Some(false) {
            return Err(target.unsupported("audio"));
        }
        let media =
            media(data, format, target, AUDIOS, "the audio needs a format, as in `wav` or `mp3`")?;
        Ok(Block::Audio(media))
    }

    /// Counts the bytes of one more picture or file.
    fn count_bytes(&mut self, base64: &str, target: &Target) -> Result<(), PartError> {
        self.bytes += base64::decoded_len(base64);
        let most = target.family.max_media_bytes;
        if self.bytes <= most {
            return Ok(());
        }
        let (id, most) = (&target.id, most / 1_000_000);
        Err(format!("model `{id}` takes {most} MB of images and files in all").into())
    }

    /// Takes the notes about names of files that were added since the last call.
    pub fn take_name_notes<'a>(&mut self) -> impl Iterator<Item = Block<'a>> {
        std::mem::take(&mut self.name_notes).into_iter().map(|words| Block::Text(words.into()))
    }

    fn add_file<'a>(
        &mut self,
        file: FilePart<'a>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        let (label, base64) = match file.data {
            FileData::Text(text)
                if target.family.documents && self.document_count < MAX_DOCUMENTS =>
            {
                return Ok(self.document_block(
                    "txt",
                    MediaSource::Text(text.into()),
                    file,
                    target,
                ));
            }
            FileData::Text(text) => return Ok(as_text(&file, text)),
            FileData::Url(url, label) => match locate(url, label, target)? {
                Location::S3(uri) => {
                    if let Some(format) = by_extension(uri, VIDEOS) {
                        let source = MediaSource::S3Location { uri };
                        return Ok(Block::Video(Media { format, source }));
                    }
                    let format = by_extension(uri, DOCUMENTS).ok_or(NO_DOCUMENT)?;
                    return self.add_document(
                        format,
                        MediaSource::S3Location { uri },
                        file,
                        target,
                    );
                }
                Location::Inline(label, base64) => (label, base64),
            },
        };
        let head = base64::decode_prefix(&base64, MAGIC_BYTES);
        if formats::image_format(&head).is_some()
            && let FileData::Url(url, label) = file.data
        {
            return self.image(url, label, target);
        }
        if let Some(format) =
            by_media_type(label, VIDEOS).or_else(|| file.name.and_then(|n| by_extension(n, VIDEOS)))
        {
            return match target.inputs.video {
                Some(false) => Err(target.unsupported("videos")),
                _ => Ok(Block::Video(Media { format, source: MediaSource::Bytes(base64) })),
            };
        }
        let format = formats::document_format(&head, label, file.name).ok_or(NO_DOCUMENT)?;
        self.count_bytes(&base64, target)?;
        if base64::decoded_len(&base64) > MAX_DOCUMENT_BYTES {
            return Err("a file may have 4.5 MB at most".into());
        }
        let fits = target.family.documents && self.document_count < MAX_DOCUMENTS;
        if !fits && is_text(format) {
            let bytes = base64::decode_prefix(&base64, base64::decoded_len(&base64));
            let text = String::from_utf8_lossy(&bytes);
            return Ok(as_text(&file, &text));
        }
        self.add_document(format, MediaSource::Bytes(base64), file, target)
    }

    /// Returns a file that Bedrock has to read.
    fn add_document<'a>(
        &mut self,
        format: &'static str,
        source: MediaSource<'a>,
        file: FilePart<'a>,
        target: &Target,
    ) -> Result<Block<'a>, PartError> {
        if !target.family.documents && !target.tries_documents {
            return Err(target.unsupported("files but text"));
        }
        if self.document_count >= MAX_DOCUMENTS {
            return Err(format!("a chat may hold {MAX_DOCUMENTS} files at most").into());
        }
        Ok(self.document_block(format, source, file, target))
    }

    fn document_block<'a>(
        &mut self,
        format: &'static str,
        source: MediaSource<'a>,
        file: FilePart<'a>,
        target: &Target,
    ) -> Block<'a> {
        self.document_count += 1;
        let cited = file.cited && target.is_claude() && matches!(format, "pdf" | "txt");
        Block::Document(Document {
            format,
            name: self.unique_name(file.name.unwrap_or("document")),
            source,
            context: file.context.filter(|text| !text.trim().is_empty()),
            citations: cited.then_some(Citations { enabled: true }),
        })
    }

    /// Returns the name as Bedrock takes it, not given to another file of the chat.
    fn unique_name(&mut self, given: &str) -> String {
        let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '(' | ')' | '[' | ']' | '-');
        let spaced: String = given.chars().map(|c| if kept(c) { c } else { ' ' }).collect();
        let words: Vec<_> = spaced.split_whitespace().collect();
        let name: String = words.join(" ").chars().take(190).collect();
        let name = if name.trim().is_empty() { "document" } else { name.trim() };
        let is_lost = given.chars().any(|c| c.is_alphanumeric() && !c.is_ascii());
        let mut unique = name.to_owned();
        let mut times = 1;
        while !self.names.insert(unique.clone()) {
            times += 1;
            unique = format!("{name} ({times})");
        }
        if is_lost {
            let given: String =
                given.chars().filter(|c| !c.is_control()).take(MAX_NAME_CHARS).collect();
            self.name_notes.push(format!("(The name of the file \"{unique}\" is: {given})"));
        }
        unique
    }
}

/// Returns the base64 of the picture in this data URL.
pub fn image_from_data_url(url: &str) -> Result<String, PartError> {
    let url = url.trim();
    if !url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        return Err(NO_DATA.into());
    }
    let (_, base64) = parse_data_url(url)?;
    check_image(&base64)?;
    Ok(base64.into_owned())
}

/// The rule for an image without data.
const NO_DATA: &str = "send the picture as a data URL, as in data:image/png;base64,…";
/// The rule for a file that is no image.
const NO_IMAGE: &str = "the image must be a PNG, JPEG, GIF or WebP";
/// The rule for a file that is no document.
const NO_DOCUMENT: &str = "the file must be a PDF, CSV, DOC, DOCX, XLS, XLSX, HTML, TXT or Markdown, and its `filename` should say which";

/// Returns a file in words, for a model that takes none.
fn as_text<'a>(file: &FilePart<'_>, text: &str) -> Block<'a> {
    let name = file.name.unwrap_or("document");
    let context = file.context.map(str::trim).filter(|context| !context.is_empty());
    let context = context.map(|context| format!("{context}\n\n")).unwrap_or_default();
    Block::Text(format!("{context}<file name=\"{name}\">\n{text}\n</file>").into())
}

fn has_citations(citations: Option<&Value>) -> bool {
    citations.is_some_and(|citations| citations["enabled"] == true || *citations == true)
}

/// Returns the content of Anthropic's `source`.
fn anthropic_source(part: &Map<String, Value>) -> Result<FileData<'_>, PartError> {
    let source = part.get("source").and_then(Value::as_object).ok_or("the part has no `source`")?;
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    match text("type") {
        Some("text") => text("data").map(FileData::Text),
        Some("url") => text("url").map(|url| FileData::Url(url, None)),
        _ => text("data").map(|data| FileData::Url(data, text("media_type"))),
    }
    .ok_or_else(|| "the `source` has no `data`".into())
}

/// Returns the location of the content behind this URL, or behind plain base64 of this kind.
fn locate<'a>(
    url: &'a str,
    label: Option<&'a str>,
    target: &Target,
) -> Result<Location<'a>, PartError> {
    let url = url.trim();
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme.to_ascii_lowercase().as_str() {
        "data" => parse_data_url(url).map(|(given, base64)| Location::Inline(given, base64)),
        "s3" if target.allows_s3(url) => Ok(Location::S3(url)),
        "s3" => Err("this place in S3 is not among those that may be read: an admin can add it to the valve `s3_locations`".into()),
        "http" | "https" => {
            Err("links are not fetched here: send a data URL, as in data:image/png;base64,…".into())
        }
        _ if url.contains("://") => Err("links of this kind are not supported: send a data URL".into()),
        "" if url.is_empty() => Err("must not be empty".into()),
        _ if url.starts_with("file-") => {
            Err("files are not kept here: send the file itself, as a data URL".into())
        }
        _ => Ok(Location::Inline(label.unwrap_or_default(), normalize(url)?)),
    }
}

/// Returns the media type and the base64 of this data URL.
fn parse_data_url(url: &str) -> Result<(&str, Cow<'_, str>), PartError> {
    let (head, base64) = url.split_once(',').ok_or("the data URL has no data")?;
    let given = head.get(5..).unwrap_or_default();
    if !given.to_ascii_lowercase().ends_with(";base64") {
        return Err("the data URL must be in base64".into());
    }
    if base64.trim().is_empty() {
        return Err("must not be empty".into());
    }
    Ok((given, normalize(base64)?))
}

/// Returns base64 as the service accepts it.
fn normalize(base64: &str) -> Result<Cow<'_, str>, PartError> {
    base64::normalize(base64).ok_or_else(|| "its data is not valid base64".into())
}

/// Returns a film or a sound, by its label.
fn media<'a>(
    url: &'a str,
    label: Option<&'a str>,
    target: &Target,
    formats: Formats,
    error: &'static str,
) -> Result<Media<'a>, PartError> {
    let (format, source) = match locate(url, label, target)? {
        Location::S3(uri) => (by_extension(uri, formats), MediaSource::S3Location { uri }),
        Location::Inline(label, bytes) => {
            (by_media_type(label, formats), MediaSource::Bytes(bytes))
        }
    };
    Ok(Media { format: format.ok_or(error)?, source })
}

/// Returns the kind of a picture that Bedrock takes.
fn check_image(base64: &str) -> Result<&'static str, PartError> {
    let format =
        formats::image_format(&base64::decode_prefix(base64, MAGIC_BYTES)).ok_or(NO_IMAGE)?;
    if base64::decoded_len(base64) > MAX_IMAGE_BYTES {
        return Err("an image may have 3.75 MB at most".into());
    }
    let size = imagesize::blob_size(&base64::decode_prefix(base64, IMAGE_HEADER_BYTES)).ok();
    let largest = size.map_or(0, |size| size.width.max(size.height));
    if largest > MAX_SIDE_PIXELS as usize {
        return Err(
            format!("an image may be {MAX_SIDE_PIXELS} pixels wide and high at most").into()
        );
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;
    use serde_json::json;

    const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

    fn target(base: &str) -> Target {
        Target::new("m", Family::from_model_id(base))
    }

    fn image(url: &str) -> Result<Value, PartError> {
        let block = MediaBudget::default().image(url, None, &target("anthropic.claude-3-haiku"))?;
        Ok(serde_json::to_value(block).unwrap())
    }

    fn file(base: &str, part: &Value) -> Result<Value, PartError> {
        let part = part.as_object().unwrap();
        let block = MediaBudget::default().file(part, &target(base))?;
        Ok(serde_json::to_value(block).unwrap())
    }

    #[test]
    fn a_mislabelled_picture_is_what_its_bytes_say() {
        for (label, data, format) in [
            ("data:image/jpeg;base64,", PNG, "png"),
            ("DATA:;BASE64,", PNG, "png"),
            ("", PNG, "png"),
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
            let image = image(&format!("{label}{data}")).unwrap();
            assert_eq!(image["image"]["format"], format);
            assert_eq!(image["image"]["source"]["bytes"], data);
        }
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for url in [
            "https://example.com/a.png",
            "data:image/png;base64",
            "data:image/png,abc",
            "data:image/png;base64,",
            "data:image/png;base64,!!!!",
            "data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53",
            "ab\u{e9}\u{e9}",
        ] {
            image(url).unwrap_err();
        }
    }

    #[test]
    fn a_picture_too_wide_is_refused() {
        let mut png = base64::decode_prefix(PNG, 99);
        png[16..20].copy_from_slice(&8001u32.to_be_bytes());
        let wide = aws_smithy_types::base64::encode(png);
        assert!(image(&wide).unwrap_err().contains("8000 pixels"));
    }

    #[test]
    fn a_file_goes_out_under_a_name_that_bedrock_takes() {
        let pdf = "data:application/octet-stream;base64,JVBERi0xLjcK";
        let part = json!({"file": {"file_data": pdf, "filename": "Bericht_2026/\u{e4}  (x).pdf"}});
        let document = &file("amazon.nova-pro-v1:0", &part).unwrap()["document"];
        assert_eq!(document["format"], "pdf");
        assert_eq!(document["name"], "Bericht 2026 (x) pdf");
        assert_eq!(document["source"]["bytes"], "JVBERi0xLjcK");
    }

    #[test]
    fn a_model_without_files_gets_texts_in_words_and_refuses_others() {
        let text =
            json!({"file": {"file_data": "data:text/plain;base64,aGVsbG8=", "filename": "a.txt"}});
        let quoted = file("meta.llama4", &text).unwrap();
        assert_eq!(quoted["text"], "<file name=\"a.txt\">\nhello\n</file>");
        let pdf = json!({"file": {"file_data": "JVBERi0xLjcK", "filename": "a.pdf"}});
        assert!(file("meta.llama4", &pdf).unwrap_err().contains("takes no files"));
    }

    #[test]
    fn files_of_one_name_are_told_apart() {
        let mut budget = MediaBudget::default();
        let names = ["a.txt", "a.txt", "", "  "].map(|name| budget.unique_name(name));
        assert_eq!(names, ["a txt", "a txt (2)", "document", "document (2)"]);
    }
}
