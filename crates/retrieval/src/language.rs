//! The languages whose words are stemmed, and whose stop words are known.

use rust_stemmers::Algorithm;
use serde::{Deserialize, Serialize};

/// The language of a collection's texts; decides which words are one word, and which say nothing.
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
    /// Any other: words as they are, none left out.
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
    /// The code under which stop words are listed, and the stemmer.
    pub(crate) fn rules(self) -> Option<(&'static str, Algorithm)> {
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
