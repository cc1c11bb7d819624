//! Quirks of models, learned from what they refuse: OpenAI's API has many dialects, and most
//! servers do not say which one they speak.

mod size_limits;
mod token_limits;

use crate::{ApiError, base_url::Vendor, call_ids::CallIdForm};
use pipe_sdk::{Body, Content, Part, Role, Tool, find_remaining_tokens, without_quotes};
use size_limits::SizedField;
use std::fmt;

/// The largest number of tools that OpenAI accepts in a chat
/// (<https://platform.openai.com/docs/api-reference/chat/create>).
const OPENAI_MAX_TOOLS: usize = 128;
/// The largest number of stop sequences that OpenAI accepts in a chat (same page).
const OPENAI_MAX_STOP_SEQUENCES: usize = 4;

/// The quirks of a model that are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quirks {
    /// The model refuses `stream_options`.
    pub no_stream_options: bool,
    /// The model refuses its reasoning in later turns.
    pub no_reasoning: bool,
    /// Answers in one piece take longer than they may.
    pub slow_whole_answers: bool,
    /// The model accepts no files.
    pub no_files: bool,
    /// The model accepts no images, so those that tools or the assistant have shown are left out.
    pub no_shown_images: bool,
    /// The server has no tools of its own, or not those that were asked for.
    pub no_hosted_tools: bool,
    /// The model accepts only the plainest schemas of tools.
    pub plain_schemas: bool,
    /// The server accepts no marks of what is to be cached.
    pub no_cache_control: bool,
    /// The form of the ids of calls that the server accepts.
    call_ids: CallIdForm,
    /// The fields of [`OPTIONAL_FIELDS`] that the model refuses, a bit each.
    refused_fields: u32,
    /// The most tokens of an answer.
    max_tokens: Option<u64>,
    /// The most tools of a chat.
    max_tools: Option<usize>,
    /// The most stop sequences of a chat.
    max_stop_sequences: Option<usize>,
    /// The most characters of a tool's description.
    max_description: Option<usize>,
    /// The name of the token limit, if it is not the usual one.
    token_limit: Option<TokenLimitField>,
}

/// The field that limits the tokens of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenLimitField {
    /// `max_tokens`.
    MaxTokens,
    /// `max_completion_tokens`.
    MaxCompletionTokens,
}

/// One quirk of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// The model refuses `stream_options`.
    NoStreamOptions,
    /// The model refuses its reasoning in later turns.
    NoReasoning,
    /// The model refuses this name of the token limit.
    OtherTokenLimitThan(TokenLimitField),
    /// Answers in one piece take longer than they may, so they are streamed.
    SlowWholeAnswers,
    /// The model accepts no files.
    NoFiles,
    /// The model accepts no images.
    NoShownImages,
    /// The server does not have the tools of its own that were asked for.
    NoHostedTools,
    /// The model accepts only the plainest schemas of tools.
    PlainSchemas,
    /// The server accepts no marks of what is to be cached.
    NoCacheControl,
    /// The server accepts no ids of calls that are longer than OpenAI's.
    ShortCallIds,
    /// The server accepts only ids of calls that have nine letters and digits.
    NineLetterCallIds,
    /// The model refuses this one of [`OPTIONAL_FIELDS`].
    RefusedField(usize),
    /// An answer has no more tokens than these.
    MaxTokens(u64),
    /// The answer to this chat has no more tokens than these: that is what its input leaves of the
    /// context.
    RemainingTokens(u64),
    /// A chat has no more tools than these.
    MaxTools(usize),
    /// A chat has no more stop sequences than these.
    MaxStopSequences(usize),
    /// The description of a tool has no more characters than these.
    MaxDescription(usize),
}

