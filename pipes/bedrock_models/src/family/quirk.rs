//! A quirk of a model, learned from a rejected request: the request is sent again without the
//! field, and later requests leave it out.

use super::{
    CacheSupport, Family, JsonSchemaSupport, ReasoningControl, Samplers, ToolSchema, ToolSupport,
    TopK,
};
use pipe_sdk::{Body, LearnedQuirks, find_remaining_tokens, without_quotes};
use std::fmt;

/// A field or form that a model rejects although its family's row allows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// `temperature` beside `topP`.
    TwoSamplers,
    /// Any sampler.
    Samplers,
    /// Document blocks.
    Documents,
    /// Stop sequences.
    StopSequences,
    /// Streamed answers.
    Streaming,
    /// Whole answers: one took longer than its time-out.
    SlowWholeAnswers,
    /// Tools in a request for a streamed answer.
    StreamedTools,
    /// A `toolChoice` that demands a tool.
    ToolChoice,
    /// `strict` tools.
    Strict,
    /// Tools whose schemas have more than the plainest keywords.
    ToolSchema,
    /// A tool of this schema.
    ThisToolSchema,
    /// A system prompt.
    System,
    /// System messages in the middle of the conversation.
    SystemTurns,
    /// Text in the same turn as a tool call or its result.
    MixedTurns,
    /// A `maxTokens` above this number.
    MaxTokens(u32),
    /// A `maxTokens` above this number, which the input of this chat leaves of the context.
    RemainingTokens(u32),
    /// An assistant message at the end of the chat.
    Prefill,
    /// Cache points.
    CachePoints,
    /// An answer in a schema.
    Schema,
    /// An answer in this schema.
    ThisSchema,
    /// A token budget for reasoning.
    Budget,
    /// Adaptive reasoning.
    Adaptive,
    /// Reasoning blocks of another model.
    ForeignReasoning,
    /// An additional model field of this name.
    Field(String),
    /// Calls by its base id: it needs an inference profile's id.
    BaseId,
}

/// Lower-case words of error messages, and the quirk that they mean. The first row whose words are
/// all in the message counts.
///
/// Most are quoted in `docs/reference/bedrock.md`, "Errors" and "Converse request".
const PHRASES: &[(&[&str], Quirk)] = &[
    (&["on-demand throughput isn"], Quirk::BaseId),
    (&["support the document"], Quirk::Documents),
    (&["cannot both be specified"], Quirk::TwoSamplers),
    (&["tool use in streaming mode"], Quirk::StreamedTools),
    (&["unsupported for streaming"], Quirk::Streaming),
    (&["doesn't support streaming"], Quirk::Streaming),
    (&["toolconfig.toolchoice", "support"], Quirk::ToolChoice),
    (&["tool_choice", "not support"], Quirk::ToolChoice),
    (&["prompt caching"], Quirk::CachePoints),
    (&["cachepoint", "support"], Quirk::CachePoints),
    (&["cache_control", "not permitted"], Quirk::CachePoints),
    (&["textformat", "support"], Quirk::Schema),
    (&["output_config.format"], Quirk::ThisSchema),
    (&["textformat"], Quirk::ThisSchema),
    (&["toolspec.strict"], Quirk::Strict),
    (&[".strict", "not permitted"], Quirk::Strict),
    (&["blocks cannot be provided in the same turn"], Quirk::MixedTurns),
    (&["inputschema", "extraneous key"], Quirk::ToolSchema),
    (&["inputschema", "support"], Quirk::ToolSchema),
    (&["input_schema", "support"], Quirk::ToolSchema),
    (&["input_schema", "not permitted"], Quirk::ToolSchema),
    (&["inputschema"], Quirk::ThisToolSchema),
    (&["input_schema"], Quirk::ThisToolSchema),
    (&["support system messages"], Quirk::System),
    (&["role system"], Quirk::SystemTurns),
    (&["prefill"], Quirk::Prefill),
    (&["thinking.type.enabled", "not supported"], Quirk::Budget),
    (&["adaptive thinking is not supported"], Quirk::Adaptive),
    (&["signature", "thinking"], Quirk::ForeignReasoning),
    (&["stopsequences", "support"], Quirk::StopSequences),
    (&["stop sequences", "support"], Quirk::StopSequences),
    (&["temperature", "support"], Quirk::Samplers),
    (&["temperature", "deprecated"], Quirk::Samplers),
    (&["top_p", "support"], Quirk::Samplers),
    (&["top_p", "deprecated"], Quirk::Samplers),
    (&["topp", "support"], Quirk::Samplers),
];

