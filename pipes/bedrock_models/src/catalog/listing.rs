//! The models of all regions as one list: where two regions have the same model, the first region
//! serves it.

use super::{
    access_policy::AccessPolicy,
    fallback_chains::FallbackChains,
    geography::{geography, profile_prefix},
    list_error::ListError,
    listing_gap::{ListingGap, find_gaps},
    model_entry::{FoundationModel, ModelEntry},
    picker::picker_models,
    region_models::RegionModels,
    unknown_model_name::UnknownModelName,
};
use crate::{
    model_id::strip_pipe_id,
    valves::{Aliases, BedrockValves},
};
use pipe_sdk::{Model, PipeError};
use std::{
    collections::{HashMap, hash_map},
    sync::Arc,
};

/// The list that clients see, and in which requests look up their models.
#[derive(Debug)]
pub struct Listing {
    models: Arc<[Model]>,
    entries: HashMap<Arc<str>, Arc<ModelEntry>>,
    /// The same models in further regions, in the order of the regions.
    other_regions: HashMap<Arc<str>, Vec<Arc<ModelEntry>>>,
    /// The ids and regions of models that have an ARN.
    arns: HashMap<String, (Arc<str>, Arc<str>)>,
    /// The reasons why models must not be used, by all of their names.
    denied: HashMap<String, &'static str>,
    /// The other names that the valves give to models.
    pub aliases: Aliases,
    /// The models that the valves allow.
    pub policy: AccessPolicy,
    /// The models that the valve *Fallbacks* names.
    pub fallback_chains: FallbackChains,
    /// The prefixes of the profiles through which models may be called that have no other route.
    profile_prefixes: Vec<&'static str>,
    gaps: Vec<ListingGap>,
    /// The reason why unlisted models may exist.
    uncertainty: Option<ListingGap>,
    list_errors: Option<String>,
    /// True once all regions are listed. A model that is not listed before may still exist.
    is_complete: bool,
    /// Names in valves that no model has; `None` while that is not known.
    unknown_names: Option<Vec<UnknownModelName>>,
    /// The regions in their order, and whether each has answered.
    regions: Vec<(Arc<str>, bool)>,
}

