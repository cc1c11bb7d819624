//! The languages for which stemming and stop words are available.

use rust_stemmers::Algorithm;
use serde::{Deserialize, Serialize};

/// The language of a collection's texts. It decides on stemming and stop words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Language {
    Arabic,
    Danish,
    Dutch,
    #[default]
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    /// Any other language: no stemming, no stop words.
    Other,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

impl Language {
    /// Returns the code of the stop-word list, and the stemming algorithm.
    pub(crate) fn analysis_rules(self) -> Option<(&'static str, Algorithm)> {
        Some(match self {
            Self::Arabic => ("ar", Algorithm::Arabic),
            Self::Danish => ("da", Algorithm::Danish),
            Self::Dutch => ("nl", Algorithm::Dutch),
            Self::English => ("en", Algorithm::English),
            Self::Finnish => ("fi", Algorithm::Finnish),
            Self::French => ("fr", Algorithm::French),
            Self::German => ("de", Algorithm::German),
            Self::Greek => ("el", Algorithm::Greek),
            Self::Hungarian => ("hu", Algorithm::Hungarian),
            Self::Italian => ("it", Algorithm::Italian),
            Self::Norwegian => ("no", Algorithm::Norwegian),
            Self::Other => return None,
            Self::Portuguese => ("pt", Algorithm::Portuguese),
            Self::Romanian => ("ro", Algorithm::Romanian),
            Self::Russian => ("ru", Algorithm::Russian),
            Self::Spanish => ("es", Algorithm::Spanish),
            Self::Swedish => ("sv", Algorithm::Swedish),
            Self::Tamil => ("ta", Algorithm::Tamil),
            Self::Turkish => ("tr", Algorithm::Turkish),
        })
    }
}
