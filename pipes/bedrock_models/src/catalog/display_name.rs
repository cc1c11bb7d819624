//! Names of models as the picker shows them, and their order there.

use pipe_sdk::PICKER_WIDTH;
use std::cmp::Reverse;

/// The prefixes of AWS's inference profiles, and what they are called.
const GEOGRAPHIES: [(&str, &str); 10] = [
    ("us.", "US"),
    ("us-gov.", "US Gov"),
    ("eu.", "EU"),
    ("apac.", "APAC"),
    ("jp.", "JP"),
    ("au.", "AU"),
    ("in.", "IN"),
    ("ca.", "CA"),
    ("sa.", "SA"),
    ("global.", GLOBAL),
];

/// The name of the profiles that span the world.
pub const GLOBAL: &str = "Global";

/// Words that tell no model from another.
const FILLERS: [&str; 3] = ["Instruct", "Chat", "Model"];

/// Returns the name of a profile's geography, if the id is that of a profile.
pub fn geography_name(id: &str) -> Option<&'static str> {
    GEOGRAPHIES.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, name)| *name)
}

/// Returns the name of a model for the picker: AWS's, without the vendor, and with the geography of
/// a profile at its end, as in `Claude Sonnet 4.5 (US)`.
pub fn display_name(aws_name: &str, provider: &str, id: &str) -> String {
    let geography = geography_name(id);
    let name = match geography {
        Some(geography) => strip_word(aws_name, geography),
        None => aws_name,
    };
    let without_vendor = strip_word(name, provider);
    let name = if is_version(without_vendor) { name } else { without_vendor };
    let mut words: Vec<&str> = name.split_whitespace().collect();
    loop {
        let name = words.join(" ");
        let forms = match geography {
            Some(geography) => [format!("{name} ({geography})"), format!("{name} {geography}")],
            None => [name.clone(), name],
        };
        let fits = |form: &&String| form.chars().count() <= PICKER_WIDTH;
        if let Some(form) = forms.iter().find(fits) {
            return form.clone();
        }
        let filler = words.iter().rposition(|word| FILLERS.contains(word));
        match filler {
            Some(at) => _ = words.remove(at),
            None if words.len() > 1 => {
                words.pop();
                words.pop_if(|word| *word == "-");
            }
            None => return pipe_sdk::shorten_name(&forms[0]),
        }
    }
}

/// Returns the name without this first word or words, whatever their case.
fn strip_word<'a>(name: &'a str, word: &str) -> &'a str {
    let Some((first, rest)) = name.split_at_checked(word.len()) else { return name };
    let is_word = !word.is_empty() && first.eq_ignore_ascii_case(word) && rest.starts_with(' ');
    if is_word && !rest.trim().is_empty() { rest.trim_start() } else { name }
}

/// Returns whether a name is a version alone, as in `V3.2`.
fn is_version(name: &str) -> bool {
    name.trim_start_matches(['V', 'v']).starts_with(|char: char| char.is_ascii_digit())
}

/// The place of a model in the picker: by vendor, then family, and the newest first.
#[derive(PartialEq, PartialOrd)]
pub struct PickerOrder<'a> {
    vendor: &'a str,
    family: &'a str,
    newest: Reverse<f64>,
    name: &'a str,
    id: &'a str,
}

impl<'a> PickerOrder<'a> {
    /// Returns the place of a model with this base id.
    pub fn new(base: &'a str, name: &'a str, id: &'a str) -> Self {
        let vendor = base.split('.').next().unwrap_or_default();
        let letters = name.find(|char: char| !char.is_alphabetic()).unwrap_or(name.len());
        let family = name.get(..letters).unwrap_or_default();
        Self { vendor, family, newest: Reverse(version(name)), name, id }
    }
}

/// Returns the version in a name, as in `Claude Sonnet 4.5`, `Qwen3` or `DeepSeek-R1`; 0 without
/// one. Numbers of parameters, as in `70B` and `8x7B`, are no versions.
fn version(name: &str) -> f64 {
    let is_number = |char: char| char.is_ascii_digit() || char == '.';
    let mut rest = name;
    while let Some(start) = rest.find(|char: char| char.is_ascii_digit()) {
        let (_, from) = rest.split_at(start);
        let end = from.find(|char| !is_number(char)).unwrap_or(from.len());
        let (number, after) = from.split_at(end);
        if !after.starts_with(['B', 'b', 'x']) {
            return number.trim_end_matches('.').parse().unwrap_or_default();
        }
        rest = after;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_tell_models_apart() {
        for (name, provider, id, expected) in [
            ("Claude Sonnet 4.5", "Anthropic", "anthropic.claude-sonnet-4-5", "Claude Sonnet 4.5"),
            ("Claude Sonnet 4.5", "Anthropic", "us.anthropic.x", "Claude Sonnet 4.5 (US)"),
            ("Claude Sonnet 4.5", "Anthropic", "global.anthropic.x", "Claude Sonnet 4.5 Global"),
            ("US Anthropic Claude Opus 4", "Anthropic", "us.anthropic.x", "Claude Opus 4 (US)"),
            ("Claude 3.5 Sonnet v2", "Anthropic", "us.anthropic.x", "Claude 3.5 Sonnet v2 US"),
            ("Llama 3.2 11B Vision Instruct", "Meta", "us.meta.x", "Llama 3.2 11B Vision US"),
            ("Llama 4 Maverick 17B Instruct", "Meta", "us.meta.x", "Llama 4 Maverick 17B US"),
            ("Stable Diffusion 3.5 Large", "Stability AI", "stability.x", "Stable Diffusion 3.5"),
            ("Titan Embeddings G1 - Text", "Amazon", "amazon.x", "Titan Embeddings G1"),
            ("DeepSeek V3.2", "DeepSeek", "deepseek.v3.2", "DeepSeek V3.2"),
            ("Mistral Large (24.02)", "Mistral AI", "mistral.x", "Mistral Large (24.02)"),
        ] {
            let short = display_name(name, provider, id);
            assert_eq!(short, expected);
            assert!(short.chars().count() <= PICKER_WIDTH, "{short}");
        }
    }

    #[test]
    fn versions_are_no_numbers_of_parameters() {
        for (name, expected) in [
            ("Claude Sonnet 4.5", 4.5),
            ("Claude 3.5 Sonnet v2", 3.5),
            ("Llama 3.3 70B Instruct", 3.3),
            ("Mixtral 8x7B Instruct", 0.0),
            ("Qwen3 32B", 3.0),
            ("Nova Lite", 0.0),
        ] {
            assert!((version(name) - expected).abs() < 1e-9, "{name}");
        }
    }
}
