//! Malicious files, and workers that fail.

use crate::{
    markdown_of, parse, parser,
    pdf_writer::{PdfWriter, line},
};
use document_parser::{DocumentParser, FileError, Limits, ParseError};
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_loop_of_pages_ends() {
    let mut pdf = PdfWriter::with_pages(&[line("F", 10, 60, 700, "one page")]);
    pdf.replace(
        2,
        "<< /Type /Pages /Kids [2 0 R 5 0 R 2 0 R 5 0 R] /Count 1000000000 /Parent 2 0 R >>",
    );
    assert_eq!(markdown_of(&pdf.bytes(), "loop.pdf").await, "one page\n");
}

#[tokio::test]
async fn forms_within_forms_end() {
    let mut pdf = PdfWriter::with_pages(&[line("F", 10, 60, 700, "before") + "/X Do"]);
    // Every form draws the next one twice, and the last one draws the first.
    for at in 1000..1060 {
        let next = if at == 1059 { 1000 } else { at + 1 };
        pdf.replace(at, &format!("<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X {next} 0 R >> >> /Length 11 >>\nstream\n/X Do /X Do\nendstream"));
    }
    let limits = Limits { time: Duration::from_secs(2), ..Limits::default() };
    let start = Instant::now();
    match parser().parse(&pdf.bytes(), "forms.pdf", &limits).await {
        Ok(document) => assert_eq!(document.to_markdown().text, "before\n"),
        Err(error) => assert_eq!(
            error.to_string(),
            "`forms.pdf` cannot be read: it was not read within 2 s; split it, or save it again"
        ),
    }
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn deep_nesting_in_a_pdf_is_survived() {
    let nested = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let mut pdf = PdfWriter::with_pages(&[line("F", 10, 60, 700, "words")
        + &nested
        + " TJ "
        + &"q ".repeat(200_000)]);
    pdf.add(&nested);
    pdf.trailer(&format!("/Deep {nested}"));
    match parse(&pdf.bytes(), "deep.pdf").await {
        Ok(document) => assert_eq!(document.to_markdown().text, "words\n"),
        Err(FileError { error, .. }) => {
            assert!(matches!(error, ParseError::Damaged(_) | ParseError::ParserCrash), "{error}");
        }
    }
}

#[tokio::test]
async fn a_bomb_within_a_pdf_ends_at_its_memory() {
    use std::io::Write as _;
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&line("F", 10, 60, 700, &"x".repeat(200_000_000)).into_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let mut hex: String = packed.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.push('>');
    let mut pdf = PdfWriter::with_pages(&[String::new()]);
    pdf.replace(
        6,
        &format!(
            "<< /Length {} /Filter [/ASCIIHexDecode /FlateDecode] >>\nstream\n{hex}\nendstream",
            hex.len()
        ),
    );
    let limits = Limits { memory_bytes: 256_000_000, ..Limits::default() };
    let error = parser().parse(&pdf.bytes(), "bomb.pdf", &limits).await.unwrap_err();
    assert_eq!(error.error, ParseError::OutOfMemory { limit: 256_000_000 });
}

#[tokio::test]
async fn a_file_that_needs_too_much_memory_is_an_error() {
    let limits = Limits { memory_bytes: 250_000_000, ..Limits::default() };
    let error = parser()
        .parse(&vec![b'a'; 90_000_000], "large.txt", &Limits { text_bytes: 100_000_000, ..limits })
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`large.txt` cannot be read: reading it takes more memory than 250 MB; split it, or save it again"
    );
    // The next file has a worker of its own.
    assert!(parser().parse(b"words", "small.txt", &limits).await.is_ok());
}

#[tokio::test]
async fn a_worker_that_takes_too_long_is_killed() {
    let limits = Limits { time: Duration::from_millis(1), ..Limits::default() };
    let error = parser().parse(&vec![b'a'; 50_000_000], "slow.txt", &limits).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "`slow.txt` cannot be read: it was not read within 0.001 s; split it, or save it again"
    );
}

#[tokio::test]
async fn a_worker_that_cannot_start_or_prints_no_json_is_an_error() {
    let limits = Limits::default();
    let absent = DocumentParser::new("/nowhere/pipewright", "parse-document")
        .parse(b"a", "a.txt", &limits)
        .await
        .unwrap_err();
    assert!(matches!(absent.error, ParseError::Worker(_)), "{absent}");
    let other = DocumentParser::new("/bin/echo", "parse-document")
        .parse(b"a", "a.txt", &limits)
        .await
        .unwrap_err();
    assert!(matches!(other.error, ParseError::Worker(_)), "{other}");
}

#[tokio::test]
async fn a_worker_that_fails_is_a_crash() {
    let error = DocumentParser::new("/bin/false", "parse-document")
        .parse(b"a", "a.txt", &Limits::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`a.txt` cannot be read: the parser crashed on it; save it again, or in another format"
    );
}

#[tokio::test]
async fn a_name_cannot_break_out_of_its_sentence() {
    let error = parse(b"", "a\nb\u{1b}[31m.txt").await.unwrap_err();
    assert_eq!(error.to_string(), "`a\u{fffd}b\u{fffd}[31m.txt` cannot be read: it is empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_among_many_fails_alone() {
    let parser = parser();
    let limits = Limits::default();
    let files: [(&[u8], &str); 4] = [
        (b"# One", "a.md"),
        (b"%PDF-1.7 nothing", "b.pdf"),
        (b"PK\x03\x04", "c.docx"),
        (b"<html><p>Four", "d.html"),
    ];
    let (a, b, c, d) = tokio::join!(
        parser.parse(files[0].0, files[0].1, &limits),
        parser.parse(files[1].0, files[1].1, &limits),
        parser.parse(files[2].0, files[2].1, &limits),
        parser.parse(files[3].0, files[3].1, &limits),
    );
    assert_eq!([a.is_ok(), b.is_ok(), c.is_ok(), d.is_ok()], [true, false, false, true]);
}
