//! The package that a Word file is: parts by name, and how they relate.

use super::xml::{self, Event};
use crate::{error::Reason, limits::Limits};
use std::io::{self, BufReader, Cursor, Read};
use zip::{ZipArchive, result::ZipError};

/// Word writes some dozens of parts, and one for every picture.
const PARTS: usize = 20_000;

/// XML packs well, but not as well as a file that is made to overflow its reader.
const RATIO: usize = 200;

/// What may come out of even the smallest file.
const LEAST: usize = 16_000_000;

pub(super) struct Package<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// How much may still come out of it.
    left: usize,
    limit: usize,
}

impl<'a> Package<'a> {
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, Reason> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(&error))?;
        if zip.len() > PARTS {
            return Err(Reason::Foreign(format!("an archive of {} files", zip.len())));
        }
        // Tags are many times longer than the text between them.
        let limit = bytes
            .len()
            .saturating_mul(RATIO)
            .clamp(LEAST, limits.text.saturating_mul(16).max(LEAST));
        Ok(Self { zip, left: limit, limit })
    }

    /// The name of the part that holds the text.
    pub fn main(&mut self) -> Result<String, Reason> {
        let main = self.relations("_rels/.rels", "")?.part("officeDocument").map(str::to_owned);
        match main {
            Some(main) if main.starts_with("xl/") => {
                Err(Reason::Foreign("a spreadsheet (Excel)".to_owned()))
            }
            Some(main) if main.starts_with("ppt/") => {
                Err(Reason::Foreign("a presentation (PowerPoint)".to_owned()))
            }
            Some(main) => Ok(main),
            None => Err(Reason::Foreign(self.other())),
        }
    }

    fn other(&mut self) -> String {
        let mut text = String::new();
        let said = self
            .zip
            .by_name("mimetype")
            .is_ok_and(|part| part.take(100).read_to_string(&mut text).is_ok());
        match text.as_str() {
            _ if !said => "an archive (ZIP)",
            "application/epub+zip" => "an e-book (EPUB)",
            _ if text.contains("opendocument") => "an OpenDocument file",
            _ => "an archive (ZIP)",
        }
        .to_owned()
    }

    /// The parts that this part relates to.
    pub fn related(&mut self, part: &str) -> Result<Relations, Reason> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        self.relations(&format!("{folder}/_rels/{name}.rels"), folder)
    }

    fn relations(&mut self, part: &str, folder: &str) -> Result<Relations, Reason> {
        let mut relations = Relations(Vec::new());
        if self.zip.index_for_name(part).is_none() {
            return Ok(relations);
        }
        self.each(part, |event| {
            if let Event::Start { local: "Relationship", tag, .. } = event
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
                relations.0.push((kind, target));
            }
            Ok(())
        })?;
        Ok(relations)
    }

    /// The title among the properties of the file.
    pub fn title(&mut self) -> Result<Option<String>, Reason> {
        let Some(part) =
            self.relations("_rels/.rels", "")?.part("core-properties").map(str::to_owned)
        else {
            return Ok(None);
        };
        let (mut within, mut title) = (false, String::new());
        self.each(&part, |event| {
            match event {
                Event::Start { local, .. } => within = local == "title",
                Event::End { .. } => within = false,
                Event::Text(text) if within => title.push_str(text),
                Event::Text(_) => {}
            }
            Ok(())
        })?;
        Ok(Some(title))
    }

    /// Reads a part, event by event, without holding it. A part that is not there has none.
    pub fn each(
        &mut self,
        part: &str,
        hear: impl FnMut(Event<'_>) -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let file = match self.zip.by_name(part) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => return Ok(()),
            Err(error) => return Err(damaged(&error)),
        };
        let metered = Metered { file, left: &mut self.left };
        let limit = self.limit;
        xml::each(BufReader::with_capacity(1 << 16, metered), part, hear).map_err(|stop| match stop
        {
            xml::Stop::Heard(reason) => reason,
            xml::Stop::Overflow => Reason::Unpacks { limit },
            xml::Stop::Damaged(what) => Reason::Damaged(what),
        })
    }
}

/// The parts that another part relates to, each with the kind of the relation.
pub(super) struct Relations(Vec<(String, String)>);

impl Relations {
    pub fn part(&self, kind: &str) -> Option<&str> {
        self.0.iter().find(|(of, _)| of == kind).map(|(_, target)| target.as_str())
    }
}

/// What comes out of the package is counted as it comes: what its table of contents says of sizes may be a lie.
struct Metered<'a, R> {
    file: R,
    left: &'a mut usize,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(into)?;
        *self.left = self.left.checked_sub(read).ok_or(io::ErrorKind::QuotaExceeded)?;
        Ok(read)
    }
}

fn damaged(error: &ZipError) -> Reason {
    match error {
        ZipError::UnsupportedArchive(what) if *what == ZipError::PASSWORD_REQUIRED => {
            Reason::Protected
        }
        _ => Reason::Damaged("its ZIP package is not whole".to_owned()),
    }
}
