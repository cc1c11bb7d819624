//! Asks one region for its models and the ways to them, and keeps the last good answer of each list.

use super::{
    entry::Foundation,
    saved::{SavedRegion, age, this_hour},
    trouble::Trouble,
    way::{Collection, Way},
};
use crate::{
    clients::Clients,
    error::{SendError, of_sdk},
    valves::BedrockValves,
};
use aws_sdk_bedrock::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{InferenceProfileSummary, InferenceProfileType},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::future::join_all;
use std::{collections::BTreeMap, error::Error, sync::Arc, time::Duration};
use tokio::time::timeout;

/// What is known of one region.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// Its name.
    pub region: Arc<str>,
    /// Its foundation models.
    pub foundations: Shown<Foundation>,
    /// The lists that are wanted beside.
    pub ways: BTreeMap<Collection, Shown<Way>>,
    /// When its foundation models were listed, in seconds since 1970, by the hour.
    listed_at: u64,
}

/// The last good list, and what went wrong since.
#[derive(Clone, Debug)]
pub struct Shown<T> {
    /// `None` before the first good list.
    pub items: Option<Arc<[T]>>,
    /// Why the newest list is not there.
    pub trouble: Option<Trouble>,
    /// Whether the list is one that was saved before the start.
    is_saved: bool,
}

/// What a region said just now.
pub struct Lists {
    foundations: Result<Vec<Foundation>, Trouble>,
    ways: Vec<(Collection, Result<Vec<Way>, Trouble>)>,
}

/// How many items a page of a list may hold.
const PAGE: i32 = 1000;

/// Asks the region at this place, and waits no longer than the valves allow.
pub async fn region(clients: &Clients, place: usize, valves: &BedrockValves) -> Lists {
    let client = clients.control(place).await;
    let patience = valves.list_timeout();
    let wanted = Collection::ALL.into_iter().filter(|collection| collection.is_wanted(valves));
    let ways = wanted.map(|collection| async move {
        let list = ways(client, collection);
        (collection, within(patience, collection.action(), list).await)
    });
    let (foundations, ways) = tokio::join!(
        within(patience, "bedrock:ListFoundationModels", foundations(client)),
        join_all(ways),
    );
    let lists = Lists { foundations, ways };
    let region = clients.regions().nth(place).map_or("", |region| region);
    for Trouble { code, words, .. } in lists.troubles() {
        tracing::warn!(
            aws.region = region,
            aws.error = code,
            "Could not list all models of {region}: {words}."
        );
    }
    lists
}

async fn within<T>(
    patience: Duration,
    action: &'static str,
    list: impl Future<Output = Result<T, SendError>>,
) -> Result<T, Trouble> {
    let list = timeout(patience, list).await.unwrap_or(Err(SendError::Timeout));
    list.map_err(|failure| Trouble::new(failure, action))
}

async fn foundations(client: &Client) -> Result<Vec<Foundation>, SendError> {
    // Not only those that make text: what stands behind a profile must be known too.
    let listed = client.list_foundation_models().send().await.map_err(failure)?;
    Ok(listed.model_summaries().iter().map(Foundation::new).collect())
}

/// What this list tells, page after page.
async fn ways(client: &Client, collection: Collection) -> Result<Vec<Way>, SendError> {
    macro_rules! listed {
        ($list:ident, $way:path) => {{
            let pages = client.$list().max_results(PAGE).into_paginator();
            let summaries = pages.items().send().collect::<Result<Vec<_>, _>>().await;
            summaries.map_err(failure)?.iter().filter_map($way).collect()
        }};
    }
    Ok(match collection {
        Collection::Profiles => profiles(client).await?,
        Collection::Imported => listed!(list_imported_models, Way::imported),
        Collection::Provisioned => listed!(list_provisioned_model_throughputs, Way::provisioned),
        Collection::Deployed => listed!(list_custom_model_deployments, Way::deployed),
        Collection::Marketplace => listed!(list_marketplace_model_endpoints, Way::marketplace),
        Collection::Routers => listed!(list_prompt_routers, Way::router),
    })
}

async fn profiles(client: &Client) -> Result<Vec<Way>, SendError> {
    let (system, application) = tokio::try_join!(
        profiles_of(client, InferenceProfileType::SystemDefined),
        profiles_of(client, InferenceProfileType::Application),
    )?;
    Ok(system.iter().chain(&application).filter_map(Way::profile).collect())
}

async fn profiles_of(
    client: &Client,
    kind: InferenceProfileType,
) -> Result<Vec<InferenceProfileSummary>, SendError> {
    let pages = client.list_inference_profiles().type_equals(kind).max_results(PAGE);
    pages.into_paginator().items().send().collect::<Result<_, _>>().await.map_err(failure)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn failure<E>(error: SdkError<E, HttpResponse>) -> SendError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    of_sdk(&error)
}

impl Lists {
    /// What went wrong. Mostly it is the same for all lists; then it is said once.
    fn troubles(&self) -> Vec<&Trouble> {
        let ways = self.ways.iter().filter_map(|(_, list)| list.as_ref().err());
        once(self.foundations.as_ref().err().into_iter().chain(ways))
    }
}

