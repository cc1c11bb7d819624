//! The languages for which stemming and stop words are available, and their detection.

use rust_stemmers::Algorithm;
use serde::{Deserialize, Serialize};
use whatlang::{Detector, Lang, Script};

/// The language of a collection's texts. It decides on stemming and stop words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum Language {
    Arabic,
    /// The language of each chunk is detected; questions are read in all that were found.
    #[default]
    Auto,
    Danish,
    Dutch,
    English,
    Finnish,
    French,
    German,
    Greek,
    Hungarian,
    Italian,
    Norwegian,
    /// Any other language: no stemming, no stop words.
    Other,
    Portuguese,
    Romanian,
    Russian,
    Spanish,
    Swedish,
    Tamil,
    Turkish,
}

impl Language {
    /// Returns the code of the stop-word list, and the stemming algorithm.
    pub(crate) fn analysis_rules(self) -> Option<(&'static str, Algorithm)> {
        Some(match self {
            Self::Arabic => ("ar", Algorithm::Arabic),
            Self::Danish => ("da", Algorithm::Danish),
            Self::Dutch => ("nl", Algorithm::Dutch),
            Self::English => ("en", Algorithm::English),
            Self::Finnish => ("fi", Algorithm::Finnish),
            Self::French => ("fr", Algorithm::French),
            Self::German => ("de", Algorithm::German),
            Self::Greek => ("el", Algorithm::Greek),
            Self::Hungarian => ("hu", Algorithm::Hungarian),
            Self::Italian => ("it", Algorithm::Italian),
            Self::Norwegian => ("no", Algorithm::Norwegian),
            Self::Auto | Self::Other => return None,
            Self::Portuguese => ("pt", Algorithm::Portuguese),
            Self::Romanian => ("ro", Algorithm::Romanian),
            Self::Russian => ("ru", Algorithm::Russian),
            Self::Spanish => ("es", Algorithm::Spanish),
            Self::Swedish => ("sv", Algorithm::Swedish),
            Self::Tamil => ("ta", Algorithm::Tamil),
            Self::Turkish => ("tr", Algorithm::Turkish),
        })
    }

    /// Returns every language that can be detected.
    pub(crate) fn all_detected() -> impl Iterator<Item = Self> {
        DETECTED.iter().map(|(language, _)| *language).chain([Self::Other])
    }

    /// Returns the name of the language in settings.
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// Detects the language of a text. A text that is too short to tell counts as English if it is
    /// in Latin letters, and as the most common language of its script otherwise.
    pub(crate) fn detect(text: &str) -> Self {
        let text = truncate_for_detection(text);
        match whatlang::detect(text) {
            Some(info) if info.confidence() > MIN_CONFIDENCE => Self::from_detected(info.lang()),
            Some(info) => Self::of_script(info.script()),
            None => whatlang::detect_script(text).map_or(Self::Other, Self::of_script),
        }
    }

    /// Returns the language of a text that is in one of these languages.
    pub(crate) fn detect_among(text: &str, languages: &[Self]) -> Option<Self> {
        let candidates: Vec<Lang> = DETECTED
            .iter()
            .filter(|(language, _)| languages.contains(language))
            .map(|(_, detected)| *detected)
            .collect();
        let found = match candidates.as_slice() {
            [] | [_] => candidates.first().copied(),
            _ => Detector::with_allowlist(candidates).detect_lang(truncate_for_detection(text)),
        };
        found.map(Self::from_detected)
    }

    /// Returns true for a text that is mostly in Latin letters, or in none.
    pub(crate) fn is_latin_text(text: &str) -> bool {
        let script = whatlang::detect_script(truncate_for_detection(text));
        script.is_none_or(|script| script == Script::Latin)
    }

    /// Returns true for a language with stop words that is written in Latin letters.
    pub(crate) fn has_latin_letters(self) -> bool {
        !matches!(
            self,
            Self::Arabic | Self::Auto | Self::Greek | Self::Other | Self::Russian | Self::Tamil
        )
    }

    fn from_detected(detected: Lang) -> Self {
        DETECTED
            .iter()
            .find(|(_, other)| *other == detected)
            .map_or(Self::Other, |(language, _)| *language)
    }

    fn of_script(script: Script) -> Self {
        match script {
            Script::Latin => Self::English,
            Script::Cyrillic => Self::Russian,
            Script::Arabic => Self::Arabic,
            Script::Greek => Self::Greek,
            Script::Tamil => Self::Tamil,
            _ => Self::Other,
        }
    }
}

/// The languages that have stemming and stop words, as the detector names them.
const DETECTED: [(Language, Lang); 18] = [
    (Language::Arabic, Lang::Ara),
    (Language::Danish, Lang::Dan),
    (Language::Dutch, Lang::Nld),
    (Language::English, Lang::Eng),
    (Language::Finnish, Lang::Fin),
    (Language::French, Lang::Fra),
    (Language::German, Lang::Deu),
    (Language::Greek, Lang::Ell),
    (Language::Hungarian, Lang::Hun),
    (Language::Italian, Lang::Ita),
    (Language::Norwegian, Lang::Nob),
    (Language::Portuguese, Lang::Por),
    (Language::Romanian, Lang::Ron),
    (Language::Russian, Lang::Rus),
    (Language::Spanish, Lang::Spa),
    (Language::Swedish, Lang::Swe),
    (Language::Tamil, Lang::Tam),
    (Language::Turkish, Lang::Tur),
];

/// A language that is less certain than this is not believed. A wrong one does little harm, because
/// questions are read in all languages of a collection.
const MIN_CONFIDENCE: f64 = 0.5;

/// The characters from which a language is detected.
const MAX_DETECTION_CHARS: usize = 500;

/// Returns the beginning of a text, from which its language is detected.
pub(crate) fn truncate_for_detection(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_DETECTION_CHARS).map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_tells_its_language_or_else_its_script() {
        for (language, text) in [
            (Language::English, "The house stands at the end of the road, where nobody goes."),
            (Language::German, "Das Haus steht am Ende der Straße, wohin niemand mehr geht."),
            (Language::Russian, "Дом стоит в конце дороги, куда уже никто не ходит."),
            (Language::Arabic, "يقع البيت في نهاية الطريق حيث لا يذهب أحد."),
            (Language::Other, "房子在路的尽头，没有人去那里。"),
            (Language::English, "MAX_RETRIES = 3"),
            (Language::Other, "12:30"),
        ] {
            assert_eq!(Language::detect(text), language, "{text}");
        }
    }

    #[test]
    fn a_short_text_is_in_one_of_the_languages_that_are_there() {
        let languages = [Language::German, Language::English, Language::Other];
        let detect = |text| Language::detect_among(text, &languages);
        assert_eq!(detect("Wie lange dauert der Urlaub?"), Some(Language::German));
        assert_eq!(detect("how long is the leave"), Some(Language::English));
        assert_eq!(Language::detect_among("what", &[Language::Other]), None);
    }

    #[test]
    fn names_are_those_of_the_settings() {
        for language in Language::all_detected() {
            assert_eq!(serde_json::to_value(language).unwrap(), language.name());
        }
    }
}
