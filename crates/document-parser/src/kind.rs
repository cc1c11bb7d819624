//! What a file is: by its content first, and by its name where content does not tell.

use crate::{encoding, error::Reason};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};

/// The kinds of files that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Plain text, in any encoding.
    Text,
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
    /// PDF.
    Pdf,
    /// Word's, since 2007.
    Docx,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
        })
    }
}

/// What the first bytes of files say that are no documents, or none that can be read.
const FOREIGN: [(&[u8], &str); 14] = [
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"RIFF", "a picture, a sound or a film (RIFF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"MM\0*", "a picture (TIFF)"),
    (b"{\\rtf", "an RTF file"),
    (b"%!PS", "a PostScript file"),
    (b"\x1f\x8b", "an archive (gzip)"),
    (b"7z\xbc\xaf", "an archive (7z)"),
    (b"Rar!", "an archive (RAR)"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3\0", "a database (SQLite)"),
];

/// What a file is.
pub(crate) fn of(bytes: &[u8], name: &str) -> Result<Kind, Reason> {
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        // Which of the packed kinds it is, its package tells.
        return Ok(Kind::Docx);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(compound(bytes));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Reason::Foreign((*what).to_owned()));
    }
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    if head.windows(5).any(|five| five == b"%PDF-")
        && !by_name(name).is_some_and(|kind| kind != Kind::Pdf && starts_as_text(head))
    {
        return Ok(Kind::Pdf);
    }
    let sample =
        encoding::decode(bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default(), None);
    if !encoding::is_text(&sample) {
        return Err(Reason::Foreign(
            "neither text nor any kind of file that is known here".to_owned(),
        ));
    }
    if is_html(&sample) {
        return Ok(Kind::Html);
    }
    // It is text, whatever its name says.
    Ok(by_name(name)
        .filter(|kind| matches!(kind, Kind::Markdown | Kind::Html))
        .unwrap_or(Kind::Text))
}

/// A text that mentions `%PDF-` is not one; a PDF may have a little before it.
fn starts_as_text(head: &[u8]) -> bool {
    !head.starts_with(b"%PDF-") && std::str::from_utf8(head).is_ok()
}

fn by_name(name: &str) -> Option<Kind> {
    let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => Kind::Markdown,
        "html" | "htm" | "xhtml" => Kind::Html,
        "pdf" => Kind::Pdf,
        "docx" | "docm" | "dotx" | "dotm" => Kind::Docx,
        "txt" | "text" | "log" => Kind::Text,
        _ => return None,
    })
}

/// Old Office files, and new ones behind a password, are compound files.
fn compound(bytes: &[u8]) -> Reason {
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).step_by(2).any(|window| window == name)
    };
    match () {
        () if has("EncryptedPackage") => Reason::Protected,
        () if has("WordDocument") => {
            Reason::Foreign("an old Word file (.doc), which Word saves as .docx".to_owned())
        }
        () => Reason::Foreign("an old Office file".to_owned()),
    }
}

/// HTML says so at its start, behind comments and declarations.
fn is_html(text: &str) -> bool {
    let mut rest = text.trim_start_matches(|char: char| {
        char.is_whitespace() || char == '\0' || char == '\u{feff}'
    });
    loop {
        let skipped = match rest {
            _ if rest.starts_with("<!--") => rest.split_once("-->"),
            _ if rest.starts_with("<?xml") => rest.split_once("?>"),
            _ => break,
        };
        let Some((_, behind)) = skipped else { return false };
        rest = behind.trim_start();
    }
    let head: String = rest.chars().take(14).collect::<String>().to_ascii_lowercase();
    head.starts_with("<!doctype html")
        || ["<html", "<head", "<body"].iter().any(|tag| {
            head.strip_prefix(tag).is_some_and(|behind| {
                behind.starts_with(|char: char| char == '>' || char.is_whitespace())
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_before_the_name() {
        for (bytes, name, kind) in [
            (&b"%PDF-1.7\n"[..], "a.txt", Kind::Pdf),
            (b"\n\n junk %PDF-1.4", "scan.pdf", Kind::Pdf),
            (b"A file that starts with %PDF-1.4 is a PDF.", "notes.md", Kind::Markdown),
            (b"PK\x03\x04", "a.pdf", Kind::Docx),
            (b"  <!-- saved --><!DOCTYPE HTML><p>x", "a.txt", Kind::Html),
            (b"<?xml version='1.0'?>\n<html lang='en'>", "", Kind::Html),
            (b"<htmlish>", "a.txt", Kind::Text),
            (b"# A", "a.md", Kind::Markdown),
            (b"# A", "A.MD", Kind::Markdown),
            (b"# A", "a", Kind::Text),
            (b"<p>a", "a.htm", Kind::Html),
            (b"just words", "a.pdf", Kind::Text),
            (b"just words", "a.docx", Kind::Text),
            (b"fn main() {}", "main.rs", Kind::Text),
        ] {
            assert_eq!(of(bytes, name), Ok(kind), "{name}: {}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_is_no_document_is_named() {
        let old = [
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
            "WordDocument".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ]
        .concat();
        let locked = [
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
            "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect(),
        ]
        .concat();
        for (bytes, part) in [
            (&b""[..], "it is empty"),
            (b"\x89PNG\r\n", "picture (PNG)"),
            (b"{\\rtf1 x}", "an RTF file"),
            (&old, "saves as .docx"),
            (&locked, "password"),
            (&[1, 2, 3, 200, 14, 15, 16, 90], "neither text"),
        ] {
            assert!(of(bytes, "a.pdf").unwrap_err().to_string().contains(part), "{part}");
        }
    }
}
