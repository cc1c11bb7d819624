//! The restrictions of model families, as data.

use crate::body::list;
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The model families that share a restriction, by the prefixes of their ids.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Family(Vec<String>);

impl Family {
    /// Returns whether a model belongs to the family.
    pub(super) fn has(&self, model: &FoundationModel) -> bool {
        self.0.iter().any(|beginning| model.id.starts_with(beginning))
    }
}

/// The restrictions, each with the families that have it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Families {
    /// Generates text, but does not support conversations.
    pub(super) not_chat: Family,
    /// Accepts `temperature` or `topP`, not both.
    pub(super) one_sampler: Family,
    /// Accepts only the temperature 1, and no `topP`.
    pub(super) no_sampler: Family,
    /// Supports thinking with a budget.
    pub(super) budget_thinking: Family,
    /// Supports adaptive thinking.
    pub(super) adaptive_thinking: Family,
    /// Cannot disable thinking.
    pub(super) always_thinking: Family,
    /// Accepts an effort.
    pub(super) effort: Family,
    /// Accepts the effort `max`.
    pub(super) effort_max: Family,
    /// Accepts the effort `xhigh`.
    pub(super) effort_xhigh: Family,
    /// Does not support a forced tool call.
    pub(super) no_forced_tool: Family,
    /// Does not support a forced call of a certain tool.
    pub(super) no_named_tool: Family,
    /// Does not support tools while streaming.
    pub(super) no_tool_streaming: Family,
    /// Does not cache tools.
    pub(super) no_tool_cache: Family,
    /// Does not accept a `ttl` of cache points.
    pub(super) no_cache_ttl: Family,
    /// Has the system tool `nova_grounding`.
    pub(super) grounding: Family,
    /// Does not accept look-around in the patterns of a tool's schema.
    pub(super) no_look_around: Family,
    /// Accepts only `type`, `properties` and `required` at the root of a tool's schema.
    pub(super) restricted_root_schema: Family,
    /// Accepts no other blocks in a message with tool calls or results.
    pub(super) exclusive_tool_messages: Family,
    /// Accepts media in tool results.
    pub(super) media_in_results: Family,
    /// Accepts at most 25 MB of media in total.
    pub(super) media_limit_25_mb: Family,
    /// Needs a `maxTokens` of at least 16.
    pub(super) min_max_tokens_16: Family,
    /// Does not accept stop sequences.
    pub(super) no_stop_sequences: Family,
    /// Does not accept sampling parameters while it reasons.
    pub(super) samples_or_reasons: Family,
    /// Reasons by default.
    pub(super) reasoning_by_default: Family,
    /// Cannot disable reasoning.
    pub(super) reasons_always: Family,
    /// Fails with frequency and presence penalties.
    pub(super) no_penalties: Family,
    /// Accepts only the efforts `low`, `medium` and `high`.
    pub(super) low_medium_high: Family,
    /// Does not accept its reasoning back.
    pub(super) no_reasoning_back: Family,
    /// Supports `disable_parallel_tool_use`.
    pub(super) serial_tools: Family,
    /// Accepts an effort only with its beta flag.
    pub(super) effort_by_beta: Family,
    /// Accepts `strict` tools.
    pub(super) strict_tools: Family,
    /// Accepts system messages within the conversation.
    pub(super) system_turns: Family,
    /// Supports the cache `ttl` of one hour.
    pub(super) hour_cache: Family,
    /// The largest `maxTokens`, by id prefix.
    pub(super) max_output_tokens: BTreeMap<String, u64>,
    /// The beta flags of Claude.
    pub(super) betas: Vec<String>,
    /// The only `additionalModelRequestFields` that are accepted, by id prefix.
    pub(super) known_fields: BTreeMap<String, Vec<String>>,
}

pub(super) static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and every test reads it")]
    serde_json::from_str(include_str!("families.json")).expect("families.json names every rule")
});