impl fmt::Display for Quirk {
    /// Writes the name that admins read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFiles => "NoFiles",
            Self::NoShownImages => "NoShownImages",
            Self::NoHostedTools => "NoHostedTools",
            Self::PlainSchemas => "PlainSchemas",
            Self::NoCacheControl => "NoCacheControl",
            Self::ShortCallIds => "ShortCallIds",
            Self::NineLetterCallIds => "NineLetterCallIds",
            Self::RefusedField(place) => {
                let name = OPTIONAL_FIELDS.get(*place).copied().unwrap_or_default();
                return write!(f, "Field({name})");
            }
            Self::MaxTokens(limit) | Self::RemainingTokens(limit) => {
                return write!(f, "MostTokens({limit})");
            }
            Self::MaxTools(limit) => return write!(f, "MaxTools({limit})"),
            Self::MaxStopSequences(limit) => return write!(f, "MaxStopSequences({limit})"),
            Self::MaxDescription(limit) => return write!(f, "MaxDescription({limit})"),
            Self::NoStreamOptions => "Usage",
            Self::NoReasoning => "Reasoning",
            Self::OtherTokenLimitThan(TokenLimitField::MaxTokens) => "LimitNamed(Old)",
            Self::OtherTokenLimitThan(TokenLimitField::MaxCompletionTokens) => "LimitNamed(New)",
            Self::SlowWholeAnswers => "SlowWholeAnswers",
        })
    }
}

impl Quirks {
    /// Joins these quirks.
    pub fn from_list(quirks: &[Quirk]) -> Self {
        quirks.iter().fold(Self::default(), |quirks, quirk| quirks.with(*quirk))
    }

    /// Adds a quirk.
    #[must_use]
    pub fn with(self, quirk: Quirk) -> Self {
        match quirk {
            Quirk::NoStreamOptions => Self { no_stream_options: true, ..self },
            Quirk::NoReasoning => Self { no_reasoning: true, ..self },
            Quirk::OtherTokenLimitThan(name) => Self { token_limit: Some(name.other()), ..self },
            Quirk::SlowWholeAnswers => Self { slow_whole_answers: true, ..self },
            Quirk::NoFiles => Self { no_files: true, ..self },
            Quirk::NoShownImages => Self { no_shown_images: true, ..self },
            Quirk::NoHostedTools => Self { no_hosted_tools: true, ..self },
            Quirk::PlainSchemas => Self { plain_schemas: true, ..self },
            Quirk::NoCacheControl => Self { no_cache_control: true, ..self },
            Quirk::ShortCallIds => Self { call_ids: CallIdForm::Short, ..self },
            Quirk::NineLetterCallIds => Self { call_ids: CallIdForm::NineLetters, ..self },
            Quirk::RefusedField(place) => {
                Self { refused_fields: self.refused_fields | 1 << place, ..self }
            }
            Quirk::MaxTokens(limit) | Quirk::RemainingTokens(limit) => {
                let limit = self.max_tokens.map_or(limit, |known| known.min(limit));
                Self { max_tokens: Some(limit), ..self }
            }
            Quirk::MaxTools(limit) => Self { max_tools: Some(limit), ..self },
            Quirk::MaxStopSequences(limit) => Self { max_stop_sequences: Some(limit), ..self },
            Quirk::MaxDescription(limit) => Self { max_description: Some(limit), ..self },
        }
    }

