//! What all regions have, made one list: the first region wins, and what is missing is said by an entry of its own.

use super::{
    entry::{Entry, Foundation},
    list::Shelf,
    trouble::Trouble,
};
use crate::{converse::Inputs, family::kind, valves::BedrockValves};
use pipe_sdk::{Model, PipeError};
use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

/// The list that people see, and what a chat looks its model up in.
#[derive(Debug)]
pub struct Listing {
    models: Arc<[Model]>,
    entries: HashMap<String, Entry>,
    /// The same models in further regions, in the order of the regions.
    elsewhere: Vec<Entry>,
    gaps: Vec<Gap>,
    trouble: Option<String>,
    /// The regions in their order, and whether each has been heard of.
    heard: Vec<(Arc<str>, bool)>,
}

/// What is missing, as an entry of the list.
#[derive(Debug)]
struct Gap {
    id: String,
    name: String,
    region: Option<Arc<str>>,
    trouble: Trouble,
}

/// What an id stands for.
#[derive(Debug)]
pub enum Search<'a> {
    /// A model.
    Found(&'a Entry),
    /// An entry that only says what is missing; chatting with it says it at length.
    Missing(PipeError),
    /// Nothing that is listed.
    Unknown,
}

impl Listing {
    /// The list of these regions, as these valves want it.
    pub fn of(shelves: &[Shelf], valves: &BedrockValves) -> Self {
        let foundations = known(shelves);
        let (mut entries, mut models, mut elsewhere) = (HashMap::new(), Vec::new(), Vec::new());
        for entry in shelves.iter().flat_map(|shelf| entries_of(shelf, &foundations, valves)) {
            match entries.entry(entry.id.clone()) {
                hash_map::Entry::Vacant(vacant) => {
                    models.push(entry.model(valves.builtin_tools));
                    vacant.insert(entry);
                }
                hash_map::Entry::Occupied(_) => elsewhere.push(entry),
            }
        }
        let nothing = models.iter().all(|model: &Model| !model.kind.answers_chats());
        let gaps = gaps(shelves, nothing);
        models.extend(gaps.iter().map(Gap::model));
        let heard = |shelf: &Shelf| (Arc::clone(&shelf.region), shelf.is_heard());
        let heard = shelves.iter().map(heard).collect();
        let models = models.into();
        Self { models, entries, elsewhere, gaps, trouble: trouble(shelves), heard }
    }

    /// What Open WebUI lists.
    pub fn models(&self) -> Arc<[Model]> {
        Arc::clone(&self.models)
    }

    /// Whether a region could not be listed lately.
    pub fn has_trouble(&self) -> bool {
        self.trouble.is_some()
    }

    /// Which regions could not be listed lately, and why.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Whether a region that goes before this one may yet turn out to have the model.
    pub fn is_preliminary(&self, entry: &Entry) -> bool {
        let before = self.heard.iter().take_while(|(region, _)| *region != entry.region);
        before.into_iter().any(|(_, heard)| !heard)
    }

    /// Why there is no model at all, if that is so.
    pub fn emptiness(&self) -> Option<PipeError> {
        let gap = self.gaps.first().filter(|_| self.entries.is_empty())?;
        Some(gap.trouble.error(gap.region.as_deref()))
    }

    /// The model of this id in this region.
    pub fn at(&self, id: &str, region: &str) -> Option<&Entry> {
        let here = |entry: &&Entry| *entry.region == *region;
        self.entry(id).filter(here).or_else(|| self.elsewhere(id).find(here))
    }

    /// The same model in further regions.
    pub fn elsewhere(&self, id: &str) -> impl Iterator<Item = &Entry> {
        self.elsewhere.iter().filter(move |entry| entry.id == id)
    }

    /// The model of this id, if it can be called.
    pub fn entry(&self, id: &str) -> Option<&Entry> {
        self.entries.get(id)
    }

