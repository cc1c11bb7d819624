//! An emulation of prompt caching with cache points.

use crate::body::{list, messages};
use crate::catalogue::FoundationModel;
use crate::tokens;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;

/// The cached prompts. They never expire, and there is no minimum length.
#[derive(Debug, Default)]
pub(crate) struct PromptCache(HashSet<[u8; 32]>);

/// The tokens of a prompt, by their relation to the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CachedTokens {
    /// The tokens read from the cache.
    pub(crate) read: u64,
    /// The tokens written to the cache.
    pub(crate) written: u64,
    /// The tokens after the last cache point.
    pub(crate) rest: u64,
}

impl PromptCache {
    /// Finds the longest cached prefix, and stores the prefix up to each cache point. Returns
    /// `None` without a cache point.
    ///
    /// A prefix is cached if its tools, system prompt and messages are the same, with their JSON
    /// members in the same order.
    pub(crate) fn look_up(
        &mut self,
        region: &str,
        model: &FoundationModel,
        body: &Value,
    ) -> Option<CachedTokens> {
        blocks(body).find(|block| block.get("cachePoint").is_some())?;
        let mut prefix = Sha256::new_with_prefix(format!("{region}/{}", model.id));
        let (mut tokens, mut known, mut read, mut kept) = (0, 0, 0, None);
        for block in blocks(body) {
            if block.get("cachePoint").is_some() {
                (read, kept) = (known, Some(tokens));
                self.0.insert(prefix.clone().finalize().into());
                continue;
            }
            prefix.update(block.to_string());
            tokens += tokens::estimate(block);
            if self.0.contains(prefix.clone().finalize().as_slice()) {
                known = tokens;
            }
        }
        kept.map(|kept| CachedTokens { read, written: kept - read, rest: tokens - kept })
    }
}

/// Returns the blocks after which a cache point can be, in the order in which the model reads them.
/// The role of a message counts as a block.
fn blocks(body: &Value) -> impl Iterator<Item = &Value> {
    let (tools, system) = (list(&body["toolConfig"]["tools"]), list(&body["system"]));
    let turns = messages(body).iter();
    let turns = turns.flat_map(|turn| std::iter::once(&turn["role"]).chain(list(&turn["content"])));
    tools.iter().chain(system).chain(turns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;
    use serde_json::json;

    fn read(cache: &mut PromptCache, region: &str, body: &Value) -> Option<CachedTokens> {
        let catalogue = Catalogue::default();
        cache.look_up(region, catalogue.model("amazon.nova-lite-v1:0").unwrap(), body)
    }

    fn chat(system: &str, said: &[&str]) -> Value {
        let point = json!({ "cachePoint": { "type": "default" } });
        let turns: Vec<_> = said
            .iter()
            .map(|said| json!({ "role": "user", "content": [{ "text": said }, point] }))
            .collect();
        json!({ "system": [{ "text": system }, point], "messages": turns })
    }

    #[test]
    fn a_prompt_is_written_first_and_read_after_as_far_as_it_is_the_same() {
        let (rules, hi, more) = ("x".repeat(400), "y".repeat(40), "z".repeat(80));
        let mut cache = PromptCache::default();
        for (body, cached) in [
            (chat(&rules, &[&hi]), CachedTokens { read: 0, written: 111, rest: 0 }),
            (chat(&rules, &[&hi]), CachedTokens { read: 111, written: 0, rest: 0 }),
            (chat(&rules, &[&hi, &more]), CachedTokens { read: 111, written: 21, rest: 0 }),
            (chat(&rules, &[&more]), CachedTokens { read: 100, written: 21, rest: 0 }),
            (chat(&hi, &[&hi]), CachedTokens { read: 0, written: 21, rest: 0 }),
        ] {
            assert_eq!(read(&mut cache, "us-east-1", &body), Some(cached), "{body}");
        }
        let elsewhere = read(&mut cache, "us-west-2", &chat(&rules, &[&hi])).unwrap();
        assert_eq!(elsewhere.read, 0);
    }

    #[test]
    fn members_in_another_order_are_another_prompt() {
        let mut cache = PromptCache::default();
        let offering = |tool: &str| {
            let tool: Value = serde_json::from_str(tool).unwrap();
            json!({ "toolConfig": { "tools": [tool, { "cachePoint": { "type": "default" } }] } })
        };
        let (one, other) = (
            offering(r#"{ "a": "12345678", "b": "1234" }"#),
            offering(r#"{ "b": "1234", "a": "12345678" }"#),
        );
        for (body, found) in [(&one, 0), (&other, 0), (&one, 3)] {
            assert_eq!(read(&mut cache, "us-east-1", body).unwrap().read, found);
        }
    }

    #[test]
    fn without_a_cache_point_nothing_is_kept() {
        let body = json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] });
        assert_eq!(read(&mut PromptCache::default(), "us-east-1", &body), None);
    }
}
