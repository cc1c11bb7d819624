//! What is missing in the list of models, as entries of it: people see why, and a chat with one says it at length.

use super::{list::Shelf, trouble::Trouble};
use pipe_sdk::{Model, PipeError};
use std::sync::Arc;

/// What is missing.
#[derive(Debug)]
pub struct Gap {
    /// The id of the entry.
    pub id: String,
    name: String,
    region: Option<Arc<str>>,
    trouble: Trouble,
}

/// One entry a region, or a single one if there is nothing else to show.
pub fn gaps(shelves: &[Shelf], nothing: bool) -> Vec<Gap> {
    let gaps: Vec<_> = shelves.iter().filter_map(|shelf| Some((shelf, shelf.gap()?))).collect();
    let alike = gaps.iter().all(|(_, trouble)| trouble.words == gaps[0].1.words);
    let all_failed = nothing && gaps.len() == shelves.len();
    match gaps.first() {
        // Open WebUI would take an empty list for a connection without models.
        None if nothing && !shelves.iter().all(Shelf::is_listed) => {
            vec![Gap::of_all("loading", Trouble::loading())]
        }
        Some((_, trouble)) if all_failed && alike => {
            vec![Gap::of_all("error", (*trouble).clone())]
        }
        _ => gaps.into_iter().map(|(shelf, trouble)| Gap::of(&shelf.region, trouble)).collect(),
    }
}

impl Gap {
    fn of_all(id: &str, trouble: Trouble) -> Self {
        let name = format!("Amazon Bedrock: {}", trouble.words);
        Self { id: id.into(), name, region: None, trouble }
    }

    /// What is missing of a region, and why.
    pub fn of(region: &Arc<str>, trouble: &Trouble) -> Self {
        Self {
            id: format!("error-{region}"),
            name: format!("{region}: {}", trouble.words),
            region: Some(Arc::clone(region)),
            trouble: trouble.clone(),
        }
    }

    /// What is said at length.
    pub fn error(&self) -> PipeError {
        self.trouble.error(self.region.as_deref())
    }

    /// The same, to who asks for a model that may be there.
    pub fn lookup_error(&self) -> PipeError {
        self.trouble.lookup_error(self.region.as_deref())
    }

    /// The entry.
    pub fn model(&self) -> Model {
        Model::new(&self.id, &self.name)
            .with_description("Chat with this entry to read what to do.")
            .with_capability("builtin_tools", false)
    }
}
