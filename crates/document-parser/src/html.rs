//! HTML: what a reader would see of it. One pass over its tags, without a tree, so that depth costs nothing.

mod reading;
mod table;
mod tag;

use crate::{draft::Draft, error::Reason, read::Found};
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use reading::Reading;
use std::cell::RefCell;

pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<Found, Reason> {
    let sink = Sink { reading: RefCell::new(Reading::new(draft)), broken: RefCell::new(None) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    // It stops only at scripts that would have to be run, and none is.
    drop(tokenizer.feed(&input));
    tokenizer.end();
    let Sink { reading, broken } = tokenizer.sink;
    if let Some(reason) = broken.into_inner() {
        return Err(reason);
    }
    Ok(Found::titled(reading.into_inner().end()?))
}

/// The encoding that the file says it has.
pub(crate) fn declared(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = bytes.get(..bytes.len().min(1024))?.to_ascii_lowercase();
    let label = |mark: &[u8]| {
        let at = head.windows(mark.len()).position(|window| window == mark)?;
        let rest = head.get(at + mark.len()..)?;
        let label: Vec<u8> = rest
            .iter()
            .copied()
            .skip_while(|byte| b" \"'".contains(byte))
            .take_while(|byte| !b" \"'>;/?".contains(byte))
            .collect();
        Encoding::for_label(&label)
    };
    // Bytes in which this can be read are not UTF-16.
    label(b"charset=")
        .or_else(|| label(b"encoding="))
        .filter(|encoding| ![UTF_16LE, UTF_16BE].contains(encoding))
}

struct Sink<'a> {
    reading: RefCell<Reading<'a>>,
    /// Why nothing is read any more.
    broken: RefCell<Option<Reason>>,
}

impl TokenSink for Sink<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if self.broken.borrow().is_some() {
            return TokenSinkResult::Continue;
        }
        let mut reading = self.reading.borrow_mut();
        let mut next = TokenSinkResult::Continue;
        let done = match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                if !tag.self_closing {
                    next =
                        raw(&tag.name).map_or(TokenSinkResult::Continue, TokenSinkResult::RawData);
                }
                reading.start(&tag)
            }
            Token::TagToken(tag) => reading.end_tag(&tag.name),
            Token::CharacterTokens(text) => {
                reading.text(&text);
                Ok(())
            }
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => Ok(()),
        };
        if let Err(reason) = done {
            self.broken.replace(Some(reason));
        }
        next
    }
}

/// Elements in which tags are no tags.
fn raw(name: &str) -> Option<RawKind> {
    match name {
        "script" => Some(RawKind::ScriptData),
        "style" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
        "title" | "textarea" => Some(RawKind::Rcdata),
        _ => None,
    }
}
