//! Finds the sources that an answer cites by their numbers, as in `[1]` or `[2, 3]`, while it is
//! streamed.

use std::collections::BTreeSet;

/// The maximum characters between the brackets of a citation.
const MAX_MARKER_CHARS: usize = 24;

/// A scanner for citation markers. A marker may be split over several chunks.
#[derive(Debug, Default)]
pub(crate) struct CitationScanner {
    /// The text since an opening bracket, if one is open.
    open: Option<String>,
    cited: BTreeSet<usize>,
}

impl CitationScanner {
    /// Scans the next text of the answer, and returns the numbers up to `sources` that it cites for
    /// the first time.
    pub(crate) fn scan(&mut self, text: &str, sources: usize) -> Vec<usize> {
        let mut found = Vec::new();
        for char in text.chars() {
            match (char, &mut self.open) {
                ('[' | '【', _) => self.open = Some(String::new()),
                (']' | '】', Some(marker)) => {
                    let numbers = marker.split(',').map(|number| number.trim().parse::<usize>());
                    let numbers: Result<Vec<_>, _> = numbers.collect();
                    let valid = numbers.unwrap_or_default().into_iter();
                    for number in valid.filter(|number| (1..=sources).contains(number)) {
                        if self.cited.insert(number) {
                            found.push(number);
                        }
                    }
                    self.open = None;
                }
                ('0'..='9' | ',' | ' ', Some(marker)) if marker.len() < MAX_MARKER_CHARS => {
                    marker.push(char);
                }
                _ => self.open = None,
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_brackets_cite_sources_once() {
        let mut scanner = CitationScanner::default();
        assert_eq!(scanner.scan("So [1] and [2, 3], says [9], [a], [1] (2) [", 3), [1, 2, 3]);
        let mut scanner = CitationScanner::default();
        assert_eq!(scanner.scan("It is so [", 3), [0; 0]);
        assert_eq!(scanner.scan("1", 3), [0; 0]);
        assert_eq!(scanner.scan("2]. 【2】 [0] [[3]] [1 2]", 12), [12, 2, 3]);
    }
}
