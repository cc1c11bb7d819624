//! Where a term occurs: lists of chunks, cut into blocks, the same bytes in every engine.
//!
//! A list belongs to one collection, one term and one audience, so that whoever asks reads no list of what they may not see, not even
//! to count in it. Each of its rows holds the entries of one block of chunk ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many chunk ids one row stands for.
const SPAN: i64 = 1024;

/// An entry: the chunk's place in its block, how often the term is in it, how many terms it has.
const ENTRY: usize = 6;

/// The row of a posting list that a chunk belongs to.
pub(crate) fn block(chunk: i64) -> i64 {
    chunk.div_euclid(SPAN)
}

#[expect(clippy::cast_possible_truncation, reason = "less than SPAN")]
fn place(chunk: i64) -> u16 {
    chunk.rem_euclid(SPAN) as u16
}

/// The key of a row within a collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) term: String,
    pub(crate) audience: i64,
    pub(crate) block: i64,
}

/// What a transaction changes in the posting lists of a collection.
#[derive(Default)]
pub(crate) struct Edits {
    pub(crate) rows: BTreeMap<Row, Edit>,
    pub(crate) extents: BTreeMap<i64, Extent>,
}

/// How many chunks an audience has, and how many terms they have together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) chunks: i64,
    pub(crate) terms: i64,
}

/// What changes in one row.
#[derive(Default)]
pub(crate) struct Edit {
    gone: BTreeSet<u16>,
    new: Vec<u8>,
}

impl Edits {
    /// Adds a chunk.
    pub(crate) fn add<'a>(
        &mut self,
        audience: i64,
        chunk: i64,
        terms: impl Iterator<Item = &'a str>,
    ) {
        let (counts, all) = counted(terms);
        let length = u16::try_from(all).unwrap_or(u16::MAX);
        for (term, count) in counts {
            let edit = self.edit(audience, chunk, term);
            for number in [place(chunk), count, length] {
                edit.new.extend(number.to_le_bytes());
            }
        }
        self.extend(audience, 1, all);
    }

    /// Takes a chunk out that was added with these terms.
    pub(crate) fn remove<'a>(
        &mut self,
        audience: i64,
        chunk: i64,
        terms: impl Iterator<Item = &'a str>,
    ) {
        let (counts, all) = counted(terms);
        for (term, _) in counts {
            self.edit(audience, chunk, term).gone.insert(place(chunk));
        }
        self.extend(audience, -1, all);
    }

    fn edit(&mut self, audience: i64, chunk: i64, term: &str) -> &mut Edit {
        self.rows.entry(Row { term: term.to_owned(), audience, block: block(chunk) }).or_default()
    }

    fn extend(&mut self, audience: i64, by: i64, terms: usize) {
        let extent = self.extents.entry(audience).or_default();
        extent.chunks += by;
        extent.terms += by * i64::try_from(terms).unwrap_or(i64::MAX);
    }
}

impl Edit {
    /// The row as it is to be, from what it was: its entries in the order of their chunks.
    pub(crate) fn apply(&self, entries: &[u8]) -> Vec<u8> {
        let is_kept = |entry: &&[u8; ENTRY]| !self.gone.contains(&read(entry).place);
        let (held, new) = (entries.as_chunks::<ENTRY>().0, self.new.as_chunks::<ENTRY>().0);
        let mut entries: Vec<[u8; ENTRY]> =
            held.iter().filter(is_kept).chain(new).copied().collect();
        entries.sort_by_key(|entry| read(entry).place);
        entries.into_flattened()
    }
}

/// How often each term is there, and how many there are in all.
fn counted<'a>(terms: impl Iterator<Item = &'a str>) -> (BTreeMap<&'a str, u16>, usize) {
    let (mut counts, mut all) = (BTreeMap::new(), 0);
    for term in terms {
        let count: &mut u16 = counts.entry(term).or_default();
        *count = count.saturating_add(1);
        all += 1;
    }
    (counts, all)
}

struct Entry {
    place: u16,
    count: f32,
    length: f32,
}

fn read([p0, p1, c0, c1, l0, l1]: &[u8; ENTRY]) -> Entry {
    let number = |low: &u8, high: &u8| u16::from_le_bytes([*low, *high]);
    Entry {
        place: number(p0, p1),
        count: f32::from(number(c0, c1)),
        length: f32::from(number(l0, l1)),
    }
}

/// How much a further occurrence of a term in a chunk counts, and how much the chunk's length counts against it.
const K1: f32 = 1.2;
const B: f32 = 0.75;