/// The meaning of an id in the list.
#[derive(Debug)]
pub enum Lookup<'a> {
    /// A model.
    Found(&'a Arc<ModelEntry>),
    /// A model in the one region that the id names. No other model answers in its place.
    Pinned(&'a Arc<ModelEntry>),
    /// An entry that is shown in place of models that could not be listed. A chat with it explains
    /// why.
    Incomplete(PipeError),
    /// A model that the valves deny, and why.
    Denied(&'static str),
    /// No listed model.
    Unknown,
}

impl Listing {
    /// Creates the list of these regions, as these valves want it.
    pub fn new(regions: &[RegionModels], valves: &BedrockValves) -> Self {
        let homes = valves.regions.iter().map(|region| geography(region));
        let prefixes = homes.filter_map(profile_prefix).filter(|_| valves.fallback_profiles);
        let mut listing = Self {
            models: Arc::default(),
            entries: HashMap::new(),
            other_regions: HashMap::new(),
            arns: HashMap::new(),
            denied: HashMap::new(),
            aliases: Aliases::parse(&valves.aliases),
            policy: AccessPolicy::from_valves(valves),
            fallback_chains: FallbackChains::parse(&valves.fallbacks),
            profile_prefixes: prefixes.collect(),
            gaps: Vec::new(),
            uncertainty: regions.iter().find_map(uncertainty),
            list_errors: describe_errors(regions),
            is_complete: regions
                .iter()
                .all(|region| region.is_listed() && region.saved_age().is_none()),
            unknown_names: None,
            regions: regions
                .iter()
                .map(|region| (Arc::clone(&region.name), region.has_answered()))
                .collect(),
        };
        let foundations = Foundations::new(regions);
        let entries = regions.iter().flat_map(|region| entries_of(region, &foundations, valves));
        entries.for_each(|entry| listing.add(entry));
        listing.finish(regions, valves);
        listing
    }

    /// Adds a model.
    fn add(&mut self, entry: ModelEntry) {
        if let Some(reason) = self.policy.denial_reason(&entry) {
            self.deny(&entry, reason);
            return;
        }
        // Names within an account need not be unique, not even within a region.
        let is_taken = self
            .entries
            .get(&entry.id)
            .is_some_and(|other| other.region == entry.region || other.base != entry.base);
        let entry = Arc::new(if is_taken { entry.with_unique_id() } else { entry });
        if *entry.model_id != *entry.id {
            let place = (Arc::clone(&entry.id), Arc::clone(&entry.region));
            self.arns.insert(entry.model_id.clone(), place);
        }
        match self.entries.entry(Arc::clone(&entry.id)) {
            hash_map::Entry::Vacant(vacant) => _ = vacant.insert(entry),
            hash_map::Entry::Occupied(occupied) => {
                self.other_regions.entry(Arc::clone(occupied.key())).or_default().push(entry);
            }
        }
    }

    /// Records, under all names of a model, the reason why it may not be used.
    fn deny(&mut self, entry: &ModelEntry, reason: &'static str) {
        let ModelEntry { id, model_id, base, region, .. } = entry;
        let names = [id.to_string(), model_id.clone(), base.clone(), format!("{id}@{region}")];
        self.denied.extend(names.map(|name| (name, reason)));
    }

    /// Lists the models of the picker, after all entries are known.
    fn finish(&mut self, regions: &[RegionModels], valves: &BedrockValves) {
        let mut models = picker_models(self.entries.values(), valves);
        let has_no_chat_model = models.iter().all(|model| !model.kind.answers_chats());
        self.gaps = find_gaps(regions, has_no_chat_model);
        models.extend(self.gaps.iter().map(ListingGap::to_model));
        self.models = models.into();
    }

    /// Records the names in valves that no model has.
    pub fn with_unknown_names(self, names: Vec<UnknownModelName>) -> Self {
        Self { unknown_names: Some(names), ..self }
    }

    /// Returns whether all regions are listed.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the models for clients' lists.
    pub fn models(&self) -> Arc<[Model]> {
        Arc::clone(&self.models)
    }

    /// Returns whether no model can be called.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns whether the newest list of a region is missing.
    pub fn has_list_errors(&self) -> bool {
        self.list_errors.is_some()
    }

    /// Describes the regions that could not be listed and the names in valves that no model has.
    pub fn health_problem(&self) -> Option<String> {
        let names = self.unknown_names().unwrap_or_default().iter().map(UnknownModelName::describe);
        let lines: Vec<_> = self.list_errors.iter().cloned().chain(names).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    /// Returns the names in valves that no model has; `None` while that is not known.
    pub fn unknown_names(&self) -> Option<&[UnknownModelName]> {
        self.unknown_names.as_deref()
    }

    /// Returns whether a region of higher priority has not answered yet, and may have the model
    /// too.
    pub fn is_preliminary(&self, entry: &ModelEntry) -> bool {
        let before = self.regions.iter().take_while(|(region, _)| *region != entry.region);
        before.into_iter().any(|(_, has_answered)| !has_answered)
    }

    /// Returns the reason for which a model may exist that is not listed: there is no list at all,
    /// or a region has not been listed since the start.
    pub fn uncertainty(&self) -> Option<PipeError> {
        let gap = self.gaps.first().filter(|_| self.is_empty());
        gap.or(self.uncertainty.as_ref()).map(ListingGap::to_lookup_error)
    }

    /// Returns whether a model matches a pattern, which may contain `*` and end with `@region`.
    pub fn has_match(&self, pattern: &str) -> bool {
        let others = self.other_regions.values().flatten();
        self.entries.values().chain(others).any(|entry| entry.matches_name(pattern))
    }

    /// Returns the same model in further regions.
    pub fn other_regions(&self, id: &str) -> &[Arc<ModelEntry>] {
        self.other_regions.get(id).map_or(&[], Vec::as_slice)
    }

    /// Returns the model of this id, if it can be called.
    pub fn entry(&self, id: &str) -> Option<&Arc<ModelEntry>> {
        self.entries.get(id)
    }

    /// Returns the profile that leads to the model of this base id within the geography of one of
    /// the regions, for a model that has no other route.
    pub fn profile_of(&self, base: &str) -> Option<&Arc<ModelEntry>> {
        let mut prefixes = self.profile_prefixes.iter();
        prefixes.find_map(|prefix| self.entry(&format!("{prefix}{base}")))
    }

    /// Looks up the model that an id names.
    pub fn look_up(&self, id: &str) -> Lookup<'_> {
        if let Some(entry) = self.entry(id) {
            return Lookup::Found(entry);
        }
        if let Some(entry) = self.arns.get(id).and_then(|(id, region)| self.entry_in(id, region)) {
            return Lookup::Found(entry);
        }
        if let Some(gap) = self.gaps.iter().find(|gap| gap.id == id) {
            return Lookup::Incomplete(gap.to_error());
        }
        let in_region = split_region(id);
        if let Some(entry) = in_region.and_then(|(id, region)| self.entry_in(id, region)) {
            return Lookup::Pinned(entry);
        }
        let name = in_region.map(|(id, region)| format!("{id}@{region}"));
        match name.and_then(|name| self.denied.get(&name)) {
            Some(reason) => Lookup::Denied(reason),
            None => Lookup::Unknown,
        }
    }

    /// Looks up the model that an admin names in a valve, and whether the name names a region.
    pub fn look_up_valve_name(&self, name: &str) -> Option<(&Arc<ModelEntry>, bool)> {
        let name = &*self.aliases.resolve(strip_pipe_id(name));
        match self.look_up(name) {
            Lookup::Found(entry) => Some((entry, false)),
            Lookup::Pinned(entry) => Some((entry, true)),
            Lookup::Incomplete(_) | Lookup::Denied(_) => None,
            Lookup::Unknown => self.profile_of(name).map(|entry| (entry, false)),
        }
    }

    /// Returns the reason for which the valves deny the model of this id, whether it is listed
    /// under the id or only called by a listed profile.
    pub fn denial_reason(&self, id: &str) -> Option<&'static str> {
        self.denied.get(id).copied()
    }

    /// Returns the model with this id in this region.
    fn entry_in(&self, id: &str, region: &str) -> Option<&Arc<ModelEntry>> {
        let is_there = |entry: &&Arc<ModelEntry>| *entry.region == *region;
        self.entry(id).filter(is_there).or_else(|| self.other_regions(id).iter().find(is_there))
    }
}

/// Splits an id that names a region: `amazon.nova-lite-v1:0@us-west-2`, or the ARN of a foundation
/// model or of a system-defined profile.
fn split_region(id: &str) -> Option<(&str, &str)> {
    if let Some(split) = id.rsplit_once('@') {
        return Some(split);
    }
    let mut parts = id.strip_prefix("arn:")?.splitn(5, ':');
    let (_, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (kind, name) = parts.nth(1)?.split_once('/')?;
    let is_aws = service == "bedrock" && matches!(kind, "foundation-model" | "inference-profile");
    is_aws.then_some((name, region))
}

/// The foundation models of all regions by their ids, whether they are listed or not.
struct Foundations<'a>(HashMap<&'a str, &'a FoundationModel>);

impl<'a> Foundations<'a> {
    fn new(regions: &'a [RegionModels]) -> Self {
        let all = regions.iter().rev().flat_map(|region| region.foundations.iter());
        Self(all.map(|foundation| (foundation.id.as_str(), foundation)).collect())
    }

    /// Returns the model of a base id. The id of provisioned or customised models may end with the
    /// context length, as in `…-v1:0:48k`.
    fn get(&self, base: &str) -> Option<&'a FoundationModel> {
        let plain = || base.rsplit_once(':').filter(|(_, suffix)| suffix.ends_with('k'));
        let found = self.0.get(base).or_else(|| self.0.get(plain()?.0));
        found.copied()
    }
}

fn entries_of<'a>(
    region: &'a RegionModels,
    foundations: &'a Foundations<'a>,
    valves: &'a BedrockValves,
) -> impl Iterator<Item = ModelEntry> + 'a {
    let is_wanted = |model: &&FoundationModel| model.on_demand && model.is_wanted(valves);
    let models = region.foundations.iter().filter(is_wanted).map(FoundationModel::to_route);
    // A route may lead to a model that none of the regions lists: then its base id has to do.
    let routes = region.routes.values().flat_map(|list| list.iter()).filter(|route| {
        let foundation = foundations.get(&route.base);
        route.is_own || foundation.is_none_or(|model| model.is_wanted(valves))
    });
    models.chain(routes.cloned()).filter_map(|route| {
        let foundation = foundations.get(&route.base);
        ModelEntry::from_route(route, &region.name, foundation, valves)
    })
}

