//! Every model of Amazon Bedrock in one manifold: chats, images, embeddings and reranking.
//!
//! The modules, from the bottom up; each uses only those before it:
//!
//! | module | content |
//! |---|---|
//! | `valves` | the settings |
//! | [`family`] | what each model family accepts |
//! | [`request`] | OpenAI's chat becomes the body of a Converse request |
//! | [`response`] | the response of Converse or `ConverseStream` becomes chunks |
//! | `account`, `clients` | credentials and connections |
//! | `catalog` | the models of all regions, listed in the background |
//! | `resolution` | which model an id means, and which others may answer in its place |
//! | `sending` | retries, circuit breakers, fallback |
//! | `operations` | chats, counting, embeddings, images, reranking |
//!
//! Requests and answers do not go through the AWS SDK but through the crate `bedrock-runtime`; the
//! SDK lists models and finds credentials. [`request`] and [`response`] are public for the
//! benchmark that watches them.
//!
//! No task answers a chat, so dropping the stream cancels it. Nothing calls AWS before it has to,
//! so the host starts at once, with or without credentials.

mod account;
mod catalog;
mod clients;
mod diagnosis;
mod error;
pub mod family;
mod location;
mod model_id;
mod operations;
pub mod request;
mod resolution;
pub mod response;
mod sending;
mod upstreams;
mod valves;

pub use diagnosis::{Diagnosis, diagnose};
pub use valves::{
    BedrockValves, BuiltinTools, GuardrailStreaming, GuardrailTrace, ImageAnswers,
    LateInstructions, PromptCaching, ReasoningOutput,
};

use account::{
    Account,
    endpoint_trust::{ENDPOINT_RULE, leaks_credentials},
};
use catalog::{Listing, Lookup, ModelCatalog, ModelEntry};
use clients::Clients;
use family::ModelQuirks;
use operations::{chat, count_tokens, embed, image, remote_media::RemoteMedia, rerank};
use pipe_sdk::{
    Call, CallerId, ChunkStream, Demand, DemandKind, EmbedCall, Embeddings, Hints, ImageCall,
    Images, ModelKind, ModelResolution, Pipe, PipeError, QuirkState, RerankCall, Reranked, Result,
    Serves, StateFolder, UpstreamState, ValveError,
};
use resolution::{ResolvedModel, find_candidates, find_pinned_candidates, resolve_model};
use sending::{CallDeps, ForcedFailure};
use serde_json::json;
use std::{borrow::Cow, sync::Arc};
use tokio::time::timeout;

/// The suffix of a model id that asks for Bedrock's latency-optimized inference
/// (<https://docs.aws.amazon.com/bedrock/latest/userguide/latency-optimized-inference.html>).
const LATENCY_SUFFIX: &str = ":latency-optimized";

/// The manifold of Bedrock's models.
pub struct BedrockModels {
    valves: BedrockValves,
    clients: Arc<Clients>,
    catalog: ModelCatalog,
    quirks: Arc<ModelQuirks>,
    remote_media: RemoteMedia,
}

impl Pipe for BedrockModels {
    const ID: &'static str = model_id::PIPE_ID;
    const NAME: &'static str = "Amazon Bedrock";
    const PROVIDER: &'static str = "aws.bedrock";
    type Valves = BedrockValves;

    async fn on_startup(valves: BedrockValves) -> Result<Self> {
        Self::on_startup_in(StateFolder::default(), valves).await
    }

    async fn on_startup_in(folder: StateFolder, valves: BedrockValves) -> Result<Self> {
        if leaks_credentials(&valves) {
            tracing::error!("No credentials are used: `endpoint_url` {ENDPOINT_RULE}.");
        }
        let clients = Arc::new(Clients::new(Arc::new(Account::new(&valves)), &valves));
        let catalog = ModelCatalog::start(Arc::clone(&clients), &valves, folder).await;
        Self::new(valves, clients, catalog, Arc::default())
    }

    /// Keeps the open connections and the quirks, and for the same account also the credentials,
    /// the model list and the circuit breakers.
    async fn on_valves_updated(&self, valves: BedrockValves) -> Result<Self> {
        let account = self.clients.account();
        let quirks = Arc::clone(&self.quirks);
        // A fault that was there before does not keep an admin from changing other valves.
        if leaks_credentials(&valves) && !account.matches(&valves) {
            return Err(PipeError::BadValves(vec![ValveError::new("endpoint_url", ENDPOINT_RULE)]));
        }
        if !account.matches(&valves) {
            let clients = Arc::new(Clients::new(Arc::new(account.with_valves(&valves)), &valves));
            let catalog = self.catalog.for_account(Arc::clone(&clients), &valves);
            catalog.check_names(&self.valves).await?;
            return Self::new(valves, clients, catalog, quirks);
        }
        let clients = Arc::new(self.clients.with_valves(&valves));
        let catalog = self.catalog.with_valves(Arc::clone(&clients), &valves);
        catalog.check_names(&self.valves).await?;
        Self::new(valves, clients, catalog, quirks)
    }