    /// Returns the quirk that a refusal of this chat shows. Text that the refusal quotes is
    /// ignored: it may be the prompt.
    pub fn detect_in(self, api_error: &ApiError, model: &str, body: &Body) -> Option<Quirk> {
        if !matches!(api_error.status, 400 | 422) {
            return None;
        }
        let message = without_quotes(&api_error.message).to_ascii_lowercase();
        let param = api_error.param.as_deref().unwrap_or_default();
        let refuses = |name: &str| {
            let is_param = param == name || param.starts_with(&format!("{name}."));
            // As in "Invalid 'prompt_cache_key': string too long."
            let begins = |words: &str| api_error.message.starts_with(words);
            is_param
                || message.trim_start().starts_with(name)
                || begins(&format!("Invalid '{name}'"))
                || refuses_field(&message, name)
        };
        if !self.no_stream_options && refuses("stream_options") {
            return Some(Quirk::NoStreamOptions);
        }
        if !self.no_reasoning
            && has_reasoning(body)
            && (REASONING_FIELDS.iter().any(|name| refuses(name)) || param.contains("reasoning"))
        {
            return Some(Quirk::NoReasoning);
        }
        let mut optional = OPTIONAL_FIELDS.iter().enumerate();
        let refused = optional.find(|(place, name)| {
            self.accepts_field_at(*place) && body.rest.contains_key(**name) && refuses(name)
        });
        if let Some((place, _)) = refused {
            return Some(Quirk::RefusedField(place));
        }
        if let Some(quirk) = self.detect_token_limit(api_error, &message, body) {
            return Some(quirk);
        }
        if let Some(quirk) = self.detect_size(api_error, body) {
            return Some(quirk);
        }
        if !self.no_cache_control && refuses_cache_control(api_error) {
            return Some(Quirk::NoCacheControl);
        }
        if let Some(quirk) = self.detect_content(&message, param, body) {
            return Some(quirk);
        }
        let name = self.token_limit_field(model);
        let is_new = self.token_limit.is_none() && body.max_answer_tokens().is_some();
        (is_new && refuses_field(&message, name.as_str()))
            .then_some(Quirk::OtherTokenLimitThan(name))
    }

    /// Returns whether the model accepts the field with this name, as far as is known.
    pub fn accepts_field(self, name: &str) -> bool {
        let place = OPTIONAL_FIELDS.iter().position(|optional| *optional == name);
        place.is_none_or(|place| self.accepts_field_at(place))
    }

    /// Returns whether the field at this index of the optional fields is accepted.
    fn accepts_field_at(self, place: usize) -> bool {
        self.refused_fields & 1 << place == 0
    }

    /// Returns the limit that a refusal of the token limit names, if the chat asks for more.
    fn detect_token_limit(self, api_error: &ApiError, message: &str, body: &Body) -> Option<Quirk> {
        let asked = self.limit_tokens(body.max_answer_tokens())?;
        let is_less = |limit: &u64| (1..asked).contains(limit);
        if api_error.is_context_length() {
            let remaining = find_remaining_tokens(message).filter(is_less);
            return remaining.map(Quirk::RemainingTokens);
        }
        token_limits::find_max_tokens(message).filter(is_less).map(Quirk::MaxTokens)
    }

    /// Returns the limit that a refusal of too many tools, too many stop sequences or a too long
    /// description names, if the chat has more.
    fn detect_size(self, api_error: &ApiError, body: &Body) -> Option<Quirk> {
        let has_nine_letters = self.call_ids == CallIdForm::NineLetters;
        if !has_nine_letters && size_limits::wants_nine_letter_ids(api_error) {
            return Some(Quirk::NineLetterCallIds);
        }
        let (field, limit) = size_limits::find_size_limit(api_error)?;
        if field == SizedField::CallId && self.call_ids == CallIdForm::Any {
            return Some(Quirk::ShortCallIds);
        }
        let is_less =
            |known: Option<usize>, size: usize| limit < known.map_or(size, |known| known.min(size));
        let descriptions = body.tools.iter().filter_map(|tool| tool.function.as_ref());
        let longest = descriptions.filter_map(|function| function.description.as_ref());
        let longest = longest.map(|text| text.chars().count()).max().unwrap_or_default();
        match field {
            SizedField::Tools if is_less(self.max_tools, body.tools.len()) => {
                Some(Quirk::MaxTools(limit))
            }
            SizedField::Stop if is_less(self.max_stop_sequences, body.stop.len()) => {
                Some(Quirk::MaxStopSequences(limit))
            }
            SizedField::Description if is_less(self.max_description, longest) => {
                Some(Quirk::MaxDescription(limit))
            }
            _ => None,
        }
    }

    /// Returns the form of the ids of calls that this vendor accepts, as far as is known.
    pub fn call_id_form(self, vendor: Vendor) -> CallIdForm {
        match self.call_ids {
            CallIdForm::Any if vendor.is_strict() => CallIdForm::Short,
            form => form,
        }
    }

