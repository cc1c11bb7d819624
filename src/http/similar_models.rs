//! The ids of served models that are most similar to one that was not found.

use super::{error::HttpError, state::HostState};
use pipe_sdk::PipeError;

/// Returns the error for the client. If a model was not found, it names similar ids.
pub fn with_similar_ids(state: &HostState, error: PipeError) -> HttpError {
    let PipeError::ModelNotFound(id) = &error else { return error.into() };
    let ids = similar_ids(state, id);
    HttpError::from(error).with_suffix(&if ids.is_empty() {
        "`GET /v1/models` lists the ids".to_owned()
    } else {
        format!("`GET /v1/models` lists the ids; the nearest are {}", ids.join(", "))
    })
}

/// The largest number of similar ids that an error names.
const MAX_SUGGESTIONS: usize = 3;

/// The length of the longest ids that are compared, in bytes.
const MAX_COMPARED_BYTES: usize = 128;

/// Returns the ids that are most similar to this one.
fn similar_ids(state: &HostState, id: &str) -> Vec<String> {
    if id.len() > MAX_COMPARED_BYTES {
        return Vec::new();
    }
    let wanted = id.to_ascii_lowercase();
    let served = state.registry.served_models().into_iter();
    let mut ids: Vec<_> = served
        .filter(|served| served.id.len() <= MAX_COMPARED_BYTES)
        .map(|served| {
            let names = [&served.id, &served.model.id].map(|name| name.to_ascii_lowercase());
            let distances = names
                .iter()
                .map(|name| (substring_distance(&wanted, name), edit_distance(name, &wanted)));
            (distances.min(), served.id)
        })
        .collect();
    ids.sort();
    ids.into_iter().take(MAX_SUGGESTIONS).map(|(_, id)| format!("`{id}`")).collect()
}

/// Returns the smallest Levenshtein distance between a text and a part of another one: an id mostly
/// has a vendor before the name that people know, and a version after it.
fn substring_distance(text: &str, whole: &str) -> usize {
    distances(text, whole, |_| 0).into_iter().min().unwrap_or_default()
}

/// Returns the Levenshtein distance: the number of characters to change, add or leave out.
fn edit_distance(one: &str, other: &str) -> usize {
    distances(one, other, |length| length).pop().unwrap_or_default()
}

/// Returns the distances between a text and the beginnings of another one, of every length from 0
/// on. `skip` is what it costs to skip so many characters of the other one first.
fn distances(one: &str, other: &str, skip: impl Fn(usize) -> usize) -> Vec<usize> {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).map(skip).collect();
    for (at, char) in one.chars().enumerate() {
        let mut before = at;
        let mut left = at + 1;
        for (cell, with) in row.iter_mut().skip(1).zip(&other) {
            let changed = before + usize::from(char != *with);
            before = *cell;
            left = changed.min(before + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row
}
