//! The pages that an answer rests on, and the numbers by which it cites them.

use crate::search_api::SearchResult;
use pipe_sdk::{Chunk, Event};
use serde_json::json;
use std::collections::BTreeSet;

/// A page. Sources are numbered in their order, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub title: String,
    pub url: String,
    pub text: String,
}

impl From<SearchResult> for Source {
    fn from(SearchResult { title, url, text }: SearchResult) -> Self {
        let title = if title.trim().is_empty() { url.clone() } else { title };
        Self { title, url, text }
    }
}

impl Source {
    /// Returns the event by which Open WebUI shows the source below the answer
    /// (`docs/reference/open-webui.md`, "Events").
    pub fn to_event(&self) -> Chunk {
        // Texts of pages are shown as text: nothing in them is loaded.
        let text = self.text.replace("![", "!\\[").replace('<', "&lt;");
        let data = json!({
            "source": {"id": self.url, "name": self.title, "url": self.url},
            "document": [text],
            "metadata": [{"source": self.url, "name": self.title}],
        });
        Chunk::Event(Event { kind: "source", data })
    }
}

/// Returns the list of the sources that a text cites, to be put below it.
pub(crate) fn list_cited(text: &str, sources: &[Source]) -> Option<String> {
    let cited = cited_numbers(text);
    let lines = sources.iter().zip(1..).filter(|(_, number)| cited.contains(number));
    let lines = lines.map(|(source, number)| {
        let title = source.title.replace(['[', ']', '\n'], " ");
        format!("[{number}] {title}: {}", source.url)
    });
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| format!("\n\nSources:\n\n{}", lines.join("\n\n")))
}

/// Returns the numbers in brackets, as in `[1]` and `[2, 3]`.
fn cited_numbers(text: &str) -> BTreeSet<usize> {
    let brackets = text.split('[').skip(1).filter_map(|rest| Some(rest.split_once(']')?.0));
    let numbers = brackets.flat_map(|inner| {
        let numbers: Result<Vec<usize>, _> =
            inner.split(',').map(|one| one.trim().parse()).collect();
        numbers.unwrap_or_default()
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cited_sources_are_listed_once_by_their_numbers() {
        let source = |title: &str| Source {
            title: title.into(),
            url: format!("https://e.example/{title}"),
            text: String::new(),
        };
        let sources = ["a", "b", "c"].map(source);
        let text = "It is so [3]. Or [1, 3], but [x], [9] and [2 are none.";
        let listed = "\n\nSources:\n\n[1] a: https://e.example/a\n\n[3] c: https://e.example/c";
        assert_eq!(list_cited(text, &sources).as_deref(), Some(listed));
        assert_eq!(list_cited("nothing", &sources), None);
    }
}
