//! What a model teaches by what it refuses: the request is sent again without it, and never with it from then on.

use super::{Cache, Family, Samplers, Schema, Thinking, ToolSchema, Tools, TopK};
use pipe_sdk::{Body, LearnedQuirks, without_quotes};

/// One thing that a model does not take, against what the table says of its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// `temperature` beside `topP`.
    TwoSamplers,
    /// Any sampler.
    Samplers,
    /// Files.
    Documents,
    /// Texts that end the answer.
    Stop,
    /// To be called step by step.
    Streaming,
    /// Tools while it is called step by step.
    StreamedTools,
    /// That a tool is demanded.
    ToolChoice,
    /// `strict` tools.
    Strict,
    /// Tools whose schemas have more than the plainest keywords.
    ToolSchema,
    /// A tool of this schema.
    ThisToolSchema,
    /// A system prompt.
    System,
    /// Instructions amid the conversation.
    SystemTurns,
    /// Words beside a call of a tool, or beside its result.
    MixedTurns,
    /// More tokens in an answer than these.
    MostTokens(u32),
    /// A begun answer.
    Prefill,
    /// Cache points.
    CachePoints,
    /// An answer in a schema.
    Schema,
    /// An answer in this schema.
    ThisSchema,
    /// A budget of thinking.
    Budget,
    /// Thinking as it sees fit.
    Adaptive,
    /// Reasoning that is not its own.
    ForeignReasoning,
    /// A field of this name among the model's own.
    Field(String),
    /// To be called by its own id rather than by a profile's.
    BaseId,
}

/// Words of refusals, all in small letters, and what they teach. The first row all of whose words are there counts.
///
/// Most are quoted in `docs/reference/bedrock.md`, "Errors" and "Converse request".
const WORDS: &[(&[&str], Lesson)] = &[
    (&["on-demand throughput isn"], Lesson::BaseId),
    (&["support the document"], Lesson::Documents),
    (&["cannot both be specified"], Lesson::TwoSamplers),
    (&["tool use in streaming mode"], Lesson::StreamedTools),
    (&["unsupported for streaming"], Lesson::Streaming),
    (&["doesn't support streaming"], Lesson::Streaming),
    (&["toolconfig.toolchoice", "support"], Lesson::ToolChoice),
    (&["tool_choice", "not support"], Lesson::ToolChoice),
    (&["prompt caching"], Lesson::CachePoints),
    (&["cachepoint", "support"], Lesson::CachePoints),
    (&["cache_control", "not permitted"], Lesson::CachePoints),
    (&["textformat", "support"], Lesson::Schema),
    (&["output_config.format"], Lesson::ThisSchema),
    (&["textformat"], Lesson::ThisSchema),
    (&["toolspec.strict"], Lesson::Strict),
    (&[".strict", "not permitted"], Lesson::Strict),
    (&["blocks cannot be provided in the same turn"], Lesson::MixedTurns),
    (&["inputschema", "extraneous key"], Lesson::ToolSchema),
    (&["inputschema", "support"], Lesson::ToolSchema),
    (&["input_schema", "support"], Lesson::ToolSchema),
    (&["input_schema", "not permitted"], Lesson::ToolSchema),
    (&["inputschema"], Lesson::ThisToolSchema),
    (&["input_schema"], Lesson::ThisToolSchema),
    (&["support system messages"], Lesson::System),
    (&["role system"], Lesson::SystemTurns),
    (&["prefill"], Lesson::Prefill),
    (&["thinking.type.enabled", "not supported"], Lesson::Budget),
    (&["adaptive thinking is not supported"], Lesson::Adaptive),
    (&["signature", "thinking"], Lesson::ForeignReasoning),
    (&["stopsequences", "support"], Lesson::Stop),
    (&["stop sequences", "support"], Lesson::Stop),
    (&["temperature", "support"], Lesson::Samplers),
    (&["temperature", "deprecated"], Lesson::Samplers),
    (&["top_p", "support"], Lesson::Samplers),
    (&["top_p", "deprecated"], Lesson::Samplers),
    (&["topp", "support"], Lesson::Samplers),
];

impl Lesson {
    /// What the words of a refusal teach, if anything, and the words themselves. What is quoted teaches nothing, and the words must stand in
    /// one sentence.
    pub fn of(refusal: &str) -> Option<(Self, String)> {
        let bare = without_quotes(refusal);
        let said = plain(&bare);
        let sentences = || said.split(['\n', ';']).flat_map(|line| line.split(". "));
        let row = WORDS.iter().find_map(|(words, lesson)| {
            let span = sentences().find_map(|sentence| span_of(sentence, words))?;
            Some((lesson.clone(), span.to_owned()))
        });
        row.or_else(|| sentences().find_map(max_answer_tokens)).or_else(|| stranger(&bare))
    }

