//! The parsers, and what must hold of each whatever it is fed.

use bedrock_runtime::EventStreamDecoder;
use document_parser::{DocumentParser, FileError, Limits, ParseError};
use serde::de::IgnoredAny;
use std::{cell::OnceCell, time::Duration};
use tokio::runtime::{Builder, Runtime};

/// The argument with which this program reads one document.
pub const PARSE: &str = "parse-document";

/// One parser.
pub struct Target {
    pub name: &'static str,
    /// The words of its format.
    pub words: &'static [&'static [u8]],
    /// Makes lengths and checksums right, so that what stands behind them is reached.
    pub mend: fn(&mut Vec<u8>),
    /// Says what does not hold.
    pub check: fn(&[u8]) -> Result<(), String>,
}

pub const TARGETS: [Target; 4] = [
    Target {
        name: "event_stream",
        words: &[
            b":event-type\x07\0\x05chunk",
            b":message-type\x07\0\x09exception",
            b"\x08\0\0\0\0",
            b"{\"p\":\"abc\"}",
        ],
        mend: mend_frame,
        check: check_event_stream,
    },
    Target {
        name: "server_sent_events",
        words: &[
            b"data:",
            b"data: ",
            b"event: ",
            b"\n\n",
            b"\r",
            b"\r\n",
            b"\xEF\xBB\xBF",
            b": ",
            b"[DONE]",
            b"\0",
            b"id: ",
            b"retry: ",
        ],
        mend: |_| {},
        check: check_events,
    },
    Target {
        name: "json_body",
        words: &[
            b"\"messages\":",
            b"\"content\":",
            b"null",
            b"1e400",
            b"-0",
            b"\\ud83d",
            b"\\udc00",
            b"\"role\":\"tool\"",
            b"\"tool_calls\":[{}]",
            b"\"image_url\":{\"url\":\"data:image/png;base64,AA==\"}",
            b"[[[[[[[[",
            b"{\"a\":",
            b"\\u0000",
            b"NaN",
        ],
        mend: |_| {},
        check: check_json,
    },
    Target {
        name: "documents",
        words: &[
            b"<table>",
            b"<td rowspan=65535 colspan=65535>",
            b"</",
            b"<!--",
            b"<pre>",
            b"endobj",
            b"stream\n",
            b"endstream",
            b"/Length 9999999",
            b"/Kids [3 0 R]",
            b"/Parent 3 0 R",
            b"<</Type/Page",
            b"/Filter/FlateDecode",
            b"BT",
            b"Tj",
            b"xref",
            b"&#x1F600;",
            b"# ",
            b"> ",
            b"|---",
            b"{\\*",
            b"\\u8364?",
            b"\\'e9",
            b"\\bin9999",
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b"--b\r\n",
            b"<item>",
            b"<![CDATA[",
            b"]]>",
        ],
        mend: |_| {},
        check: check_document,
    },
];

/// Makes the input one frame of AWS's event stream encoding: the length of all, the length of the
/// headers, a checksum of both; at the end, a checksum of all.
/// <https://smithy.io/2.0/aws/amazon-eventstream.html>
fn mend_frame(input: &mut Vec<u8>) {
    input.resize(input.len().max(16), 0);
    let length = input.len();
    let mut write = |at: usize, number: u32| {
        for (byte, new) in input.iter_mut().skip(at).zip(number.to_be_bytes()) {
            *byte = new;
        }
        let upto = |end: usize| crc32fast::hash(input.get(..end).unwrap_or_default());
        (upto(8), upto(length - 4))
    };
    write(0, u32::try_from(length).unwrap_or_default());
    let headers = u32::try_from((length - 16).min(40)).unwrap_or_default();
    let (prelude, _) = write(4, headers);
    let (_, all) = write(8, prelude);
    write(length - 4, all);
}

/// Pieces of an input, cut in a way that follows from it.
fn pieces(input: &[u8]) -> Vec<&[u8]> {
    let mut random = fastrand::Rng::with_seed(crc32fast::hash(input).into());
    let mut rest = input;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(random.usize(1..=rest.len().min(97)));
        pieces.push(piece);
        rest = after;
    }
    pieces
}

/// However the bytes are cut, the frames are the same, and so is the error.
fn check_event_stream(input: &[u8]) -> Result<(), String> {
    let read = |pieces: &[&[u8]]| {
        let (mut decoder, mut read) = (EventStreamDecoder::default(), Vec::new());
        for piece in pieces {
            decoder.push(piece);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => read.push(format!("{frame:?}")),
                    Ok(None) => break,
                    Err(error) => {
                        read.push(format!("{error:?}"));
                        return read;
                    }
                }
            }
        }
        read
    };
    same(&read(&[input]), &read(&pieces(input)))
}

/// However the bytes are cut, the events are the same, and hold no more than was sent.
fn check_events(input: &[u8]) -> Result<(), String> {
    let whole = openai_client::fuzzing::events(&[input]);
    same(&whole, &openai_client::fuzzing::events(&pieces(input)))?;
    let length: usize = whole.iter().flatten().map(|(_, data)| data.len()).sum();
    // A byte that is no UTF-8 becomes a character of three.
    if length > input.len() * 3 {
        Err(format!("{length} bytes of {}", input.len()))
    } else {
        Ok(())
    }
}

/// A value that was parsed is JSON, and an error message quotes no value.
fn check_json(input: &[u8]) -> Result<(), String> {
    let is_json = serde_json::from_slice::<IgnoredAny>(input).is_ok();
    match pipewright::http::parse_chat(input) {
        Ok(_) if !is_json => Err("it was read and is no JSON".into()),
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains("hunter2") => Err(format!("it quotes: {error}")),
        Err(_) => Ok(()),
    }
}

thread_local! {
    static READER: OnceCell<Option<(Runtime, DocumentParser)>> = const { OnceCell::new() };
}

/// Every file ends within its limits, in a document or in a sentence; a crash is one's own.
fn check_document(input: &[u8]) -> Result<(), String> {
    let name = match input.get(..4) {
        Some(b"%PDF") => "a.pdf",
        Some(beginning) if beginning.contains(&b'<') => "a.html",
        _ => "a.md",
    };
    let limits =
        Limits { time: Duration::from_secs(20), memory_bytes: 500_000_000, ..Limits::default() };
    let start = || {
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        Some((runtime, DocumentParser::from_current_program(PARSE).ok()?))
    };
    READER.with(|reader| {
        let Some((runtime, parser)) = reader.get_or_init(start) else {
            return Err("no reader can be started".into());
        };
        match runtime.block_on(parser.parse(input, name, &limits)) {
            Err(FileError {
                error:
                    error @ (ParseError::TimedOut { .. }
                    | ParseError::Worker(_)
                    | ParseError::OutOfMemory { .. }),
                ..
            }) => Err(format!("{error:?}")),
            Ok(_) | Err(_) => Ok(()),
        }
    })
}

fn same<T: PartialEq + std::fmt::Debug>(whole: &T, pieces: &T) -> Result<(), String> {
    if whole == pieces { Ok(()) } else { Err(format!("whole {whole:?}, in pieces {pieces:?}")) }
}
