//! The capabilities of model families.
//!
//! AWS does not publish them, so they are a table (`table`), by the prefix of a model's base id.
//! What the table lacks is learned from rejected requests (`quirk`).

mod quirk;
mod table;
mod token_limits;

use pipe_sdk::ModelKind;
pub use quirk::{ModelQuirks, Quirk, is_quoted_in};
use table::{FAMILIES, SEPARATE_TOOL_TURNS, UNKNOWN};
pub use token_limits::TokenLimits;

/// The capabilities of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The supported ones of `temperature` and `topP`.
    pub samplers: Samplers,
    /// The place of `top_k`.
    pub top_k: TopK,
    /// `true` if it takes stop sequences.
    pub stop_sequences: bool,
    /// `true` if stop sequences may be blank.
    pub blank_stop_sequences: bool,
    /// The fewest tokens that an answer may be limited to.
    pub min_tokens: u32,
    /// The most tokens that an answer may be limited to. What asks for more is cut.
    pub max_tokens_limit: u32,
    /// `true` if answers can be streamed.
    pub streaming: bool,
    /// True if whole answers have taken too long, so that each one is streamed.
    pub slow_whole_answers: bool,
    /// The support of tools.
    pub tools: ToolSupport,
    /// `true` if a call of one tool, or of any, can be required.
    pub tool_choice: bool,
    /// `true` if a tool's arguments can be bound to its schema exactly.
    pub strict: bool,
    /// `true` if it can be limited to one tool call at a time.
    pub single_tool_call: bool,
    /// `true` if the result of a tool may hold images.
    pub images_in_results: bool,
    /// `true` if it takes a system prompt. Otherwise the prompt is put before the first question.
    pub system_prompt: bool,
    /// `true` if it takes system messages within the conversation.
    pub system_messages: bool,
    /// `true` if the conversation may end with a message of the assistant, to be continued.
    pub prefill: bool,
    /// The control of reasoning.
    pub reasoning: ReasoningControl,
    /// `true` if its own signed reasoning is sent back to it.
    pub signed_reasoning: bool,
    /// The JSON schemas that it can be bound to.
    pub json_schema: JsonSchemaSupport,
    /// The parts of a request that it caches.
    pub cache: CacheSupport,
    /// `true` if it is known to take files.
    pub documents: bool,
    /// `true` if the schema of a tool may be a union.
    pub schema_unions: bool,
    /// True if properties of a tool's arguments may have any name; otherwise they have only
    /// letters, digits, `_`, `.` and `-`, at most 64
    /// (<https://github.com/anthropics/claude-code/issues/1534>).
    pub any_property_names: bool,
    /// The schemas that its tools may have.
    pub tool_schema: ToolSchema,
    /// `true` if the name of a tool may hold a hyphen.
    pub hyphenated_tool_names: bool,
    /// The largest size of a chat's images and files together, in bytes.
    pub max_media_bytes: usize,
    /// `true` if a turn may hold text beside a tool call or a tool result.
    pub mixed_turns: bool,
    /// `true` if tool calls may arrive as text, in the model's own notation.
    pub textual_tool_calls: bool,
    /// `true` if it can search the web by itself.
    pub web_grounding: bool,
}

/// The samplers that a family takes, of `temperature` and `topP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samplers {
    /// Both in one request.
    Both,
    /// Both, but none in a request for reasoning.
    NotWhileReasoning,
    /// One of them: if the client sets both, `temperature` is sent.
    One,
    /// No sampler.
    None,
}

/// The place of `top_k` among the additional model fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopK {
    /// The model does not accept it.
    Unsupported,
    /// The field of this name.
    Field(&'static str),
    /// Nova's own `inferenceConfig`.
    Nova,
}

/// The support of tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolSupport {
    /// The model does not accept tools.
    Unsupported,
    /// Tools are accepted if the answer is not streamed.
    NotStreamed,
    /// Tools are accepted in every request.
    Supported,
}

/// The schemas that a family's tools may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolSchema {
    /// Any schema of an object.
    Any,
    /// The root of the schema may have `type`, `properties` and `required` only.
    SimpleRoot,
    /// The same holds at the root, and few more keywords are accepted below it.
    Simple,
}

/// The control of a family's reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasoningControl {
    /// Requests cannot control the reasoning.
    Unsupported,
    /// Claude: a budget in tokens.
    Budget,
    /// Claude: adaptive reasoning.
    Adaptive {
        /// `true` if its reasoning cannot be turned off.
        always: bool,
        /// `true` if it knows the effort `xhigh`.
        xhigh: bool,
    },
    /// Nova's `reasoningConfig`.
    Nova,
    /// The effort as a text in the field of this name.
    Word(&'static str),
    /// The effort as a text in an object of this name.
    Object(&'static str),
}

/// The JSON schemas that Bedrock enforces for answers of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonSchemaSupport {
    /// No schema is enforced.
    Unsupported,
    /// Schemas without limits on numbers, texts and lists.
    WithoutLimits,
    /// Any schema.
    Any,
}

/// The parts of a request that a family caches at cache points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheSupport {
    /// Nothing is cached.
    Unsupported,
    /// The system prompt and the conversation.
    Messages,
    /// The tools too.
    WithTools,
    /// The tools too, and all parts for an hour on request.
    OneHour,
}

/// Parts of the base ids of models for which this pipe has no operation.
const UNSUPPORTED: &[&str] =
    &["stability.", "canvas", "nova-reel", "sonic", "-image", "twelvelabs."];

