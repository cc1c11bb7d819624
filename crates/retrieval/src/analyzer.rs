//! Turns texts into the terms that keyword search (BM25) compares.

use crate::language::{Language, truncate_for_detection};
use rust_stemmers::Stemmer;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Maximum characters of a term. Longer runs of letters are no words, and an index key needs a
/// bound.
const MAX_TERM_CHARS: usize = 64;

/// Splits texts into terms, all in one language, or each in its own.
///
/// An identifier is also indexed by its parts, so `readTimeout`, `read_timeout` and "reading
/// timeouts" share terms. Scripts that write no space between words are split into pairs of
/// characters.
pub struct Analyzer {
    language: Language,
    /// The rules of the languages in use, each created once.
    rules: Mutex<HashMap<Language, Arc<LanguageRules>>>,
}

impl Analyzer {
    /// Creates the analyzer of a language, or the one that [detects](Language::Auto) it.
    pub fn new(language: Language) -> Self {
        Self { language, rules: Mutex::default() }
    }

    /// Returns the terms of a chunk in the order of its words, each as often as it occurs. Where
    /// the language is detected, a term that says which one follows.
    pub fn terms(&self, text: &str) -> Vec<String> {
        if self.language != Language::Auto {
            return self.rules(self.language).terms(text);
        }
        let language = self.text_language(text);
        let mut terms = self.rules(language).terms(text);
        if !terms.is_empty() {
            terms.push(language_term(language));
        }
        terms
    }

    /// Returns the terms of a text in a language, in the order of its words, each as often as it
    /// occurs.
    pub(crate) fn terms_in(&self, text: &str, language: Language) -> Vec<String> {
        self.rules(language).terms(text)
    }

    /// Returns the terms by which a question finds chunks in these languages: for each word one in
    /// each language, without repetition, or none for a stop word. A stop word of the question's
    /// own language is none in any of them.
    pub(crate) fn query_terms(&self, text: &str, languages: &[Language]) -> Vec<QueryTerm> {
        let own = match (self.language, languages) {
            (Language::Auto, _) => self.question_language(text, languages),
            (_, [_]) => None,
            _ => Language::detect_among(text, languages),
        };
        let own = own.map(|language| self.rules(language));
        let rules: Vec<Arc<LanguageRules>> =
            languages.iter().map(|language| self.rules(*language)).collect();
        let terms_of = |part: WordPart| {
            let terms = rules.iter().filter_map(|rules| {
                let stop_words = &own.as_ref().unwrap_or(rules).stop_words;
                rules.term(&part, stop_words)
            });
            terms.collect::<BTreeSet<String>>()
        };
        split_parts(text).into_iter().map(terms_of).collect()
    }

    /// Returns the language of a chunk. Program code looks like one language or another by its
    /// letters; a language of Latin letters is believed if the chunk has more of its stop words
    /// than of English ones.
    fn text_language(&self, text: &str) -> Language {
        let detected = Language::detect(text);
        if detected == Language::English || !detected.has_latin_letters() {
            return detected;
        }
        let words = lowercase_words(truncate_for_detection(text));
        let count = |language| self.rules(language).count_stop_words(&words);
        if count(detected) > count(Language::English) { detected } else { Language::English }
    }

    /// Returns the language of a question: the one that most of its words are stop words of, even
    /// if none of the chunks is in it. The letters of so short a text tell languages apart poorly;
    /// they decide between languages with equal counts, of which those of the chunks come first.
    pub(crate) fn question_language(&self, text: &str, languages: &[Language]) -> Option<Language> {
        let words = lowercase_words(text);
        let counts: Vec<(usize, Language)> = Language::all_detected()
            .map(|language| (self.rules(language).count_stop_words(&words), language))
            .collect();
        let most = counts.iter().map(|(count, _)| *count).max().unwrap_or_default();
        if most == 0 {
            return match Language::is_latin_text(text) {
                true => Language::detect_among(text, languages),
                false => Some(Language::detect(text)),
            };
        }
        let best = counts.iter().filter(|(count, _)| *count == most).map(|(_, language)| *language);
        let (of_chunks, others): (Vec<Language>, Vec<Language>) =
            best.partition(|language| languages.contains(language));
        Language::detect_among(text, if of_chunks.is_empty() { &others } else { &of_chunks })
    }

    /// Returns the rules of a language, which are built once.
    fn rules(&self, language: Language) -> Arc<LanguageRules> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(rules.entry(language).or_insert_with(|| Arc::new(LanguageRules::new(language))))
    }
}

/// The terms of a word of a question, one in each language of the chunks.
pub(crate) type QueryTerm = BTreeSet<String>;

