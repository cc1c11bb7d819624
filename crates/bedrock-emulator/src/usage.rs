//! What a call costs, in tokens.

use crate::prompt_cache::Cached;
use serde_json::{Value, json};

/// What a call has cost, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Read and not cached.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the prompt cache; left out of the wire when `None`.
    pub cache_read: Option<u64>,
    /// Put into the prompt cache; left out of the wire when `None`.
    pub cache_write: Option<u64>,
}

impl Default for Usage {
    fn default() -> Self {
        Self { input: 10, output: 5, cache_read: None, cache_write: None }
    }
}

impl Usage {
    /// The same, its input split as the prompt cache has split it.
    pub(crate) fn cached(self, cached: Option<Cached>) -> Self {
        let Some(Cached { read, written, rest }) = cached else { return self };
        Self { input: rest, cache_read: Some(read), cache_write: Some(written), ..self }
    }

    pub(crate) fn wire(self) -> Value {
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
        let usage = Usage { input: 1, output: 2, cache_read: Some(30), cache_write: Some(400) };
        assert_eq!(usage.wire()["totalTokens"], 433);
    }
}
