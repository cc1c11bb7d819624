//! Fuses the rankings of keyword search and vector search into one.

use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The way of fusing keyword search and vector search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fusion {
    /// Adds the weighted scores, each normalized by the greatest score found.
    Weighted {
        /// The weight of the vector score, from 0 to 1; the keyword score has the rest.
        vector_weight: f32,
    },
    /// Adds 1/(k + rank) of both rankings (reciprocal rank fusion).
    ReciprocalRank {
        /// The smoothing constant; a greater one lowers the weight of the first ranks.
        k: f32,
    },
}

impl Default for Fusion {
    fn default() -> Self {
        Self::Weighted { vector_weight: 0.75 }
    }
}

/// The scores of a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// The fused score, by which hits are ranked.
    pub total: f32,
    /// The BM25 score; 0 if the chunk has none of the query's words.
    pub bm25: f32,
    /// The cosine of the chunk's and the query's vectors, if both exist.
    pub cosine: Option<f32>,
    /// The rank in keyword search, from 1, if it is among the candidates.
    pub bm25_rank: Option<u32>,
    /// The rank in vector search, from 1, if it is among the candidates.
    pub cosine_rank: Option<u32>,
    /// The reranker's score. If present, hits are ranked by it.
    pub rerank: Option<f32>,
}

/// The part of the best chunk's total that comes from its whole document: from the document's
/// greatest keyword and vector scores, even if two chunks have them.
const DOCUMENT_SCORE_WEIGHT: f32 = 0.75;

impl Fusion {
    /// Sets the totals of the candidates; `documents` holds the document of each, and
    /// `least_cosine` is [that](crate::Embedder::least_cosine) of the model.
    pub(crate) fn set_totals(
        self,
        candidates: &mut [Scores],
        documents: &[i64],
        least_cosine: f32,
    ) {
        match self {
            Self::Weighted { vector_weight } => {
                apply_weighted(candidates, documents, vector_weight, least_cosine);
            }
            Self::ReciprocalRank { k } => {
                let has_cosines = candidates.iter().any(|scores| scores.cosine.is_some());
                for scores in candidates {
                    let lacks_vector = has_cosines && scores.cosine.is_none();
                    let cosine_rank =
                        if lacks_vector { scores.bm25_rank } else { scores.cosine_rank };
                    scores.total =
                        reciprocal_rank(k, scores.bm25_rank) + reciprocal_rank(k, cosine_rank);
                }
            }
        }
    }
}

fn apply_weighted(candidates: &mut [Scores], documents: &[i64], weight: f32, least_cosine: f32) {
    let max = ScoreRange::new(candidates, least_cosine);
    // Without any vector to compare, the keyword score decides alone.
    let weight = if max.cosine.is_some() { weight } else { 0.0 };
    let mut by_document: HashMap<i64, (NormalizedScores, usize)> = HashMap::new();
    for (at, document) in documents.iter().enumerate() {
        let normalized = max.normalize(&candidates[at]);
        candidates[at].total = normalized.total(weight);
        let (best, first) =
            by_document.entry(*document).or_insert((NormalizedScores::default(), at));
        *best = best.max(normalized);
        if candidates[at].total > candidates[*first].total {
            *first = at;
        }
    }
    for (best, first) in by_document.into_values() {
        candidates[first].total +=
            DOCUMENT_SCORE_WEIGHT * (best.total(weight) - candidates[first].total);
    }
}

/// The greatest scores of all candidates, and the cosine that counts as 0.
struct ScoreRange {
    bm25: f32,
    cosine: Option<f32>,
    least_cosine: f32,
}

impl ScoreRange {
    fn new(all: &[Scores], least_cosine: f32) -> Self {
        Self {
            bm25: all.iter().map(|scores| scores.bm25).fold(0.0, f32::max),
            cosine: all.iter().filter_map(|scores| scores.cosine).reduce(f32::max),
            least_cosine,
        }
    }

    /// Scales the scores of a candidate so that the greatest ones are 1. A chunk without a vector
    /// gets a cosine in proportion to its keyword score.
    fn normalize(&self, scores: &Scores) -> NormalizedScores {
        let bm25 = if self.bm25 > 0.0 { scores.bm25 / self.bm25 } else { 0.0 };
        let (least, most) = (self.least_cosine, self.cosine.unwrap_or_default());
        let unrelated = least.max(0.0);
        let guess = || most.min(unrelated + bm25 * (most - unrelated).max(0.0));
        let cosine = scores.cosine.unwrap_or_else(guess);
        // If all are below the least, the best is still better than the others.
        let range = (most - least).max(f32::EPSILON);
        NormalizedScores { bm25, cosine: 1.0 - ((most - cosine) / range).min(1.0) }
    }
}