    fn serves(&self) -> Serves {
        Serves::Manifold(self.catalog.listing().models())
    }

    /// Resolves ids that are not in the list too: ARNs, ids with a region, other names, and models
    /// that only a profile leads to.
    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        let (name, _) = split_latency_suffix(id);
        let listing = self.catalog.listing();
        let ResolvedModel { entry, is_exact, .. } =
            match resolve_model(&name, None, &listing, &self.valves) {
                Ok(model) => model,
                Err(PipeError::ModelGone { reason, .. }) => {
                    return Some(ModelResolution::Denied(reason));
                }
                Err(PipeError::ModelNotFound(_)) => return None,
                // Without a list nobody can tell, but an id that Bedrock would never use is another
                // pipe's.
                Err(error) => {
                    let is_bedrock_id = name.contains('.') || is_account_id(&name);
                    let is_renamed = listing.aliases.resolve(&name) != *name
                        || listing.aliases.match_pattern(&name).is_some()
                        || self.valves.default_model.is_some();
                    return (is_bedrock_id || is_renamed)
                        .then(|| ModelResolution::Unavailable(error.to_string()));
                }
            };
        let model = Arc::clone(&entry.model);
        Some(if is_exact {
            ModelResolution::Available(model)
        } else {
            ModelResolution::Fallback(model)
        })
    }

    async fn wait_until_ready(&self) {
        self.catalog.wait_until_ready().await;
    }

    fn health_problem(&self) -> Option<String> {
        let problem = || format!("endpoint_url: {ENDPOINT_RULE}");
        let problem = leaks_credentials(&self.valves).then(problem);
        problem.or_else(|| self.catalog.listing().health_problem())
    }

    fn learned_quirks(&self) -> Vec<QuirkState> {
        self.quirks.states()
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        self.clients.upstreams().states()
    }

    async fn pipe(self: Arc<Self>, mut call: Call) -> Result<ChunkStream> {
        apply_latency_suffix(&mut call);
        let caller = call.host.context().caller();
        let candidates = self.candidates(&call.model, ModelKind::Chat, caller).await?;
        self.remote_media.fetch_all(&mut call.body).await?;
        let deps = self.deps(&call.hints, caller);
        if candidates.first().is_some_and(|entry| entry.kind == ModelKind::Image) {
            let demand = Demand { kind: DemandKind::Image, ..Demand::chat(&call.body) };
            return image::chat(&call, &candidates, deps.with_admission(&call.host, demand)).await;
        }
        let deps = deps.with_admission(&call.host, Demand::chat(&call.body));
        chat::chat(&call, &candidates, deps).await
    }

    async fn count_tokens(self: Arc<Self>, mut call: Call) -> Result<u64> {
        apply_latency_suffix(&mut call);
        let caller = call.host.context().caller();
        let candidates = self.candidates(&call.model, ModelKind::Chat, caller).await?;
        let entry =
            candidates.first().ok_or_else(|| PipeError::ModelNotFound(call.model.clone()))?;
        if entry.kind != ModelKind::Chat {
            return Err(wrong_kind_error(&call.model, entry.kind, ModelKind::Chat));
        }
        self.remote_media.fetch_all(&mut call.body).await?;
        count_tokens::count_tokens(&call, entry, self.deps(&call.hints, caller)).await
    }

    async fn embed(self: Arc<Self>, call: EmbedCall) -> Result<Embeddings> {
        let candidates = self.candidates(&call.model, ModelKind::Embed, call.caller).await?;
        let mut deps = self.deps(&call.hints, call.caller);
        if let Some(host) = &call.host {
            deps = deps.with_admission(host, Demand::embedding(&call));
        }
        embed::embed(&call, &candidates, deps).await
    }

    async fn rerank(self: Arc<Self>, call: RerankCall) -> Result<Reranked> {
        let candidates = self.candidates(&call.model, ModelKind::Rerank, call.caller).await?;
        let mut deps = self.deps(&call.hints, call.caller);
        if let Some(host) = &call.host {
            deps = deps.with_admission(host, Demand::rerank(&call));
        }
        rerank::rerank(&call, &candidates, deps).await
    }

    async fn images(self: Arc<Self>, call: ImageCall) -> Result<Images> {
        let candidates = self.candidates(&call.model, ModelKind::Image, call.caller).await?;
        let mut deps = self.deps(&call.hints, call.caller);
        if let Some(host) = &call.host {
            deps = deps.with_admission(host, Demand::image(&call));
        }
        image::images(&call, &candidates, deps).await
    }
}