/// The lists of a question's terms, as they are read.
#[derive(Default)]
pub(crate) struct Lists {
    visible: Extent,
    /// How often each term is in the question, and its rows.
    terms: BTreeMap<String, (u16, Rows)>,
}

/// Blocks, and the entries of each.
type Rows = Vec<(i64, Vec<u8>)>;

impl Lists {
    /// A question of these terms. Where it is asked in several languages, a term counts as often as in the one that has it most.
    pub(crate) fn of<'a>(questions: impl Iterator<Item = &'a [String]>) -> Self {
        let mut lists = Self::default();
        for question in questions {
            for (term, times) in counted(question.iter().map(String::as_str)).0 {
                let (most, _) = lists.terms.entry(term.to_owned()).or_default();
                *most = times.max(*most);
            }
        }
        lists
    }

    /// Counts what the asker may see.
    pub(crate) fn extend(&mut self, visible: Extent) {
        self.visible.chunks += visible.chunks;
        self.visible.terms += visible.terms;
    }

    pub(crate) fn push(&mut self, term: &str, block: i64, entries: Vec<u8>) {
        if let Some((_, rows)) = self.terms.get_mut(term) {
            rows.push((block, entries));
        }
    }

    /// The scores, always added in the same order.
    pub(crate) fn ranking(&self) -> Ranking {
        let mut ranking = Ranking::over(self.visible);
        self.terms.values().for_each(|(times, rows)| ranking.add(*times, rows));
        ranking
    }
}

/// The BM25 scores of a question, term by term.
pub(crate) struct Ranking {
    chunks: f32,
    average: f32,
    scores: HashMap<i64, Vec<f32>>,
}

impl Ranking {
    /// Over what the asker may see, and nothing else: what they may not see does not show in the scores either.
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    fn over(visible: Extent) -> Self {
        let chunks = visible.chunks as f32;
        Self {
            chunks,
            average: (visible.terms as f32 / chunks.max(1.0)).max(1.0),
            scores: HashMap::new(),
        }
    }

    /// Counts a term of the question that occurs in it `times`, with all rows of its lists.
    #[expect(clippy::cast_precision_loss, reason = "counts")]
    fn add(&mut self, times: u16, rows: &[(i64, Vec<u8>)]) {
        let found = (rows.iter().map(|(_, entries)| entries.len()).sum::<usize>() / ENTRY) as f32;
        let rarity = (1.0 + (self.chunks - found + 0.5) / (found + 0.5)).ln();
        let weight = f32::from(times) * rarity * (K1 + 1.0);
        let (short, per_term) = (K1 * (1.0 - B), K1 * B / self.average);
        for (block, entries) in rows {
            let scores = self.scores.entry(*block).or_insert_with(|| vec![0.0; SPAN as usize]);
            for entry in entries.as_chunks::<ENTRY>().0 {
                let Entry { place, count, length } = read(entry);
                if let Some(score) = scores.get_mut(usize::from(place)) {
                    *score += weight * count / (count + short + per_term * length);
                }
            }
        }
    }

    /// A chunk's score; 0 if it has none of the terms.
    pub(crate) fn score(&self, chunk: i64) -> f32 {
        self.scores
            .get(&block(chunk))
            .and_then(|scores| scores.get(usize::from(place(chunk))))
            .copied()
            .unwrap_or_default()
    }

    /// The best so many chunks, the best first; of equals the older.
    pub(crate) fn best(&self, depth: usize) -> Vec<(i64, f32)> {
        let scored = self
            .scores
            .iter()
            .flat_map(|(block, scores)| (block * SPAN..).zip(scores.iter().copied()));
        best(scored.filter(|(_, score)| *score > 0.0), depth)
    }
}

/// The best so many, the best first; of equals the one with the smaller id.
pub(crate) fn best(scored: impl Iterator<Item = (i64, f32)>, depth: usize) -> Vec<(i64, f32)> {
    let order = |left: &(i64, f32), right: &(i64, f32)| {
        right.1.total_cmp(&left.1).then(left.0.cmp(&right.0))
    };
    let mut kept: Vec<(i64, f32)> = Vec::with_capacity(2 * depth);
    let mut least = f32::NEG_INFINITY;
    for one in scored {
        if one.1 < least {
            continue;
        }
        kept.push(one);
        if kept.len() == 2 * depth {
            kept.select_nth_unstable_by(depth, order);
            kept.truncate(depth);
            least = kept.iter().map(|(_, score)| *score).fold(f32::INFINITY, f32::min);
        }
    }
    kept.sort_by(order);
    kept.truncate(depth);
    kept
}
