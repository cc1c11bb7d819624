//! What a model teaches by what it refuses: the request is sent again without it, and never with it from then on.

use super::{Cache, Family, Samplers, Schema, Thinking, Tools, TopK};
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
    /// A system prompt.
    System,
    /// Instructions amid the conversation.
    SystemTurns,
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
        row.map(|(_, lesson)| lesson.clone()).or_else(|| stranger(refusal))
    }

    /// Whether it is about this conversation only.
    fn is_passing(&self) -> bool {
        matches!(self, Self::ForeignReasoning | Self::ThisSchema)
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
            Self::System => family.system = false,
            Self::SystemTurns => family.system_turns = false,
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
