//! A cache of the vectors of questions.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

const MAX_QUERIES: usize = 256;

/// The vectors of the last questions. A question often occurs again, at the latest with each tool
/// call.
#[derive(Default)]
pub(crate) struct QueryCache(Mutex<VecDeque<Entry>>);

/// The vector of a question.
struct Entry {
    model: String,
    text: String,
    vector: Vec<f32>,
}

impl QueryCache {
    /// Returns the vector of a question, if it is cached.
    pub(super) fn get(&self, model: &str, text: &str) -> Option<Vec<f32>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = entries.iter().find(|entry| entry.model == model && entry.text == text);
        found.map(|entry| entry.vector.clone())
    }

    /// Caches the vector of a question.
    pub(super) fn insert(&self, model: &str, text: &str, vector: &[f32]) {
        let (model, text, vector) = (model.to_owned(), text.to_owned(), vector.to_vec());
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push_front(Entry { model, text, vector });
        entries.truncate(MAX_QUERIES);
    }
}
