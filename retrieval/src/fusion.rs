//! Makes one ranking of two: by words, and by meaning.

use serde::{Deserialize, Serialize};

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

impl Fusion {
    /// Fills in the totals.
    pub(crate) fn weigh(self, candidates: &mut [Scores]) {
        let most = |of: fn(&Scores) -> f32| candidates.iter().map(of).fold(0.0_f32, f32::max);
        let (most_words, most_meaning) =
            (most(|scores| scores.words), most(|scores| scores.meaning.unwrap_or(-1.0)));
        let any_meaning = candidates.iter().any(|scores| scores.meaning.is_some());
        for scores in candidates {
            let words = if most_words > 0.0 { scores.words / most_words } else { 0.0 };
            let meaning =
                scores.meaning.map_or(0.0, |cosine| (cosine + 1.0) / (most_meaning + 1.0));
            scores.total = match self {
                Self::Weighted { meaning: weight } if any_meaning => {
                    (1.0 - weight) * words + weight * meaning
                }
                Self::Weighted { .. } => words,
                Self::Ranks { k } => {
                    of_rank(k, scores.words_rank) + of_rank(k, scores.meaning_rank)
                }
            };
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "ranks are small")]
fn of_rank(k: f32, rank: Option<u32>) -> f32 {
    rank.map_or(0.0, |rank| 1.0 / (k + rank as f32))
}
