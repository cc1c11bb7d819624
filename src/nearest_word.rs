//! Suggests the known word that is most similar to a misspelt one.

/// Returns the candidate that looks most like `word`, if one looks alike at all.
pub fn find_nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    /// Two words below this similarity have nothing to do with each other.
    const LEAST_SIMILARITY: f64 = 0.7;
    let word = word.to_lowercase();
    let similarity =
        |candidate: &str| strsim::normalized_damerau_levenshtein(&word, &candidate.to_lowercase());
    let scored = candidates.into_iter().map(|candidate| (similarity(candidate), candidate));
    let best = scored.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(score, _)| *score >= LEAST_SIMILARITY).map(|(_, candidate)| candidate)
}

/// Returns ` (did you mean `x`?)`, or nothing if no candidate looks alike.
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> String {
    find_nearest(word, candidates)
        .map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found_and_no_other() {
        let words = ["regions", "retry_budget", "allow"];
        assert_eq!(find_nearest("region", words), Some("regions"));
        assert_eq!(find_nearest("RETRY_BUGDET", words), Some("retry_budget"));
        assert_eq!(find_nearest("colour", words), None);
        assert_eq!(suggest("alow", words), " (did you mean `allow`?)");
    }
}
