//! Checks that the stored rows of a collection are consistent.

use crate::analyzer::Analyzer;
use crate::chunk::searchable_text;
use crate::posting::{CorpusStats, PostingEdits, PostingKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A check of one collection. The engine adds every stored row; [`finish`](Self::finish) compares
/// them with postings that are computed again from the texts.
pub(crate) struct IntegrityCheck {
    collection: String,
    analyzer: Arc<Analyzer>,
    expected: PostingEdits,
    stored_postings: BTreeMap<PostingKey, Vec<u8>>,
    stats: BTreeMap<i64, CorpusStats>,
    problems: Vec<String>,
}

/// The counts of a stored document's rows.
pub(crate) struct DocumentCounts {
    pub(crate) name: String,
    pub(crate) expected_chunks: i64,
    /// The number of stored chunks.
    pub(crate) stored_chunks: i64,
    /// The position of the last stored chunk; -1 if there is none.
    pub(crate) last_position: i64,
    /// The number of vectors whose length differs from the collection's.
    pub(crate) mismatched_vectors: i64,
}

impl IntegrityCheck {
    pub(crate) fn new(collection: &str, analyzer: Arc<Analyzer>) -> Self {
        let (expected, stored_postings, stats) =
            (PostingEdits::default(), BTreeMap::new(), BTreeMap::new());
        Self {
            collection: collection.to_owned(),
            analyzer,
            expected,
            stored_postings,
            stats,
            problems: Vec::new(),
        }
    }

    pub(crate) fn add_document(
        &mut self,
        DocumentCounts { name, expected_chunks, stored_chunks, last_position, mismatched_vectors }: DocumentCounts,
    ) {
        if stored_chunks != expected_chunks || last_position != expected_chunks - 1 {
            self.report(&format!(
                "document `{name}` has {stored_chunks} of {expected_chunks} chunks"
            ));
        }
        if mismatched_vectors > 0 {
            self.report(&format!(
                "document `{name}` has {mismatched_vectors} vectors that are not of the collection's length"
            ));
        }
    }

    /// Adds a chunk; chunks must come in the order of their ids.
    pub(crate) fn add_chunk(&mut self, audience: i64, chunk: i64, heading: &str, text: &str) {
        let terms = self.analyzer.terms(&searchable_text(heading, text));
        self.expected.add(audience, chunk, terms.iter().map(String::as_str));
    }

    pub(crate) fn add_posting(&mut self, key: PostingKey, entries: Vec<u8>) {
        self.stored_postings.insert(key, entries);
    }

    pub(crate) fn add_stats(&mut self, audience: i64, stats: CorpusStats) {
        self.stats.insert(audience, stats);
    }

    /// Records a problem of the collection.
    pub(crate) fn report(&mut self, problem: &str) {
        self.problems.push(format!("`{}`: {problem}", self.collection));
    }

    /// Compares the rows with what they should be, and returns all problems.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let expected: BTreeMap<PostingKey, Vec<u8>> = std::mem::take(&mut self.expected.rows)
            .into_iter()
            .map(|(key, edit)| (key, edit.apply(&[])))
            .collect();
        if expected != self.stored_postings {
            self.report("the postings are not those of the texts");
        }
        // The statistics of an audience without documents stay, with zeros.
        self.stats.retain(|_, stats| *stats != CorpusStats::default());
        if self.expected.stats != self.stats {
            self.report("its extent is not that of its texts");
        }
        self.problems
    }
}