impl Families {
    /// Returns the largest `maxTokens` of this model, if known.
    pub(super) fn max_tokens_of(&self, model: &FoundationModel) -> Option<u64> {
        let mut longest_first = self.max_output_tokens.iter().rev();
        longest_first.find(|(beginning, _)| model.id.starts_with(*beginning)).map(|(_, most)| *most)
    }

    /// Returns the additional fields that a model accepts; `None` if it accepts any.
    pub(super) fn fields_of(&self, model: &FoundationModel) -> Option<&[String]> {
        let longest_first = self.known_fields.iter().rev();
        longest_first
            .into_iter()
            .find(|(beginning, _)| model.id.starts_with(*beginning))
            .map(|(_, fields)| fields.as_slice())
    }
}

pub(super) fn is_claude(model: &FoundationModel) -> bool {
    model.id.starts_with("anthropic.claude")
}

/// Checks that the model supports conversations.
pub(super) fn check_supports_chat(
    model: &FoundationModel,
    _body: &Value,
) -> Result<(), BedrockException> {
    let makes_text = model.output.iter().any(|kind| kind == "TEXT");
    if makes_text && !FAMILIES.not_chat.has(model) {
        return Ok(());
    }
    Err(BedrockException::validation(
        "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    ))
}

/// Checks that the model supports streaming, also with tools if there are any.
pub(super) fn check_supports_streaming(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    if !model.streaming {
        return Err(BedrockException::validation("The model is unsupported for streaming."));
    }
    if FAMILIES.no_tool_streaming.has(model) && !list(&body["toolConfig"]["tools"]).is_empty() {
        return Err(BedrockException::validation(
            "This model doesn't support tool use in streaming mode.",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn the_longer_beginning_decides() {
        let catalogue = Catalogue::default();
        let fields =
            |id: &str| FAMILIES.fields_of(catalogue.model(id).unwrap()).map(<[String]>::len);
        assert_eq!(fields("amazon.nova-2-lite-v1:0"), Some(2));
        assert_eq!(fields("amazon.nova-lite-v1:0"), Some(1));
        assert_eq!(fields("cohere.command-r-v1:0"), Some(1));
        assert_eq!(fields("cohere.embed-english-v3"), None);
    }

    #[test]
    fn the_additional_fields_of_every_chat_model_are_known() {
        for model in Catalogue::all_chat_models()
            .models
            .iter()
            .filter(|model| check_supports_chat(model, &Value::Null).is_ok())
        {
            assert!(FAMILIES.fields_of(model).is_some(), "{}", model.id);
        }
    }

    #[test]
    fn no_claude_is_without_a_way_to_think_or_to_be_sampled() {
        let freely = ["3-", "instant", "v1", "v2", "sonnet-4-2025", "opus-4-2025"]
            .map(|old| format!("anthropic.claude-{old}"));
        for model in Catalogue::all_chat_models().models.iter().filter(|model| is_claude(model)) {
            let thinks =
                FAMILIES.budget_thinking.has(model) || FAMILIES.adaptive_thinking.has(model);
            assert_eq!(thinks, model.has_capability('R'), "{}", model.id);
            let bound = FAMILIES.one_sampler.has(model) || FAMILIES.no_sampler.has(model);
            assert_ne!(bound, freely.iter().any(|old| model.id.starts_with(old)), "{}", model.id);
        }
    }

    #[test]
    fn every_beginning_is_that_of_a_model() {
        let (every, default) = (Catalogue::all_chat_models(), Catalogue::default());
        let rules: Value = serde_json::from_str(include_str!("families.json")).unwrap();
        let families = rules.as_object().unwrap().iter().filter(|(name, _)| *name != "betas");
        for (rule, family) in families {
            let listed = list(family).iter().filter_map(Value::as_str);
            let beginnings = listed.chain(
                family.as_object().into_iter().flat_map(|fields| fields.keys().map(String::as_str)),
            );
            for beginning in beginnings {
                let mut ids = every.models.iter().chain(&default.models).map(|model| &model.id);
                assert!(ids.any(|id| id.starts_with(beginning)), "{rule}: {beginning}");
            }
        }
    }
}
