//! The package of a Word file: its parts, by name, and their relationships.

use super::xml::{self, XmlEvent};
use crate::{error::ParseError, limits::Limits};
use std::io::{self, BufReader, Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// The most parts of a package. Word writes some dozens, and one for every picture.
const MAX_PARTS: usize = 20_000;

/// The largest ratio of unpacked to packed size. XML compresses well, but less than a file that is
/// made to exhaust memory.
const MAX_RATIO: usize = 200;

/// The unpacked size that every file may have, in bytes.
const MIN_UNPACKED_LIMIT: usize = 16_000_000;

pub(super) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The number of bytes that may still be unpacked.
    remaining: usize,
    limit: usize,
}

impl<'a> Package<'a> {
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

    /// Returns the name of the part with the text.
    pub fn main_part(&mut self) -> Result<String, ParseError> {
        let target =
            self.read_relationships("_rels/.rels", "")?.target("officeDocument").map(str::to_owned);
        match target {
            Some(part) if part.starts_with("xl/") => {
                Err(ParseError::UnsupportedFormat("a spreadsheet (Excel)".to_owned()))
            }
            Some(part) if part.starts_with("ppt/") => {
                Err(ParseError::UnsupportedFormat("a presentation (PowerPoint)".to_owned()))
            }
            Some(part) => Ok(part),
            None => Err(ParseError::UnsupportedFormat(self.describe_other())),
        }
    }

    /// Describes a package that is not an Office file, for the user.
    fn describe_other(&mut self) -> String {
        let mut text = String::new();
        let has_mimetype = self
            .zip
            .by_name("mimetype")
            .is_ok_and(|part| part.take(100).read_to_string(&mut text).is_ok());
        match text.as_str() {
            _ if !has_mimetype => "an archive (ZIP)",
            "application/epub+zip" => "an e-book (EPUB)",
            _ if text.contains("opendocument") => "an OpenDocument file",
            _ => "an archive (ZIP)",
        }
        .to_owned()
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
        if self.zip.index_for_name(part).is_none() {
            return Ok(relationships);
        }
        self.read_events(part, |event| {
            if let XmlEvent::Start { local_name: "Relationship", tag, .. } = event
                && xml::attribute(tag, "TargetMode").as_deref() != Some("External")
                && let (Some(kind), Some(target)) =
                    (xml::attribute(tag, "Type"), xml::attribute(tag, "Target"))
            {
                let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
                let target = match target.strip_prefix('/') {
                    Some(absolute) => absolute.to_owned(),
                    None if folder.is_empty() => target,
                    None => format!("{folder}/{target}"),
                };
                relationships.0.push((kind, target));
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

/// The relationships of a part: type and target.
pub(super) struct Relationships(Vec<(String, String)>);

impl Relationships {
    /// Returns the target of the first relationship of this type.
    pub fn target(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == kind).map(|(_, target)| target.as_str())
    }
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
