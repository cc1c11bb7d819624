//! Looks whether what an engine holds of a collection belongs together.

use crate::analyser::Analyser;
use crate::chunk::searched;
use crate::posting::{Edits, Extent, Row};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Is told everything that is held of a collection, and says at the end what is wrong. Makes the postings once more from the texts.
pub(crate) struct Audit {
    collection: String,
    analyser: Arc<Analyser>,
    expected: Edits,
    held: BTreeMap<Row, Vec<u8>>,
    extents: BTreeMap<i64, Extent>,
    faults: Vec<String>,
}

/// A document, and how much of it is there.
pub(crate) struct Held {
    pub(crate) name: String,
    pub(crate) chunks: i64,
    /// How many of its chunks there are.
    pub(crate) held: i64,
    /// The last one's place; -1 if there is none.
    pub(crate) last: i64,
    /// How many of its vectors are not of the collection's length.
    pub(crate) uneven: i64,
}

impl Audit {
    pub(crate) fn of(collection: &str, analyser: Arc<Analyser>) -> Self {
        let (expected, held, extents) = (Edits::default(), BTreeMap::new(), BTreeMap::new());
        Self {
            collection: collection.to_owned(),
            analyser,
            expected,
            held,
            extents,
            faults: Vec::new(),
        }
    }

    pub(crate) fn document(&mut self, Held { name, chunks, held, last, uneven }: Held) {
        if held != chunks || last != chunks - 1 {
            self.fault(&format!("document `{name}` has {held} of {chunks} chunks"));
        }
        if uneven > 0 {
            self.fault(&format!(
                "document `{name}` has {uneven} vectors that are not of the collection's length"
            ));
        }
    }

    /// In the order of their numbers.
    pub(crate) fn chunk(&mut self, audience: i64, chunk: i64, heading: &str, text: &str) {
        let terms = self.analyser.terms(&searched(heading, text));
        self.expected.add(audience, chunk, terms.iter().map(String::as_str));
    }

    pub(crate) fn posting(&mut self, row: Row, entries: Vec<u8>) {
        self.held.insert(row, entries);
    }

    pub(crate) fn extent(&mut self, audience: i64, extent: Extent) {
        self.extents.insert(audience, extent);
    }

    pub(crate) fn fault(&mut self, what: &str) {
        self.faults.push(format!("`{}`: {what}", self.collection));
    }

    pub(crate) fn end(mut self) -> Vec<String> {
        let expected: BTreeMap<Row, Vec<u8>> = std::mem::take(&mut self.expected.rows)
            .into_iter()
            .map(|(row, edit)| (row, edit.apply(&[])))
            .collect();
        if expected != self.held {
            self.fault("the postings are not those of the texts");
        }
        // Of an audience whose last document went, an empty extent stays.
        self.extents.retain(|_, extent| *extent != Extent::default());
        if self.expected.extents != self.extents {
            self.fault("its extent is not that of its texts");
        }
        self.faults
    }
}
