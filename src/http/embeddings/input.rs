//! Parses `input`, which has four shapes in OpenAI's API.

use actix_web::web;
use pipe_sdk::{PipeError, Result};
use serde_json::Value;
use tiktoken_rs::cl100k_base_singleton;

/// The largest number of texts in a request, as at OpenAI.
const MOST: usize = 2048;

/// One text, as the client sent it.
enum Sent {
    Text(String),
    /// The tokens of OpenAI's newer embedding models, from clients that count them.
    Tokens(Vec<u32>),
}

/// Returns the texts of this input: a text, tokens, or a list of one of them.
pub async fn texts(input: Value) -> Result<Vec<String>> {
    let sent = sent(input)?;
    if !sent.iter().any(|sent| matches!(sent, Sent::Tokens(_))) {
        return sent.into_iter().enumerate().map(|(place, sent)| sent.text(place)).collect();
    }
    // The first time, a vocabulary of a hundred thousand tokens is read.
    web::block(|| sent.into_iter().enumerate().map(|(place, sent)| sent.text(place)).collect())
        .await
        .map_err(PipeError::internal)?
}

fn sent(input: Value) -> Result<Vec<Sent>> {
    let items = match input {
        Value::String(text) if text.is_empty() => return Err(misfit("input", "must not be empty")),
        Value::String(text) => return Ok(vec![Sent::Text(text)]),
        Value::Array(items) => items,
        _ => return Err(misfit("input", "must be a text, a list of texts, or tokens")),
    };
    match items.first() {
        None => Err(misfit("input", "send at least one text")),
        Some(Value::Number(_)) => Ok(vec![Sent::Tokens(tokens(&items, "input")?)]),
        Some(_) if items.len() > MOST => {
            Err(misfit("input", &format!("send {MOST} texts at most, and the rest by themselves")))
        }
        Some(_) => items.into_iter().enumerate().map(|(place, item)| one(item, place)).collect(),
    }
}

fn one(item: Value, place: usize) -> Result<Sent> {
    let field = format!("input[{place}]");
    match item {
        Value::String(text) if text.is_empty() => Err(misfit(&field, "must not be empty")),
        Value::String(text) => Ok(Sent::Text(text)),
        Value::Array(items) if items.is_empty() => Err(misfit(&field, "must not be empty")),
        Value::Array(items) => tokens(&items, &field).map(Sent::Tokens),
        _ => Err(misfit(&field, "must be a text or a list of tokens")),
    }
}

fn tokens(items: &[Value], field: &str) -> Result<Vec<u32>> {
    let token = |(place, item): (usize, &Value)| {
        let token = item.as_u64().and_then(|token| u32::try_from(token).ok());
        token.ok_or_else(|| misfit(&format!("{field}[{place}]"), "must be a token"))
    };
    items.iter().enumerate().map(token).collect()
}

impl Sent {
    fn text(self, place: usize) -> Result<String> {
        let tokens = match self {
            Self::Text(text) => return Ok(text),
            Self::Tokens(tokens) => tokens,
        };
        let bytes = cl100k_base_singleton().decode_bytes(&tokens).map_err(|_| {
            misfit(&format!("input[{place}]"), "holds a token that `cl100k_base` does not have")
        })?;
        // Clients cut long texts by tokens, and so in the midst of letters.
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn misfit(field: &str, rule: &str) -> PipeError {
    PipeError::bad_field(field, format!("{field}: {rule}"))
}