/// Returns the gap of a region whose lists may be out of date.
fn uncertainty(region: &RegionModels) -> Option<ListingGap> {
    Some(ListingGap::in_region(&region.name, &region.uncertainty()?))
}

fn describe_errors(regions: &[RegionModels]) -> Option<String> {
    let lines = |region: &RegionModels| {
        let (name, errors) = (Arc::clone(&region.name), region.errors().into_iter());
        let saved = region.saved_age().map_or_else(String::new, |age| {
            format!(" (the models that it had before the start are served, as listed {age} ago)")
        });
        let line = move |error: &ListError| format!("{name}: {}{saved}", error.message);
        errors.map(line).collect::<Vec<_>>()
    };
    let lines: Vec<_> = regions.iter().flat_map(lines).collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::split_region;

    #[test]
    fn ids_can_name_their_region() {
        let arn = "arn:aws-us-gov:bedrock:us-gov-west-1";
        for (id, expected) in [
            ("a.b-v1:0@us-west-2".to_owned(), Some(("a.b-v1:0", "us-west-2"))),
            (format!("{arn}::foundation-model/a.b-v1:0"), Some(("a.b-v1:0", "us-gov-west-1"))),
            (format!("{arn}:1:inference-profile/us.a.b"), Some(("us.a.b", "us-gov-west-1"))),
            (format!("{arn}:1:application-inference-profile/x"), None),
            ("arn:aws:sagemaker:us-east-1:1:endpoint/x".into(), None),
            ("a.b-v1:0".into(), None),
        ] {
            assert_eq!(split_region(&id), expected, "{id}");
        }
    }
}
