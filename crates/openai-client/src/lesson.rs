//! What a server teaches by refusing: OpenAI's API has many dialects, and most do not say which they are.

use crate::{Complaint, request::THOUGHTS};
use pipe_sdk::{Body, without_quotes};

/// What is known of a model of a server by what it has refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lessons {
    /// It does not know `stream_options`.
    pub no_usage: bool,
    /// It does not want its reasoning back.
    pub no_reasoning: bool,
    /// The name of the limit of tokens, if it is not the usual one.
    tokens: Option<TokensName>,
}

/// What the limit of tokens is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokensName {
    /// `max_tokens`.
    Old,
    /// `max_completion_tokens`.
    New,
}

/// One thing that a model has taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// It does not know `stream_options`.
    Usage,
    /// It does not want its reasoning back.
    Reasoning,
    /// The limit of tokens has another name than this.
    LimitNamed(TokensName),
}

impl Lessons {
    /// What these quirks come to.
    pub fn of(quirks: &[Quirk]) -> Self {
        quirks.iter().fold(Self::default(), |lessons, quirk| lessons.and(*quirk))
    }

    /// The same and this one.
    pub fn and(self, quirk: Quirk) -> Self {
        match quirk {
            Quirk::Usage => Self { no_usage: true, ..self },
            Quirk::Reasoning => Self { no_reasoning: true, ..self },
            Quirk::LimitNamed(name) => Self { tokens: Some(name.other()), ..self },
        }
    }

    /// What this refusal teaches; `None` if it is nothing, or nothing about this chat. What it quotes teaches nothing.
    pub fn taught_by(self, complaint: &Complaint, model: &str, body: &Body) -> Option<Quirk> {
        if !matches!(complaint.status, 400 | 422) {
            return None;
        }
        let said = without_quotes(&complaint.message).to_ascii_lowercase();
        let param = complaint.param.as_deref().unwrap_or_default();
        let refuses = |name: &str| {
            let is_param = param == name || param.starts_with(&format!("{name}."));
            is_param || said.trim_start().starts_with(name) || refuses_field(&said, name)
        };
        if !self.no_usage && refuses("stream_options") {
            return Some(Quirk::Usage);
        }
        if !self.no_reasoning
            && has_thoughts(body)
            && (THOUGHTS.iter().any(|name| refuses(name)) || param.contains("reasoning"))
        {
            return Some(Quirk::Reasoning);
        }
        let name = self.tokens_name(model);
        let is_new = self.tokens.is_none() && body.max_answer_tokens().is_some();
        (is_new && refuses_field(&said, name.as_str())).then_some(Quirk::LimitNamed(name))
    }

    /// What the limit of tokens is called.
    pub fn tokens_name(self, model: &str) -> TokensName {
        if let Some(name) = self.tokens {
            return name;
        }
        if is_newer(model) { TokensName::New } else { TokensName::Old }
    }
}

/// What words say that a field is not known.
const UNKNOWN: [&str; 8] = [
    "not supported",
    "unsupported",
    "extra",
    "unknown",
    "unrecognized",
    "not permitted",
    "unexpected",
    "not allowed",
];

/// Whether a sentence of this names the field as a word of its own and says that it is not known.
fn refuses_field(said: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let names = |sentence: &str| sentence.split(|c| !is_word(c)).any(|word| word == name);
    let is_unknown = |sentence: &str| UNKNOWN.iter().any(|words| sentence.contains(words));
    said.split(['\n', ';'])
        .flat_map(|line| line.split(". "))
        .any(|sentence| names(sentence) && is_unknown(sentence))
}

impl TokensName {
    pub fn is_new(self) -> bool {
        self == Self::New
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Old => "max_tokens",
            Self::New => "max_completion_tokens",
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

/// Whether this is a model of OpenAI's that knows the newer name only: the `o` ones, and GPT from 5 on.
fn is_newer(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    let digit = |rest: &str| rest.bytes().next().filter(u8::is_ascii_digit);
    let is_o = name.strip_prefix('o').and_then(digit).is_some();
    let version = name.strip_prefix("gpt-").and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    is_o || version.is_some_and(|version| (5..100).contains(&version))
}

fn has_thoughts(body: &Body) -> bool {
    let has = |name: &&str| body.messages.iter().any(|message| message.rest.contains_key(*name));
    THOUGHTS.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn learned(lessons: Lessons, status: u16, message: &str) -> Option<Lessons> {
        let body = json!({"model": "m", "messages": [{"role": "assistant", "reasoning_content": "hm"}], "max_tokens": 7});
        let body: Body = serde_json::from_value(body).unwrap();
        let complaint = Complaint { status, message: message.into(), ..Complaint::default() };
        lessons.taught_by(&complaint, "m", &body).map(|quirk| lessons.and(quirk))
    }

    #[test]
    fn a_refusal_of_what_we_have_added_is_a_lesson_once() {
        let none = Lessons::default();
        let (no_usage, no_reasoning) =
            (Lessons { no_usage: true, ..none }, Lessons { no_reasoning: true, ..none });
        let new = Lessons { tokens: Some(TokensName::New), ..none };
        for (message, lessons) in [
            ("stream_options: Extra inputs are not permitted", no_usage),
            ("property 'reasoning_content' is unsupported", no_reasoning),
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                new,
            ),
        ] {
            assert_eq!(learned(none, 400, message), Some(lessons));
            assert_eq!(learned(lessons, 400, message), None, "{message}");
            assert_eq!(learned(none, 500, message), None);
        }
        assert_eq!(learned(none, 400, "max_tokens must be at most 4096"), None);
        assert_eq!(learned(none, 400, "temperature is not supported"), None);
        for quoted in [
            "messages.0.content: unexpected value 'is stream_options not supported?'",
            "cannot read \"reasoning_content is unsupported\"",
            "messages.0: “max_tokens is not supported” is no text",
            "my_stream_options: Extra inputs are not permitted",
        ] {
            assert_eq!(learned(none, 400, quoted), None, "{quoted}");
        }
    }
}