    /// What this id stands for.
    pub fn find(&self, id: &str) -> Search<'_> {
        let gap = || self.gaps.iter().find(|gap| gap.id == id);
        match self.entries.get(id) {
            Some(entry) => Search::Found(entry),
            None => gap().map_or(Search::Unknown, |gap| {
                Search::Missing(gap.trouble.error(gap.region.as_deref()))
            }),
        }
    }
}

/// All foundation models by their ids, listed or not.
fn known(shelves: &[Shelf]) -> HashMap<&str, &Foundation> {
    let all = shelves.iter().rev().flat_map(|shelf| shelf.foundations.iter());
    all.map(|foundation| (foundation.id.as_str(), foundation)).collect()
}

fn entries_of<'a>(
    shelf: &'a Shelf,
    foundations: &'a HashMap<&str, &Foundation>,
    valves: &'a BedrockValves,
) -> impl Iterator<Item = Entry> + 'a {
    let entry = move |id: &str, name: &str, base: &str, behind: Option<&Foundation>| {
        Some(Entry {
            id: id.into(),
            name: name.into(),
            base: base.into(),
            region: Arc::clone(&shelf.region),
            kind: behind.map_or_else(|| kind(base), |model| model.kind)?,
            inputs: behind.map_or_else(Inputs::default, |model| model.inputs),
            streams: behind.is_none_or(|model| model.streams),
        })
    };
    let wanted = |model: &&Foundation| model.on_demand && model.is_wanted(valves);
    let models = shelf.foundations.iter().filter(wanted);
    let models =
        models.filter_map(move |model| entry(&model.id, &model.name, &model.id, Some(model)));
    // A profile may lead to a model that none of our regions lists: then its name has to do.
    let profiles =
        shelf.profiles.iter().filter(|_| valves.inference_profiles).filter_map(move |profile| {
            let behind = foundations.get(profile.base.as_str()).copied();
            let wanted = behind.is_none_or(|model| model.is_wanted(valves));
            entry(&profile.id, &profile.name, &profile.base, behind).filter(|_| wanted)
        });
    models.chain(profiles)
}

/// One entry a region, or a single one if there is nothing else to show.
fn gaps(shelves: &[Shelf], nothing: bool) -> Vec<Gap> {
    let gaps: Vec<_> = shelves.iter().filter_map(|shelf| Some((shelf, shelf.gap()?))).collect();
    let alike = gaps.iter().all(|(_, trouble)| trouble.words == gaps[0].1.words);
    let all_failed = nothing && gaps.len() == shelves.len();
    match gaps.first() {
        // Open WebUI would take an empty list for a connection without models.
        None if nothing && !shelves.iter().all(Shelf::is_listed) => {
            let trouble = Trouble::loading();
            let name = format!("Amazon Bedrock: {}", trouble.words);
            vec![Gap { id: "loading".into(), name, region: None, trouble }]
        }
        Some((_, trouble)) if all_failed && alike => vec![Gap {
            id: "error".into(),
            name: format!("Amazon Bedrock: {}", trouble.words),
            region: None,
            trouble: (*trouble).clone(),
        }],
        _ => gaps.into_iter().map(|(shelf, trouble)| Gap::of(&shelf.region, trouble)).collect(),
    }
}

fn trouble(shelves: &[Shelf]) -> Option<String> {
    let line = |shelf: &Shelf| Some(format!("{}: {}", shelf.region, shelf.trouble()?.words));
    let lines: Vec<_> = shelves.iter().filter_map(line).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

impl Gap {
    fn of(region: &Arc<str>, trouble: &Trouble) -> Self {
        Self {
            id: format!("error-{region}"),
            name: format!("{region}: {}", trouble.words),
            region: Some(Arc::clone(region)),
            trouble: trouble.clone(),
        }
    }

    fn model(&self) -> Model {
        Model::new(&self.id, &self.name)
            .described("Chat with this entry to read what to do.")
            .capable("builtin_tools", false)
    }
}
