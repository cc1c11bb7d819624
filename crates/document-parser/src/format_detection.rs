//! Detects the format of a file, by its content first and else by its name.

use crate::{
    email::eml, encoding, error::ParseError, feed, format::FileFormat, limits::Limits,
    open_document, package::Package,
};
use cfb::CompoundFile;
use std::{io::Cursor, path::Path};

/// The first bytes of formats that are not supported, with a description for the user.
const UNSUPPORTED_SIGNATURES: [(&[u8], &str); 19] = [
    (b"\x89PNG", "a picture (PNG)"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"GIF8", "a picture (GIF)"),
    (b"RIFF", "a picture, a sound or a film (RIFF)"),
    (b"II*\0", "a picture (TIFF)"),
    (b"MM\0*", "a picture (TIFF)"),
    (b"%!PS", "a PostScript file"),
    (b"\x1f\x8b", "an archive (gzip)"),
    (b"7z\xbc\xaf", "an archive (7z)"),
    (b"Rar!", "an archive (RAR)"),
    (b"BZh", "an archive (bzip2)"),
    (b"\xfd7zXZ\0", "an archive (xz)"),
    (b"\x28\xb5\x2f\xfd", "an archive (Zstandard)"),
    (b"ID3", "a sound (MP3)"),
    (b"OggS", "a sound or a film (Ogg)"),
    (b"AT&TFORM", "a scan (DjVu), which DjView saves as PDF"),
    (b"\x7fELF", "a program"),
    (b"MZ\x90", "a program"),
    (b"SQLite format 3\0", "a database (SQLite)"),
];

/// The same of formats whose first bytes differ, with the offset of the signature.
const UNSUPPORTED_INNER_SIGNATURES: [(usize, &[u8], &str); 3] = [
    (4, b"ftyp", "a picture, a sound or a film (HEIC, MP4)"),
    (60, b"BOOKMOBI", "a Kindle e-book (.mobi), which Calibre saves as EPUB"),
    (257, b"ustar", "an archive (tar)"),
];

/// ZIP packages of programs whose format is not supported, each by one of its parts.
const UNSUPPORTED_PACKAGES: [(&str, &str); 4] = [
    (
        "Index/Document.iwa",
        "a file of Apple's Pages, Numbers or Keynote, which exports it as .docx, .xlsx, .pptx or PDF",
    ),
    (
        "Index.zip",
        "a file of Apple's Pages, Numbers or Keynote, which exports it as .docx, .xlsx, .pptx or PDF",
    ),
    ("visio/document.xml", "a Visio drawing (.vsdx), which Visio saves as PDF"),
    ("FixedDocumentSequence.fdseq", "an XPS document, which its viewer prints as PDF"),
];

/// Extensions of binary formats. A text with such a name is the rest of a damaged file, or no
/// document at all, as the page of an error that was saved in place of a download is. Programs save
/// text and HTML as `.doc` and `.xls`.
const BINARY_EXTENSIONS: [&str; 18] = [
    "pdf", "docx", "docm", "dotx", "dotm", "xlsx", "xlsm", "xlsb", "pptx", "pptm", "ppsx", "ppt",
    "odt", "ods", "odp", "epub", "msg", "zip",
];

/// Detects the format of a file.
pub(crate) fn detect(bytes: &[u8], name: &str, limits: &Limits) -> Result<FileFormat, ParseError> {
    if bytes.is_empty() {
        return Err(ParseError::Empty);
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        return detect_package(bytes, limits);
    }
    if bytes.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
        return detect_compound_file(bytes);
    }
    if bytes.trim_ascii_start().starts_with(b"{\\rtf") {
        return Ok(FileFormat::Rtf);
    }
    if let Some((_, what)) =
        UNSUPPORTED_SIGNATURES.iter().find(|(magic, _)| bytes.starts_with(magic))
    {
        return Err(ParseError::UnsupportedFormat((*what).to_owned()));
    }
    let is_inside =
        |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, what)) =
        UNSUPPORTED_INNER_SIGNATURES.iter().find(|(at, magic, _)| is_inside(*at, magic))
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
    let format = detect_text_format(&sample, name);
    match binary_extension(name) {
        // An error page, or the rest of a broken download. Many programs write HTML and CSV under
        // the names of old Office's formats.
        Some(extension)
            if format == FileFormat::Text || [".pdf", ".docx"].contains(&&*extension) =>
        {
            Err(ParseError::Misnamed(extension))
        }
        _ => Ok(format),
    }
}

/// Returns the extension of a binary format that a name has.
fn binary_extension(name: &str) -> Option<String> {
    let extension = Path::new(name).extension()?.to_str()?.to_ascii_lowercase();
    BINARY_EXTENSIONS.contains(&extension.as_str()).then(|| format!(".{extension}"))
}

