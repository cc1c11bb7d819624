//! What is put before a model: what was found, with the text around it.

use crate::engine::Piece;
use crate::error::Result;
use crate::index::Index;
use crate::search::Hit;
use serde::Serialize;
use serde_json::{Map, Value};

/// A stretch of a document around one or more hits.
#[derive(Clone, Debug, Serialize)]
pub struct Passage {
    /// The collection's name.
    pub collection: String,
    /// The document's id.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// Where the document can be read.
    pub url: Option<String>,
    /// What else belongs to the document.
    pub metadata: Map<String, Value>,
    /// The title and headings that its beginning stands under.
    pub heading: String,
    /// Its text.
    pub text: String,
    /// About how many tokens it has.
    pub tokens: usize,
    /// The place of its first chunk in the document, from 0.
    pub first: i64,
    /// The place of its last chunk.
    pub last: i64,
    /// The total of the best hit in it.
    pub score: f32,
}

impl Index {
    /// Widens each hit to the chunks around it, up to `tokens` tokens; what meets becomes one. The document of the best hit comes
    /// first, passages of one document in the order of its text. Where a document was replaced since, the hit's own text stands.
    pub async fn passages(&self, hits: &[Hit], tokens: usize) -> Result<Vec<Passage>> {
        let mut passages = Vec::new();
        for (at, hit) in hits.iter().enumerate() {
            if hits[..at].iter().all(|earlier| earlier.version != hit.version) {
                let of_document: Vec<&Hit> =
                    hits[at..].iter().filter(|other| other.version == hit.version).collect();
                self.widen(&of_document, tokens, &mut passages).await?;
            }
        }
        Ok(passages)
    }

    async fn widen(&self, hits: &[&Hit], tokens: usize, passages: &mut Vec<Passage>) -> Result<()> {
        let mut found: Vec<(Vec<Piece>, f32)> = Vec::new();
        for hit in hits {
            let around =
                self.engine.chunks(hit.version, hit.place - REACH, hit.place + REACH).await?;
            found.push((window(around, hit, tokens), hit.scores.total));
        }
        found.sort_by_key(|(pieces, _)| pieces.first().map(|piece| piece.place));
        let mut merged: Vec<(Vec<Piece>, f32)> = Vec::new();
        for (pieces, score) in found {
            match merged.last_mut() {
                Some((before, best)) if meet(before, &pieces) => {
                    let last = before.last().map_or(-1, |piece| piece.place);
                    before.extend(pieces.into_iter().filter(|piece| piece.place > last));
                    *best = best.max(score);
                }
                _ => merged.push((pieces, score)),
            }
        }
        passages.extend(merged.into_iter().map(|(pieces, score)| passage(hits[0], &pieces, score)));
        Ok(())
    }
}

/// Chunks are looked for this far from a hit.
const REACH: i64 = 12;

/// The hit's chunk, and alternately the next one after and before it, as long as there is room.
fn window(around: Vec<Piece>, hit: &Hit, tokens: usize) -> Vec<Piece> {
    let Some(own) = around.iter().position(|piece| piece.place == hit.place) else {
        return vec![Piece {
            place: hit.place,
            heading: hit.heading.clone(),
            text: hit.text.clone(),
            tokens: hit.tokens,
        }];
    };
    let (mut first, mut last, mut held) = (own, own, hit.tokens);
    loop {
        let fits = |piece: Option<&Piece>| {
            piece.map(|piece| piece.tokens).filter(|more| held + more <= tokens)
        };
        let (after, before) =
            (fits(around.get(last + 1)), first.checked_sub(1).and_then(|at| fits(around.get(at))));
        held += after.unwrap_or_default();
        last += usize::from(after.is_some());
        match before.filter(|before| held + before <= tokens) {
            Some(before) => {
                held += before;
                first -= 1;
            }
            None if after.is_none() => {
                return around.into_iter().take(last + 1).skip(first).collect();
            }
            None => {}
        }
    }
}

fn meet(before: &[Piece], after: &[Piece]) -> bool {
    before.last().zip(after.first()).is_some_and(|(last, first)| first.place <= last.place + 1)
}

fn passage(hit: &Hit, pieces: &[Piece], score: f32) -> Passage {
    let place = |piece: Option<&Piece>| piece.map_or(hit.place, |piece| piece.place);
    Passage {
        collection: hit.collection.clone(),
        document: hit.document.clone(),
        title: hit.title.clone(),
        url: hit.url.clone(),
        metadata: hit.metadata.clone(),
        heading: pieces.first().map(|piece| piece.heading.clone()).unwrap_or_default(),
        text: pieces.iter().map(|piece| piece.text.as_str()).collect(),
        tokens: pieces.iter().map(|piece| piece.tokens).sum(),
        first: place(pieces.first()),
        last: place(pieces.last()),
        score,
    }
}
