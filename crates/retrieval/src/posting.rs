//! Posting lists: the chunks in which a term occurs, split into blocks; all engines store the same
//! bytes.
//!
//! A list belongs to one collection, one term and one audience. A search therefore never reads, or
//! counts in, a list that the viewer may not see. Each row holds the entries of one block of chunk
//! ids.

use crate::analyzer::QueryTerm;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The number of chunk ids that one row covers.
const BLOCK_CHUNKS: i64 = 1024;

/// The bytes of an entry: the chunk's offset in its block, the count of the term in it, and its
/// number of terms.
const ENTRY_BYTES: usize = 6;

/// Returns the block of a posting list that holds a chunk.
pub(crate) fn block_of(chunk: i64) -> i64 {
    chunk.div_euclid(BLOCK_CHUNKS)
}

#[expect(clippy::cast_possible_truncation, reason = "less than BLOCK_CHUNKS")]
fn offset_in_block(chunk: i64) -> u16 {
    chunk.rem_euclid(BLOCK_CHUNKS) as u16
}

/// The key of a posting row within a collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PostingKey {
    pub(crate) term: String,
    pub(crate) audience: i64,
    pub(crate) block: i64,
}

/// The changes of a transaction to the posting lists of a collection.
#[derive(Default)]
pub(crate) struct PostingEdits {
    pub(crate) rows: BTreeMap<PostingKey, PostingEdit>,
    pub(crate) stats: BTreeMap<i64, CorpusStats>,
}

/// The number of chunks of an audience, and the number of terms in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CorpusStats {
    pub(crate) chunk_count: i64,
    pub(crate) terms: i64,
}

/// The changes to one posting row.
#[derive(Default)]
pub(crate) struct PostingEdit {
    removed: BTreeSet<u16>,
    added: Vec<u8>,
}

impl PostingEdits {
    /// Adds a chunk with these terms.
    pub(crate) fn add<'a>(
        &mut self,
        audience: i64,
        chunk: i64,
        terms: impl Iterator<Item = &'a str>,
    ) {
        let (counts, all) = count_terms(terms);
        let length = u16::try_from(all).unwrap_or(u16::MAX);
        for (term, count) in counts {
            let edit = self.edit(audience, chunk, term);
            for number in [offset_in_block(chunk), count, length] {
                edit.added.extend(number.to_le_bytes());
            }
        }
        self.add_to_stats(audience, 1, all);
    }

    /// Removes a chunk that was added with these terms.
    pub(crate) fn remove<'a>(
        &mut self,
        audience: i64,
        chunk: i64,
        terms: impl Iterator<Item = &'a str>,
    ) {
        let (counts, all) = count_terms(terms);
        for (term, _) in counts {
            self.edit(audience, chunk, term).removed.insert(offset_in_block(chunk));
        }
        self.add_to_stats(audience, -1, all);
    }

    /// Returns the edit of the block that has the postings of this term and chunk.
    fn edit(&mut self, audience: i64, chunk: i64, term: &str) -> &mut PostingEdit {
        self.rows
            .entry(PostingKey { term: term.to_owned(), audience, block: block_of(chunk) })
            .or_default()
    }

    fn add_to_stats(&mut self, audience: i64, by: i64, terms: usize) {
        let stats = self.stats.entry(audience).or_default();
        stats.chunk_count += by;
        stats.terms += by * i64::try_from(terms).unwrap_or(i64::MAX);
    }
}

impl PostingEdit {
    /// Applies the changes to the stored entries, and returns the new ones in the order of their
    /// chunks.
    pub(crate) fn apply(&self, entries: &[u8]) -> Vec<u8> {
        let is_kept =
            |entry: &&[u8; ENTRY_BYTES]| !self.removed.contains(&decode_entry(entry).offset);
        let (stored, added) =
            (entries.as_chunks::<ENTRY_BYTES>().0, self.added.as_chunks::<ENTRY_BYTES>().0);
        let mut entries: Vec<[u8; ENTRY_BYTES]> =
            stored.iter().filter(is_kept).chain(added).copied().collect();
        entries.sort_by_key(|entry| decode_entry(entry).offset);
        entries.into_flattened()
    }
}