/// The same without what is said already.
fn once<'a>(troubles: impl Iterator<Item = &'a Trouble>) -> Vec<&'a Trouble> {
    troubles.fold(Vec::new(), |mut said, trouble| {
        if !said.contains(&trouble) {
            said.push(trouble);
        }
        said
    })
}

impl Shelf {
    /// A region that has not been asked yet for what these valves want.
    pub fn empty(region: Arc<str>, valves: &BedrockValves) -> Self {
        let (foundations, ways) = (Shown::empty(), BTreeMap::new());
        Self { region, foundations, ways, listed_at: 0 }.turned(valves)
    }

    /// A region as it was when this was saved.
    pub fn of_saved(region: Arc<str>, saved: &SavedRegion, valves: &BedrockValves) -> Self {
        let ways = saved.ways.iter().map(|(kind, ways)| (*kind, Shown::of_saved(ways)));
        let foundations = Shown::of_saved(&saved.foundations);
        Self { region, foundations, ways: ways.collect(), listed_at: saved.listed_at }
            .turned(valves)
    }

    /// What is to be saved of it, if its foundation models have ever been listed.
    pub fn to_saved(&self) -> Option<SavedRegion> {
        let ways = self.ways.iter();
        let ways = ways.filter_map(|(kind, ways)| Some((*kind, ways.items.as_ref()?.to_vec())));
        Some(SavedRegion {
            region: self.region.to_string(),
            listed_at: self.listed_at,
            foundations: self.foundations.items.as_ref()?.to_vec(),
            ways: ways.collect(),
        })
    }

    /// How old its lists are, in words, if one of them is from before the start.
    pub fn saved_age(&self) -> Option<String> {
        let is_saved = self.foundations.is_saved || self.ways.values().any(|list| list.is_saved);
        is_saved.then(|| age(self.listed_at))
    }

    /// Why a model may be there that is not listed: a list has not come since the start, and is expected soon.
    pub fn uncertainty(&self) -> Option<Trouble> {
        let ways = self.ways.values().find_map(Shown::uncertainty);
        self.foundations.uncertainty().or(ways)
    }

    /// The same with the lists that these valves want: those that it has, and the others empty.
    pub fn turned(&self, valves: &BedrockValves) -> Self {
        let wanted = Collection::ALL.into_iter().filter(|collection| collection.is_wanted(valves));
        let kept = |collection| self.ways.get(&collection).cloned().unwrap_or_else(Shown::empty);
        let ways = wanted.map(|collection| (collection, kept(collection))).collect();
        Self { ways, ..self.clone() }
    }

    /// Whether it is of this region.
    pub fn matches(&self, region: &str) -> bool {
        &*self.region == region
    }

    /// Whether there is a good list of all that is wanted of it.
    pub fn is_listed(&self) -> bool {
        self.foundations.items.is_some() && self.ways.values().all(|list| list.items.is_some())
    }

    /// Whether it has been heard of, well or ill.
    pub fn is_heard(&self) -> bool {
        self.is_listed() || !self.troubles().is_empty()
    }

    /// Takes in what the region said; what it did not say stays as it was.
    pub fn put(&mut self, lists: Lists) {
        if lists.foundations.is_ok() {
            self.listed_at = this_hour();
        }
        self.foundations.put(lists.foundations);
        for (collection, list) in lists.ways {
            self.ways.entry(collection).or_insert_with(Shown::empty).put(list);
        }
    }

    /// What is going wrong.
    pub fn troubles(&self) -> Vec<&Trouble> {
        let ways = self.ways.values().filter_map(|list| list.trouble.as_ref());
        once(self.foundations.trouble.as_ref().into_iter().chain(ways))
    }

    /// What people have to be told: trouble that leaves a gap, because there is no older list either.
    pub fn gap(&self) -> Option<&Trouble> {
        self.foundations.gap().or_else(|| self.ways.values().find_map(Shown::gap))
    }
}

impl<T: Clone> Shown<T> {
    fn of_saved(items: &[T]) -> Self {
        Self { items: Some(items.into()), trouble: None, is_saved: true }
    }
}

impl<T> Shown<T> {
    fn empty() -> Self {
        Self { items: None, trouble: None, is_saved: false }
    }

    fn uncertainty(&self) -> Option<Trouble> {
        if self.items.is_some() && !self.is_saved {
            return None;
        }
        match &self.trouble {
            None => Some(Trouble::loading()),
            Some(trouble) => Some(trouble.clone()).filter(Trouble::is_passing),
        }
    }

    fn put(&mut self, list: Result<Vec<T>, Trouble>) {
        match list {
            Ok(items) => {
                *self = Self { items: Some(items.into()), trouble: None, is_saved: false };
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    fn gap(&self) -> Option<&Trouble> {
        self.trouble.as_ref().filter(|_| self.items.is_none())
    }

    /// The items of the last good list.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.iter().flat_map(|items| items.iter())
    }
}