impl BedrockModels {
    fn new(
        valves: BedrockValves,
        clients: Arc<Clients>,
        catalog: ModelCatalog,
        quirks: Arc<ModelQuirks>,
    ) -> Result<Self> {
        let remote_media = RemoteMedia::new(&valves)?;
        Ok(Self { valves, clients, catalog, quirks, remote_media })
    }

    /// Returns what a call of a model needs beside its request.
    fn deps<'a>(&'a self, hints: &'a Hints, caller: CallerId) -> CallDeps<'a> {
        CallDeps {
            clients: &self.clients,
            quirks: &self.quirks,
            valves: &self.valves,
            forced_failure: ForcedFailure::from_hints(hints),
            admission: None,
            caller,
            ignores_breaker: false,
        }
    }

    /// Returns the model of this id, which must support this kind of request, and after it those
    /// that may answer in its place.
    async fn candidates(
        &self,
        model: &str,
        kind: ModelKind,
        caller: CallerId,
    ) -> Result<Vec<Arc<ModelEntry>>> {
        let mut listing = self.catalog.listing();
        if !is_certain(model, &listing) {
            // At the start the list may still be on its way. After the wait, what is known has to
            // do.
            _ = timeout(self.valves.list_timeout(), self.catalog.wait_until_ready()).await;
            listing = self.catalog.listing();
        }
        let resolved = resolve_model(model, Some(kind), &listing, &self.valves)?;
        let ResolvedModel { entry, is_region_pinned, .. } = resolved;
        if !entry.supports(kind) {
            return Err(wrong_kind_error(model, entry.kind, kind));
        }
        if is_region_pinned {
            return Ok(find_pinned_candidates(entry, &listing));
        }
        Ok(find_candidates(entry, &listing, &self.quirks, caller, &self.valves))
    }
}

/// Returns whether an id has the form of those of an account's own models, or is an ARN.
fn is_account_id(id: &str) -> bool {
    /// The beginnings of ids that name no foundation model.
    const PREFIXES: [&str; 7] =
        ["arn:", "app/", "imported/", "provisioned/", "custom/", "marketplace/", "router/"];
    PREFIXES.iter().any(|prefix| id.starts_with(prefix))
}

/// Returns whether the list knows for certain which model an id means.
fn is_certain(model: &str, listing: &Listing) -> bool {
    match listing.look_up(&listing.aliases.resolve(model)) {
        Lookup::Found(entry) => !listing.is_preliminary(entry),
        Lookup::Pinned(_) | Lookup::Incomplete(_) => true,
        Lookup::Denied(_) | Lookup::Unknown => false,
    }
}

/// Creates the error of a request for something that the model does not do.
fn wrong_kind_error(model: &str, actual: ModelKind, wanted: ModelKind) -> PipeError {
    let describe = |kind| match kind {
        ModelKind::Chat => "answers chats",
        ModelKind::Embed => "turns texts into vectors",
        ModelKind::Rerank => "puts documents in order",
        ModelKind::Image => "makes pictures",
    };
    let (actual, wanted) = (describe(actual), describe(wanted));
    PipeError::bad_field("model", format!("`{model}` {actual}: name a model that {wanted}"))
}

/// Moves the latency suffix of the model id into the body.
fn apply_latency_suffix(call: &mut Call) {
    let (model, is_optimized) = split_latency_suffix(&call.model);
    if is_optimized {
        call.model = model.into_owned();
        call.body.rest.insert("performanceConfig".into(), json!({"latency": "optimized"}));
    }
}

/// Returns the id without the latency suffix, and whether it was there. The suffix may be before
/// `@region`.
fn split_latency_suffix(model: &str) -> (Cow<'_, str>, bool) {
    if let Some(model) = model.strip_suffix(LATENCY_SUFFIX) {
        return (model.into(), true);
    }
    let in_region = model
        .split_once('@')
        .and_then(|(id, region)| Some((id.strip_suffix(LATENCY_SUFFIX)?, region)));
    match in_region {
        Some((id, region)) => (format!("{id}@{region}").into(), true),
        None => (model.into(), false),
    }
}
