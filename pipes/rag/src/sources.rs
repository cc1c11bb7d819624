//! What was found, by document: as the generator reads it, and as people are shown it.

use crate::escape::escaped;
use pipe_sdk::{Chunk, Citation, Event};
use retrieval::{Passage as Found, SearchHit};
use serde_json::{Value, json};

/// A document with the passages that were found in it. Its number is its place among the sources.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Source {
    pub collection: String,
    pub document: String,
    pub title: String,
    pub url: Option<String>,
    pub passages: Vec<Passage>,
}

/// A stretch of its text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Passage {
    pub heading: String,
    pub text: String,
    /// How near its best chunk is to the question, by a reranker or by meaning. Words alone cannot tell.
    pub nearness: Option<f32>,
    /// The place of its first chunk in the document.
    pub place: i64,
    /// The page of its best chunk, from 1.
    pub page: Option<u32>,
}

/// Passages by document, in the order in which the documents come.
pub(crate) fn sources(found: Vec<Found>, hits: &[SearchHit]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for found in found {
        let passage = Passage {
            heading: found.heading,
            text: found.text,
            nearness: nearness(hits, &found.collection, &found.document),
            place: found.first,
            page: found.page,
        };
        let is_same = |one: &&mut Source| {
            one.document == found.document && one.collection == found.collection
        };
        match sources.iter_mut().find(is_same) {
            Some(source) => source.passages.push(passage),
            None => sources.push(Source {
                title: if found.title.is_empty() { found.document.clone() } else { found.title },
                collection: found.collection,
                document: found.document,
                url: found.url,
                passages: vec![passage],
            }),
        }
    }
    sources
}

fn nearness(hits: &[SearchHit], collection: &str, document: &str) -> Option<f32> {
    let same = hits.iter().filter(|hit| hit.collection == collection && hit.document == document);
    same.filter_map(|hit| hit.scores.rerank.or(hit.scores.cosine)).reduce(f32::max)
}

impl Passage {
    /// Its text as it is shown, with the header of the table that it begins in.
    fn shown(&self) -> String {
        match self.heading.split_once('\n') {
            Some((_, header)) => still(&format!("{header}\n{}", self.text)),
            None => still(&self.text),
        }
    }
}

impl Source {
    /// Unique among all documents. Open WebUI numbers sources by it.
    fn id(&self) -> String {
        still(&format!("{}/{}", self.collection, self.document))
    }

    /// Where people can read it, if a browser may be sent there.
    fn link(&self) -> Option<&str> {
        let is_web = |url: &&str| {
            let url = url.to_ascii_lowercase();
            url.starts_with("https://") || url.starts_with("http://")
        };
        self.url.as_deref().filter(is_web)
    }

    /// As Open WebUI shows it beside the answer (`docs/reference/open-webui.md`, "Events").
    pub(crate) fn event(&self) -> Chunk {
        let id = self.id();
        let title = still(&self.title);
        let mut source = json!({"id": id, "name": title});
        if let Some(url) = self.link() {
            source["url"] = url.into();
        }
        let metadata = self.passages.iter().map(|passage| {
            let mut metadata = json!({"source": id, "name": title, "chunk": passage.place});
            if !passage.heading.is_empty() {
                let path = passage.heading.lines().next().unwrap_or_default();
                metadata["heading"] = still(path).into();
            }
            if let Some(page) = passage.page {
                // Open WebUI counts pages from 0, and shows one more.
                metadata["page"] = page.saturating_sub(1).into();
            }
            metadata
        });
        let mut data = json!({
            "source": source,
            "document": self.passages.iter().map(Passage::shown).collect::<Value>(),
            "metadata": metadata.collect::<Value>(),
        });
        let near: Option<Vec<_>> = self.passages.iter().map(|passage| passage.nearness).collect();
        if let Some(near) = near {
            data["distances"] = json!(near);
        }
        Chunk::Event(Event { kind: "source", data })
    }

    /// As clients of APIs are shown it.
    pub(crate) fn citation(&self, number: usize) -> Chunk {
        let cited_text = self.passages.first().map(|passage| still(passage.text.trim()));
        let length = cited_text.as_ref().map_or(0, |text| text.chars().count());
        let mut location = json!({
            "number": number, "collection": self.collection, "document": self.document,
            "documentChar": {"documentIndex": number - 1, "start": 0, "end": length},
        });
        if let Some(page) = self.passages.first().and_then(|passage| passage.page) {
            location["page"] = page.into();
        }
        Chunk::Citation(Citation {
            url: self.link().unwrap_or_default().to_owned(),
            title: still(&self.title),
            cited_text,
            location: Some(location),
        })
    }
}

/// What makes a browser fetch or run something even without an attribute.
const FETCHING: [&str; 4] = ["script", "style", "svg", "template"];

/// A text that fetches nothing when it is shown as Markdown, as Open WebUI does: pictures stay words.
fn still(text: &str) -> String {
    escaped(text, |char, rest| match char {
        '!' if rest.starts_with('[') => Some("!\\"),
        '<' if fetches(rest) => Some("&lt;"),
        _ => None,
    })
}

/// A tag fetches by its name, or by some attribute: no other tag is let through with one.
fn fetches(rest: &str) -> bool {
    let length = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(length);
    let has_attributes = behind.starts_with(|char: char| char.is_ascii_whitespace() || char == '/');
    !name.is_empty() && (has_attributes || FETCHING.contains(&name.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_fetches_nothing_and_says_the_same() {
        for (text, shown) in [
            ("a ![x](https://e/x) b", "a !\\[x](https://e/x) b"),
            ("![x][ref]", "!\\[x][ref]"),
            ("<IMG src=x> <img/src=x>", "&lt;IMG src=x> &lt;img/src=x>"),
            ("<div style=x> <script>", "&lt;div style=x> &lt;script>"),
            ("[x](https://e) <b> Vec<u8> wow!", "[x](https://e) <b> Vec<u8> wow!"),
        ] {
            assert_eq!(still(text), shown);
        }
    }
}
