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
                let asked = candidates.iter().any(|scores| scores.meaning.is_some());
                for scores in candidates {
                    let waits = asked && scores.meaning.is_none();
                    let meaning_rank = if waits { scores.words_rank } else { scores.meaning_rank };
                    scores.total = of_rank(k, scores.words_rank) + of_rank(k, meaning_rank);
                }
            }
        }
    }
}

fn weighted(candidates: &mut [Scores], documents: &[i64], weight: f32) {
    let greatest = Greatest::of(candidates);
    // Without a vector to compare, words decide alone.
    let weight = if greatest.meaning.is_some() { weight } else { 0.0 };
    let mut by_document: HashMap<i64, (Shares, usize)> = HashMap::new();
    for (at, document) in documents.iter().enumerate() {
        let shares = greatest.shares(&candidates[at]);
        candidates[at].total = shares.weighed(weight);
        let (best, first) = by_document.entry(*document).or_insert((Shares::default(), at));
        *best = best.or_better(shares);
        if candidates[at].total > candidates[*first].total {
            *first = at;
        }
    }
    for (best, first) in by_document.into_values() {
        candidates[first].total += OF_DOCUMENT * (best.weighed(weight) - candidates[first].total);
    }
}

/// The greatest scores of all chunks.
struct Greatest {
    words: f32,
    meaning: Option<f32>,
}

impl Greatest {
    fn of(all: &[Scores]) -> Self {
        Self {
            words: all.iter().map(|scores| scores.words).fold(0.0, f32::max),
            meaning: all.iter().filter_map(|scores| scores.meaning).reduce(f32::max),
        }
    }

    /// How near a chunk is to the greatest of each leg. Of one that waits for its vector nothing is known but its words: its meaning
    /// is taken to be as near to the best one as they are.
    fn shares(&self, scores: &Scores) -> Shares {
        let words = if self.words > 0.0 { scores.words / self.words } else { 0.0 };
        let greatest = self.meaning.unwrap_or_default();
        let cosine = scores.meaning.unwrap_or(greatest.min(words * greatest.max(0.0)));
        Shares { words, meaning: (cosine + 1.0) / (greatest + 1.0) }
    }
}

/// Parts of the greatest scores.
#[derive(Clone, Copy, Default)]
struct Shares {
    words: f32,
    meaning: f32,
}

impl Shares {
    fn weighed(self, weight: f32) -> f32 {
        (1.0 - weight) * self.words + weight * self.meaning
    }

    fn or_better(self, other: Self) -> Self {
        Self { words: self.words.max(other.words), meaning: self.meaning.max(other.meaning) }
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
        let known =
            |(document, words, meaning): &(i64, f32, f32)| (*document, *words, Some(*meaning));
        totals_of(&chunks.iter().map(known).collect::<Vec<_>>())
    }

    fn totals_of(chunks: &[(i64, f32, Option<f32>)]) -> Vec<f32> {
        let scored = |(_, words, meaning): &(i64, f32, Option<f32>)| Scores {
            words: *words,
            meaning: *meaning,
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

    #[test]
    fn what_waits_for_its_vector_is_as_near_by_meaning_as_it_is_by_words() {
        let totals =
            totals_of(&[(1, 4.0, None), (2, 1.0, None), (3, 0.0, Some(1.0)), (4, 1.0, Some(0.25))]);
        assert_eq!(totals, [1.0, 0.125 + 0.625 / 2.0, 0.5, 0.125 + 0.625 / 2.0]);
        // In one document with what has a vector, too.
        assert_eq!(totals_of(&[(1, 4.0, None), (1, 0.0, Some(0.5)), (2, 0.0, Some(1.0))])[0], 1.0);
    }

    #[test]
    fn what_waits_for_its_vector_has_the_rank_of_its_words_twice() {
        let of = |words_rank, meaning, meaning_rank| Scores {
            words_rank,
            meaning,
            meaning_rank,
            ..Scores::default()
        };
        let mut scores =
            [of(Some(1), None, None), of(None, Some(0.5), Some(1)), of(Some(2), Some(0.1), None)];
        Fusion::Ranks { k: 1.0 }.weigh(&mut scores, &[1, 2, 3]);
        assert_eq!(scores.map(|scores| scores.total), [1.0, 0.5, 1.0 / 3.0]);
    }
}
