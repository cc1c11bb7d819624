//! The sources of an answer: documents with the passages that were found in them.

use crate::escape::escape_chars;
use pipe_sdk::{Chunk, Citation, Event};
use retrieval::{Passage as FoundPassage, SearchHit};
use serde_json::{Value, json};

/// A document with the passages that were found in it. Sources are numbered in their order, from 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Source {
    pub collection: String,
    pub document: String,
    pub title: String,
    pub url: Option<String>,
    pub passages: Vec<Passage>,
}

/// A passage of a document.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Passage {
    pub heading: String,
    pub text: String,
    /// The score of its best chunk, by a reranker or by the cosine; `None` after a keyword search,
    /// whose scores are not comparable.
    pub relevance: Option<f32>,
    /// The position of its first chunk in the document, from 0.
    pub position: i64,
    /// The page of its best chunk, from 1.
    pub page: Option<u32>,
}

/// Groups passages by document, in the order in which the documents first occur.
pub(crate) fn group_by_document(found: Vec<FoundPassage>, hits: &[SearchHit]) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for found in found {
        let passage = Passage {
            heading: found.heading,
            text: found.text,
            relevance: relevance(hits, &found.collection, &found.document),
            position: found.first,
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

/// Returns the highest score among the passages of a document.
fn relevance(hits: &[SearchHit], collection: &str, document: &str) -> Option<f32> {
    let same = hits.iter().filter(|hit| hit.collection == collection && hit.document == document);
    same.filter_map(|hit| hit.scores.rerank.or(hit.scores.cosine)).reduce(f32::max)
}

impl Passage {
    /// Returns the text for display, with the header of the table in which it begins.
    fn displayed_text(&self) -> String {
        match self.heading.split_once('\n') {
            Some((_, header)) => disarm(&format!("{header}\n{}", self.text)),
            None => disarm(&self.text),
        }
    }
}

impl Source {
    /// Returns an id that is unique among all documents. Open WebUI numbers sources by it.
    fn id(&self) -> String {
        disarm(&format!("{}/{}", self.collection, self.document))
    }

    /// Returns the address if it is one that a browser may open.
    fn web_url(&self) -> Option<&str> {
        let is_web = |url: &&str| {
            let url = url.to_ascii_lowercase();
            url.starts_with("https://") || url.starts_with("http://")
        };
        self.url.as_deref().filter(is_web)
    }

    /// Returns the event by which Open WebUI shows the source below the answer
    /// (`docs/reference/open-webui.md`, "Events").
    pub(crate) fn to_event(&self) -> Chunk {
        let id = self.id();
        let title = disarm(&self.title);
        let mut source = json!({"id": id, "name": title});
        if let Some(url) = self.web_url() {
            source["url"] = url.into();
        }
        let metadata = self.passages.iter().map(|passage| {
            let mut metadata = json!({"source": id, "name": title, "chunk": passage.position});
            if !passage.heading.is_empty() {
                let path = passage.heading.lines().next().unwrap_or_default();
                metadata["heading"] = disarm(path).into();
            }
            if let Some(page) = passage.page {
                // Open WebUI counts pages from 0, and shows one more.
                metadata["page"] = page.saturating_sub(1).into();
            }
            metadata
        });
        let mut data = json!({
            "source": source,
            "document": self.passages.iter().map(Passage::displayed_text).collect::<Value>(),
            "metadata": metadata.collect::<Value>(),
        });
        let distances: Option<Vec<_>> =
            self.passages.iter().map(|passage| passage.relevance).collect();
        if let Some(distances) = distances {
            data["distances"] = json!(distances);
        }
        Chunk::Event(Event { kind: "source", data })
    }

    /// Returns the citation for clients of the APIs.
    pub(crate) fn to_citation(&self, number: usize) -> Chunk {
        let cited_text = self.passages.first().map(|passage| disarm(passage.text.trim()));
        let length = cited_text.as_ref().map_or(0, |text| text.chars().count());
        let mut location = json!({
            "number": number, "collection": self.collection, "document": self.document,
            "documentChar": {"documentIndex": number - 1, "start": 0, "end": length},
        });
        if let Some(page) = self.passages.first().and_then(|passage| passage.page) {
            location["page"] = page.into();
        }
        Chunk::Citation(Citation {
            url: self.web_url().unwrap_or_default().to_owned(),
            title: disarm(&self.title),
            cited_text,
            location: Some(location),
        })
    }
}

/// Tags by which a browser loads or runs something even without attributes.
const LOADING_TAGS: [&str; 4] = ["script", "style", "svg", "template"];

/// Escapes whatever would load a resource when the text is displayed as Markdown, as Open WebUI
/// does.
fn disarm(text: &str) -> String {
    escape_chars(text, |char, rest| match char {
        '!' if rest.starts_with('[') => Some("!\\"),
        '<' if loads_resource(rest) => Some("&lt;"),
        _ => None,
    })
}

/// Returns true if the tag of this text may load a resource: by its name, or by any attribute.
fn loads_resource(rest: &str) -> bool {
    let length = rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len());
    let (name, behind) = rest.split_at(length);
    let has_attributes = behind.starts_with(|char: char| char.is_ascii_whitespace() || char == '/');
    !name.is_empty()
        && (has_attributes || LOADING_TAGS.contains(&name.to_ascii_lowercase().as_str()))
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
            assert_eq!(disarm(text), shown);
        }
    }
}