impl fmt::Display for Quirk {
    /// Writes the name that admins read (`docs/bedrock.md`).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StopSequences => f.write_str("Stop"),
            Self::MaxTokens(limit) | Self::RemainingTokens(limit) => {
                write!(f, "MostTokens({limit})")
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl Quirk {
    /// Returns the quirk that a rejection names, and the phrase that names it. Quoted text is
    /// ignored, and the phrase must be within one sentence.
    pub fn from_message(message: &str) -> Option<(Self, String)> {
        let bare = without_quotes(message);
        let normalized = normalize(&bare);
        let sentences = || normalized.split(['\n', ';']).flat_map(|line| line.split(". "));
        let row = PHRASES.iter().find_map(|(words, quirk)| {
            let span = sentences().find_map(|sentence| span_of_words(sentence, words))?;
            Some((quirk.clone(), span.to_owned()))
        });
        row.or_else(|| remaining_tokens_quirk(message))
            .or_else(|| sentences().find_map(max_tokens_quirk))
            .or_else(|| extraneous_field(&bare))
    }

    /// Returns whether it is about this conversation only.
    pub fn is_request_specific(&self) -> bool {
        matches!(
            self,
            Self::ForeignReasoning
                | Self::ThisSchema
                | Self::ThisToolSchema
                | Self::RemainingTokens(_)
        )
    }

    fn apply_to(&self, family: &mut Family) {
        match self {
            Self::TwoSamplers => family.samplers = Samplers::One,
            Self::Samplers => {
                family.samplers = Samplers::None;
                family.top_k = TopK::Unsupported;
            }
            Self::Documents => family.documents = false,
            Self::StopSequences => family.stop_sequences = false,
            Self::Streaming => family.streaming = false,
            Self::SlowWholeAnswers => family.slow_whole_answers = true,
            Self::StreamedTools => family.tools = ToolSupport::NotStreamed,
            Self::ToolChoice => family.tool_choice = false,
            Self::Strict => family.strict = false,
            Self::ToolSchema | Self::ThisToolSchema => family.tool_schema = ToolSchema::Simple,
            Self::System => family.system_prompt = false,
            Self::SystemTurns => family.system_messages = false,
            Self::MixedTurns => family.mixed_turns = false,
            Self::MaxTokens(most) | Self::RemainingTokens(most) => {
                family.max_tokens_limit = family.max_tokens_limit.min(*most);
            }
            Self::Prefill => family.prefill = false,
            Self::CachePoints => family.cache = CacheSupport::Unsupported,
            Self::Schema | Self::ThisSchema => family.json_schema = JsonSchemaSupport::Unsupported,
            Self::Budget => {
                family.reasoning = ReasoningControl::Adaptive { always: false, xhigh: false };
            }
            Self::Adaptive => family.reasoning = ReasoningControl::Budget,
            Self::ForeignReasoning => family.signed_reasoning = false,
            Self::Field(_) | Self::BaseId => {}
        }
    }
}

/// Returns how many tokens the input leaves for the answer, if there are any, and the words that
/// say so.
fn remaining_tokens_quirk(message: &str) -> Option<(Quirk, String)> {
    let bare = normalize(message).replace('`', "");
    let remaining = find_remaining_tokens(&bare).filter(|remaining| *remaining > 0)?;
    let remaining = u32::try_from(remaining).ok()?;
    Some((Quirk::RemainingTokens(remaining), bare))
}

/// Returns the limit in a sentence about an answer that may become too long, as in `exceeds the
/// model limit of 4096` or `max_tokens: 200000 > 64000, which is the maximum`, and the words up to
/// it. What is said of the whole context is another matter.
fn max_tokens_quirk(sentence: &str) -> Option<(Quirk, String)> {
    const NAMES: [&str; 4] = ["max_tokens", "maxtokens", "max_output_tokens", "maximum tokens"];
    const BEFORE: [&str; 9] = [
        "limit of ",
        " > ",
        "lower than ",
        "less or equal to ",
        "less than or equal to ",
        "maximum value of ",
        "<= ",
        "at most ",
        "maximum of ",
    ];
    if sentence.contains("context") || sentence.contains("budget_tokens") {
        return None;
    }
    let name = NAMES.iter().filter_map(|name| sentence.find(name)).min()?;
    BEFORE.iter().find_map(|words| {
        let from = sentence.find(words)?;
        let start = from + words.len();
        let after = sentence.get(start..)?;
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(after.len());
        let number = after.get(..end)?.replace(',', "");
        let most = number.parse().ok().filter(|most| *most > 0)?;
        let span = sentence.get(name.min(from)..start + end)?;
        Some((Quirk::MaxTokens(most), span.trim_end_matches(',').to_owned()))
    })
}

/// Returns the field in ``extraneous key [x] is not permitted``.
fn extraneous_field(message: &str) -> Option<(Quirk, String)> {
    let (_, rest) = message.split_once("extraneous key [")?;
    let (name, after) = rest.split_once(']')?;
    let is_one = name.len() <= 64 && after.starts_with(" is not permitted");
    is_one.then(|| (Quirk::Field(name.to_owned()), normalize(&format!("extraneous key [{name}]"))))
}

/// Returns the text in lower case, with plain apostrophes.
fn normalize(text: &str) -> String {
    text.to_lowercase().replace('\u{2019}', "'")
}

/// Returns whether the chat itself holds these words of a refusal, which may then be a quote.
pub fn is_quoted_in(body: &Body, span: &str) -> bool {
    let bare = |text: &str| normalize(text).replace(['`', '"', '\''], "");
    let span = bare(span);
    let says = |text: &str| bare(text).contains(&span);
    body.messages.iter().any(|message| says(&message.text()))
}

/// Returns the part of a sentence that holds these words, if all of them stand in it.
fn span_of_words<'a>(sentence: &'a str, words: &[&str]) -> Option<&'a str> {
    let (mut start, mut end) = (sentence.len(), 0);
    for word in words {
        let place = sentence.find(word)?;
        start = start.min(place);
        end = end.max(place + word.len());
    }
    sentence.get(start..end)
}

