//! Errors of files that could not be parsed, each as one sentence for the file's owner.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use thiserror::Error;

/// The error of a file that could not be parsed, as one sentence with its name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` cannot be read: {error}", OneLine(.file_name))]
pub struct FileError {
    /// The name that the caller gave for the file.
    pub file_name: String,
    /// The cause.
    pub error: ParseError,
}

/// The cause of a [`FileError`].
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum ParseError {
    /// The file has no bytes.
    #[error("it is empty")]
    Empty,
    /// The file is valid, but has no text.
    #[error("it holds no text")]
    NoText,
    /// The PDF has only pictures, as a scan has.
    #[error(
        "this PDF holds pictures of text instead of text: let Amazon Textract or another text recognition (OCR) read it first, or ask a model that sees images about its pages"
    )]
    OnlyPictures,
    /// The PDF has shapes of letters, but no mapping to characters.
    #[error(
        "this PDF does not say which characters its shapes stand for: let Amazon Textract or another text recognition (OCR) read it first"
    )]
    UnmappedGlyphs,
    /// The file has a format that is not supported.
    #[error(
        "it is {0}; PDF, Word (.docx), Excel, PowerPoint (.pptx), OpenDocument, EPUB, RTF, e-mail (.eml, .msg), HTML, Markdown, CSV, XML, notebooks (.ipynb) and text can be read"
    )]
    UnsupportedFormat(String),
    /// The file is text, but its name has the extension of a binary format.
    #[error("its name says {0}, but it holds only text; save it as {0} again, or name it .txt")]
    Misnamed(String),
    /// The file needs a password.
    #[error("it is protected by a password; save it without one")]
    PasswordProtected,
    /// The file is truncated or invalid.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The file is larger than [`Limits::file_bytes`](crate::Limits::file_bytes).
    #[error("it has {}, and at most {} are read", DisplaySize(*.bytes), DisplaySize(*.limit))]
    TooLarge {
        /// The size of the file.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The compressed file has far more content than its size suggests.
    #[error("it unpacks to more than {}; files that do are usually made to do harm", DisplaySize(*.limit))]
    DecompressionBomb {
        /// The largest unpacked size, in bytes.
        limit: usize,
    },
    /// The text is larger than [`Limits::text_bytes`](crate::Limits::text_bytes).
    #[error("it holds more than {} of text; split it", DisplaySize(*.limit))]
    TooMuchText {
        /// The limit.
        limit: usize,
    },
    /// The file has more pages than [`Limits::pages`](crate::Limits::pages).
    #[error("it has {pages} pages, and at most {limit} are read; split it")]
    TooManyPages {
        /// The number of pages in the file.
        pages: usize,
        /// The limit.
        limit: u32,
    },
    /// Parsing took longer than [`Limits::time`](crate::Limits::time).
    #[error("it was not read within {} s; split it, or save it again", .limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// Parsing took more memory than [`Limits::memory_bytes`](crate::Limits::memory_bytes).
    #[error("reading it takes more memory than {}; split it, or save it again", DisplaySize(usize::try_from(*.limit).unwrap_or(usize::MAX)))]
    OutOfMemory {
        /// The limit.
        limit: u64,
    },
    /// The parser panicked or its process was killed.
    #[error("the parser crashed on it; save it again, or in another format")]
    ParserCrash,
    /// The process could not be started, or its output could not be read. The file is not the
    /// cause.
    #[error("the parser could not be run: {0}")]
    Worker(String),
}

/// A size with its unit, for the user.
struct DisplaySize(usize);

impl fmt::Display for DisplaySize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} bytes", self.0),
            1_000..1_000_000 => write!(f, "{} kB", self.0.div_ceil(1_000)),
            _ => write!(f, "{} MB", self.0.div_ceil(1_000_000)),
        }
    }
}

/// A file name on one line without control characters, because the uploader chooses it.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_CHARS: usize = 200;
        for char in self.0.chars().take(MAX_CHARS) {
            let printable = if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
            write!(f, "{printable}")?;
        }
        if self.0.chars().nth(MAX_CHARS).is_some() { write!(f, "…") } else { Ok(()) }
    }
}
