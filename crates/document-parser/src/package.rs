//! ZIP packages of Office, `OpenDocument` and EPUB files: their parts, by name, and the
//! relationships between them.

use crate::{
    encoding,
    error::ParseError,
    html,
    limits::Limits,
    xml::{self, XmlEvent},
};
use std::io::{self, BufReader, Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// The most parts of a package. Office writes some dozens, and one for every picture.
const MAX_PARTS: usize = 20_000;

/// The largest ratio of unpacked to packed size. XML compresses well, but less than a file that is
/// made to exhaust memory.
const MAX_RATIO: usize = 200;

/// The unpacked size that every file may have, in bytes.
const MIN_UNPACKED_LIMIT: usize = 16_000_000;

/// A ZIP package, whose parts are unpacked within a limit.
pub(crate) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The number of bytes that may still be unpacked.
    remaining: usize,
    limit: usize,
}

impl<'a> Package<'a> {
    /// Opens a package.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ParseError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| zip_error(&error))?;
        if zip.len() > MAX_PARTS {
            return Err(ParseError::UnsupportedFormat(format!(
                "an archive of {} files",
                zip.len()
            )));
        }
        // Tags are many times longer than the text between them, hence the factor of 16.
        let limit = bytes.len().saturating_mul(MAX_RATIO).clamp(
            MIN_UNPACKED_LIMIT,
            limits.text_bytes.saturating_mul(16).max(MIN_UNPACKED_LIMIT),
        );
        Ok(Self { zip, remaining: limit, limit })
    }

    /// Returns the name of the main part of an Office file.
    pub fn main_part(&mut self) -> Result<Option<String>, ParseError> {
        Ok(self.read_relationships("_rels/.rels", "")?.target("officeDocument").map(str::to_owned))
    }

    /// Returns the media type that `OpenDocument` and EPUB files begin with.
    pub fn media_type(&mut self) -> Option<String> {
        let mut text = String::new();
        self.zip.by_name("mimetype").ok()?.take(100).read_to_string(&mut text).ok()?;
        Some(text.trim().to_owned())
    }

    /// Returns whether the package has this part.
    pub fn has_part(&self, part: &str) -> bool {
        self.zip.index_for_name(part).is_some()
    }

    /// Reads a part as text, in the encoding that it declares. `None` if it does not exist.
    pub fn read_text(&mut self, part: &str) -> Result<Option<String>, ParseError> {
        let file = match self.zip.by_name(part) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(zip_error(&error)),
        };
        let mut bytes = Vec::new();
        let mut limited = LimitedReader { file, remaining: &mut self.remaining };
        limited.read_to_end(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::QuotaExceeded => ParseError::DecompressionBomb { limit: self.limit },
            _ => ParseError::Damaged(format!("its part `{part}` is incomplete")),
        })?;
        let text = encoding::decode(&bytes, html::declared_encoding(&bytes));
        Ok(Some(encoding::remove_control_chars(text).into_owned()))
    }

    /// Reads the relationships of a part.
    pub fn relationships_of(&mut self, part: &str) -> Result<Relationships, ParseError> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        self.read_relationships(&format!("{folder}/_rels/{name}.rels"), folder)
    }

    fn read_relationships(
        &mut self,
        part: &str,
        folder: &str,
    ) -> Result<Relationships, ParseError> {
        let mut relationships = Relationships(Vec::new());
        self.read_events(part, |event| {
            if let XmlEvent::Start { local_name: "Relationship", tag, .. } = event
                && xml::attribute(tag, "TargetMode").as_deref() != Some("External")
                && let (Some(kind), Some(target)) =
                    (xml::attribute(tag, "Type"), xml::attribute(tag, "Target"))
            {
                relationships.0.push(Relationship {
                    id: xml::attribute(tag, "Id").unwrap_or_default(),
                    kind: kind.rsplit('/').next().unwrap_or_default().to_owned(),
                    target: resolve_target(folder, &target),
                });
            }
            Ok(())
        })?;
        Ok(relationships)
    }

    /// Reads the title from the properties of the file.
    pub fn read_title(&mut self) -> Result<Option<String>, ParseError> {
        let Some(part) = self
            .read_relationships("_rels/.rels", "")?
            .target("core-properties")
            .map(str::to_owned)
        else {
            return Ok(None);
        };
        let (mut is_in_title, mut title) = (false, String::new());
        self.read_events(&part, |event| {
            match event {
                XmlEvent::Start { local_name, .. } => is_in_title = local_name == "title",
                XmlEvent::End { .. } => is_in_title = false,
                XmlEvent::Text(text) if is_in_title => title.push_str(text),
                XmlEvent::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Some(title))
    }

    /// Reads a part as a stream of events. A part that does not exist has no events.
    pub fn read_events(
        &mut self,
        part: &str,
        handle: impl FnMut(XmlEvent<'_>) -> Result<(), ParseError>,
    ) -> Result<(), ParseError> {
        let file = match self.zip.by_name(part) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(()),
            Err(error) => return Err(zip_error(&error)),
        };
        let limited = LimitedReader { file, remaining: &mut self.remaining };
        let limit = self.limit;
        xml::read_events(BufReader::with_capacity(1 << 16, limited), part, handle).map_err(
            |error| match error {
                xml::XmlError::Handler(error) => error,
                xml::XmlError::TooLarge => ParseError::DecompressionBomb { limit },
                xml::XmlError::Damaged(what) => ParseError::Damaged(what),
            },
        )
    }
}

/// The relationships of a part.
pub(crate) struct Relationships(Vec<Relationship>);

/// A relationship of a part to another one.
struct Relationship {
    id: String,
    /// The last segment of its type.
    kind: String,
    target: String,
}

impl Relationships {
    /// Returns the target of the first relationship of this type.
    pub fn target(&self, kind: &str) -> Option<&str> {
        self.targets(kind).next()
    }

    /// Returns the targets of the relationships of this type.
    pub fn targets(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |one| one.kind == kind).map(|one| one.target.as_str())
    }

    /// Returns the target of the relationship with this id.
    pub fn target_of_id(&self, id: &str) -> Option<&str> {
        self.0.iter().find(|one| one.id == id).map(|one| one.target.as_str())
    }
}

/// Resolves the target of a reference from a part in this folder to a name in the package.
pub(crate) fn resolve_target(folder: &str, target: &str) -> String {
    let (base, target) = match target.strip_prefix('/') {
        Some(absolute) => ("", absolute),
        None => (folder, target),
    };
    let mut segments: Vec<&str> = base.split('/').filter(|segment| !segment.is_empty()).collect();
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            _ => segments.push(segment),
        }
    }
    segments.join("/")
}

/// A reader that counts the unpacked bytes, because the sizes in the ZIP directory may be false.
struct LimitedReader<'a, R> {
    file: R,
    remaining: &'a mut usize,
}

impl<R: Read> Read for LimitedReader<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        *self.remaining = self.remaining.checked_sub(read).ok_or(io::ErrorKind::QuotaExceeded)?;
        Ok(read)
    }
}

fn zip_error(error: &ZipError) -> ParseError {
    match error {
        ZipError::UnsupportedArchive(what) if *what == ZipError::PASSWORD_REQUIRED => {
            ParseError::PasswordProtected
        }
        _ => ParseError::Damaged("its ZIP package is incomplete".to_owned()),
    }
}