/// Returns the term of all chunks that were found to be in a language. No text has it, because a
/// control character is part of no word.
pub(crate) fn language_term(language: Language) -> String {
    format!("\u{1}{}", language.name())
}

/// The stemmer and the stop words of a language.
struct LanguageRules {
    stemmer: Option<Stemmer>,
    stop_words: HashSet<String>,
}

impl LanguageRules {
    fn new(language: Language) -> Self {
        let rules = language.analysis_rules();
        let stop_list = rules.and_then(|(code, _)| stop_words::lookup(code)).unwrap_or_default();
        // "don't" is two words here.
        let stop_words =
            stop_list.iter().flat_map(|word| split_words(word)).map(str::to_lowercase).collect();
        Self { stemmer: rules.map(|(_, algorithm)| Stemmer::create(algorithm)), stop_words }
    }

    /// Returns the number of these words that are stop words, each as often as it occurs.
    fn count_stop_words(&self, words: &[String]) -> usize {
        words.iter().filter(|word| self.stop_words.contains(*word)).count()
    }

    /// Returns the terms of a text without stop words.
    fn terms(&self, text: &str) -> Vec<String> {
        split_parts(text).iter().filter_map(|part| self.term(part, &self.stop_words)).collect()
    }

    /// Returns the term of a part; `None` for a stop word.
    fn term(&self, part: &WordPart, stop_words: &HashSet<String>) -> Option<String> {
        match part {
            WordPart::Pair(pair) => Some(pair.clone()),
            WordPart::Word(word) if stop_words.contains(word) => None,
            WordPart::Word(word) => Some(match &self.stemmer {
                Some(stemmer) => stemmer.stem(word).into_owned(),
                None => word.clone(),
            }),
        }
    }
}

/// The part of a text of which a term is made.
enum WordPart {
    /// A word, or a part of an identifier, in lower case.
    Word(String),
    /// A pair of characters of a script without spaces.
    Pair(String),
}

/// Splits a text into words, parts of identifiers, and pairs of characters.
fn split_parts(text: &str) -> Vec<WordPart> {
    let text: String = text.nfkc().collect();
    let mut parts = Vec::new();
    for word in split_words(&text) {
        if word.chars().any(is_unspaced) {
            parts.extend(bigrams(word).into_iter().map(WordPart::Pair));
            continue;
        }
        let of_identifier = split_identifier(word);
        if of_identifier.len() > 1 {
            // A part of one letter carries no meaning; a word of one letter may ("vitamin C").
            let long = of_identifier.into_iter().filter(|part| part.chars().nth(1).is_some());
            parts.extend(long.map(lowercase_part));
        }
        parts.push(lowercase_part(word));
    }
    parts
}

fn lowercase_part(word: &str) -> WordPart {
    WordPart::Word(word.to_lowercase().chars().take(MAX_TERM_CHARS).collect())
}

/// The terms of a text, each as often as it occurs, in one allocation: a large document has
/// millions of terms.
pub(crate) struct TermList(Box<str>);

impl TermList {
    pub(crate) fn new(terms: &[String]) -> Self {
        Self(terms.join(" ").into())
    }

    /// Iterates over the terms.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|term| !term.is_empty())
    }
}

/// The analyzers of the languages in use, each created once.
#[derive(Default)]
pub(crate) struct AnalyzerCache {
    by_language: Mutex<HashMap<Language, Arc<Analyzer>>>,
}

impl AnalyzerCache {
    /// Returns the analyzer of a language, which is built once.
    pub(crate) fn get(&self, language: Language) -> Arc<Analyzer> {
        let mut analyzers = self.by_language.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(analyzers.entry(language).or_insert_with(|| Arc::new(Analyzer::new(language))))
    }
}

fn lowercase_words(text: &str) -> Vec<String> {
    split_words(text).map(str::to_lowercase).collect()
}

/// Splits a text into runs of letters, digits and combining marks.
fn split_words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|char: char| !char.is_alphanumeric() && !is_combining_mark(char))
        .filter(|word| !word.is_empty())
}

/// Splits `HTTPServer2` into `HTTP`, `Server` and `2`.
fn split_identifier(word: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = word;
    let mut chars = word.char_indices().peekable();
    let mut before: Option<char> = None;
    let mut start = 0;
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if before.is_some_and(|before| is_part_boundary(before, char, next)) {
            let (part, after) = rest.split_at(at - start);
            parts.push(part);
            (rest, start) = (after, at);
        }
        before = Some(char);
    }
    parts.push(rest);
    parts
}

