//! Asks one region for its models and profiles, and keeps the last good answer of each.

use super::{
    entry::{Foundation, Profile},
    trouble::Trouble,
};
use crate::{
    clients::Clients,
    error::{Failure, of_sdk},
    valves::BedrockValves,
};
use aws_sdk_bedrock::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{InferenceProfileSummary, InferenceProfileType},
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use std::{error::Error, sync::Arc, time::Duration};
use tokio::time::timeout;

/// What is known of one region.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// Its name.
    pub region: Arc<str>,
    /// Its foundation models.
    pub foundations: Shown<Foundation>,
    /// Its inference profiles.
    pub profiles: Shown<Profile>,
}

/// The last good list, and what went wrong since.
#[derive(Clone, Debug)]
pub struct Shown<T> {
    /// `None` before the first good list.
    pub items: Option<Arc<[T]>>,
    /// Why the newest list is not there.
    pub trouble: Option<Trouble>,
}

/// What a region said just now.
pub struct Lists {
    foundations: Result<Vec<Foundation>, Trouble>,
    profiles: Result<Vec<Profile>, Trouble>,
}

/// Asks the region at this place, and waits no longer than the valves allow.
pub async fn region(clients: &Clients, place: usize, valves: &BedrockValves) -> Lists {
    let client = clients.control(place).await;
    let patience = valves.list_timeout();
    let (foundations, profiles) = tokio::join!(
        within(patience, "bedrock:ListFoundationModels", foundations(client)),
        within(patience, "bedrock:ListInferenceProfiles", profiles(client, valves)),
    );
    let lists = Lists { foundations, profiles };
    if let Some(trouble) = lists.trouble() {
        let region = clients.regions().nth(place).map_or("", |region| region);
        let Trouble { code, words, .. } = trouble;
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
    list: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Trouble> {
    let list = timeout(patience, list).await.unwrap_or(Err(Failure::Timeout));
    list.map_err(|failure| Trouble::new(failure, action))
}

async fn foundations(client: &Client) -> Result<Vec<Foundation>, Failure> {
    // Not only those that make text: what stands behind a profile must be known too.
    let listed = client.list_foundation_models().send().await.map_err(failure)?;
    Ok(listed.model_summaries().iter().map(Foundation::new).collect())
}

async fn profiles(client: &Client, valves: &BedrockValves) -> Result<Vec<Profile>, Failure> {
    if !valves.inference_profiles {
        return Ok(Vec::new());
    }
    let (system, application) = tokio::try_join!(
        profiles_of(client, InferenceProfileType::SystemDefined),
        profiles_of(client, InferenceProfileType::Application),
    )?;
    Ok(system.iter().chain(&application).filter_map(Profile::new).collect())
}

async fn profiles_of(
    client: &Client,
    kind: InferenceProfileType,
) -> Result<Vec<InferenceProfileSummary>, Failure> {
    let pages = client.list_inference_profiles().type_equals(kind).max_results(1000);
    pages.into_paginator().items().send().collect::<Result<_, _>>().await.map_err(failure)
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands it over")]
fn failure<E>(error: SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    of_sdk(&error)
}

impl Lists {
    /// What went wrong; mostly it is the same for both lists.
    fn trouble(&self) -> Option<&Trouble> {
        self.foundations.as_ref().err().or(self.profiles.as_ref().err())
    }
}

impl Shelf {
    /// A region that has not been asked yet.
    pub fn empty(region: Arc<str>) -> Self {
        Self { region, foundations: Shown::empty(), profiles: Shown::empty() }
    }

    /// Whether it is of this region.
    pub fn is_of(&self, region: &str) -> bool {
        &*self.region == region
    }

    /// Whether there is a good list of all that it has.
    pub fn is_listed(&self) -> bool {
        self.foundations.items.is_some() && self.profiles.items.is_some()
    }

    /// Whether it has been heard of, well or ill.
    pub fn is_heard(&self) -> bool {
        self.is_listed() || self.trouble().is_some()
    }

    /// Takes in what the region said; what it did not say stays as it was.
    pub fn put(&mut self, lists: Lists) {
        self.foundations.put(lists.foundations);
        self.profiles.put(lists.profiles);
    }

    /// What is going wrong.
    pub fn trouble(&self) -> Option<&Trouble> {
        self.foundations.trouble.as_ref().or(self.profiles.trouble.as_ref())
    }

    /// What people have to be told: trouble that leaves a gap, because there is no older list either.
    pub fn gap(&self) -> Option<&Trouble> {
        self.foundations.gap().or(self.profiles.gap())
    }
}

impl<T> Shown<T> {
    fn empty() -> Self {
        Self { items: None, trouble: None }
    }

    fn put(&mut self, list: Result<Vec<T>, Trouble>) {
        match list {
            Ok(items) => *self = Self { items: Some(items.into()), trouble: None },
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
