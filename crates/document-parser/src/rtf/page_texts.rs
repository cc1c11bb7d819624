//! The texts of page headers and footers.

use std::collections::HashSet;

/// The texts of page headers and footers.
#[derive(Default)]
pub(super) struct PageTexts {
    /// The text of the one that is open.
    pub open: String,
    /// The paragraphs of footers, for the end of the document.
    pub footers: Vec<String>,
    seen: HashSet<String>,
}

impl PageTexts {
    /// Closes the open one, and returns its lines that were in none before. A lone page number is
    /// the one that was computed last, and is left out.
    pub fn take_new_lines(&mut self) -> Vec<String> {
        let text = std::mem::take(&mut self.open);
        let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines
            .filter(|line| line.contains(char::is_alphabetic) && self.seen.insert(line.clone()))
            .collect()
    }
}
