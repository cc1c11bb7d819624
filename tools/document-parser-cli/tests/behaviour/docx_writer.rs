//! Writes Word files, part by part.

use std::io::{Cursor, Write as _};
use zip::{ZipWriter, write::SimpleFileOptions};

/// Returns a document part with this body.
pub fn body(inner: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"><w:body>{inner}</w:body></w:document>"#
    )
}

/// Returns a paragraph with a style.
pub fn paragraph(style: &str, text: &str) -> String {
    format!(
        r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t xml:space="preserve">{text}</w:t></w:r></w:p>"#
    )
}

/// Returns a package of these parts.
pub fn package(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The relationships of a Word file, which name the part with the text.
pub const RELATIONS: &str = r#"<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>"#;

/// Returns a Word file with this body, with styles, lists and a footnote.
pub fn write_docx(inner: &str) -> Vec<u8> {
    let related = ["styles", "numbering", "footnotes"]
        .map(|kind| format!(r#"<Relationship Id="{kind}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{kind}.xml"/>"#))
        .concat();
    let w = r#"xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main""#;
    let styles = format!(
        r#"<w:styles {w}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style><w:style w:styleId="berschrift2"><w:name w:val="heading 2"/></w:style><w:style w:styleId="Eigene"><w:basedOn w:val="berschrift2"/></w:style><w:style w:styleId="Kreis"><w:basedOn w:val="Kreis"/></w:style></w:styles>"#
    );
    let numbering = format!(
        r#"<w:numbering {w}><w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/></w:lvl><w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum><w:num w:numId="2"><w:abstractNumId w:val="7"/></w:num></w:numbering>"#
    );
    let footnotes = format!(
        r#"<w:footnotes {w}><w:footnote w:id="5"><w:p><w:r><w:t>Without delay.</w:t></w:r></w:p></w:footnote></w:footnotes>"#
    );
    package(&[
        ("_rels/.rels", RELATIONS.as_bytes()),
        (
            "word/_rels/document.xml.rels",
            format!("<Relationships>{related}</Relationships>").as_bytes(),
        ),
        ("word/document.xml", body(inner).as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/numbering.xml", numbering.as_bytes()),
        ("word/footnotes.xml", footnotes.as_bytes()),
    ])
}