impl Family {
    /// Returns the same family after these quirks.
    #[must_use]
    pub fn with_quirks(mut self, quirks: &[Quirk]) -> Self {
        quirks.iter().for_each(|quirk| quirk.apply_to(&mut self));
        self
    }
}

/// The quirks that were learned of each model since the start.
pub type ModelQuirks = LearnedQuirks<Quirk>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_messages_name_the_quirk() {
        for (message, quirk) in [
            (
                "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model.",
                Some(Quirk::TwoSamplers),
            ),
            ("`temperature` is deprecated for this model.", Some(Quirk::Samplers)),
            ("This model doesn't support tool use in streaming mode.", Some(Quirk::StreamedTools)),
            (
                "You invoked an unsupported model or your request did not allow prompt caching.",
                Some(Quirk::CachePoints),
            ),
            (
                "Malformed input request: #: extraneous key [reasoning_effort] is not permitted",
                Some(Quirk::Field("reasoning_effort".into())),
            ),
            (
                "Invocation of model ID x with on-demand throughput isn\u{2019}t supported.",
                Some(Quirk::BaseId),
            ),
            (
                "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or `max_tokens` and try again",
                Some(Quirk::RemainingTokens(10_000)),
            ),
            ("input length and `max_tokens` exceed context limit: 210000 + 20000 > 200000", None),
            ("Input is too long for requested model.", None),
            ("Value 'stop sequences are not supported' at 'messages.1' failed to satisfy it", None),
            ("messages.1: got \"temperature is not supported\" for a text", None),
            ("It supports no tools. Your stop sequences are too long", None),
        ] {
            assert_eq!(Quirk::from_message(message).map(|(quirk, _)| quirk), quirk, "{message}");
        }
    }

    #[test]
    fn lessons_change_what_a_family_takes() {
        let family = Family::from_model_id("anthropic.claude-3-haiku-20240307-v1:0");
        let taught = family.with_quirks(&[Quirk::TwoSamplers, Quirk::StreamedTools]);
        assert_eq!((taught.samplers, taught.tools), (Samplers::One, ToolSupport::NotStreamed));
    }
}
