//! E-books (EPUB): the HTML files of the book in the order in which they are read.
//! <https://www.w3.org/TR/epub-33/>

use crate::{
    builder::DocumentBuilder,
    document_info::DocumentInfo,
    error::ParseError,
    html,
    limits::Limits,
    package::{Package, resolve_target},
    xml::{XmlEvent, attribute},
};
use percent_encoding::percent_decode_str;
use std::collections::{HashMap, HashSet};

/// Parses an e-book.
pub(crate) fn parse(
    bytes: &[u8],
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut package = Package::open(bytes, limits)?;
    let mut root = None;
    package.read_events("META-INF/container.xml", |event| {
        if let XmlEvent::Start { local_name: "rootfile", tag, .. } = event {
            root = root.take().or_else(|| attribute(tag, "full-path"));
        }
        Ok(())
    })?;
    let root =
        root.ok_or_else(|| ParseError::Damaged("it does not name its contents".to_owned()))?;
    let book = Book::read(&mut package, &root)?;
    let encrypted = read_encrypted_parts(&mut package)?;
    for chapter in &book.chapters {
        // Fonts may be encrypted in any book; chapters are in books with copy protection.
        if encrypted.contains(chapter) {
            return Err(ParseError::UnsupportedFormat(
                "an e-book with copy protection (DRM)".to_owned(),
            ));
        }
        if let Some(text) = package.read_text(chapter)? {
            html::parse(&text, builder)?;
        }
    }
    Ok(DocumentInfo::with_title(Some(book.title)))
}

/// The description of a book.
#[derive(Default)]
struct Book {
    title: String,
    /// The names of the parts with text, in the order in which they are read.
    chapters: Vec<String>,
}

impl Book {
    /// Reads the package document, whose name is `part`.
    fn read(package: &mut Package<'_>, part: &str) -> Result<Self, ParseError> {
        let folder = part.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut book = Self::default();
        let mut parts: HashMap<String, String> = HashMap::new();
        let mut is_title = false;
        package.read_events(part, |event| {
            match event {
                XmlEvent::Start { local_name, tag, .. } => match local_name {
                    "title" => is_title = book.title.is_empty(),
                    "item" => {
                        let href = attribute(tag, "href").unwrap_or_default();
                        let href = percent_decode_str(&href).decode_utf8_lossy().into_owned();
                        let id = attribute(tag, "id").unwrap_or_default();
                        parts.insert(id, resolve_target(folder, &href));
                    }
                    "itemref" => {
                        let id = attribute(tag, "idref").unwrap_or_default();
                        book.chapters.extend(parts.get(&id).cloned());
                    }
                    _ => {}
                },
                XmlEvent::End { .. } => is_title = false,
                XmlEvent::Text(text) if is_title => book.title.push_str(text),
                XmlEvent::Text(_) => {}
            }
            Ok(())
        })?;
        // A book that lists a chapter twice would be unpacked twice.
        let mut seen = HashSet::new();
        book.chapters.retain(|chapter| seen.insert(chapter.clone()));
        Ok(book)
    }
}

fn read_encrypted_parts(package: &mut Package<'_>) -> Result<HashSet<String>, ParseError> {
    let mut encrypted = HashSet::new();
    package.read_events("META-INF/encryption.xml", |event| {
        if let XmlEvent::Start { local_name: "CipherReference", tag, .. } = event {
            let target = attribute(tag, "URI").unwrap_or_default();
            encrypted.insert(resolve_target("", &percent_decode_str(&target).decode_utf8_lossy()));
        }
        Ok(())
    })?;
    Ok(encrypted)
}
