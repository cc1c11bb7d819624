//! Passages: hits with the text around them, as they are put before a model.

use crate::error::Result;
use crate::index::Index;
use crate::search::SearchHit;
use crate::storage_engine::StoredChunk;
use serde::Serialize;
use serde_json::{Map, Value};

/// A contiguous part of a document around one or more hits.
#[derive(Clone, Debug, Serialize)]
pub struct Passage {
    /// The collection's name.
    pub collection: String,
    /// The document's id.
    pub document: String,
    /// The document's title.
    pub title: String,
    /// The address at which users can read the document.
    pub url: Option<String>,
    /// The metadata of the document.
    pub metadata: Map<String, Value>,
    /// The title and headings above its beginning.
    pub heading: String,
    /// The text.
    pub text: String,
    /// The estimated number of tokens of the text.
    pub tokens: usize,
    /// The position of its first chunk in the document, from 0.
    pub first: i64,
    /// The position of its last chunk.
    pub last: i64,
    /// The page on which its best hit begins, from 1, for documents with pages.
    pub page: Option<u32>,
    /// The greatest total of the hits in it.
    pub score: f32,
}

impl Index {
    /// Extends each hit by the chunks around it, up to `tokens` tokens, and merges those that meet.
    /// The document of the best hit comes first; passages of one document follow the order of its
    /// text. If a document was replaced since the search, the passage is the hit's own text.
    pub async fn build_passages(&self, hits: &[SearchHit], tokens: usize) -> Result<Vec<Passage>> {
        let mut passages = Vec::new();
        for (at, hit) in hits.iter().enumerate() {
            if hits[..at].iter().all(|earlier| earlier.document_row != hit.document_row) {
                let document_hits: Vec<&SearchHit> = hits[at..]
                    .iter()
                    .filter(|other| other.document_row == hit.document_row)
                    .collect();
                self.widen_hits(&document_hits, tokens, &mut passages).await?;
            }
        }
        Ok(passages)
    }

    async fn widen_hits(
        &self,
        hits: &[&SearchHit],
        tokens: usize,
        passages: &mut Vec<Passage>,
    ) -> Result<()> {
        let mut windows: Vec<Window> = Vec::new();
        for hit in hits {
            let around = self
                .engine
                .load_chunks(
                    hit.document_row,
                    hit.position - MAX_CHUNK_DISTANCE,
                    hit.position + MAX_CHUNK_DISTANCE,
                )
                .await?;
            let chunks = select_window(around, hit, tokens);
            windows.push(Window { chunks, score: hit.scores.total, page: hit.page });
        }
        windows.sort_by_key(|window| window.chunks.first().map(|chunk| chunk.position));
        let mut merged: Vec<Window> = Vec::new();
        for window in windows {
            match merged.last_mut() {
                Some(before) if are_adjacent(&before.chunks, &window.chunks) => {
                    before.append(window);
                }
                _ => merged.push(window),
            }
        }
        passages.extend(merged.iter().map(|window| build_passage(hits[0], window)));
        Ok(())
    }
}

/// A hit's chunk with those around it.
struct Window {
    chunks: Vec<StoredChunk>,
    score: f32,
    page: Option<u32>,
}

impl Window {
    /// Adds the chunks of a later window, and keeps the page of the better hit.
    fn append(&mut self, later: Self) {
        let last = self.chunks.last().map_or(-1, |chunk| chunk.position);
        self.chunks.extend(later.chunks.into_iter().filter(|chunk| chunk.position > last));
        if later.score > self.score {
            (self.score, self.page) = (later.score, later.page);
        }
    }
}

/// The maximum distance of a passage's chunks from the hit.
const MAX_CHUNK_DISTANCE: i64 = 12;

/// Selects the hit's chunk, and alternately the next ones after and before it, within `tokens`.
fn select_window(around: Vec<StoredChunk>, hit: &SearchHit, tokens: usize) -> Vec<StoredChunk> {
    let Some(own) = around.iter().position(|chunk| chunk.position == hit.position) else {
        return vec![StoredChunk {
            position: hit.position,
            heading: hit.heading.clone(),
            text: hit.text.clone(),
            tokens: hit.tokens,
            page: hit.page,
        }];
    };
    let (mut first, mut last, mut used) = (own, own, hit.tokens);
    loop {
        let tokens_if_fitting = |chunk: Option<&StoredChunk>| {
            chunk.map(|chunk| chunk.tokens).filter(|more| used + more <= tokens)
        };
        let (after, before) = (
            tokens_if_fitting(around.get(last + 1)),
            first.checked_sub(1).and_then(|at| tokens_if_fitting(around.get(at))),
        );
        used += after.unwrap_or_default();
        last += usize::from(after.is_some());
        match before.filter(|before| used + before <= tokens) {
            Some(before) => {
                used += before;
                first -= 1;
            }
            None if after.is_none() => {
                return around.into_iter().take(last + 1).skip(first).collect();
            }
            None => {}
        }
    }
}

fn are_adjacent(before: &[StoredChunk], after: &[StoredChunk]) -> bool {
    before
        .last()
        .zip(after.first())
        .is_some_and(|(last, first)| first.position <= last.position + 1)
}

fn build_passage(hit: &SearchHit, window: &Window) -> Passage {
    let Window { chunks, score, page } = window;
    let position_of =
        |chunk: Option<&StoredChunk>| chunk.map_or(hit.position, |chunk| chunk.position);
    Passage {
        collection: hit.collection.clone(),
        document: hit.document.clone(),
        title: hit.title.clone(),
        url: hit.url.clone(),
        metadata: hit.metadata.clone(),
        heading: chunks.first().map(|chunk| chunk.heading.clone()).unwrap_or_default(),
        text: chunks.iter().map(|chunk| chunk.text.as_str()).collect(),
        tokens: chunks.iter().map(|chunk| chunk.tokens).sum(),
        first: position_of(chunks.first()),
        last: position_of(chunks.last()),
        page: *page,
        score: *score,
    }
}
