//! What a model teaches by what it refuses: the request is sent again without it, and never with it from then on.

use super::{Cache, Family, Samplers, Schema, Thinking, ToolSchema, Tools, TopK};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

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
    (&["role 'system'"], Lesson::SystemTurns),
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
    /// What the words of a refusal teach, if anything.
    pub fn of(refusal: &str) -> Option<Self> {
        let said = refusal.to_ascii_lowercase();
        let row = WORDS.iter().find(|(words, _)| words.iter().all(|word| said.contains(word)));
        let most = || most_tokens(&said).map(Self::MostTokens);
        row.map(|(_, lesson)| lesson.clone()).or_else(most).or_else(|| stranger(refusal))
    }

    /// Whether it is about this conversation only.
    fn is_passing(&self) -> bool {
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

/// The limit in what is said of an answer that may become too long, as in `exceeds the model limit of 4096` or
/// `max_tokens: 200000 > 64000, which is the maximum`. What is said of the whole context is another matter.
fn most_tokens(said: &str) -> Option<u32> {
    let is_about_it = said.contains("max_tokens")
        || said.contains("maxtokens")
        || said.contains("max_output_tokens")
        || said.contains("maximum tokens");
    if !is_about_it || said.contains("context") || said.contains("budget_tokens") {
        return None;
    }
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
    BEFORE.iter().find_map(|words| {
        let (_, after) = said.split_once(words)?;
        let number: String = after
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .filter(char::is_ascii_digit)
            .collect();
        number.parse().ok().filter(|most| *most > 0)
    })
}

/// The field in ``extraneous key [x] is not permitted``.
fn stranger(refusal: &str) -> Option<Lesson> {
    let (_, rest) = refusal.split_once("extraneous key [")?;
    let (name, _) = rest.split_once(']')?;
    (name.len() <= 64).then(|| Lesson::Field(name.to_owned()))
}

impl Family {
    /// The same family after these lessons.
    #[must_use]
    pub fn taught(mut self, lessons: &[Lesson]) -> Self {
        lessons.iter().for_each(|lesson| lesson.teach(&mut self));
        self
    }
}

/// More than this is not what a model refuses, but what somebody tries.
const MOST: usize = 32;

/// What has been learned of each model since the start.
#[derive(Debug, Default)]
pub struct Lessons(Mutex<HashMap<String, Vec<Lesson>>>);

impl Lessons {
    /// What has been learned of the model of this id.
    pub fn of(&self, model: &str) -> Vec<Lesson> {
        self.lock().get(model).cloned().unwrap_or_default()
    }

    /// Remembers a lesson, unless it holds for one conversation only.
    pub fn learn(&self, model: &str, lesson: &Lesson) {
        if lesson.is_passing() {
            return;
        }
        let mut lessons = self.lock();
        let known = lessons.entry(model.to_owned()).or_default();
        if !known.contains(lesson) && known.len() < MOST {
            tracing::info!(aws.model = model, "`{model}` has taught: no {lesson:?}.");
            known.push(lesson.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Lesson>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        ] {
            assert_eq!(Lesson::of(said), lesson, "{said}");
        }
    }

    #[test]
    fn lessons_change_what_a_family_takes() {
        let family = Family::of("anthropic.claude-3-haiku-20240307-v1:0");
        let taught = family.taught(&[Lesson::TwoSamplers, Lesson::StreamedTools]);
        assert_eq!((taught.samplers, taught.tools), (Samplers::One, Tools::Unstreamed));
    }
}
