//! A batch, and what it adds to the days that it belongs to.

use super::row::{Entry, Tokens};
use serde::Serialize;
use std::collections::BTreeMap;

/// A day in ms.
pub(crate) const DAY: i64 = 86_400_000;

/// What is written in one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// No other batch has it.
    pub id: String,
    pub rows: Vec<Entry>,
    /// In the order of their keys, so that two writers never wait for each other in a circle.
    pub days: Vec<Daily>,
    pub names: BTreeMap<String, String>,
}

/// What a batch adds to one line of the daily table.
#[derive(Debug, Serialize)]
pub(crate) struct Daily {
    #[serde(flatten)]
    pub key: Key,
    #[serde(flatten)]
    pub sums: Sums,
}

/// One line of the daily table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Key {
    pub day: i64,
    pub user_id: String,
    pub key_label: String,
    pub model: String,
    pub pipe: String,
    pub side: &'static str,
    pub task: String,
    pub kind: &'static str,
}

/// What is counted of a line.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Sums {
    pub requests: i64,
    pub errors: i64,
    pub cancelled: i64,
    #[serde(flatten)]
    pub tokens: Tokens,
    pub cost: i64,
    pub unpriced: i64,
}

impl Batch {
    pub fn of(rows: Vec<Entry>) -> Self {
        let mut days: BTreeMap<Key, Sums> = BTreeMap::new();
        let mut names = BTreeMap::new();
        for row in &rows {
            days.entry(Key::of(row)).or_default().add(row);
            if !row.user_id.is_empty() && !row.name.is_empty() {
                names.insert(row.user_id.clone(), row.name.clone());
            }
        }
        let days = days.into_iter().map(|(key, sums)| Daily { key, sums }).collect();
        Self { id: format!("{:032x}", fastrand::u128(..)), rows, days, names }
    }
}

impl Key {
    fn of(row: &Entry) -> Self {
        Self {
            day: row.at.div_euclid(DAY),
            user_id: row.user_id.clone(),
            key_label: row.key_label.clone(),
            model: row.model.clone(),
            pipe: row.pipe.clone(),
            side: row.side,
            task: row.task.clone(),
            kind: row.kind,
        }
    }
}

impl Sums {
    fn add(&mut self, row: &Entry) {
        self.requests += 1;
        self.errors += i64::from(row.status == "error");
        self.cancelled += i64::from(row.status == "cancelled");
        self.tokens.prompt += row.tokens.prompt;
        self.tokens.cached += row.tokens.cached;
        self.tokens.cache_creation += row.tokens.cache_creation;
        self.tokens.completion += row.tokens.completion;
        self.tokens.reasoning += row.tokens.reasoning;
        self.cost += row.cost.unwrap_or(0);
        self.unpriced += i64::from(row.cost.is_none());
    }
}
