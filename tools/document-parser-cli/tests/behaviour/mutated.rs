//! Files with bytes changed, removed, doubled and inserted: each ends in a document or an error.

use crate::{
    docx_writer::{paragraph, write_docx},
    parser,
    pdf_writer::{PdfWriter, line},
};
use document_parser::{FileError, Limits, ParseError};
use fastrand::Rng;
use std::time::Duration;

const SEEDS_PER_FILE: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn mutated_files_end() {
    let pdf = PdfWriter::with_pages(&[
        line("F", 10, 60, 700, "words on a page"),
        line("B", 18, 60, 700, "A heading"),
    ])
    .bytes();
    let words = paragraph("berschrift1", "Heading")
        + "<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>"
        + &paragraph("", "words");
    let docx = write_docx(&words);
    let html = b"<html><table><tr><td rowspan=2>a<td>b</table><ul><li>c</ul><pre>d</pre>".to_vec();
    let markdown =
        b"# A\n\n- b\n  1. c\n\n| d | e |\n|---|---|\n| f | g |\n\n> h\n\n```\ni\n```\n[^1]: j"
            .to_vec();
    let parser = parser();
    let limits =
        Limits { time: Duration::from_secs(10), memory_bytes: 500_000_000, ..Limits::default() };
    for (name, file) in [
        ("a.pdf", pdf),
        ("a.docx", docx),
        ("body.docx", words.into_bytes()),
        ("a.html", html),
        ("a.md", markdown),
    ] {
        for seed in 0..SEEDS_PER_FILE {
            let bytes = mutate(&file, &mut Rng::with_seed(seed));
            // The body of a Word file has a checksum, so it is changed before it is packed.
            let bytes = if name == "body.docx" {
                write_docx(&String::from_utf8_lossy(&bytes))
            } else {
                bytes
            };
            let outcome = parser.parse(&bytes, name, &limits).await;
            let has_ended = !matches!(
                outcome,
                Err(FileError {
                    error: ParseError::TimedOut { .. }
                        | ParseError::Worker(_)
                        | ParseError::OutOfMemory { .. },
                    ..
                })
            );
            assert!(has_ended, "{name} with seed {seed}: {outcome:?}");
        }
    }
}

fn mutate(file: &[u8], random: &mut Rng) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for _ in 0..random.usize(1..12) {
        let at = random.usize(..bytes.len().max(1));
        let to = (at + random.usize(..64)).min(bytes.len());
        match random.u8(..6) {
            0 if at < bytes.len() => bytes[at] = random.u8(..),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            2 => bytes.truncate(at.max(8)),
            3 => drop(bytes.drain(at..to)),
            4 => {
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
            _ => {
                let number = random.u64(..).to_string().into_bytes();
                bytes.splice(at..(at + number.len()).min(bytes.len()), number);
            }
        }
    }
    bytes
}
