//! What all regions have, made one list: the first region wins, and what is missing is said by an entry of its own.

use super::{
    entry::{Entry, Foundation},
    gap::{Gap, gaps},
    list::Shelf,
    policy::Policy,
    strays::{Stray, strays},
    trouble::Trouble,
    way::Way,
};
use crate::{aliases::Aliases, converse::Inputs, family::kind, valves::BedrockValves};
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
    /// The ids behind ARNs, and where those are.
    arns: HashMap<String, (String, Arc<str>)>,
    /// What may not be used, by all its names, and why.
    barred: HashMap<String, &'static str>,
    /// The other names that the valves give to models.
    pub aliases: Aliases,
    /// What the valves let people use.
    pub policy: Policy,
    gaps: Vec<Gap>,
    /// Why a model may be there that is not listed.
    uncertainty: Option<Gap>,
    trouble: Option<String>,
    /// What valves name that nobody has; `None` while it may yet turn out to be there.
    strays: Option<Vec<Stray>>,
    /// The regions in their order, and whether each has been heard of.
    heard: Vec<(Arc<str>, bool)>,
}

/// What an id stands for in the list.
#[derive(Debug)]
pub enum Search<'a> {
    /// A model.
    Found(&'a Entry),
    /// A model in the one region that the id names. Nobody answers in its place.
    Pinned(&'a Entry),
    /// An entry that only says what is missing; chatting with it says it at length.
    Missing(PipeError),
    /// A model that may not be used, and why.
    Denied(&'static str),
    /// Nothing that is listed.
    Unknown,
}

impl Listing {
    /// The list of these regions, as these valves want it.
    pub fn of(shelves: &[Shelf], valves: &BedrockValves) -> Self {
        let heard = |shelf: &Shelf| (Arc::clone(&shelf.region), shelf.is_heard());
        let mut listing = Self {
            models: Arc::default(),
            entries: HashMap::new(),
            elsewhere: Vec::new(),
            arns: HashMap::new(),
            barred: HashMap::new(),
            aliases: Aliases::of(&valves.aliases),
            policy: Policy::of(valves),
            gaps: Vec::new(),
            uncertainty: shelves.iter().find_map(uncertainty),
            trouble: trouble(shelves),
            strays: None,
            heard: shelves.iter().map(heard).collect(),
        };
        let foundations = Foundations::of(shelves);
        let entries = shelves.iter().flat_map(|shelf| entries_of(shelf, &foundations, valves));
        let models = entries.filter_map(|entry| listing.add(entry, valves)).collect();
        listing.finish(models, shelves, valves);
        listing
    }

    /// Puts a model in its place, and gives it back as clients list it if its id is new.
    fn add(&mut self, mut entry: Entry, valves: &BedrockValves) -> Option<Model> {
        if let Some(why) = self.policy.bars(&entry) {
            self.bar(&entry, why);
            return None;
        }
        // Names of an account's own need not be unique, not even within a region.
        let namesake = self.entries.get(&entry.id);
        if namesake.is_some_and(|other| other.region == entry.region || other.base != entry.base) {
            let ending = entry.model_id.rsplit(['/', ':']).next().unwrap_or_default();
            entry.id = format!("{}-{ending}", entry.id);
        }
        if entry.model_id != entry.id {
            let place = (entry.id.clone(), Arc::clone(&entry.region));
            self.arns.insert(entry.model_id.clone(), place);
        }
        match self.entries.entry(entry.id.clone()) {
            hash_map::Entry::Vacant(vacant) => {
                Some(vacant.insert(entry).model(valves.builtin_tools))
            }
            hash_map::Entry::Occupied(_) => {
                self.elsewhere.push(entry);
                None
            }
        }
    }

    fn bar(&mut self, entry: &Entry, why: &'static str) {
        let Entry { id, model_id, base, region, .. } = entry;
        let names = [id.clone(), model_id.clone(), base.clone(), format!("{id}@{region}")];
        self.barred.extend(names.map(|name| (name, why)));
    }

    fn finish(&mut self, mut models: Vec<Model>, shelves: &[Shelf], valves: &BedrockValves) {
        let nothing = models.iter().all(|model| !model.kind.answers_chats());
        self.gaps = gaps(shelves, nothing);
        models.extend(self.gaps.iter().map(Gap::model));
        self.models = models.into();
        // What is not listed yet may still turn out to be there.
        let is_fresh = |shelf: &Shelf| shelf.is_listed() && shelf.saved_age().is_none();
        if shelves.iter().all(is_fresh) {
            self.strays = Some(strays(self, valves));
        }
    }

    /// What clients list.
    pub fn models(&self) -> Arc<[Model]> {
        Arc::clone(&self.models)
    }

    /// Whether nothing can be called.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether a region could not be listed lately.
    pub fn has_troubled_regions(&self) -> bool {
        self.trouble.is_some()
    }

    /// Which regions could not be listed lately, and why, and what valves name that nobody has.
    pub fn health_problem(&self) -> Option<String> {
        let strays = self.strays().unwrap_or_default().iter().map(Stray::line);
        let lines: Vec<_> = self.trouble.iter().cloned().chain(strays).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// What valves name that nobody has; `None` while that is not known.
    pub fn strays(&self) -> Option<&[Stray]> {
        self.strays.as_deref()
    }

    /// Whether a region that goes before this one may yet turn out to have the model.
    pub fn is_preliminary(&self, entry: &Entry) -> bool {
        let before = self.heard.iter().take_while(|(region, _)| *region != entry.region);
        before.into_iter().any(|(_, heard)| !heard)
    }

    /// Why nobody can tell whether there is a model that is not listed, if that is so: there is no list at all, or a region has not been
    /// listed since the start.
    pub fn uncertainty(&self) -> Option<PipeError> {
        let emptiness = self.gaps.first().filter(|_| self.is_empty());
        emptiness.or(self.uncertainty.as_ref()).map(Gap::lookup_error)
    }

    /// Whether there is a model like this, which may hold `*` and end with `@region`.
    pub fn has_like(&self, pattern: &str) -> bool {
        self.entries.values().chain(&self.elsewhere).any(|entry| entry.is_meant(pattern))
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
        if let Some(entry) = self.entry(id) {
            return Search::Found(entry);
        }
        if let Some(entry) = self.arns.get(id).and_then(|(id, region)| self.at(id, region)) {
            return Search::Found(entry);
        }
        if let Some(gap) = self.gaps.iter().find(|gap| gap.id == id) {
            return Search::Missing(gap.error());
        }
        let regional = regional(id);
        if let Some(entry) = regional.and_then(|(id, region)| self.at(id, region)) {
            return Search::Pinned(entry);
        }
        let there = regional.map(|(id, region)| format!("{id}@{region}"));
        match there.and_then(|id| self.barred.get(&id)) {
            Some(why) => Search::Denied(why),
            None => Search::Unknown,
        }
    }

    /// Why the model of this id may not be used, be it listed under the id or stand behind what is listed.
    pub fn bars(&self, id: &str) -> Option<&'static str> {
        self.barred.get(id).copied()
    }

    /// The model of this id in this region.
    fn at(&self, id: &str, region: &str) -> Option<&Entry> {
        let here = |entry: &&Entry| *entry.region == *region;
        self.entry(id).filter(here).or_else(|| self.elsewhere(id).find(here))
    }
}

/// The model and the region that an id names which names one: `amazon.nova-lite-v1:0@us-west-2`, or the ARN of what AWS itself has.
fn regional(id: &str) -> Option<(&str, &str)> {
    if let Some(named) = id.rsplit_once('@') {
        return Some(named);
    }
    let mut parts = id.strip_prefix("arn:")?.splitn(5, ':');
    let (_, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (kind, name) = parts.nth(1)?.split_once('/')?;
    let is_aws = service == "bedrock" && matches!(kind, "foundation-model" | "inference-profile");
    is_aws.then_some((name, region))
}

/// All foundation models by their ids, listed or not.
struct Foundations<'a>(HashMap<&'a str, &'a Foundation>);

impl<'a> Foundations<'a> {
    fn of(shelves: &'a [Shelf]) -> Self {
        let all = shelves.iter().rev().flat_map(|shelf| shelf.foundations.iter());
        Self(all.map(|foundation| (foundation.id.as_str(), foundation)).collect())
    }

    /// The model of this base id. One that is bought or customised may say in it how much it reads, as in `…-v1:0:48k`.
    fn behind(&self, base: &str) -> Option<&'a Foundation> {
        let plain = || base.rsplit_once(':').filter(|(_, ending)| ending.ends_with('k'));
        let found = self.0.get(base).or_else(|| self.0.get(plain()?.0));
        found.copied()
    }
}

fn entries_of<'a>(
    shelf: &'a Shelf,
    foundations: &'a Foundations<'a>,
    valves: &'a BedrockValves,
) -> impl Iterator<Item = Entry> + 'a {
    let wanted = |model: &&Foundation| model.on_demand && model.is_wanted(valves);
    let models = shelf.foundations.iter().filter(wanted).map(Foundation::way);
    // A way may lead to a model that none of our regions lists: then its name has to do.
    let ways = shelf.ways.values().flat_map(|list| list.iter()).filter(|way| {
        let behind = foundations.behind(&way.base);
        way.is_own || behind.is_none_or(|model| model.is_wanted(valves))
    });
    models.chain(ways.cloned()).filter_map(|way| entry(way, shelf, foundations))
}

