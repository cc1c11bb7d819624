//! The signed reasoning of earlier answers, to check that clients send it back unmodified.

use crate::body::{list, messages};
use crate::exception::BedrockException;
use crate::model_answer::ModelAnswer;
use serde_json::Value;
use std::collections::HashMap;

/// The reasoning texts of each signature. Tests may use a signature for several texts.
#[derive(Debug, Default)]
pub(crate) struct ReasoningSignatures(HashMap<String, Vec<String>>);

impl ReasoningSignatures {
    /// Records the signatures of an answer.
    pub(crate) fn record(&mut self, answer: &ModelAnswer) {
        for (signature, thought) in answer.signatures() {
            self.0.entry(signature).or_default().push(thought);
        }
    }

    /// Checks that each known signature belongs to its reasoning text. Unknown signatures are
    /// accepted.
    pub(crate) fn check(&self, body: &Value) -> Result<(), BedrockException> {
        for (at, turn) in messages(body).iter().enumerate() {
            if let Some(index) =
                list(&turn["content"]).iter().position(|block| self.is_forged(block))
            {
                return Err(BedrockException::validation(format!(
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
        let mut signatures = ReasoningSignatures::default();
        signatures.record(&ModelAnswer::new().reasoning(["H", "m."], "sig").text(["So."]));
        signatures.record(&ModelAnswer::new().reasoning(["Oh."], "sig"));
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
