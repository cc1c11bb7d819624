//! What was found, by document: as the generator reads it, and as people are shown it.

use pipe_sdk::{Chunk, Citation, Event};
use retrieval::Passage as Found;
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
    pub score: f32,
    /// The place of its first chunk in the document.
    pub place: i64,
}

/// Passages by document, in the order in which the documents come.
pub(crate) fn sources(found: Vec<Found>) -> Vec<Source> {
    let mut sources: Vec<Source> = Vec::new();
    for found in found {
        let passage = Passage {
            heading: found.heading,
            text: found.text,
            score: found.score,
            place: found.first,
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

impl Source {
    /// Unique among all documents. Open WebUI numbers sources by it.
    fn id(&self) -> String {
        format!("{}/{}", self.collection, self.document)
    }

    /// Where people can read it, if a browser may be sent there.
    fn link(&self) -> Option<&str> {
        let is_web = |url: &&str| {
            let url = url.to_ascii_lowercase();
            url.starts_with("https://") || url.starts_with("http://")
        };
        self.url.as_deref().filter(is_web)
    }

    /// As Open WebUI shows it beside the answer (contract §3.3).
    pub(crate) fn event(&self) -> Chunk {
        let id = self.id();
        let mut source = json!({"id": id, "name": self.title});
        if let Some(url) = self.link() {
            source["url"] = url.into();
        }
        let metadata = self.passages.iter().map(|passage| {
            let mut metadata = json!({"source": id, "name": self.title, "chunk": passage.place});
            if !passage.heading.is_empty() {
                metadata["heading"] = passage.heading.as_str().into();
            }
            metadata
        });
        let data = json!({
            "source": source,
            "document": self.passages.iter().map(|passage| still(&passage.text)).collect::<Value>(),
            "metadata": metadata.collect::<Value>(),
            "distances": self.passages.iter().map(|passage| passage.score).collect::<Vec<_>>(),
        });
        Chunk::Event(Event { kind: "source", data })
    }

    /// As clients of APIs are shown it.
    pub(crate) fn citation(&self, number: usize) -> Chunk {
        Chunk::Citation(Citation {
            url: self.link().unwrap_or_default().to_owned(),
            title: self.title.clone(),
            cited_text: self.passages.first().map(|passage| passage.text.trim().to_owned()),
            location: Some(
                json!({"number": number, "collection": self.collection, "document": self.document}),
            ),
        })
    }
}

/// What makes a browser fetch something as soon as it is shown.
const FETCHING: [&str; 16] = [
    "audio", "base", "body", "embed", "frame", "iframe", "image", "img", "input", "link", "object",
    "picture", "source", "style", "svg", "video",
];

/// A text that fetches nothing when it is shown as Markdown, as Open WebUI does: pictures stay words.
fn still(text: &str) -> String {
    let mut still = String::with_capacity(text.len());
    for (at, char) in text.char_indices() {
        let rest = text.get(at + char.len_utf8()..).unwrap_or_default();
        match char {
            '!' if rest.starts_with('[') => still += "!\\",
            '<' if fetches(rest) => still += "&lt;",
            char => still.push(char),
        }
    }
    still
}

fn fetches(rest: &str) -> bool {
    let name = rest.chars().take_while(char::is_ascii_alphanumeric).take(8);
    FETCHING.contains(&name.collect::<String>().to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_fetches_nothing_and_says_the_same() {
        for (text, shown) in [
            ("a ![x](https://e/x) b", "a !\\[x](https://e/x) b"),
            ("![x][ref]", "!\\[x][ref]"),
            ("<IMG src=x> <iframe>", "&lt;IMG src=x> &lt;iframe>"),
            ("[x](https://e) <b> Vec<u8> wow!", "[x](https://e) <b> Vec<u8> wow!"),
        ] {
            assert_eq!(still(text), shown);
        }
    }
}
