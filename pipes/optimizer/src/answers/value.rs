//! Final answers in a comparable form.

use super::number::{self, Number};
use serde_json::Value as Json;

/// A final answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum AnswerValue {
    Number(Number),
    /// One of several options, by its letter.
    Choice(char),
    /// Fields in the order of their names.
    Json(String),
    /// Code without comments and with single spaces.
    Code(String),
    /// Text in lower case with single spaces.
    Text(String),
}

impl AnswerValue {
    /// Parses a text that is an answer and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let text = strip_markup(text);
        if text.is_empty() {
            return None;
        }
        if let Some(letter) = parse_option(&text) {
            return Some(Self::Choice(letter));
        }
        if let Some(number) = number::parse(&text) {
            return Some(Self::Number(number));
        }
        // `x = 5` says no more than `5`.
        if let Some((left, right)) = text.rsplit_once('=')
            && left.trim().chars().count() <= 12
            && let Some(number) = number::parse(&strip_markup(right))
        {
            return Some(Self::Number(number));
        }
        if text.starts_with(['{', '['])
            && let Ok(json) = serde_json::from_str(&text)
        {
            return Some(Self::from_json(&json));
        }
        let text = normalize_latex(&text).to_lowercase();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text =
            if text.contains(' ') && text.contains(',') { text.replace(", ", ",") } else { text };
        (!text.is_empty()).then_some(Self::Text(text))
    }

    pub fn from_json(json: &Json) -> Self {
        if let Json::Object(object) = json
            && let Some(answer) =
                ["final_answer", "answer", "result"].iter().find_map(|name| object.get(*name))
        {
            let text = answer.as_str().map_or_else(|| answer.to_string(), str::to_owned);
            if let Some(value) = Self::parse(&text) {
                return value;
            }
        }
        Self::Json(sort_fields(json).to_string())
    }

    /// Returns `true` if both answers are the same.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.is_same(other),
            (one, other) => one == other,
        }
    }
}

fn sort_fields(json: &Json) -> Json {
    match json {
        Json::Object(object) => {
            let mut fields: Vec<_> = object.iter().collect();
            fields.sort_by_key(|(name, _)| *name);
            fields.into_iter().map(|(name, value)| (name.clone(), sort_fields(value))).collect()
        }
        Json::Array(items) => items.iter().map(sort_fields).collect(),
        Json::Number(number) => number.as_f64().map_or_else(|| json.clone(), Json::from),
        other => other.clone(),
    }
}

/// Returns a text without marks of emphasis, mathematics and quotation around it.
fn strip_markup(text: &str) -> String {
    let mut text = text.trim();
    loop {
        let before = text;
        text = text.trim_matches(|c: char| c.is_whitespace() || "*_`\"'“”‘’".contains(c));
        text = text.trim_end_matches(['.', ',', ';', '!', '?', ':']);
        for (open, close) in [
            ("\\(", "\\)"),
            ("\\[", "\\]"),
            ("$$", "$$"),
            ("$", "$"),
            ("\\boxed{", "}"),
            ("\\text{", "}"),
            ("\\mathrm{", "}"),
            ("\\textbf{", "}"),
        ] {
            if let Some(inner) = text.strip_prefix(open).and_then(|rest| rest.strip_suffix(close))
                && !inner.is_empty()
            {
                text = inner;
            }
        }
        if text == before {
            return text.to_owned();
        }
    }
}

/// Parses the letter of an option: `B`, `(B)`, `B.`, `Option B`, `B) Paris`.
fn parse_option(text: &str) -> Option<char> {
    let lower = text.to_ascii_lowercase();
    let named = ["option ", "choice ", "answer "].iter().find(|word| lower.starts_with(*word));
    let text = named.map_or(text, |word| text.get(word.len()..).unwrap_or_default()).trim();
    let (is_open, text) = match text.strip_prefix(['(', '[']) {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut letters = text.chars();
    let letter = letters.next().filter(|letter| {
        ('A'..='J').contains(letter) || (is_open && ('a'..='j').contains(letter))
    })?;
    let rest = letters.as_str();
    let ends = match rest.chars().next() {
        None => true,
        Some(')' | ']') => {
            is_open || rest.len() == 1 || rest.get(1..).is_some_and(|rest| rest.starts_with(' '))
        }
        Some('.' | ':') => {
            !is_open && (rest.len() == 1 || rest.get(1..).is_some_and(|rest| rest.starts_with(' ')))
        }
        Some(_) => false,
    };
    ends.then(|| letter.to_ascii_uppercase())
}

/// Returns a formula without the parts that do not change its meaning.
fn normalize_latex(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut text = text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac");
    for nothing in ["\\left", "\\right", "\\,", "\\;", "\\!", "\\displaystyle", "\\ "] {
        text = text.replace(nothing, "");
    }
    text.chars().filter(|c| !c.is_whitespace()).collect()
}
