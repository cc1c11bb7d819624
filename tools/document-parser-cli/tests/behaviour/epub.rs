//! E-books.

use crate::{docx_writer::package, error_text, parse};

const CONTAINER: &str =
    r#"<container><rootfiles><rootfile full-path="OEBPS/book.opf"/></rootfiles></container>"#;

const BOOK: &str = r#"<package xmlns:dc="d"><metadata><dc:title>A book</dc:title></metadata><manifest><item id="b" href="text/two%20.xhtml"/><item id="a" href="one.xhtml"/><item id="x" href="../../../etc/passwd"/></manifest><spine><itemref idref="a"/><itemref idref="b"/><itemref idref="a"/><itemref idref="x"/></spine></package>"#;

fn write_epub(encryption: &str) -> Vec<u8> {
    package(&[
        ("mimetype", b"application/epub+zip"),
        ("META-INF/container.xml", CONTAINER.as_bytes()),
        ("META-INF/encryption.xml", encryption.as_bytes()),
        ("OEBPS/book.opf", BOOK.as_bytes()),
        (
            "OEBPS/one.xhtml",
            b"<?xml version='1.0'?><html><h1>One</h1><p>First&nbsp;words.</p></html>",
        ),
        ("OEBPS/text/two .xhtml", b"<html><h1>Two</h1><p>Second words.</p></html>"),
    ])
}

#[tokio::test]
async fn chapters_come_in_the_order_of_reading() {
    let document = parse(&write_epub("<e/>"), "a.epub").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("A book"));
    assert_eq!(document.to_markdown().text, "# One\n\nFirst words.\n\n# Two\n\nSecond words.\n");
}

#[tokio::test]
async fn a_book_with_copy_protection_is_an_error_and_encrypted_fonts_are_not() {
    let font = r#"<e><CipherReference URI="OEBPS/font.otf"/></e>"#;
    assert!(parse(&write_epub(font), "a.epub").await.is_ok());
    let error = error_text(&write_epub(&font.replace("font.otf", "one.xhtml")), "a.epub").await;
    assert!(error.contains("it is an e-book with copy protection (DRM)"), "{error}");
}