    /// Returns the most tools of a chat that this vendor's models accept, as far as is known.
    pub fn max_tools(self, vendor: Vendor) -> usize {
        let known = vendor.is_strict().then_some(OPENAI_MAX_TOOLS);
        self.max_tools.or(known).unwrap_or(usize::MAX)
    }

    /// Returns the most stop sequences of a chat that this vendor's models accept, as far as is
    /// known.
    pub fn max_stop_sequences(self, vendor: Vendor) -> usize {
        let known = vendor.is_strict().then_some(OPENAI_MAX_STOP_SEQUENCES);
        self.max_stop_sequences.or(known).unwrap_or(usize::MAX)
    }

    /// Returns the most characters of a tool's description, as far as is known.
    pub fn max_description(self) -> usize {
        self.max_description.unwrap_or(usize::MAX)
    }

    /// Detects the quirk behind a refusal of the tools or the files of a chat.
    fn detect_content(self, message: &str, param: &str, body: &Body) -> Option<Quirk> {
        let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let is_hosted = |tool: &Tool| tool.function.is_none();
        let names_tools = param.starts_with("tools") || says(&["tool"]);
        if !self.no_hosted_tools && names_tools && body.tools.iter().any(is_hosted) {
            return Some(Quirk::NoHostedTools);
        }
        let names_schemas = param.contains("parameters")
            || says(&["schema", "grammar", "parameters"]) && says(&["function", "tool", "schema"]);
        if !self.plain_schemas && names_schemas && !body.tools.is_empty() {
            return Some(Quirk::PlainSchemas);
        }
        let names_images =
            param.contains("image") || says(&["image", "multimodal", "multi-modal", "vision"]);
        if !self.no_shown_images && names_images && has_shown_images(body) {
            return Some(Quirk::NoShownImages);
        }
        let names_parts =
            param.contains("content") || says(&["file", "content", "part", "document"]);
        (!self.no_files && names_parts && has_files(body)).then_some(Quirk::NoFiles)
    }

    /// Returns the most tokens to ask for.
    pub fn limit_tokens(self, asked: Option<u64>) -> Option<u64> {
        asked.map(|asked| self.max_tokens.map_or(asked, |limit| asked.min(limit)))
    }

    /// Returns the field that limits the tokens of this model.
    pub fn token_limit_field(self, model: &str) -> TokenLimitField {
        if let Some(name) = self.token_limit {
            return name;
        }
        if uses_max_completion_tokens(model) {
            TokenLimitField::MaxCompletionTokens
        } else {
            TokenLimitField::MaxTokens
        }
    }
}

/// Fields without which an answer is still one to the chat: what the clients of other APIs send
/// becomes such fields, and servers of other vendors refuse some.
const OPTIONAL_FIELDS: [&str; 13] = [
    "thinking",
    "reasoning_effort",
    "reasoning",
    "enable_thinking",
    "verbosity",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "parallel_tool_calls",
    "top_k",
    "logprobs",
    "top_logprobs",
    "safety_identifier",
];

impl Quirk {
    /// Returns whether it is about one chat only.
    pub fn is_request_specific(self) -> bool {
        matches!(self, Self::RemainingTokens(_))
    }
}

/// The fields of a message that hold reasoning.
pub(crate) const REASONING_FIELDS: &[&str] =
    &["reasoning_content", "reasoning", "reasoning_details"];

/// Phrases of messages that a field is not accepted.
const REFUSAL_PHRASES: [&str; 8] = [
    "not supported",
    "unsupported",
    "extra",
    "unknown",
    "unrecognized",
    "not permitted",
    "unexpected",
    "not allowed",
];

/// Returns whether a refusal is about cache points (`cache_control`), in whichever field.
fn refuses_cache_control(api_error: &ApiError) -> bool {
    let param = api_error.param.as_deref().unwrap_or_default();
    let message = api_error.message.to_ascii_lowercase();
    param.ends_with("cache_control")
        || message.contains("cache_control")
            && REFUSAL_PHRASES.iter().any(|words| message.contains(words))
}

