//! Every chat model of Amazon Bedrock, in one manifold, and those for pictures, embeddings and reranking beside them.
//!
//! The models of several regions are listed in the background (`catalogue`); a chat becomes a Converse request that is written by us
//! (`converse`), and its answer an event stream that is read by us (`stream`). Models that do not chat are asked in their own words
//! (`invoke`). What lies between is the crate `bedrock-runtime`'s. The AWS
//! SDK lists, and knows where credentials come from.
//!
//! [`converse`] and [`stream`] are the two halves that every token goes through; they are public for the benchmark that watches them.
//!
//! What is deliberately absent: no task answers a chat, so dropping the stream is the cancel; and nothing asks AWS before it has to,
//! so the host starts at once, with or without credentials.

mod account;
mod aliases;
mod attempts;
mod catalogue;
mod chain;
mod chat;
mod clients;
pub mod converse;
mod count;
mod embed;
mod error;
mod fallback;
pub mod family;
mod forced;
mod image;
mod invoke;
mod links;
mod meaning;
mod names;
mod rerank;
pub mod stream;
mod trusted;
mod upstreams;
mod valves;

pub use valves::{
    BedrockValves, BuiltinTools, GuardrailStreaming, GuardrailTrace, ImageAnswers,
    LateInstructions, PromptCaching, ReasoningOutput,
};

use account::Account;
use attempts::Means;
use catalogue::{Catalogue, Entry, Listing, Search};
use clients::Clients;
use family::Lessons;
use forced::ForcedFailure;
use links::Links;
use meaning::{Meaning, meaning};
use pipe_sdk::{
    Call, CallerId, ChunkStream, Demand, DemandKind, EmbedCall, Embeddings, Hints, ImageCall,
    Images, ModelKind, ModelResolution, Pipe, PipeError, QuirkState, RerankCall, Reranked, Result,
    Serves, StateFolder, UpstreamState, ValveError,
};
use serde_json::json;
use std::{borrow::Cow, sync::Arc};
use tokio::time::timeout;

/// What the id of a model ends with when its quicker kind is meant.
const OPTIMIZED: &str = ":latency-optimized";