/// Detects the format of a text.
fn detect_text_format(sample: &str, name: &str) -> FileFormat {
    let root = xml_root(sample);
    if is_html(sample) {
        return FileFormat::Html;
    }
    if root == Some("document")
        && let Some(format) = open_document::flat_format(sample)
    {
        return format;
    }
    let by_name = format_of_extension(name);
    match (by_name, root) {
        (Some(FileFormat::Markdown | FileFormat::Text), _) => {}
        (Some(FileFormat::Xml | FileFormat::Feed), Some(root)) if feed::is_feed(root) => {
            return FileFormat::Feed;
        }
        (_, Some(root)) if sample.trim_start_matches(is_blank).starts_with("<?xml") => {
            return if feed::is_feed(root) { FileFormat::Feed } else { FileFormat::Xml };
        }
        (Some(FileFormat::Xml | FileFormat::Feed), root) => {
            return root.map_or(FileFormat::Text, |_| FileFormat::Xml);
        }
        (None, None) if eml::is_email(sample) => return FileFormat::Eml,
        _ => {}
    }
    by_name
        .filter(|format| {
            matches!(
                format,
                FileFormat::Markdown | FileFormat::Html | FileFormat::Csv | FileFormat::Eml
            ) || *format == FileFormat::Notebook && sample.trim_start().starts_with('{')
        })
        .unwrap_or(FileFormat::Text)
}

/// Returns the local name of the outermost element, if the text begins as XML does.
fn xml_root(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches(is_blank);
    loop {
        let skipped = match rest {
            _ if rest.starts_with("<!--") => rest.split_once("-->"),
            _ if rest.starts_with("<?") => rest.split_once("?>"),
            _ if rest.starts_with("<!DOCTYPE") => {
                // A DTD within the file ends with a bracket.
                let (before, _) = rest.split_once('>')?;
                rest.split_once(if before.contains('[') { "]>" } else { ">" })
            }
            _ => break,
        };
        rest = skipped?.1.trim_start();
    }
    let name = rest.strip_prefix('<')?;
    let name = name.split(|char: char| char.is_whitespace() || matches!(char, '>' | '/')).next()?;
    let name = name.rsplit(':').next().unwrap_or(name);
    name.starts_with(|char: char| char.is_alphabetic() || char == '_').then_some(name)
}

fn is_blank(char: char) -> bool {
    char.is_whitespace() || char == '\0' || char == '\u{feff}'
}

/// Detects the format of a ZIP package by its parts.
fn detect_package(bytes: &[u8], limits: &Limits) -> Result<FileFormat, ParseError> {
    let mut package = Package::open(bytes, limits)?;
    if let Some(part) = package.main_part()? {
        return Ok(match part.split('/').next() {
            Some("xl") if part.ends_with(".bin") => FileFormat::Xlsb,
            Some("xl") => FileFormat::Xlsx,
            Some("ppt") => FileFormat::Pptx,
            _ => FileFormat::Docx,
        });
    }
    let media_type = package.media_type().unwrap_or_default();
    let open_document = media_type.strip_prefix("application/vnd.oasis.opendocument.");
    match open_document.unwrap_or(&media_type) {
        "application/epub+zip" => Ok(FileFormat::Epub),
        "text" | "text-template" | "text-master" | "text-web" => Ok(FileFormat::Odt),
        "spreadsheet" | "spreadsheet-template" => Ok(FileFormat::Ods),
        "presentation" | "presentation-template" => Ok(FileFormat::Odp),
        _ if open_document.is_some() => {
            Err(ParseError::UnsupportedFormat("an OpenDocument drawing".to_owned()))
        }
        _ if package.has_part("META-INF/container.xml") => Ok(FileFormat::Epub),
        _ => {
            let known = UNSUPPORTED_PACKAGES.iter().find(|(part, _)| package.has_part(part));
            let what = known.map_or("an archive (ZIP)", |(_, what)| what);
            Err(ParseError::UnsupportedFormat(what.to_owned()))
        }
    }
}

/// Detects the format of a compound file: an old Office file, a new one with a password, or an
/// e-mail of Outlook.
fn detect_compound_file(bytes: &[u8]) -> Result<FileFormat, ParseError> {
    let file = CompoundFile::open(Cursor::new(bytes))
        .map_err(|_| ParseError::Damaged("its compound file is incomplete".to_owned()))?;
    let unsupported = |what: &str| Err(ParseError::UnsupportedFormat(what.to_owned()));
    match () {
        () if file.exists("/EncryptedPackage") => Err(ParseError::PasswordProtected),
        () if file.exists("/WordDocument") => {
            unsupported("an old Word file (.doc), which Word saves as .docx")
        }
        () if file.exists("/PowerPoint Document") => {
            unsupported("an old PowerPoint file (.ppt), which PowerPoint saves as .pptx")
        }
        () if file.exists("/Workbook") || file.exists("/Book") => Ok(FileFormat::Xls),
        () if file.exists("/__properties_version1.0") => Ok(FileFormat::Msg),
        () => unsupported("an old Office file"),
    }
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
        // A text with the extension of an old Excel file is a table that another program wrote.
        "csv" | "tsv" | "tab" | "xls" => FileFormat::Csv,
        "eml" | "mbox" | "mht" | "mhtml" => FileFormat::Eml,
        "ipynb" => FileFormat::Notebook,
        "xml" => FileFormat::Xml,
        "rss" | "atom" => FileFormat::Feed,
        "txt" | "text" | "log" => FileFormat::Text,
        _ => return None,
    })
}

