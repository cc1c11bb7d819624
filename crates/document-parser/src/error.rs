//! Why a file could not be read, as one sentence for its owner.

use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};
use thiserror::Error;

/// A file that could not be read: which, and why, as one sentence.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{}` cannot be read: {reason}", Shown(.name))]
pub struct Error {
    /// The file's name, as it was given.
    pub name: String,
    /// What stood in the way.
    pub reason: Reason,
}

/// What stood in the way of reading a file.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
pub enum Reason {
    /// No bytes at all.
    #[error("it is empty")]
    Empty,
    /// Well made, but without a word.
    #[error("it holds no text")]
    NoText,
    /// A PDF made of scans.
    #[error(
        "this PDF holds pictures of text, no text; run it through text recognition (OCR) first"
    )]
    Pictures,
    /// A PDF whose text shows, but cannot be told.
    #[error(
        "this PDF does not say which characters its shapes stand for; run it through text recognition (OCR) first"
    )]
    Shapes,
    /// Something else than a document.
    #[error("it is {0}; text, Markdown, HTML, PDF and Word files (.docx) can be read")]
    Foreign(String),
    /// Locked.
    #[error("it is protected by a password; save it without one")]
    Protected,
    /// Not whole, or not what it says it is.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// Larger than [`Limits::bytes`](crate::Limits::bytes).
    #[error("it has {}, and at most {} are read", Size(*.bytes), Size(*.limit))]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A packed file that holds far more than it seems to.
    #[error("it unpacks to more than {}, as a file does that is made to do harm", Size(*.limit))]
    Unpacks {
        /// How much may come out of it.
        limit: usize,
    },
    /// More than [`Limits::text`](crate::Limits::text).
    #[error("it holds more than {} of text; split it", Size(*.limit))]
    TooMuchText {
        /// The limit.
        limit: usize,
    },
    /// More than [`Limits::pages`](crate::Limits::pages).
    #[error("it has {pages} pages, and at most {limit} are read; split it")]
    TooManyPages {
        /// Its pages.
        pages: usize,
        /// The limit.
        limit: u32,
    },
    /// Longer than [`Limits::time`](crate::Limits::time).
    #[error("it was not read within {} s; split it, or save it anew", .limit.as_secs_f32())]
    Time {
        /// The limit.
        limit: Duration,
    },
    /// More than [`Limits::memory`](crate::Limits::memory).
    #[error("reading it takes more memory than {}; split it, or save it anew", Size(usize::try_from(*.limit).unwrap_or(usize::MAX)))]
    Memory {
        /// The limit.
        limit: u64,
    },
    /// The parser broke on it.
    #[error("the parser broke on it; save it anew, or in another form")]
    Crash,
    /// Not the file's fault: its process could not be started or heard.
    #[error("the parser could not be run: {0}")]
    Worker(String),
}

/// A size in the unit that people would use.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0..1_000 => write!(f, "{} bytes", self.0),
            1_000..1_000_000 => write!(f, "{} kB", self.0.div_ceil(1_000)),
            _ => write!(f, "{} MB", self.0.div_ceil(1_000_000)),
        }
    }
}

/// A name that stays on one line: whoever uploads a file chooses it.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 200;
        for char in self.0.chars().take(LONGEST) {
            let shown = if char.is_control() { char::REPLACEMENT_CHARACTER } else { char };
            write!(f, "{shown}")?;
        }
        if self.0.chars().nth(LONGEST).is_some() { write!(f, "…") } else { Ok(()) }
    }
}
