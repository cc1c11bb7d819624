//! A batch of rows, with its sums by day.

use super::row::{StoredRow, Tokens};
use serde::Serialize;
use std::collections::BTreeMap;

/// A day in milliseconds.
pub(crate) const DAY: i64 = 86_400_000;

/// The rows of one transaction.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// A unique id.
    pub id: String,
    pub rows: Vec<StoredRow>,
    /// Ordered by key, so that two writers cannot deadlock.
    pub days: Vec<Daily>,
    pub names: BTreeMap<String, String>,
}

/// The amounts that a batch adds to one row of the daily table.
#[derive(Debug, Serialize)]
pub(crate) struct Daily {
    #[serde(flatten)]
    pub key: DailyKey,
    #[serde(flatten)]
    pub totals: DailyTotals,
}

/// The key of a row of the daily table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct DailyKey {
    pub day: i64,
    pub user_id: String,
    pub key_label: String,
    pub model: String,
    pub pipe: String,
    pub side: &'static str,
    pub task: String,
    pub kind: &'static str,
}

/// The sums of a row of the daily table.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct DailyTotals {
    pub requests: i64,
    pub errors: i64,
    pub cancelled: i64,
    #[serde(flatten)]
    pub tokens: Tokens,
    pub cost: i64,
    pub unpriced: i64,
}

impl Batch {
    pub fn from_rows(rows: Vec<StoredRow>) -> Self {
        let mut days: BTreeMap<DailyKey, DailyTotals> = BTreeMap::new();
        let mut names = BTreeMap::new();
        for row in &rows {
            days.entry(DailyKey::from_row(row)).or_default().add(row);
            if !row.user_id.is_empty() && !row.name.is_empty() {
                names.insert(row.user_id.clone(), row.name.clone());
            }
        }
        let days = days.into_iter().map(|(key, totals)| Daily { key, totals }).collect();
        Self { id: format!("{:032x}", fastrand::u128(..)), rows, days, names }
    }
}

impl DailyKey {
    fn from_row(row: &StoredRow) -> Self {
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

impl DailyTotals {
    fn add(&mut self, row: &StoredRow) {
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