/// Returns whether a text starts as HTML, after comments and declarations.
fn is_html(text: &str) -> bool {
    let mut rest = text.trim_start_matches(is_blank);
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

    fn detect(bytes: &[u8], name: &str) -> Result<FileFormat, ParseError> {
        super::detect(bytes, name, &Limits::default())
    }

    #[test]
    fn content_decides_before_the_name() {
        for (bytes, name, format) in [
            (&b"%PDF-1.7\n"[..], "a.txt", FileFormat::Pdf),
            (b"\n\n junk %PDF-1.4", "scan.pdf", FileFormat::Pdf),
            (b"A file that starts with %PDF-1.4 is a PDF.", "notes.md", FileFormat::Markdown),
            (b"  <!-- saved --><!DOCTYPE HTML><p>x", "a.txt", FileFormat::Html),
            (b"<?xml version='1.0'?>\n<html lang='en'>", "", FileFormat::Html),
            (b"<htmlish>", "a.txt", FileFormat::Text),
            (b"# A", "a.md", FileFormat::Markdown),
            (b"# A", "A.MD", FileFormat::Markdown),
            (b"# A", "a", FileFormat::Text),
            (b"<p>a", "a.htm", FileFormat::Html),
            (b"just words", "a.doc", FileFormat::Text),
            (b"a\tb\nc\td", "a.xls", FileFormat::Csv),
            (b"<html><body>a table", "a.xls", FileFormat::Html),
            (b"fn main() {}", "main.rs", FileFormat::Text),
            (b"{\\rtf1 x}", "a.doc", FileFormat::Rtf),
            (b"a;b", "a.CSV", FileFormat::Csv),
            (b"{\"cells\": []}", "a.ipynb", FileFormat::Notebook),
            (b"not JSON", "a.ipynb", FileFormat::Text),
            (b"<?xml version='1.0'?><!-- x --><a:rss>", "a", FileFormat::Feed),
            (b"<rss><channel>", "news.xml", FileFormat::Feed),
            (b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y 'z>'>]><book>", "b", FileFormat::Xml),
            (b"<book>", "b.xml", FileFormat::Xml),
            (b"no XML", "b.xml", FileFormat::Text),
            (
                b"From: a@b.c\r\nTo: d@e.f\r\nMIME-Version: 1.0\r\n\r\nHello",
                "mail",
                FileFormat::Eml,
            ),
            (b"From: a@b.c\n\nHello", "letter.txt", FileFormat::Text),
            (
                b"<office:document office:mimetype=\"application/vnd.oasis.opendocument.text\">",
                "a.fodt",
                FileFormat::Odt,
            ),
            (b"<?xml version='1.0'?><document mimetype='x'>", "a.xml", FileFormat::Xml),
        ] {
            assert_eq!(detect(bytes, name), Ok(format), "{name}: {}", bytes.escape_ascii());
        }
        assert!(matches!(detect(b"PK\x03\x04", "a.pdf"), Err(ParseError::Damaged(_))));
    }

    #[test]
    fn a_text_that_is_named_as_a_binary_file_is_refused() {
        for name in ["a.pdf", "A.PDF", "a.docx"] {
            for bytes in [&b"just words"[..], b"<!doctype html><p>Not found"] {
                let error = detect(bytes, name).unwrap_err().to_string();
                assert!(error.contains("only text"), "{error}");
            }
        }
    }

    fn compound_file(stream: &str) -> Vec<u8> {
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        file.create_stream(stream).unwrap();
        file.into_inner().into_inner()
    }

    #[test]
    fn unsupported_files_are_described() {
        for (bytes, part) in [
            (&b""[..], "it is empty"),
            (b"\x89PNG\r\n", "picture (PNG)"),
            (&compound_file("/WordDocument"), "saves as .docx"),
            (&compound_file("/PowerPoint Document"), "saves as .pptx"),
            (&compound_file("/EncryptedPackage"), "password"),
            (&compound_file("/Else"), "an old Office file"),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "damaged"),
            (&[1, 2, 3, 200, 14, 15, 16, 90], "neither text"),
            (&[&[b'x'; 257][..], b"ustar\x0000"].concat(), "an archive (tar)"),
            (b"\0\0\0\x18ftypheic", "(HEIC, MP4)"),
            (b"just words", "its name says .pdf, but it holds only text"),
        ] {
            assert!(detect(bytes, "a.pdf").unwrap_err().to_string().contains(part), "{part}");
        }
        assert_eq!(detect(&compound_file("/Workbook"), ""), Ok(FileFormat::Xls));
        assert_eq!(detect(&compound_file("/__properties_version1.0"), ""), Ok(FileFormat::Msg));
    }
}
