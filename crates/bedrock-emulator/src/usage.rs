//! The token usage of a request.

use crate::prompt_cache::CachedTokens;
use serde_json::{Value, json};

/// The token usage of a request (`TokenUsage` of Converse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUsage {
    /// The input tokens outside the prompt cache.
    pub input: u64,
    /// The output tokens.
    pub output: u64,
    /// The tokens read from the prompt cache; omitted from the response if `None`.
    pub cache_read: Option<u64>,
    /// The tokens written to the prompt cache; omitted from the response if `None`.
    pub cache_write: Option<u64>,
}

impl Default for TokenUsage {
    fn default() -> Self {
        Self { input: 10, output: 5, cache_read: None, cache_write: None }
    }
}

impl TokenUsage {
    /// Splits the input by the prompt cache.
    pub(crate) fn with_cached_tokens(self, cached: Option<CachedTokens>) -> Self {
        let Some(CachedTokens { read, written, rest }) = cached else { return self };
        Self { input: rest, cache_read: Some(read), cache_write: Some(written), ..self }
    }

    /// Returns the usage in the format of Converse.
    pub(crate) fn to_json(self) -> Value {
        let (read, write) = (self.cache_read.unwrap_or(0), self.cache_write.unwrap_or(0));
        let mut usage = json!({
            "inputTokens": self.input,
            "outputTokens": self.output,
            "totalTokens": self.input + self.output + read + write,
        });
        if let Some(read) = self.cache_read {
            usage["cacheReadInputTokens"] = read.into();
        }
        if let Some(write) = self.cache_write {
            usage["cacheWriteInputTokens"] = write.into();
        }
        usage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_counts_what_the_cache_gave_and_took() {
        let usage =
            TokenUsage { input: 1, output: 2, cache_read: Some(30), cache_write: Some(400) };
        assert_eq!(usage.to_json()["totalTokens"], 433);
    }
}
