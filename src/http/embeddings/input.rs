//! Parses `input`, which has four shapes in OpenAI's API.

use crate::http::field_error::field_error;
use actix_web::web;
use pipe_sdk::{PipeError, Result};
use serde_json::Value;
use tiktoken_rs::cl100k_base_singleton;

/// The largest number of texts in a request, as at OpenAI.
const MAX_TEXTS: usize = 2048;

/// One text, as the client sent it.
enum EmbeddingInput {
    Text(String),
    /// The tokens of OpenAI's newer embedding models, from clients that count them.
    Tokens(Vec<u32>),
}

/// Returns the texts of this input: a text, tokens, or a list of one of them.
pub async fn parse_texts(input: Value) -> Result<Vec<String>> {
    let sent = parse_input(input)?;
    if !sent.iter().any(|sent| matches!(sent, EmbeddingInput::Tokens(_))) {
        return sent.into_iter().enumerate().map(|(place, sent)| sent.into_text(place)).collect();
    }
    // The first time, a vocabulary of a hundred thousand tokens is read.
    web::block(|| sent.into_iter().enumerate().map(|(place, sent)| sent.into_text(place)).collect())
        .await
        .map_err(PipeError::internal)?
}

fn parse_input(input: Value) -> Result<Vec<EmbeddingInput>> {
    let items = match input {
        Value::String(text) if text.is_empty() => {
            return Err(field_error("input", "must not be empty"));
        }
        Value::String(text) => return Ok(vec![EmbeddingInput::Text(text)]),
        Value::Array(items) => items,
        _ => return Err(field_error("input", "must be a text, a list of texts, or tokens")),
    };
    match items.first() {
        None => Err(field_error("input", "send at least one text")),
        Some(Value::Number(_)) => Ok(vec![EmbeddingInput::Tokens(parse_tokens(&items, "input")?)]),
        Some(_) if items.len() > MAX_TEXTS => Err(field_error(
            "input",
            &format!("send {MAX_TEXTS} texts at most, and the rest by themselves"),
        )),
        Some(_) => {
            items.into_iter().enumerate().map(|(place, item)| parse_item(item, place)).collect()
        }
    }
}

fn parse_item(item: Value, place: usize) -> Result<EmbeddingInput> {
    let field = format!("input[{place}]");
    match item {
        Value::String(text) if text.is_empty() => Err(field_error(&field, "must not be empty")),
        Value::String(text) => Ok(EmbeddingInput::Text(text)),
        Value::Array(items) if items.is_empty() => Err(field_error(&field, "must not be empty")),
        Value::Array(items) => parse_tokens(&items, &field).map(EmbeddingInput::Tokens),
        _ => Err(field_error(&field, "must be a text or a list of tokens")),
    }
}

fn parse_tokens(items: &[Value], field: &str) -> Result<Vec<u32>> {
    let token = |(place, item): (usize, &Value)| {
        let token = item.as_u64().and_then(|token| u32::try_from(token).ok());
        token.ok_or_else(|| field_error(&format!("{field}[{place}]"), "must be a token"))
    };
    items.iter().enumerate().map(token).collect()
}

impl EmbeddingInput {
    fn into_text(self, place: usize) -> Result<String> {
        let tokens = match self {
            Self::Text(text) => return Ok(text),
            Self::Tokens(tokens) => tokens,
        };
        let bytes = cl100k_base_singleton().decode_bytes(&tokens).map_err(|_| {
            field_error(
                &format!("input[{place}]"),
                "holds a token that `cl100k_base` does not have",
            )
        })?;
        // Clients cut long texts by tokens, and so in the midst of letters.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}