/// Counts each term, and all of them.
fn count_terms<'a>(terms: impl Iterator<Item = &'a str>) -> (BTreeMap<&'a str, u16>, usize) {
    let (mut counts, mut all) = (BTreeMap::new(), 0);
    for term in terms {
        let count: &mut u16 = counts.entry(term).or_default();
        *count = count.saturating_add(1);
        all += 1;
    }
    (counts, all)
}

/// The posting of one chunk.
struct PostingEntry {
    offset: u16,
    count: f32,
    length: f32,
}

fn decode_entry([p0, p1, c0, c1, l0, l1]: &[u8; ENTRY_BYTES]) -> PostingEntry {
    let number = |low: &u8, high: &u8| u16::from_le_bytes([*low, *high]);
    PostingEntry {
        offset: number(p0, p1),
        count: f32::from(number(c0, c1)),
        length: f32::from(number(l0, l1)),
    }
}

/// The usual BM25 parameters: K1 limits the weight of repeated terms, B that of the chunk's length.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// The posting lists of a query's terms.
#[derive(Default)]
pub(crate) struct PostingLists {
    visible: CorpusStats,
    /// The words of the query as their terms, and the number of times that each occurs.
    words: BTreeMap<QueryTerm, u16>,
    /// The posting rows of each term.
    terms: BTreeMap<String, PostingBlocks>,
}

/// Blocks with their entries.
type PostingBlocks = Vec<(i64, Vec<u8>)>;

impl PostingLists {
    /// Creates empty lists for the words of a query, as each collection reads them: a word has the
    /// terms of all.
    pub(crate) fn new<'a>(queries: impl Iterator<Item = &'a [QueryTerm]>) -> Self {
        let mut words: Vec<QueryTerm> = Vec::new();
        for query in queries {
            words.resize(words.len().max(query.len()), QueryTerm::new());
            words
                .iter_mut()
                .zip(query)
                .for_each(|(word, terms)| word.extend(terms.iter().cloned()));
        }
        let mut lists = Self::default();
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            lists.terms.extend(word.iter().map(|term| (term.clone(), Vec::new())));
            let times = lists.words.entry(word).or_default();
            *times = times.saturating_add(1);
        }
        lists
    }

    /// Adds the statistics of an audience to which the viewer belongs.
    pub(crate) fn add_visible(&mut self, visible: CorpusStats) {
        self.visible.chunk_count += visible.chunk_count;
        self.visible.terms += visible.terms;
    }

    pub(crate) fn push_block(&mut self, term: &str, block: i64, entries: Vec<u8>) {
        if let Some(rows) = self.terms.get_mut(term) {
            rows.push((block, entries));
        }
    }

    /// Computes the scores; the words are added in a fixed order, so the sums are reproducible.
    pub(crate) fn score(&self) -> Bm25Scores {
        let mut scores = Bm25Scores::new(self.visible);
        for (word, times) in &self.words {
            let rows = word.iter().filter_map(|term| self.terms.get(term));
            let rows: Vec<&PostingBlocks> = rows.filter(|rows| !rows.is_empty()).collect();
            match rows.as_slice() {
                [rows] => scores.add_word(*times, rows),
                rows => scores.add_word(*times, &merge_lists(rows)),
            }
        }
        scores
    }
}

/// Merges the lists of terms that are one word in several languages: it is as frequent in a chunk
/// as they are together. Scored apart, a rare form would count more than the common one, just
/// because few chunks are in its language.
fn merge_lists(lists: &[&PostingBlocks]) -> PostingBlocks {
    // The entries of a block, by the chunk's offset.
    let mut blocks: BTreeMap<i64, BTreeMap<u16, [u8; ENTRY_BYTES]>> = BTreeMap::new();
    for (block, entries) in lists.iter().copied().flatten() {
        let merged = blocks.entry(*block).or_default();
        for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
            let offset = decode_entry(entry).offset;
            merged.entry(offset).and_modify(|other| add_counts(other, entry)).or_insert(*entry);
        }
    }
    let entries = |merged: BTreeMap<_, [u8; ENTRY_BYTES]>| merged.into_values().flatten().collect();
    blocks.into_iter().map(|(block, merged)| (block, entries(merged))).collect()
}