/// Scores of a candidate, each between 0 and 1.
#[derive(Clone, Copy, Default)]
struct NormalizedScores {
    bm25: f32,
    cosine: f32,
}

impl NormalizedScores {
    /// Returns the weighted sum of both scores.
    fn total(self, weight: f32) -> f32 {
        (1.0 - weight) * self.bm25 + weight * self.cosine
    }

    /// Returns the larger of each score.
    fn max(self, other: Self) -> Self {
        Self { bm25: self.bm25.max(other.bm25), cosine: self.cosine.max(other.cosine) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranks are small")]
fn reciprocal_rank(k: f32, rank: Option<u32>) -> f32 {
    rank.map_or(0.0, |rank| 1.0 / (k + rank as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(chunks: &[(i64, f32, f32)]) -> Vec<f32> {
        let with_cosine =
            |(document, words, meaning): &(i64, f32, f32)| (*document, *words, Some(*meaning));
        totals_of(&chunks.iter().map(with_cosine).collect::<Vec<_>>())
    }

    fn totals_of(chunks: &[(i64, f32, Option<f32>)]) -> Vec<f32> {
        let scored = |(_, words, meaning): &(i64, f32, Option<f32>)| Scores {
            bm25: *words,
            cosine: *meaning,
            ..Scores::default()
        };
        let mut scores: Vec<Scores> = chunks.iter().map(scored).collect();
        let documents: Vec<i64> = chunks.iter().map(|(document, _, _)| *document).collect();
        Fusion::Weighted { vector_weight: 0.5 }.set_totals(&mut scores, &documents, -1.0);
        scores.into_iter().map(|scores| scores.total).collect()
    }

    #[test]
    fn the_best_chunk_of_a_document_stands_for_all_of_it() {
        let apart = totals(&[(1, 4.0, 0.0), (1, 0.0, 1.0), (2, 3.0, 0.5)]);
        // 1/2 + 1/4 of the chunk itself, and all of the document's.
        assert_eq!(apart, [0.75 + 0.75 * 0.25, 0.5, 0.75]);
        assert_eq!(totals(&[(1, 4.0, 0.0), (3, 0.0, 1.0), (2, 3.0, 0.5)]), [0.75, 0.5, 0.75]);
    }

    #[test]
    fn what_waits_for_its_vector_is_as_near_by_meaning_as_it_is_by_words() {
        let totals =
            totals_of(&[(1, 4.0, None), (2, 1.0, None), (3, 0.0, Some(1.0)), (4, 1.0, Some(0.25))]);
        assert_eq!(totals, [1.0, 0.125 + 0.625 / 2.0, 0.5, 0.125 + 0.625 / 2.0]);
        // The same holds in one document with a chunk that has a vector.
        assert_eq!(totals_of(&[(1, 4.0, None), (1, 0.0, Some(0.5)), (2, 0.0, Some(1.0))])[0], 1.0);
    }

    #[test]
    fn only_what_a_cosine_is_above_the_least_of_the_model_counts() {
        let scores_of = |bm25, cosine| Scores { bm25, cosine: Some(cosine), ..Scores::default() };
        let mut scores = [scores_of(4.0, 0.8), scores_of(1.0, 0.9), scores_of(0.0, 0.6)];
        let fusion = Fusion::Weighted { vector_weight: 0.5 };
        fusion.set_totals(&mut scores, &[1, 2, 3], 0.7);
        let expected = [0.5 + 0.25, 0.125 + 0.5, 0.0];
        for (scores, expected) in scores.iter().zip(expected) {
            assert!((scores.total - expected).abs() < 1e-5, "{} {expected}", scores.total);
        }
    }

    #[test]
    fn what_waits_for_its_vector_has_the_rank_of_its_words_twice() {
        let scores_of = |bm25_rank, cosine, cosine_rank| Scores {
            bm25_rank,
            cosine,
            cosine_rank,
            ..Scores::default()
        };
        let mut scores = [
            scores_of(Some(1), None, None),
            scores_of(None, Some(0.5), Some(1)),
            scores_of(Some(2), Some(0.1), None),
        ];
        Fusion::ReciprocalRank { k: 1.0 }.set_totals(&mut scores, &[1, 2, 3], -1.0);
        assert_eq!(scores.map(|scores| scores.total), [1.0, 0.5, 1.0 / 3.0]);
    }
}
