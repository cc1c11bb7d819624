//! Detects the format of a file, by its content first and else by its name.

use crate::{encoding, error::ParseError};
use serde::{Deserialize, Serialize};
use std::{fmt, path::Path};

/// The supported file formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileFormat {
    /// Plain text, in any encoding.
    Text,
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
    /// PDF.
    Pdf,
    /// The format of Word since 2007 (Office Open XML).
    Docx,
}

impl fmt::Display for FileFormat {
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

/// The first bytes of formats that are not supported, with a description for the user.
const UNSUPPORTED_SIGNATURES: [(&[u8], &str); 14] = [
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

/// Detects the format of a file.
pub(crate) fn detect(bytes: &[u8], name: &str) -> Result<FileFormat, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::Empty);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        // The parser of DOCX reads in the package which format it is.
        return Ok(FileFormat::Docx);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return Err(compound_file_error(bytes));
    }
    if let Some((_, what)) =
        UNSUPPORTED_SIGNATURES.iter().find(|(magic, _)| bytes.starts_with(magic))
    {
        return Err(ParseError::UnsupportedFormat((*what).to_owned()));
    }
    let head = bytes.get(..bytes.len().min(1024)).unwrap_or_default();
    if head.windows(5).any(|five| five == b"%PDF-")
        && !format_of_extension(name)
            .is_some_and(|format| format != FileFormat::Pdf && is_only_mentioned(head))
    {
        return Ok(FileFormat::Pdf);
    }
    let sample =
        encoding::decode(bytes.get(..bytes.len().min(64 * 1024)).unwrap_or_default(), None);
    if !encoding::is_text(&sample) {
        return Err(ParseError::UnsupportedFormat("neither text nor in a known format".to_owned()));
    }
    if is_html(&sample) {
        return Ok(FileFormat::Html);
    }
    // The bytes are text even if the name has the extension of a binary format.
    Ok(format_of_extension(name)
        .filter(|format| matches!(format, FileFormat::Markdown | FileFormat::Html))
        .unwrap_or(FileFormat::Text))
}

/// Returns whether `%PDF-` is only mentioned in a text. A PDF may have a few bytes before it.
fn is_only_mentioned(head: &[u8]) -> bool {
    !head.starts_with(b"%PDF-") && std::str::from_utf8(head).is_ok()
}

/// Returns the format of the file name's extension.
fn format_of_extension(name: &str) -> Option<FileFormat> {
    let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    Some(match extension.as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mdx" => FileFormat::Markdown,
        "html" | "htm" | "xhtml" => FileFormat::Html,
        "pdf" => FileFormat::Pdf,
        "docx" | "docm" | "dotx" | "dotm" => FileFormat::Docx,
        "txt" | "text" | "log" => FileFormat::Text,
        _ => return None,
    })
}

/// Returns the error for a compound file: an old Office file, or a new one with a password.
fn compound_file_error(bytes: &[u8]) -> ParseError {
    let has = |name: &str| {
        let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        bytes.windows(name.len()).step_by(2).any(|window| window == name)
    };
    match () {
        () if has("EncryptedPackage") => ParseError::PasswordProtected,
        () if has("WordDocument") => ParseError::UnsupportedFormat(
            "an old Word file (.doc), which Word saves as .docx".to_owned(),
        ),
        () => ParseError::UnsupportedFormat("an old Office file".to_owned()),
    }
}

/// Returns whether a text starts as HTML, after comments and declarations.
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
        for (bytes, name, format) in [
            (&b"%PDF-1.7\n"[..], "a.txt", FileFormat::Pdf),
            (b"\n\n junk %PDF-1.4", "scan.pdf", FileFormat::Pdf),
            (b"A file that starts with %PDF-1.4 is a PDF.", "notes.md", FileFormat::Markdown),
            (b"PK\x03\x04", "a.pdf", FileFormat::Docx),
            (b"  <!-- saved --><!DOCTYPE HTML><p>x", "a.txt", FileFormat::Html),
            (b"<?xml version='1.0'?>\n<html lang='en'>", "", FileFormat::Html),
            (b"<htmlish>", "a.txt", FileFormat::Text),
            (b"# A", "a.md", FileFormat::Markdown),
            (b"# A", "A.MD", FileFormat::Markdown),
            (b"# A", "a", FileFormat::Text),
            (b"<p>a", "a.htm", FileFormat::Html),
            (b"just words", "a.pdf", FileFormat::Text),
            (b"just words", "a.docx", FileFormat::Text),
            (b"fn main() {}", "main.rs", FileFormat::Text),
        ] {
            assert_eq!(detect(bytes, name), Ok(format), "{name}: {}", bytes.escape_ascii());
        }
    }

    #[test]
    fn unsupported_files_are_described() {
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
            assert!(detect(bytes, "a.pdf").unwrap_err().to_string().contains(part), "{part}");
        }
    }
}
