//! Files with bytes changed, cut, doubled and left out: every one ends, in a document or in a sentence.

use crate::{
    parser,
    word_file::{paragraph, word_file},
    written_pdf::{WrittenPdf, line},
};
use document_parser::{Error, Limits, Reason};
use fastrand::Rng;
use std::time::Duration;

const EACH: u64 = 60;

#[tokio::test(flavor = "multi_thread")]
async fn mutated_files_end() {
    let pdf = WrittenPdf::of_pages(&[
        line("F", 10, 60, 700, "words on a page"),
        line("B", 18, 60, 700, "A heading"),
    ])
    .bytes();
    let words = paragraph("berschrift1", "Heading")
        + "<w:tbl><w:tr><w:tc><w:p/></w:tc></w:tr></w:tbl>"
        + &paragraph("", "words");
    let docx = word_file(&words);
    let html = b"<html><table><tr><td rowspan=2>a<td>b</table><ul><li>c</ul><pre>d</pre>".to_vec();
    let markdown =
        b"# A\n\n- b\n  1. c\n\n| d | e |\n|---|---|\n| f | g |\n\n> h\n\n```\ni\n```\n[^1]: j"
            .to_vec();
    let parser = parser();
    let limits = Limits { time: Duration::from_secs(10), memory: 500_000_000, ..Limits::default() };
    for (name, file) in [
        ("a.pdf", pdf),
        ("a.docx", docx),
        ("body.docx", words.into_bytes()),
        ("a.html", html),
        ("a.md", markdown),
    ] {
        for seed in 0..EACH {
            let bytes = mutated(&file, &mut Rng::with_seed(seed));
            // The body of a Word file stands behind checksums, so it is changed before it is packed.
            let bytes = if name == "body.docx" {
                word_file(&String::from_utf8_lossy(&bytes))
            } else {
                bytes
            };
            let outcome = parser.parse(&bytes, name, &limits).await;
            let ended = !matches!(
                outcome,
                Err(Error {
                    reason: Reason::Time { .. } | Reason::Worker(_) | Reason::Memory { .. },
                    ..
                })
            );
            assert!(ended, "{name} with seed {seed}: {outcome:?}");
        }
    }
}

fn mutated(file: &[u8], random: &mut Rng) -> Vec<u8> {
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
