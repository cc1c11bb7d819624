//! The signed thoughts that models have told, so that they come back unmodified.

use crate::answer::Answer;
use crate::body::{list, messages};
use crate::fault::Fault;
use serde_json::Value;
use std::collections::HashMap;

/// What each signature signs. Tests may sign several thoughts alike.
#[derive(Debug, Default)]
pub(crate) struct Signatures(HashMap<String, Vec<String>>);

impl Signatures {
    pub(crate) fn keep(&mut self, answer: &Answer) {
        for (signature, thought) in answer.signed() {
            self.0.entry(signature).or_default().push(thought);
        }
    }

    /// Whether each signature that is known still stands under its thought. One that is not is taken on trust.
    pub(crate) fn check(&self, body: &Value) -> Result<(), Fault> {
        for (at, turn) in messages(body).iter().enumerate() {
            if let Some(index) =
                list(&turn["content"]).iter().position(|block| self.is_forged(block))
            {
                return Err(Fault::validation(format!(
                    "The model returned the following errors: messages.{at}.content.{index}: Invalid `signature` in \
                     `thinking` block"
                )));
            }
        }
        Ok(())
    }

    fn is_forged(&self, block: &Value) -> bool {
        let thought = &block["reasoningContent"]["reasoningText"];
        let signed = thought["signature"].as_str().and_then(|signature| self.0.get(signature));
        signed.is_some_and(|signed| !signed.iter().any(|text| thought["text"] == *text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_thought_that_comes_back_changed_is_refused() {
        let mut signatures = Signatures::default();
        signatures.keep(&Answer::new().reasoning(["H", "m."], "sig").text(["So."]));
        signatures.keep(&Answer::new().reasoning(["Oh."], "sig"));
        for (text, signature, sound) in [
            ("Hm.", "sig", true),
            ("Oh.", "sig", true),
            ("Hm. ", "sig", false),
            ("So.", "sig", false),
            ("Ah.", "of another day", true),
        ] {
            let thought = json!({ "reasoningContent": { "reasoningText": { "text": text, "signature": signature } } });
            let body = json!({ "messages": [{ "role": "assistant", "content": [thought] }] });
            assert_eq!(signatures.check(&body).is_ok(), sound, "{text}");
        }
    }
}
