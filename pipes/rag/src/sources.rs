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
            "document": self.passages.iter().map(|passage| passage.text.as_str()).collect::<Value>(),
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
