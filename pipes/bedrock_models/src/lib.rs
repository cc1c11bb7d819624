//! Every chat model of Amazon Bedrock, in one manifold.
//!
//! The models of several regions are listed in the background (`catalogue`); a chat becomes a Converse request that is written by us
//! (`converse`), and its answer an event stream that is read by us (`stream`). What lies between is the crate `bedrock-runtime`'s. The AWS
//! SDK lists, and knows where credentials come from.
//!
//! [`converse`] and [`stream`] are the two halves that every token goes through; they are public for the benchmark that watches them.
//!
//! What is deliberately absent: no task answers a chat, so dropping the stream is the cancel; and nothing asks AWS before it has to,
//! so the host starts at once, with or without credentials.

mod account;
mod catalogue;
mod chain;
mod chat;
mod clients;
pub mod converse;
mod count;
mod error;
mod fallback;
pub mod family;
mod links;
mod names;
pub mod stream;
mod valves;

pub use valves::{
    BedrockValves, BuiltinTools, GuardrailStreaming, GuardrailTrace, LateInstructions,
    PromptCaching, ReasoningOutput,
};

use account::Account;
use catalogue::{Catalogue, Entry, Listing, Search};
use chat::Means;
use clients::Clients;
use family::Lessons;
use links::Links;
use pipe_sdk::{Call, ChunkStream, Pipe, PipeError, Result, Serves};
use serde_json::json;
use std::sync::Arc;
use tokio::time::timeout;

/// What the id of a model ends with when its quicker kind is meant.
const OPTIMIZED: &str = ":latency-optimized";

/// The manifold of Bedrock's chat models.
pub struct BedrockModels {
    valves: BedrockValves,
    clients: Arc<Clients>,
    catalogue: Catalogue,
    lessons: Arc<Lessons>,
    links: Links,
}

impl Pipe for BedrockModels {
    const ID: &'static str = names::PIPE;
    const NAME: &'static str = "Amazon Bedrock";
    type Valves = BedrockValves;

    async fn on_startup(valves: BedrockValves) -> Result<Self> {
        let clients = Arc::new(Clients::new(Arc::new(Account::new(&valves)), &valves));
        let catalogue = Catalogue::new(Arc::clone(&clients), &valves);
        Self::of(valves, clients, catalogue, Arc::default())
    }

    /// Keeps the open connections and what models have taught, and of the same account the credentials and the model list too.
    async fn on_valves_updated(&self, valves: BedrockValves) -> Result<Self> {
        let account = self.clients.account();
        let lessons = Arc::clone(&self.lessons);
        if !account.is_of(&valves) {
            let clients = Arc::new(Clients::new(Arc::new(account.turned(&valves)), &valves));
            let catalogue = Catalogue::new(Arc::clone(&clients), &valves);
            return Self::of(valves, clients, catalogue, lessons);
        }
        let clients = Arc::new(Clients::new(Arc::clone(account), &valves));
        let catalogue = self.catalogue.turned(Arc::clone(&clients), &valves);
        Self::of(valves, clients, catalogue, lessons)
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(self.catalogue.listing().models())
    }

    async fn discovered(&self) {
        self.catalogue.discovered().await;
    }

    fn trouble(&self) -> Option<String> {
        self.catalogue.listing().trouble().map(String::from)
    }

    async fn pipe(self: Arc<Self>, mut call: Call) -> Result<ChunkStream> {
        let listing = self.prepared(&mut call).await;
        let entries = match pinned(&call.model, &listing) {
            Some(entry) => vec![entry.clone()],
            None => {
                let asked = self.asked(&call, &listing)?;
                fallback::candidates(asked, &listing, &self.lessons, &self.valves)
            }
        };
        self.links.resolve(&mut call.body).await?;
        chat::chat(&call, &entries, self.means()).await
    }

    async fn count_tokens(self: Arc<Self>, mut call: Call) -> Result<u64> {
        let listing = self.prepared(&mut call).await;
        let entry =
            pinned(&call.model, &listing).map_or_else(|| self.asked(&call, &listing), Ok)?;
        self.links.resolve(&mut call.body).await?;
        count::count(&call, entry, self.means()).await
    }
}

impl BedrockModels {
    fn of(
        valves: BedrockValves,
        clients: Arc<Clients>,
        catalogue: Catalogue,
        lessons: Arc<Lessons>,
    ) -> Result<Self> {
        let links = Links::new(&valves)?;
        Ok(Self { valves, clients, catalogue, lessons, links })
    }

    /// What every chat needs beside itself.
    fn means(&self) -> Means<'_> {
        let Self { clients, lessons, valves, .. } = self;
        Means { clients, lessons, valves }
    }

    /// Takes out of the model's id what is no part of it, and gives the list in which it is looked up.
    async fn prepared(&self, call: &mut Call) -> Arc<Listing> {
        let (id, region) = call.model.split_once('@').unwrap_or((&call.model, ""));
        let bare = id.strip_suffix(OPTIMIZED).map(|id| match region {
            "" => id.to_owned(),
            region => format!("{id}@{region}"),
        });
        if let Some(model) = bare.or_else(|| Some(call.model.strip_suffix(OPTIMIZED)?.to_owned())) {
            call.model = model;
            call.body.rest.insert("performanceConfig".into(), json!({"latency": "optimized"}));
        }
        let listing = self.catalogue.listing();
        if self.is_certain(&call.model, &listing) {
            return listing;
        }
        // At the start the list may still be on its way. When the wait is over, what is known has to do.
        _ = timeout(self.valves.list_timeout(), self.catalogue.discovered()).await;
        self.catalogue.listing()
    }

    /// Whether the list knows for certain who is meant.
    fn is_certain(&self, model: &str, listing: &Listing) -> bool {
        match listing.find(model) {
            Search::Found(entry) => !listing.is_preliminary(entry),
            Search::Missing(_) => true,
            Search::Unknown => pinned(model, listing).is_some(),
        }
    }

    /// The model that this chat is for.
    fn asked<'a>(&self, call: &Call, listing: &'a Listing) -> Result<&'a Entry> {
        match listing.find(&call.model) {
            Search::Found(entry) => Ok(entry),
            Search::Missing(error) => Err(error),
            Search::Unknown => {
                let unknown = || PipeError::ModelNotFound(call.model.clone());
                fallback::stand_in(&call.model, listing, &self.valves)
                    .ok_or_else(|| listing.emptiness().unwrap_or_else(unknown))
            }
        }
    }
}

/// The model that an id means which names its region, as in `amazon.nova-lite-v1:0@us-west-2`. Nobody answers in its place.
fn pinned<'a>(id: &str, listing: &'a Listing) -> Option<&'a Entry> {
    let (id, region) = id.rsplit_once('@')?;
    listing.at(id, region)
}