fn is_part_boundary(before: char, char: char, next: Option<char>) -> bool {
    let hump = before.is_lowercase() && char.is_uppercase();
    let end_of_capitals =
        before.is_uppercase() && char.is_uppercase() && next.is_some_and(char::is_lowercase);
    let number = before.is_numeric() != char.is_numeric() && !is_combining_mark(char);
    hump || end_of_capitals || number
}

/// Returns the pairs of neighbouring characters of a word.
fn bigrams(word: &str) -> Vec<String> {
    let chars: Vec<char> = word.chars().collect();
    match chars.len() {
        1 => vec![chars[0].to_string()],
        _ => chars.windows(2).map(|pair| pair.iter().collect()).collect(),
    }
}

/// Returns true for Thai, Lao, Myanmar, Khmer, kana and ideographs, which are written without
/// spaces.
fn is_unspaced(char: char) -> bool {
    matches!(char,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_stems_names_their_parts_and_little_words_nothing() {
        let english = Analyzer::new(Language::English);
        for (text, terms) in [
            ("What is the retrying of timeouts?", vec!["retri", "timeout"]),
            ("readTimeout", vec!["read", "timeout", "readtimeout"]),
            ("max_retry_count", vec!["max", "retri", "count"]),
            ("HTTPServer", vec!["http", "server", "httpserver"]),
            ("CD40", vec!["cd", "40", "cd40"]),
            ("vitamin C", vec!["vitamin", "c"]),
            ("don't", vec![]),
            ("ﬁle", vec!["file"]),
            ("東京都", vec!["東京", "京都"]),
            ("", vec![]),
        ] {
            assert_eq!(english.terms(text), terms, "{text}");
        }
    }

    #[test]
    fn each_text_is_read_in_its_own_language_and_a_question_in_all_of_them() {
        let analyzer = Analyzer::new(Language::Auto);
        let german = "Die Häuser stehen am Ende der Straße, und niemand wohnt dort.";
        let terms = analyzer.terms(german);
        assert!(terms.contains(&"haus".to_owned()), "{terms:?}");
        assert_eq!(terms.last(), Some(&language_term(Language::German)));
        let languages = [Language::English, Language::German];
        let terms = |question, languages: &[Language]| -> Vec<String> {
            let terms = analyzer.query_terms(question, languages);
            terms.into_iter().map(|term| Vec::from_iter(term).join("|")).collect()
        };
        assert_eq!(
            terms("Wem gehören die Häuser?", &languages),
            ["wem", "gehor|gehören", "", "haus|häuser"]
        );
        assert_eq!(terms("the houses, the house", &languages), ["", "hous", "", "hous"]);
        assert_eq!(
            terms("Wie war das mit der Steuer?", &[Language::English]),
            ["", "", "", "", "", "steuer"]
        );
        assert_eq!(terms("how to tax", &[Language::German]), ["", "", "tax"]);
    }

    #[test]
    fn stop_words_tell_the_language_of_a_question() {
        let analyzer = Analyzer::new(Language::Auto);
        let all: Vec<Language> = Language::all_detected().collect();
        for question in ["How can you create test cases?", "What is in the tool for an evaluation?"]
        {
            assert_eq!(analyzer.question_language(question, &all), Some(Language::English));
        }
        for (question, language) in [
            ("Wie war das mit der Steuer?", Language::German),
            ("服务器在哪里？", Language::Other),
            ("Zacharias Plum", Language::English),
        ] {
            let asked = analyzer.question_language(question, &[Language::English]);
            assert_eq!(asked, Some(language), "{question}");
        }
    }

    #[test]
    fn code_is_in_no_language_of_which_it_has_no_words() {
        let analyzer = Analyzer::new(Language::Auto);
        let code = "message = client.messages.create(\n    model=\"claude-3-5-sonnet-20241022\",\n    max_tokens=256,\n    messages=[{\"role\": \"user\", \"content\": \"Hello\"}]\n)\nprint(message.content)";
        assert_eq!(Language::detect(code), Language::French);
        assert_eq!(analyzer.text_language(code), Language::English);
        let french = "La réponse est dans le message que le serveur envoie au client.";
        assert_eq!(analyzer.text_language(french), Language::French);
    }

    #[test]
    fn every_language_has_stop_words_and_stems_of_its_own() {
        for (language, text, terms) in [
            (Language::German, "Die Häuser und der Garten", vec!["haus", "gart"]),
            (Language::French, "l'histoire des maisons", vec!["histoir", "maison"]),
            (Language::Spanish, "los gatos de la casa", vec!["gat", "cas"]),
            (Language::Russian, "книги и книга", vec!["книг", "книг"]),
            (Language::Other, "The Houses", vec!["the", "houses"]),
        ] {
            assert_eq!(Analyzer::new(language).terms(text), terms, "{language:?}");
        }
    }
}