fn entry(way: Way, shelf: &Shelf, foundations: &Foundations<'_>) -> Option<Entry> {
    let behind = foundations.behind(&way.base);
    let Way { id, model_id, name, base, .. } = way;
    Some(Entry {
        kind: behind.map_or_else(|| kind(&base), |model| model.kind)?,
        inputs: behind.map_or_else(Inputs::default, |model| model.inputs),
        streams: behind.is_none_or(|model| model.streams),
        region: Arc::clone(&shelf.region),
        id,
        model_id,
        name,
        base,
    })
}

fn uncertainty(shelf: &Shelf) -> Option<Gap> {
    Some(Gap::of(&shelf.region, &shelf.uncertainty()?))
}

fn trouble(shelves: &[Shelf]) -> Option<String> {
    let lines = |shelf: &Shelf| {
        let (region, troubles) = (Arc::clone(&shelf.region), shelf.troubles().into_iter());
        let saved = shelf.saved_age().map_or_else(String::new, |age| {
            format!(" (the models that it had before the start are served, as listed {age} ago)")
        });
        let line = move |trouble: &Trouble| format!("{region}: {}{saved}", trouble.words);
        troubles.map(line).collect::<Vec<_>>()
    };
    let lines: Vec<_> = shelves.iter().flat_map(lines).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::regional;

    #[test]
    fn ids_may_name_their_region() {
        let arn = "arn:aws-us-gov:bedrock:us-gov-west-1";
        for (id, named) in [
            ("a.b-v1:0@us-west-2".to_owned(), Some(("a.b-v1:0", "us-west-2"))),
            (format!("{arn}::foundation-model/a.b-v1:0"), Some(("a.b-v1:0", "us-gov-west-1"))),
            (format!("{arn}:1:inference-profile/us.a.b"), Some(("us.a.b", "us-gov-west-1"))),
            (format!("{arn}:1:application-inference-profile/x"), None),
            ("arn:aws:sagemaker:us-east-1:1:endpoint/x".into(), None),
            ("a.b-v1:0".into(), None),
        ] {
            assert_eq!(regional(&id), named, "{id}");
        }
    }
}