/// The manifold of Bedrock's models.
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
        Self::on_startup_in(StateFolder::default(), valves).await
    }

    async fn on_startup_in(folder: StateFolder, valves: BedrockValves) -> Result<Self> {
        if trusted::sends_astray(&valves) {
            tracing::error!("No credentials are used: `endpoint_url` {}.", trusted::RULE);
        }
        let clients = Arc::new(Clients::new(Arc::new(Account::new(&valves)), &valves));
        let catalogue = Catalogue::start(Arc::clone(&clients), &valves, folder).await;
        Self::of(valves, clients, catalogue, Arc::default())
    }

    /// Keeps the open connections and what models have taught, and of the same account the credentials, the model list and how its models
    /// fare too.
    async fn on_valves_updated(&self, valves: BedrockValves) -> Result<Self> {
        let account = self.clients.account();
        let lessons = Arc::clone(&self.lessons);
        // What was so before does not keep other valves from being turned.
        if trusted::sends_astray(&valves) && !account.matches(&valves) {
            return Err(PipeError::BadValves(vec![ValveError::new("endpoint_url", trusted::RULE)]));
        }
        if !account.matches(&valves) {
            let clients = Arc::new(Clients::new(Arc::new(account.turned(&valves)), &valves));
            let catalogue = self.catalogue.of_another(Arc::clone(&clients), &valves);
            catalogue.check_names(&self.valves).await?;
            return Self::of(valves, clients, catalogue, lessons);
        }
        let clients = Arc::new(self.clients.turned(&valves));
        let catalogue = self.catalogue.turned(Arc::clone(&clients), &valves);
        catalogue.check_names(&self.valves).await?;
        Self::of(valves, clients, catalogue, lessons)
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(self.catalogue.listing().models())
    }

    /// Beside the ids in the list: ARNs, regions named, other names, and the ids of models that only profiles lead to.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        let (name, _) = optimized(id);
        let listing = self.catalogue.listing();
        let Meaning { entry, is_sure, .. } = match meaning(&name, None, &listing, &self.valves) {
            Ok(meaning) => meaning,
            Err(PipeError::ModelGone { reason, .. }) => {
                return Some(ModelResolution::Denied(reason));
            }
            Err(PipeError::ModelNotFound(_)) => return None,
            // Without a list nobody can tell, but an id that Bedrock would never give is another's.
            Err(error) => {
                let is_ours = name.contains('.') || is_own_name(&name);
                let is_renamed = listing.aliases.renamed(&name) != *name
                    || listing.aliases.caught(&name).is_some()
                    || self.valves.default_model.is_some();
                return (is_ours || is_renamed)
                    .then(|| ModelResolution::Unavailable(error.to_string()));
            }
        };
        let model = entry.model(self.valves.builtin_tools);
        Some(if is_sure {
            ModelResolution::Available(model)
        } else {
            ModelResolution::Fallback(model)
        })
    }

    async fn wait_until_ready(&self) {
        self.catalogue.wait_until_ready().await;
    }

    fn health_problem(&self) -> Option<String> {
        let astray = || format!("endpoint_url: {}", trusted::RULE);
        let astray = trusted::sends_astray(&self.valves).then(astray);
        astray.or_else(|| self.catalogue.listing().health_problem())
    }

    fn learned_quirks(&self) -> Vec<QuirkState> {
        self.lessons.states()
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        self.clients.upstreams().states()
    }

    async fn pipe(self: Arc<Self>, mut call: Call) -> Result<ChunkStream> {
        take_out(&mut call);
        let entries =
            self.entries(&call.model, ModelKind::Chat, call.host.context().caller()).await?;
        self.links.resolve(&mut call.body).await?;
        if entries.first().is_some_and(|entry| entry.kind == ModelKind::Image) {
            let demand = Demand { kind: DemandKind::Image, ..Demand::chat(&call.body) };
            let means = self.means(&call.hints, call.host.context().caller());
            return image::chat(&call, &entries, means.admitting(&call.host, demand)).await;
        }
        let means = self.means(&call.hints, call.host.context().caller());
        chat::chat(&call, &entries, means.admitting(&call.host, Demand::chat(&call.body))).await
    }

    async fn count_tokens(self: Arc<Self>, mut call: Call) -> Result<u64> {
        take_out(&mut call);
        let entries =
            self.entries(&call.model, ModelKind::Chat, call.host.context().caller()).await?;
        let asked = entries.first().ok_or_else(|| PipeError::ModelNotFound(call.model.clone()))?;
        if asked.kind != ModelKind::Chat {
            return Err(PipeError::uncounted(&call.model));
        }
        self.links.resolve(&mut call.body).await?;
        count::count(&call, asked, self.means(&call.hints, call.host.context().caller())).await
    }

    async fn embed(self: Arc<Self>, call: EmbedCall) -> Result<Embeddings> {
        let entries = self.entries(&call.model, ModelKind::Embed, call.caller).await?;
        embed::embed(&call, &entries, self.means(&call.hints, call.caller)).await
    }

    async fn rerank(self: Arc<Self>, call: RerankCall) -> Result<Reranked> {
        let entries = self.entries(&call.model, ModelKind::Rerank, call.caller).await?;
        rerank::rerank(&call, &entries, self.means(&call.hints, call.caller)).await
    }

    async fn images(self: Arc<Self>, call: ImageCall) -> Result<Images> {
        let entries = self.entries(&call.model, ModelKind::Image, call.caller).await?;
        let mut means = self.means(&call.hints, call.caller);
        if let Some(host) = &call.host {
            means = means.admitting(host, Demand::image(&call));
        }
        image::images(&call, &entries, means).await
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

    /// What every call needs beside itself.
    fn means<'a>(&'a self, hints: &'a Hints, caller: CallerId) -> Means<'a> {
        let Self { clients, lessons, valves, .. } = self;
        let forced = ForcedFailure::of(hints);
        Means { clients, lessons, valves, forced, admission: None, caller, anyway: false }
    }

    /// The model of this id, which must do what this kind does, and after it those that may answer in its place.
    async fn entries(&self, model: &str, kind: ModelKind, caller: CallerId) -> Result<Vec<Entry>> {
        let mut listing = self.catalogue.listing();
        if !is_certain(model, &listing) {
            // At the start the list may still be on its way. When the wait is over, what is known has to do.
            _ = timeout(self.valves.list_timeout(), self.catalogue.wait_until_ready()).await;
            listing = self.catalogue.listing();
        }
        let Meaning { entry, is_pinned, .. } = meaning(model, Some(kind), &listing, &self.valves)?;
        if !entry.does(kind) {
            return Err(misplaced(model, entry.kind, kind));
        }
        if is_pinned {
            return Ok(vec![entry.clone()]);
        }
        Ok(fallback::candidates(entry, &listing, &self.lessons, caller, &self.valves))
    }
}

/// Whether an id is made as those are of what an account has of its own, or is an ARN.
fn is_own_name(id: &str) -> bool {
    const BEGINNINGS: [&str; 7] =
        ["arn:", "app/", "imported/", "provisioned/", "custom/", "marketplace/", "router/"];
    BEGINNINGS.iter().any(|beginning| id.starts_with(beginning))
}

/// Whether the list knows for certain who is meant.
fn is_certain(model: &str, listing: &Listing) -> bool {
    match listing.find(&listing.aliases.renamed(model)) {
        Search::Found(entry) => !listing.is_preliminary(entry),
        Search::Pinned(_) | Search::Missing(_) => true,
        Search::Denied(_) | Search::Unknown => false,
    }
}

/// The error of asking a model for something that it does not do.
fn misplaced(model: &str, is: ModelKind, wanted: ModelKind) -> PipeError {
    let does = |kind| match kind {
        ModelKind::Chat => "answers chats",
        ModelKind::Embed => "turns texts into vectors",
        ModelKind::Rerank => "puts documents in order",
        ModelKind::Image => "makes pictures",
    };
    let (does, wanted) = (does(is), does(wanted));
    PipeError::bad_field("model", format!("`{model}` {does}: name a model that {wanted}"))
}

/// Takes out of the model's id what is no part of it.
fn take_out(call: &mut Call) {
    let (model, is_optimized) = optimized(&call.model);
    if is_optimized {
        call.model = model.into_owned();
        call.body.rest.insert("performanceConfig".into(), json!({"latency": "optimized"}));
    }
}

/// The id without what asks for the quicker kind of a model, and whether that was there.
fn optimized(model: &str) -> (Cow<'_, str>, bool) {
    if let Some(model) = model.strip_suffix(OPTIMIZED) {
        return (model.into(), true);
    }
    let ahead =
        model.split_once('@').and_then(|(id, region)| Some((id.strip_suffix(OPTIMIZED)?, region)));
    match ahead {
        Some((id, region)) => (format!("{id}@{region}").into(), true),
        None => (model.into(), false),
    }
}
