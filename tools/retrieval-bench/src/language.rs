//! Parses the language argument.

use retrieval::Language;
use serde_json::json;

/// Parses the name of a language.
pub fn parse(name: &str) -> serde_json::Result<Language> {
    serde_json::from_value(json!(name.to_lowercase()))
}
