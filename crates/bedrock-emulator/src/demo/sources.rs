//! Answers a question from the sources of its prompt.

use std::collections::HashSet;

/// The shortest word that says something about a sentence, in characters.
const MIN_WORD_CHARS: usize = 4;

/// Returns the sentence of the numbered sources that shares the most words with the question, and
/// cites its source. Returns `None` for a prompt without `<source id="1" …>…</source>`.
pub(super) fn answer_from_sources(prompt: &str) -> Option<String> {
    let (_, question) = prompt.rsplit_once("</source>")?;
    let asked = words(question);
    let mut best: Option<(usize, &str, &str)> = None;
    for source in prompt.split("<source id=\"").skip(1) {
        let (number, rest) = source.split_once('"')?;
        let (_, content) = rest.split_once('>')?;
        let (text, _) = content.split_once("</source>").unwrap_or_default();
        for sentence in text.split(['\n', '.']).map(str::trim) {
            let shared = words(sentence).intersection(&asked).count();
            if shared > best.map_or(0, |(most, ..)| most) {
                best = Some((shared, sentence, number));
            }
        }
    }
    Some(best.map_or_else(
        || "It is not in the sources.".to_owned(),
        |(_, sentence, number)| format!("{} [{number}].", sentence.trim_start_matches(['#', ' '])),
    ))
}

/// Returns the longer words of a text, in lower case.
fn words(text: &str) -> HashSet<String> {
    text.split(|char: char| !char.is_alphanumeric())
        .filter(|word| word.chars().count() >= MIN_WORD_CHARS)
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::answer_from_sources;

    #[test]
    fn the_sentence_nearest_to_the_question_is_the_answer() {
        let prompt = "Answer from these.\n\n<source id=\"1\" name=\"Parking\">\n# Parking\nThe garage opens at six.\n</source>\n\
             <source id=\"2\" name=\"Leave\">\n# Leave\nParents get thirty weeks. They may share them.\n</source>\n\nQuestion: ";
        let ask = |question: &str| answer_from_sources(&format!("{prompt}{question}"));
        let answer = ask("How many weeks do parents get?");
        assert_eq!(answer.as_deref(), Some("Parents get thirty weeks [2]."));
        assert_eq!(ask("Zebras?").as_deref(), Some("It is not in the sources."));
        assert_eq!(answer_from_sources("How many weeks?"), None);
    }
}
