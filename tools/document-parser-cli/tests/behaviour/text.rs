//! Plain text.

use crate::{error_text, markdown_of, parse};
use document_parser::{BlockContent, FileFormat, Limits};

#[tokio::test]
async fn paragraphs_end_at_blank_lines_and_keep_their_lines() {
    let document = parse(b"One\r\ntwo\r\n\r\n  \r\nThree", "a.txt").await.unwrap();
    assert_eq!(document.format, FileFormat::Text);
    let blocks: Vec<BlockContent> =
        document.blocks.into_iter().map(|block| block.content).collect();
    assert_eq!(
        blocks,
        [
            BlockContent::Paragraph("One\ntwo".to_owned()),
            BlockContent::Paragraph("Three".to_owned())
        ]
    );
}

#[tokio::test]
async fn what_looks_like_markdown_in_a_text_is_no_heading() {
    assert_eq!(
        markdown_of(b"# not a heading\nbut #a tag\n```", "a.txt").await,
        "\\# not a heading\nbut #a tag\n\\```\n"
    );
}

#[tokio::test]
async fn letters_of_any_encoding_are_kept() {
    let utf_16: Vec<u8> = "Größe über alles\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(markdown_of(&utf_16, "a.txt").await, "Größe über alles\n");
    assert_eq!(
        markdown_of(b"Gr\xf6\xdfe \xfcber alles, f\xfcr M\xe4nner", "a.txt").await,
        "Größe über alles, für Männer\n"
    );
}

#[tokio::test]
async fn nuls_are_left_out() {
    assert_eq!(markdown_of(b"one\0 two\0\0\0\0", "a.txt").await, "one two\n");
    assert_eq!(
        error_text(b"\0\0\0\0\0\0", "a.txt").await,
        "`a.txt` cannot be read: it holds no text"
    );
}

#[tokio::test]
async fn an_empty_file_is_an_error() {
    assert_eq!(error_text(b"", "leer.docx").await, "`leer.docx` cannot be read: it is empty");
    assert_eq!(error_text(b" \n\n ", "a.md").await, "`a.md` cannot be read: it holds no text");
}

#[tokio::test]
async fn a_line_of_fifty_megabytes_is_read() {
    let line = "word ".repeat(10_000_000);
    let document = parse(line.as_bytes(), "dump.txt").await.unwrap();
    assert_eq!(document.blocks.len(), 1);
    assert_eq!(document.to_markdown().text.trim_end(), line.trim_end());
}

#[tokio::test]
async fn errors_of_size_name_the_limit() {
    let limits = Limits { file_bytes: 1000, text_bytes: 500, ..Limits::default() };
    let error_text = async |bytes: &[u8]| {
        crate::parser().parse(bytes, "a.txt", &limits).await.unwrap_err().to_string()
    };
    assert_eq!(
        error_text(&[b'a'; 1001]).await,
        "`a.txt` cannot be read: it has 2 kB, and at most 1 kB are read"
    );
    assert_eq!(
        error_text(&[b'a'; 900]).await,
        "`a.txt` cannot be read: it holds more than 500 bytes of text; split it"
    );
}