/// Adds the count of another entry of the same chunk.
fn add_counts(entry: &mut [u8; ENTRY_BYTES], other: &[u8; ENTRY_BYTES]) {
    let count = |[_, _, low, high, ..]: &[u8; ENTRY_BYTES]| u16::from_le_bytes([*low, *high]);
    let sum = count(entry).saturating_add(count(other)).to_le_bytes();
    [entry[2], entry[3]] = sum;
}

/// The BM25 scores of the chunks for one query.
pub(crate) struct Bm25Scores {
    chunk_count: f32,
    average_terms: f32,
    scores: HashMap<i64, Vec<f32>>,
}

impl Bm25Scores {
    /// Creates scores over the chunks that the viewer may see; hidden chunks do not influence them.
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    fn new(visible: CorpusStats) -> Self {
        let chunk_count = visible.chunk_count as f32;
        Self {
            chunk_count,
            average_terms: (visible.terms as f32 / chunk_count.max(1.0)).max(1.0),
            scores: HashMap::new(),
        }
    }

    /// Adds the scores of a word that occurs `times` in the query.
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    fn add_word(&mut self, times: u16, rows: &[(i64, Vec<u8>)]) {
        let matching =
            (rows.iter().map(|(_, entries)| entries.len()).sum::<usize>() / ENTRY_BYTES) as f32;
        let idf = (1.0 + (self.chunk_count - matching + 0.5) / (matching + 0.5)).ln();
        let weight = f32::from(times) * idf * (K1 + 1.0);
        let (short, per_term) = (K1 * (1.0 - B), K1 * B / self.average_terms);
        for (block, entries) in rows {
            let scores =
                self.scores.entry(*block).or_insert_with(|| vec![0.0; BLOCK_CHUNKS as usize]);
            for entry in entries.as_chunks::<ENTRY_BYTES>().0 {
                let PostingEntry { offset, count, length } = decode_entry(entry);
                if let Some(score) = scores.get_mut(usize::from(offset)) {
                    *score += weight * count / (count + short + per_term * length);
                }
            }
        }
    }

    /// Returns a chunk's score; 0 if it has none of the terms.
    pub(crate) fn score(&self, chunk: i64) -> f32 {
        self.scores
            .get(&block_of(chunk))
            .and_then(|scores| scores.get(usize::from(offset_in_block(chunk))))
            .copied()
            .unwrap_or_default()
    }

    /// Returns the `depth` best chunks, the best first; of equal ones, the older first.
    pub(crate) fn top_chunks(&self, depth: usize) -> Vec<(i64, f32)> {
        let scored = self
            .scores
            .iter()
            .flat_map(|(block, scores)| (block * BLOCK_CHUNKS..).zip(scores.iter().copied()));
        top_k(scored.filter(|(_, score)| *score > 0.0), depth)
    }
}

/// Returns the `depth` best candidates, the best first; of equal ones, the smaller id first.
pub(crate) fn top_k(scored: impl Iterator<Item = (i64, f32)>, depth: usize) -> Vec<(i64, f32)> {
    let order = |left: &(i64, f32), right: &(i64, f32)| {
        right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
    };
    let mut top: Vec<(i64, f32)> = Vec::with_capacity(2 * depth);
    let mut least = f32::NEG_INFINITY;
    for candidate in scored {
        if candidate.1 < least {
            continue;
        }
        top.push(candidate);
        if top.len() == 2 * depth {
            top.select_nth_unstable_by(depth, order);
            top.truncate(depth);
            least = top.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
        }
    }
    top.sort_by(order);
    top.truncate(depth);
    top
}
