//! Embeddings: `table` has what each model family accepts, `request` writes its body, `answer`
//! reads its response.

mod answer;
mod request;
mod table;

use super::invoke::{ModelResponse, invoke};
use crate::{
    catalog::ModelEntry,
    sending::{CallDeps, try_candidates},
};
use answer::Answer;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{EmbedCall, Embeddings, PipeError, Result, Truncate};
use request::to_body;
use std::{borrow::Cow, sync::Arc};
use table::FAMILIES;

/// The capabilities of one family of embedding models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EmbeddingFamily {
    /// The words that it is asked in.
    format: RequestFormat,
    /// The possible lengths of vectors. If there is only one, requests do not name it.
    sizes: &'static [u32],
    /// The largest number of texts in a request.
    max_texts: usize,
    /// `true` if it truncates long texts itself.
    truncates: bool,
}

/// The words that a family is asked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestFormat {
    /// A text, and nothing else.
    Titan,
    /// A text, and how long its vector is to be.
    Titan2,
    /// The same, with the length elsewhere.
    TitanMultimodal,
    /// Many texts, and what their vectors are for.
    Cohere,
    /// A text, and what its vector is for.
    Nova,
}

/// The largest number of characters in a text for Titan, which counts tokens only in shorter ones
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/titan-embedding-models.html>).
const MAX_TITAN_CHARACTERS: usize = 50_000;

/// The largest number of times that one text is truncated.
const MAX_CUTS: usize = 4;

/// The largest number of concurrent requests of one call.
const MAX_CONCURRENT_REQUESTS: usize = 8;

/// Turns the texts into vectors. Each part of them goes to the first of these models that can; they
/// must be the same model everywhere.
pub async fn embed(
    call: &EmbedCall,
    candidates: &[Arc<ModelEntry>],
    deps: CallDeps<'_>,
) -> Result<Embeddings> {
    let family = EmbeddingFamily::for_model(&candidates[0])?;
    family.check(call)?;
    let parts = call.input.chunks(family.max_texts);
    let parts: Vec<_> =
        parts.map(|texts| embed_part(texts, family, call, candidates, deps)).collect();
    let parts: Vec<Embeddings> =
        stream::iter(parts).buffered(MAX_CONCURRENT_REQUESTS).try_collect().await?;
    let prompt_tokens = parts.iter().map(|part| part.prompt_tokens).sum();
    let vectors = parts.into_iter().flat_map(|part| part.vectors).collect();
    Ok(Embeddings { vectors, prompt_tokens })
}

/// Returns the vectors of texts that fit into one request.
async fn embed_part(
    texts: &[String],
    family: EmbeddingFamily,
    call: &EmbedCall,
    candidates: &[Arc<ModelEntry>],
    deps: CallDeps<'_>,
) -> Result<Embeddings> {
    let purpose = call.purpose.unwrap_or(deps.valves.embedding_input_type);
    let mut texts = Cow::Borrowed(texts);
    if let Some(truncate) = call.truncate.filter(|_| !family.truncates) {
        truncate_texts(&mut texts, MAX_TITAN_CHARACTERS, truncate);
    }
    let mut cuts = 0;
    let (entry, ModelResponse { answer, tokens }) = loop {
        let body = to_body(&texts, family, purpose, call)?;
        let answer = try_candidates(candidates, deps, |entry, deps| {
            Box::pin(invoke(body.clone(), entry, deps))
        });
        let error = match answer.await {
            Ok(answer) => break answer,
            Err(error) => error,
        };
        // The model alone knows how many tokens a text has; it refuses those with too many.
        let over = call.truncate.filter(|_| cuts < MAX_CUTS).zip(parse_token_overflow(&error));
        let Some((truncate, (most, found))) = over else { return Err(error) };
        let length = texts.first().map_or(0, |text| text.chars().count());
        let shorter = length as u64 * most / found.max(1);
        if !truncate_texts(
            &mut texts,
            usize::try_from(shorter * 97 / 100).unwrap_or_default(),
            truncate,
        ) {
            return Err(error);
        }
        cuts += 1;
    };
    let Answer { vectors, tokens: counted } = answer;
    if vectors.len() != texts.len() {
        let (model, asked, got) = (&entry.id, texts.len(), vectors.len());
        let message = format!("`{model}` has given {got} vectors for {asked} texts: try again");
        return Err(PipeError::Upstream(message));
    }
    Ok(Embeddings { vectors, prompt_tokens: counted.or(tokens).unwrap_or_default() })
}

/// Truncates texts to this number of characters, if truncation is requested. Returns whether any
/// text changed.
fn truncate_texts(texts: &mut Cow<'_, [String]>, most: usize, truncate: Truncate) -> bool {
    if truncate == Truncate::None || texts.iter().all(|text| text.chars().count() <= most) {
        return false;
    }
    for text in texts.to_mut() {
        let length = text.chars().count();
        *text = match truncate {
            Truncate::Start => text.chars().skip(length.saturating_sub(most)).collect(),
            Truncate::None | Truncate::End => text.chars().take(most).collect(),
        };
    }
    true
}

/// Returns the model's token limit and the number of tokens, parsed from a rejection.
fn parse_token_overflow(error: &PipeError) -> Option<(u64, u64)> {
    let PipeError::BadRequest { message, .. } = error else { return None };
    let after = |words: &str| {
        let (_, rest) = message.split_once(words)?;
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    };
    let most: u64 = after("Max input tokens:")?;
    let found: u64 = after("request input token count:")?;
    (most > 0 && found > most).then_some((most, found))
}

impl EmbeddingFamily {
    fn for_model(entry: &ModelEntry) -> Result<Self> {
        let row = FAMILIES.iter().find(|(beginning, _)| entry.base.starts_with(beginning));
        row.map(|(_, family)| *family).ok_or_else(|| {
            let message = format!("`{}` makes vectors, but not in a way known here", entry.id);
            PipeError::bad_field("model", message)
        })
    }

    /// Refuses a size of vectors that the family does not have.
    fn check(self, call: &EmbedCall) -> Result<()> {
        match call.dimensions {
            Some(size) if !self.sizes.contains(&size) => {
                let sizes: Vec<_> = self.sizes.iter().map(u32::to_string).collect();
                let (model, sizes) = (&call.model, sizes.join(", "));
                let message = format!("dimensions: `{model}` makes vectors of {sizes} numbers");
                Err(PipeError::bad_field("dimensions", message))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_not_hidden_by_a_shorter_one_above_it() {
        for (place, (beginning, _)) in FAMILIES.iter().enumerate() {
            let first = FAMILIES.iter().position(|(above, _)| beginning.starts_with(above));
            assert_eq!(first, Some(place), "{beginning}");
        }
    }
}
