//! HTML: its visible text. The parser makes one pass over the tags and builds no tree, so deep
//! nesting costs nothing.

mod parser;
mod table;
mod tag;

use crate::{builder::DocumentBuilder, document_info::DocumentInfo, error::ParseError};
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};
use html5ever::{
    tendril::StrTendril,
    tokenizer::{
        BufferQueue, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
        states::RawKind,
    },
};
use parser::HtmlParser;
use std::cell::RefCell;

/// Parses HTML.
pub(crate) fn parse(text: &str, builder: &mut DocumentBuilder) -> Result<DocumentInfo, ParseError> {
    let sink =
        TokenHandler { parser: RefCell::new(HtmlParser::new(builder)), error: RefCell::new(None) };
    let tokenizer = Tokenizer::new(sink, TokenizerOpts::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(text));
    // The tokenizer stops only at scripts to run, and this handler never asks it to.
    drop(tokenizer.feed(&input));
    tokenizer.end();
    let TokenHandler { parser, error } = tokenizer.sink;
    if let Some(error) = error.into_inner() {
        return Err(error);
    }
    Ok(DocumentInfo::with_title(parser.into_inner().finish()?))
}

/// Returns the encoding that the file declares.
pub(crate) fn declared_encoding(bytes: &[u8]) -> Option<&'static Encoding> {
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
    // A declaration that can be read as ASCII is not in UTF-16.
    label(b"charset=")
        .or_else(|| label(b"encoding="))
        .filter(|encoding| ![UTF_16LE, UTF_16BE].contains(encoding))
}

/// Passes the tokens to the parser.
struct TokenHandler<'a> {
    parser: RefCell<HtmlParser<'a>>,
    /// The first error, after which all tokens are ignored.
    error: RefCell<Option<ParseError>>,
}

impl TokenSink for TokenHandler<'_> {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        if self.error.borrow().is_some() {
            return TokenSinkResult::Continue;
        }
        let mut parser = self.parser.borrow_mut();
        let mut next = TokenSinkResult::Continue;
        let result = match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => {
                if !tag.self_closing {
                    next = raw_text_kind(&tag.name)
                        .map_or(TokenSinkResult::Continue, TokenSinkResult::RawData);
                }
                parser.start_element(&tag)
            }
            Token::TagToken(tag) => parser.end_element(&tag.name),
            Token::CharacterTokens(text) => {
                parser.push_text(&text);
                Ok(())
            }
            Token::DoctypeToken(_)
            | Token::CommentToken(_)
            | Token::NullCharacterToken
            | Token::EOFToken
            | Token::ParseError(_) => Ok(()),
        };
        if let Err(error) = result {
            self.error.replace(Some(error));
        }
        next
    }
}

/// Returns the tokenizer state for elements whose content has no tags.
fn raw_text_kind(name: &str) -> Option<RawKind> {
    match name {
        "script" => Some(RawKind::ScriptData),
        "style" | "iframe" | "noembed" | "noframes" => Some(RawKind::Rawtext),
        "title" | "textarea" => Some(RawKind::Rcdata),
        _ => None,
    }
}
