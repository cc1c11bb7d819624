//! A language on the command line.

use retrieval::Language;
use serde_json::json;

pub fn read(name: &str) -> serde_json::Result<Language> {
    serde_json::from_value(json!(name.to_lowercase()))
}
