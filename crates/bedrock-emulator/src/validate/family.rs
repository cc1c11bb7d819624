//! What whole families of models forbid, as data.

use crate::body::list;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The families that share a rule, each by how its ids begin.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Family(Vec<String>);

impl Family {
    pub(super) fn has(&self, model: &Model) -> bool {
        self.0.iter().any(|beginning| model.id.starts_with(beginning))
    }
}

/// The rules, and for whom they hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Families {
    /// Makes text, but is not to be talked with.
    pub(super) not_chat: Family,
    /// Takes a temperature or `topP`, not both.
    pub(super) one_sampler: Family,
    /// Takes no temperature but 1, and no `topP`.
    pub(super) no_sampler: Family,
    /// Thinks within a budget.
    pub(super) budget_thinking: Family,
    /// Thinks as much as it sees fit.
    pub(super) adaptive_thinking: Family,
    /// Cannot be told not to think.
    pub(super) always_thinking: Family,
    /// Takes an effort.
    pub(super) effort: Family,
    /// Takes the effort `max`.
    pub(super) effort_max: Family,
    /// Takes the effort `xhigh`.
    pub(super) effort_xhigh: Family,
    /// Cannot be made to call a tool.
    pub(super) no_forced_tool: Family,
    /// Cannot be made to call a certain tool.
    pub(super) no_named_tool: Family,
    /// Calls tools only when it does not stream.
    pub(super) no_tool_streaming: Family,
    /// Caches no tools.
    pub(super) no_tool_cache: Family,
    /// Caches for as long as it likes.
    pub(super) no_cache_ttl: Family,
    /// Has the system tool `nova_grounding`.
    pub(super) grounding: Family,
    /// Takes no look-around in the patterns of a tool's schema.
    pub(super) no_look_around: Family,
    /// Takes tools with the plainest schemas alone.
    pub(super) plain_schemas: Family,
    /// Takes nothing in one turn with calls, or with results.
    pub(super) tools_alone: Family,
    /// Takes media in the results of tools.
    pub(super) media_in_results: Family,
    /// Takes this much of media in all.
    pub(super) twenty_five_megabytes: Family,
    /// Writes sixteen tokens at least.
    pub(super) sixteen_tokens: Family,
    /// Takes no stop sequences.
    pub(super) no_stop_sequences: Family,
    /// Takes no samplers while it reasons.
    pub(super) samples_or_reasons: Family,
    /// Reasons unless it is told not to.
    pub(super) reasons_unasked: Family,
    /// Cannot be told not to reason.
    pub(super) reasons_always: Family,
    /// Falls over penalties.
    pub(super) no_penalties: Family,
    /// Takes the efforts `low`, `medium` and `high` alone.
    pub(super) low_medium_high: Family,
    /// Reasons, but does not want to see it again.
    pub(super) no_reasoning_back: Family,
    /// Can be told to call one tool at a time.
    pub(super) serial_tools: Family,
    /// Takes an effort when the beta for it is named.
    pub(super) effort_by_beta: Family,
    /// Takes `strict` tools.
    pub(super) strict_tools: Family,
    /// Takes system turns amid the conversation.
    pub(super) system_turns: Family,
    /// Caches for an hour.
    pub(super) hour_cache: Family,
    /// The most tokens that an answer may be limited to.
    pub(super) most_tokens: BTreeMap<String, u64>,
    /// The betas Claude knows.
    pub(super) betas: Vec<String>,
    /// Takes these `additionalModelRequestFields` and no others.
    pub(super) known_fields: BTreeMap<String, Vec<String>>,
}

pub(super) static FAMILIES: LazyLock<Families> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the file is compiled in, and every test reads it")]
    serde_json::from_str(include_str!("families.json")).expect("families.json names every rule")
});

impl Families {
    /// The most tokens that an answer of this model may be limited to, where it is known.
    pub(super) fn most_tokens_of(&self, model: &Model) -> Option<u64> {
        let mut longest_first = self.most_tokens.iter().rev();
        longest_first.find(|(beginning, _)| model.id.starts_with(*beginning)).map(|(_, most)| *most)
    }

    /// The fields a model takes besides those of Converse; `None` if it takes any.
    pub(super) fn fields_of(&self, model: &Model) -> Option<&[String]> {
        let longest_first = self.known_fields.iter().rev();
        longest_first
            .into_iter()
            .find(|(beginning, _)| model.id.starts_with(*beginning))
            .map(|(_, fields)| fields.as_slice())
    }
}

pub(super) fn is_claude(model: &Model) -> bool {
    model.id.starts_with("anthropic.claude")
}

/// Whether one can talk with the model at all.
pub(super) fn chats(model: &Model, _body: &Value) -> Result<(), Fault> {
    let makes_text = model.output.iter().any(|kind| kind == "TEXT");
    if makes_text && !FAMILIES.not_chat.has(model) {
        return Ok(());
    }
    Err(Fault::validation(
        "This action doesn't support the model that you provided. Try again with a supported text or chat model.",
    ))
}

/// Whether the model streams, with tools if there are any.
pub(super) fn streams(model: &Model, body: &Value) -> Result<(), Fault> {
    if !model.streaming {
        return Err(Fault::validation("The model is unsupported for streaming."));
    }
    if FAMILIES.no_tool_streaming.has(model) && !list(&body["toolConfig"]["tools"]).is_empty() {
        return Err(Fault::validation("This model doesn't support tool use in streaming mode."));
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
        for model in
            Catalogue::every().models.iter().filter(|model| chats(model, &Value::Null).is_ok())
        {
            assert!(FAMILIES.fields_of(model).is_some(), "{}", model.id);
        }
    }

    #[test]
    fn no_claude_is_without_a_way_to_think_or_to_be_sampled() {
        let freely = ["3-", "instant", "v1", "v2", "sonnet-4-2025", "opus-4-2025"]
            .map(|old| format!("anthropic.claude-{old}"));
        for model in Catalogue::every().models.iter().filter(|model| is_claude(model)) {
            let thinks =
                FAMILIES.budget_thinking.has(model) || FAMILIES.adaptive_thinking.has(model);
            assert_eq!(thinks, model.can('R'), "{}", model.id);
            let bound = FAMILIES.one_sampler.has(model) || FAMILIES.no_sampler.has(model);
            assert_ne!(bound, freely.iter().any(|old| model.id.starts_with(old)), "{}", model.id);
        }
    }

    #[test]
    fn every_beginning_is_that_of_a_model() {
        let (every, default) = (Catalogue::every(), Catalogue::default());
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
