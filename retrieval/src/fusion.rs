//! Makes one ranking of two: by words, and by meaning.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// How the two are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// Scores, each between its least possible value and the greatest found, weighed and added.
    Weighted {
        /// The weight of the meaning between 0 and 1; the words have the rest.
        meaning: f32,
    },
    /// Ranks alone: 1/(k + rank), added.
    Ranks {
        /// The greater, the less the first ranks weigh.
        k: f32,
    },
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Weighted { meaning: 0.75 }
    }
}

/// What a passage got from each leg of the search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// What it is ranked by.
    pub total: f32,
    /// BM25; 0 if it has none of the words.
    pub words: f32,
    /// The cosine of its vector to the question's, if both have one.
    pub meaning: Option<f32>,
    /// Its rank by words, from 1, if it is among those that were looked at.
    pub words_rank: Option<u32>,
    /// Its rank by meaning, from 1, if it is among those that were looked at.
    pub meaning_rank: Option<u32>,
    /// What a reranker gave it, if one was asked; then it is ranked by that.
    pub reranked: Option<f32>,
}

/// How much of a document's best chunk's total is that of the document: of its best words and its best meaning, be they in one chunk or
/// in two.
const OF_DOCUMENT: f32 = 0.75;

impl Fusion {
    /// Fills in the totals of chunks; `documents` says for each whose it is.
    pub(crate) fn weigh(self, candidates: &mut [Scores], documents: &[i64]) {
        match self {
            Self::Weighted { meaning } => weighted(candidates, documents, meaning),
            Self::Ranks { k } => {
                for scores in candidates {
                    scores.total = of_rank(k, scores.words_rank) + of_rank(k, scores.meaning_rank);
                }
            }
        }
    }
}

fn weighted(candidates: &mut [Scores], documents: &[i64], weight: f32) {
    let all = Best::of(candidates.iter());
    // Without a vector to compare, words decide alone.
    let weight = if all.meaning.is_some() { weight } else { 0.0 };
    let mut by_document: HashMap<i64, (Best, usize)> = HashMap::new();
    for (at, document) in documents.iter().enumerate() {
        candidates[at].total = all.share(candidates[at].words, candidates[at].meaning, weight);
        let (best, first) = by_document.entry(*document).or_insert((Best::default(), at));
        best.take(&candidates[at]);
        if candidates[at].total > candidates[*first].total {
            *first = at;
        }
    }
    for (best, first) in by_document.into_values() {
        let whole = all.share(best.words, best.meaning, weight);
        candidates[first].total += OF_DOCUMENT * (whole - candidates[first].total);
    }
}

/// The greatest scores of several chunks.
#[derive(Default)]
struct Best {
    words: f32,
    meaning: Option<f32>,
}

impl Best {
    fn of<'a>(all: impl Iterator<Item = &'a Scores>) -> Self {
        let mut best = Self::default();
        all.for_each(|scores| best.take(scores));
        best
    }

    fn take(&mut self, scores: &Scores) {
        self.words = self.words.max(scores.words);
        self.meaning = match (self.meaning, scores.meaning) {
            (Some(one), Some(other)) => Some(one.max(other)),
            (one, other) => one.or(other),
        };
    }

    /// How near to the greatest of each leg, weighed.
    fn share(&self, words: f32, meaning: Option<f32>, weight: f32) -> f32 {
        let words = if self.words > 0.0 { words / self.words } else { 0.0 };
        let greatest = self.meaning.unwrap_or_default();
        let meaning = meaning.map_or(0.0, |cosine| (cosine + 1.0) / (greatest + 1.0));
        (1.0 - weight) * words + weight * meaning
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranks are small")]
fn of_rank(k: f32, rank: Option<u32>) -> f32 {
    rank.map_or(0.0, |rank| 1.0 / (k + rank as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(chunks: &[(i64, f32, f32)]) -> Vec<f32> {
        let scored = |(_, words, meaning): &(i64, f32, f32)| Scores {
            words: *words,
            meaning: Some(*meaning),
            ..Scores::default()
        };
        let mut scores: Vec<Scores> = chunks.iter().map(scored).collect();
        let documents: Vec<i64> = chunks.iter().map(|(document, _, _)| *document).collect();
        Fusion::Weighted { meaning: 0.5 }.weigh(&mut scores, &documents);
        scores.into_iter().map(|scores| scores.total).collect()
    }

    #[test]
    fn the_best_chunk_of_a_document_stands_for_all_of_it() {
        let apart = totals(&[(1, 4.0, 0.0), (1, 0.0, 1.0), (2, 3.0, 0.5)]);
        // (1/2 + 1/4) of its own, and all of the document's.
        assert_eq!(apart, [0.75 + 0.75 * 0.25, 0.5, 0.75]);
        assert_eq!(totals(&[(1, 4.0, 0.0), (3, 0.0, 1.0), (2, 3.0, 0.5)]), [0.75, 0.5, 0.75]);
    }
}