/// Prefixes of the base ids of models that make images from text.
pub const IMAGE_MODELS: &[&str] = &[
    "amazon.nova-canvas",
    "amazon.titan-image-generator",
    "stability.sd3",
    "stability.stable-image-core",
    "stability.stable-image-ultra",
];

/// Prefixes of ids that name the geography of a cross-region inference profile
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>).
const GEOGRAPHIES: &[&str] =
    &["us-gov.", "us.", "eu.", "apac.", "jp.", "au.", "ca.", "sa.", "in.", "global."];

impl Family {
    /// Returns the family of the model with this base id.
    pub fn from_model_id(base: &str) -> Self {
        let row = FAMILIES.iter().find(|(beginning, _)| base.starts_with(beginning));
        let family = row.map_or(UNKNOWN, |(_, family)| *family);
        let separates_tools =
            SEPARATE_TOOL_TURNS.iter().any(|beginning| base.starts_with(beginning));
        let max_tokens_limit =
            TokenLimits::for_model(base).max_output_tokens.unwrap_or(family.max_tokens_limit);
        Self { max_tokens_limit, mixed_turns: family.mixed_turns && !separates_tools, ..family }
    }

    /// Returns the fields of a chat that do something, in the words of OpenAI's API and of
    /// `OpenRouter`'s.
    pub fn parameters(&self) -> Vec<&'static str> {
        let samples = self.samplers != Samplers::None;
        let thinks = self.reasoning != ReasoningControl::Unsupported;
        let fields = [
            ("max_tokens", true),
            ("temperature", samples),
            ("top_p", samples),
            ("top_k", samples && self.top_k != TopK::Unsupported),
            ("stop", self.stop_sequences),
            ("tools", self.tools != ToolSupport::Unsupported),
            ("tool_choice", self.tool_choice),
            ("parallel_tool_calls", self.single_tool_call),
            // If Bedrock does not enforce schemas for a model, the prompt asks for the format, or a
            // tool takes its place.
            ("response_format", true),
            ("structured_outputs", self.json_schema != JsonSchemaSupport::Unsupported),
            ("reasoning", thinks),
            ("include_reasoning", thinks),
            ("reasoning_effort", thinks),
        ];
        fields.into_iter().filter_map(|(field, does)| does.then_some(field)).collect()
    }
}

/// Returns the kind of the model with this base id, as far as the id shows it; `None` if this pipe
/// cannot call it.
pub fn model_kind(base: &str) -> Option<ModelKind> {
    if base.contains("embed") {
        Some(ModelKind::Embed)
    } else if base.contains("rerank") {
        Some(ModelKind::Rerank)
    } else if makes_images(base) {
        Some(ModelKind::Image)
    } else if UNSUPPORTED.iter().any(|word| base.contains(word)) {
        None
    } else {
        Some(ModelKind::Chat)
    }
}

/// Returns whether the model with this base id makes images from text.
pub fn makes_images(base: &str) -> bool {
    IMAGE_MODELS.iter().any(|prefix| base.starts_with(prefix))
}

/// Returns the model's own id, out of an ARN or the id of a cross-region profile.
pub fn base_id(id: &str) -> &str {
    // As in `…:custom-model/<base>/<id>`.
    let id = id
        .split_once(":custom-model/")
        .map_or(id, |(_, custom)| custom.rsplit_once('/').map_or(custom, |(base, _)| base));
    let id = id.rsplit_once('/').map_or(id, |(_, last)| last);
    GEOGRAPHIES.iter().find_map(|geography| id.strip_prefix(geography)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_ids_come_out_of_arns_and_profiles() {
        for (id, base) in [
            ("anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("us-gov.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("global.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"),
            ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama4-x", "meta.llama4-x"),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.meta.llama4-x", "meta.llama4-x"),
            (
                "arn:aws:bedrock:us-east-1:1:custom-model/amazon.nova-lite-v1:0/abc",
                "amazon.nova-lite-v1:0",
            ),
        ] {
            assert_eq!(base_id(id), base);
        }
    }

    #[test]
    fn claude_takes_both_samplers_then_one_then_none() {
        for (base, samplers) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", Samplers::Both),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Samplers::Both),
            ("anthropic.claude-opus-4-1-20250805-v1:0", Samplers::One),
            ("anthropic.claude-sonnet-4-6", Samplers::One),
            ("anthropic.claude-opus-4-7", Samplers::None),
            ("anthropic.claude-opus-9-of-the-future", Samplers::None),
        ] {
            assert_eq!(Family::from_model_id(base).samplers, samplers, "{base}");
        }
    }

    #[test]
    fn what_a_model_does_is_in_its_name() {
        for (base, does) in [
            ("cohere.embed-v4:0", Some(ModelKind::Embed)),
            ("amazon.titan-embed-image-v1", Some(ModelKind::Embed)),
            ("amazon.nova-2-multimodal-embeddings-v1:0", Some(ModelKind::Embed)),
            ("amazon.rerank-v1:0", Some(ModelKind::Rerank)),
            ("stability.sd3-5-large-v1:0", Some(ModelKind::Image)),
            ("stability.stable-image-inpaint-v1:0", None),
            ("amazon.nova-pro-v1:0", Some(ModelKind::Chat)),
            ("cohere.command-r-v1:0", Some(ModelKind::Chat)),
        ] {
            assert_eq!(model_kind(base), does, "{base}");
        }
    }
}
