//! The models of one region: the last good answer of each list.

use super::{
    list_error::ListError,
    model_entry::FoundationModel,
    model_route::{ModelRoute, RouteList},
    saved_lists::{SavedRegion, describe_age, this_hour},
};
use crate::valves::BedrockValves;
use std::{collections::BTreeMap, sync::Arc};

/// The models of one region.
#[derive(Clone, Debug)]
pub struct RegionModels {
    /// The name of the region.
    pub name: Arc<str>,
    /// The foundation models.
    pub foundations: CachedList<FoundationModel>,
    /// The routes to models that the valves ask for.
    pub routes: BTreeMap<RouteList, CachedList<ModelRoute>>,
    /// The time of the list of foundation models, in seconds since 1970, rounded to the hour.
    listed_at: u64,
}

/// The last good answer of a list, and why the newest is missing.
#[derive(Clone, Debug)]
pub struct CachedList<T> {
    /// The items; `None` before the first good answer.
    pub items: Option<Arc<[T]>>,
    /// The error of the newest attempt.
    pub error: Option<ListError>,
    /// `true` if the items were saved before the start.
    is_saved: bool,
}

/// The answers of one region to all list calls.
pub struct ListResults {
    /// The answer of `ListFoundationModels`.
    pub foundations: Result<Vec<FoundationModel>, ListError>,
    /// The answers of the calls that list routes.
    pub routes: Vec<(RouteList, Result<Vec<ModelRoute>, ListError>)>,
}

impl ListResults {
    /// Returns the errors, each once: mostly all calls fail alike.
    pub fn errors(&self) -> Vec<&ListError> {
        let routes = self.routes.iter().filter_map(|(_, list)| list.as_ref().err());
        without_repeats(self.foundations.as_ref().err().into_iter().chain(routes))
    }
}

/// Returns the errors, each once.
fn without_repeats<'a>(errors: impl Iterator<Item = &'a ListError>) -> Vec<&'a ListError> {
    errors.fold(Vec::new(), |mut distinct, error| {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
        distinct
    })
}

impl RegionModels {
    /// Creates a region that has not been listed yet, with the lists that these valves want.
    pub fn empty(name: Arc<str>, valves: &BedrockValves) -> Self {
        let (foundations, routes) = (CachedList::empty(), BTreeMap::new());
        Self { name, foundations, routes, listed_at: 0 }.with_valves(valves)
    }

    /// Creates a region as it was when it was saved.
    pub fn from_saved(name: Arc<str>, saved: &SavedRegion, valves: &BedrockValves) -> Self {
        let routes = saved.routes.iter().map(|(kind, list)| (*kind, CachedList::from_saved(list)));
        let foundations = CachedList::from_saved(&saved.foundations);
        Self { name, foundations, routes: routes.collect(), listed_at: saved.listed_at }
            .with_valves(valves)
    }

    /// Returns the state to save, if its foundation models have ever been listed.
    pub fn to_saved(&self) -> Option<SavedRegion> {
        let lists = self.routes.iter();
        let routes = lists.filter_map(|(kind, list)| Some((*kind, list.items.as_ref()?.to_vec())));
        Some(SavedRegion {
            region: self.name.to_string(),
            listed_at: self.listed_at,
            foundations: self.foundations.items.as_ref()?.to_vec(),
            routes: routes.collect(),
        })
    }

    /// Returns the age of its lists in words, if one of them was saved before the start.
    pub fn saved_age(&self) -> Option<String> {
        let is_saved = self.foundations.is_saved || self.routes.values().any(|list| list.is_saved);
        is_saved.then(|| describe_age(self.listed_at))
    }

    /// Returns the reason for which a model may exist that is not listed: a list has not arrived
    /// since the start, and is expected soon.
    pub fn uncertainty(&self) -> Option<ListError> {
        let routes = self.routes.values().find_map(CachedList::uncertainty);
        self.foundations.uncertainty().or(routes)
    }

    /// Returns the same region with the lists that these valves want: those that it has, and the
    /// others empty.
    pub fn with_valves(&self, valves: &BedrockValves) -> Self {
        let wanted = RouteList::ALL.into_iter().filter(|list| list.is_wanted(valves));
        let known = |list| self.routes.get(&list).cloned().unwrap_or_else(CachedList::empty);
        let routes = wanted.map(|list| (list, known(list))).collect();
        Self { routes, ..self.clone() }
    }

    /// Returns whether there is a good answer of every list.
    pub fn is_listed(&self) -> bool {
        self.foundations.items.is_some() && self.routes.values().all(|list| list.items.is_some())
    }

    /// Returns whether the region has answered, with lists or with errors.
    pub fn has_answered(&self) -> bool {
        self.is_listed() || !self.errors().is_empty()
    }

    /// Takes in the answers of the region. A list that failed stays as it was.
    pub fn update(&mut self, results: ListResults) {
        if results.foundations.is_ok() {
            self.listed_at = this_hour();
        }
        self.foundations.update(results.foundations);
        for (kind, list) in results.routes {
            self.routes.entry(kind).or_insert_with(CachedList::empty).update(list);
        }
    }

    /// Returns the errors of the newest lists.
    pub fn errors(&self) -> Vec<&ListError> {
        let routes = self.routes.values().filter_map(|list| list.error.as_ref());
        without_repeats(self.foundations.error.as_ref().into_iter().chain(routes))
    }

    /// Returns the error that clients have to see: models are missing, because there is no older
    /// list either.
    pub fn gap(&self) -> Option<&ListError> {
        self.foundations.gap().or_else(|| self.routes.values().find_map(CachedList::gap))
    }
}

impl<T: Clone> CachedList<T> {
    fn from_saved(items: &[T]) -> Self {
        Self { items: Some(items.into()), error: None, is_saved: true }
    }
}

impl<T> CachedList<T> {
    /// Creates a list that was not loaded yet.
    fn empty() -> Self {
        Self { items: None, error: None, is_saved: false }
    }

    /// Returns why the list may be out of date.
    fn uncertainty(&self) -> Option<ListError> {
        if self.items.is_some() && !self.is_saved {
            return None;
        }
        match &self.error {
            None => Some(ListError::for_pending_list()),
            Some(error) => Some(error.clone()).filter(ListError::is_transient),
        }
    }

    /// Replaces the list, or keeps it with the error of the last attempt.
    fn update(&mut self, list: Result<Vec<T>, ListError>) {
        match list {
            Ok(items) => {
                *self = Self { items: Some(items.into()), error: None, is_saved: false };
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Returns the error of a list that was never loaded.
    fn gap(&self) -> Option<&ListError> {
        self.error.as_ref().filter(|_| self.items.is_none())
    }

    /// Iterates over the items of the last good answer.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flat_map(|items| items.iter())
    }
}