/// Returns whether one sentence of a message names a field and says that it is not accepted.
fn refuses_field(message: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let names = |sentence: &str| sentence.split(|c| !is_word(c)).any(|word| word == name);
    let is_unknown = |sentence: &str| REFUSAL_PHRASES.iter().any(|words| sentence.contains(words));
    message
        .split(['\n', ';'])
        .flat_map(|line| line.split(". "))
        .any(|sentence| names(sentence) && is_unknown(sentence))
}

impl TokenLimitField {
    pub fn is_max_completion_tokens(self) -> bool {
        self == Self::MaxCompletionTokens
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::MaxTokens => "max_tokens",
            Self::MaxCompletionTokens => "max_completion_tokens",
        }
    }

    /// Returns the other of the two fields.
    fn other(self) -> Self {
        match self {
            Self::MaxTokens => Self::MaxCompletionTokens,
            Self::MaxCompletionTokens => Self::MaxTokens,
        }
    }
}

/// Returns whether this is a model of OpenAI's that accepts only `max_completion_tokens`: the `o`
/// series, and GPT from version 5 on.
fn uses_max_completion_tokens(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or_default();
    let digit = |rest: &str| rest.bytes().next().filter(u8::is_ascii_digit);
    let is_o = name.strip_prefix('o').and_then(digit).is_some();
    let version = name.strip_prefix("gpt-").and_then(|rest| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().ok()
    });
    is_o || version.is_some_and(|version| (5..100).contains(&version))
}

/// Returns whether a message of the chat has reasoning.
fn has_reasoning(body: &Body) -> bool {
    let has = |name: &&str| body.messages.iter().any(|message| message.rest.contains_key(*name));
    REASONING_FIELDS.iter().any(has)
}

/// Returns whether a tool or the assistant has shown an image.
fn has_shown_images(body: &Body) -> bool {
    let is_image = |part: &Part| match part {
        Part::ImageUrl { .. } => true,
        Part::Other(fields) => fields
            .get("type")
            .is_some_and(|kind| matches!(kind.as_str(), Some("image" | "input_image"))),
        Part::Text { .. } => false,
    };
    let shown = body.messages.iter().filter(|message| message.role != Role::User);
    shown.filter_map(|message| message.content.as_ref()).any(|content| match content {
        Content::Parts(parts) => parts.iter().any(is_image),
        Content::Text(_) => false,
    })
}

/// Returns whether a message of the chat has a file.
fn has_files(body: &Body) -> bool {
    let is_file = |part: &Part| match part {
        Part::Other(fields) => fields
            .get("type")
            .and_then(serde_json::Value::as_str)
            .is_some_and(|kind| matches!(kind, "file" | "input_file" | "document")),
        Part::Text { .. } | Part::ImageUrl { .. } => false,
    };
    body.messages.iter().any(|message| match &message.content {
        Some(Content::Parts(parts)) => parts.iter().any(is_file),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn learned(quirks: Quirks, status: u16, message: &str) -> Option<Quirks> {
        let body = json!({"model": "m", "messages": [{"role": "assistant", "reasoning_content": "hm"}], "max_tokens": 7});
        let body: Body = serde_json::from_value(body).unwrap();
        let api_error = ApiError { status, message: message.into(), ..ApiError::default() };
        quirks.detect_in(&api_error, "m", &body).map(|quirk| quirks.with(quirk))
    }

    #[test]
    fn a_refusal_of_what_we_have_added_is_a_lesson_once() {
        let none = Quirks::default();
        let (no_stream_options, no_reasoning) =
            (Quirks { no_stream_options: true, ..none }, Quirks { no_reasoning: true, ..none });
        let new = Quirks { token_limit: Some(TokenLimitField::MaxCompletionTokens), ..none };
        for (message, quirks) in [
            ("stream_options: Extra inputs are not permitted", no_stream_options),
            ("property 'reasoning_content' is unsupported", no_reasoning),
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                new,
            ),
        ] {
            assert_eq!(learned(none, 400, message), Some(quirks));
            assert_eq!(learned(quirks, 400, message), None, "{message}");
            assert_eq!(learned(none, 500, message), None);
        }
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