    /// Whether it is about this conversation only.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::ForeignReasoning | Self::ThisSchema | Self::ThisToolSchema)
    }

    fn teach(&self, family: &mut Family) {
        match self {
            Self::TwoSamplers => family.samplers = Samplers::One,
            Self::Samplers => {
                family.samplers = Samplers::None;
                family.top_k = TopK::No;
            }
            Self::Documents => family.documents = false,
            Self::Stop => family.stop = false,
            Self::Streaming => family.streams = false,
            Self::StreamedTools => family.tools = Tools::Unstreamed,
            Self::ToolChoice => family.tool_choice = false,
            Self::Strict => family.strict = false,
            Self::ToolSchema | Self::ThisToolSchema => family.tool_schema = ToolSchema::Plain,
            Self::System => family.system = false,
            Self::SystemTurns => family.system_turns = false,
            Self::MixedTurns => family.mixed_turns = false,
            Self::MostTokens(most) => family.most_tokens = family.most_tokens.min(*most),
            Self::Prefill => family.prefill = false,
            Self::CachePoints => family.cache = Cache::No,
            Self::Schema | Self::ThisSchema => family.schema = Schema::No,
            Self::Budget => {
                family.thinking = Thinking::Adaptive { always: false, xhigh: false };
            }
            Self::Adaptive => family.thinking = Thinking::Budget,
            Self::ForeignReasoning => family.signed = false,
            Self::Field(_) | Self::BaseId => {}
        }
    }
}

/// The limit in a sentence about an answer that may become too long, as in `exceeds the model limit of 4096` or
/// `max_tokens: 200000 > 64000, which is the maximum`, and the words up to it. What is said of the whole context is another matter.
fn max_answer_tokens(sentence: &str) -> Option<(Lesson, String)> {
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
        Some((Lesson::MostTokens(most), span.trim_end_matches(',').to_owned()))
    })
}

/// The field in ``extraneous key [x] is not permitted``.
fn stranger(refusal: &str) -> Option<(Lesson, String)> {
    let (_, rest) = refusal.split_once("extraneous key [")?;
    let (name, after) = rest.split_once(']')?;
    let is_one = name.len() <= 64 && after.starts_with(" is not permitted");
    is_one.then(|| (Lesson::Field(name.to_owned()), plain(&format!("extraneous key [{name}]"))))
}

/// Small letters, and plain apostrophes.
fn plain(text: &str) -> String {
    text.to_lowercase().replace('\u{2019}', "'")
}

/// Whether the chat itself holds these words of a refusal, which may then be a quote.
pub fn is_said_in(body: &Body, span: &str) -> bool {
    let bare = |text: &str| plain(text).replace(['`', '"', '\''], "");
    let span = bare(span);
    let says = |text: &str| bare(text).contains(&span);
    body.messages.iter().any(|message| says(&message.text()))
}

/// The part of a sentence that holds these words, if all of them stand in it.
fn span_of<'a>(sentence: &'a str, words: &[&str]) -> Option<&'a str> {
    let (mut start, mut end) = (sentence.len(), 0);
    for word in words {
        let place = sentence.find(word)?;
        start = start.min(place);
        end = end.max(place + word.len());
    }
    sentence.get(start..end)
}

impl Family {
    /// The same family after these lessons.
    #[must_use]
    pub fn taught(mut self, lessons: &[Lesson]) -> Self {
        lessons.iter().for_each(|lesson| lesson.teach(&mut self));
        self
    }
}

/// What has been learned of each model since the start.
pub type Lessons = LearnedQuirks<Lesson>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_teach_what_they_are_about() {
        for (said, lesson) in [
            (
                "The model returned the following errors: `temperature` and `top_p` cannot both be specified for this model.",
                Some(Lesson::TwoSamplers),
            ),
            ("`temperature` is deprecated for this model.", Some(Lesson::Samplers)),
            ("This model doesn't support tool use in streaming mode.", Some(Lesson::StreamedTools)),
            (
                "You invoked an unsupported model or your request did not allow prompt caching.",
                Some(Lesson::CachePoints),
            ),
            (
                "Malformed input request: #: extraneous key [reasoning_effort] is not permitted",
                Some(Lesson::Field("reasoning_effort".into())),
            ),
            (
                "Invocation of model ID x with on-demand throughput isn\u{2019}t supported.",
                Some(Lesson::BaseId),
            ),
            ("Input is too long for requested model.", None),
            ("Value 'stop sequences are not supported' at 'messages.1' failed to satisfy it", None),
            ("messages.1: got \"temperature is not supported\" for a text", None),
            ("It supports no tools. Your stop sequences are too long", None),
        ] {
            assert_eq!(Lesson::of(said).map(|(lesson, _)| lesson), lesson, "{said}");
        }
    }

    #[test]
    fn lessons_change_what_a_family_takes() {
        let family = Family::of("anthropic.claude-3-haiku-20240307-v1:0");
        let taught = family.taught(&[Lesson::TwoSamplers, Lesson::StreamedTools]);
        assert_eq!((taught.samplers, taught.tools), (Samplers::One, Tools::Unstreamed));
    }
}
