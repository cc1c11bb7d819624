//! A call to a model: its route and its estimated demand. Admission, usage and logs read both from
//! here.
//!
//! The route names the pipe and the id that the pipe knows. A pipe with a list of models, such as
//! `bedrock_models`, resolves that id again in its newest list, and estimates the demand again for
//! each model that may answer in place of the requested one. A request with `n` choices makes `n`
//! calls.

use crate::{
    blocking, call_route::CallRoute, embedding_cache::EmbeddingModel, meter::Measurement,
    registry::Registry,
};
use pipe_sdk::{
    AdmissionRequest, Body, Call, ChunkStream, Demand, EmbedCall, Embeddings, Host, ImageCall,
    Images, ModelKind, RerankCall, Reranked, Result, Usage,
};
use std::sync::Arc;

/// The largest number of texts whose vectors a worker parses: each takes up to 40 KiB of JSON.
const MAX_TEXTS_ON_WORKER: usize = 8;

/// A call to a model: its route, its demand, and the host handle with the user.
pub struct ModelCall<'a> {
    registry: &'a Registry,
    route: CallRoute,
    /// The demand, adjusted to the kind of the model.
    demand: Demand,
    host: Host,
    has_long_body: bool,
}

/// The number of tokens of a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// The number.
    pub tokens: u64,
    /// `true` if the model does not count, and the number is an estimate.
    pub is_estimate: bool,
}

impl<'a> ModelCall<'a> {
    /// Resolves the model and returns the call. For a request with a long body, the pipe works on
    /// blocking threads.
    ///
    /// # Errors
    /// An unknown or ambiguous model id.
    pub async fn resolve(
        registry: &'a Registry,
        model: &str,
        demand: Demand,
        host: Host,
        has_long_body: bool,
    ) -> Result<Self> {
        let route = registry.route(model).await?;
        let demand = route.adjust_demand(demand);
        Ok(Self { registry, route, demand, host, has_long_body })
    }

    /// Resolves the model of a pipe's own call, which runs where the pipe runs, and asks the
    /// filters to admit it.
    ///
    /// # Errors
    /// An unknown or ambiguous model id, and the refusal of a filter.
    pub async fn admit(
        registry: &'a Registry,
        model: &str,
        demand: Demand,
        host: Host,
    ) -> Result<Self> {
        let call = Self::resolve(registry, model, demand, host, false).await?;
        call.check_admission().await?;
        Ok(call)
    }

    /// Asks the filters to admit the call. A request asks once for each of its models.
    ///
    /// # Errors
    /// The refusal of a filter.
    pub async fn check_admission(&self) -> Result<()> {
        let Self { registry, route, demand, host, .. } = self;
        let (model, admission) = (&route.full_id, &host.context().admission);
        if admission.has_passed(model, demand.kind) {
            return Ok(());
        }
        let filters = registry.filters_for(model);
        if !filters.is_empty() {
            let Demand { prompt_tokens, completion_tokens, .. } = *demand;
            let usage = Usage { prompt_tokens, completion_tokens, ..Usage::default() };
            let request = AdmissionRequest {
                model: model.clone(),
                demand: *demand,
                cost: registry.meter().cost(route.slot.id(), &route.model, &usage),
                chat: Arc::clone(host.chat()),
                context: host.context().clone(),
                host: host.clone(),
            };
            for slot in filters {
                slot.admit(request.clone()).await?;
            }
        }
        admission.set_passed(model, demand.kind);
        Ok(())
    }

    /// Returns the demand.
    pub fn demand(&self) -> &Demand {
        &self.demand
    }

    /// Returns the host handle, for work of the request that calls no model.
    pub fn into_host(self) -> Host {
        self.host
    }

    /// Returns the call of this chat, for [`answer`](Self::answer) and
    /// [`count_tokens`](Self::count_tokens).
    ///
    /// # Errors
    /// The call has passed through too many pipes.
    pub fn start_call(&self, body: Body) -> Result<Call> {
        self.host.start_call(body)
    }

    /// Answers this chat.
    pub async fn answer(self, mut call: Call) -> Result<ChunkStream> {
        let measurement = self.start_measurement(ModelKind::Chat);
        let caller = call.host.context().caller();
        call.host = call.host.with_context(measurement.child_context.clone());
        call.model = self.route.requested_model;
        let chunks = blocking::run(caller, self.has_long_body, self.route.slot.pipe(call)).await;
        measurement.wrap_result(chunks)
    }

    /// Counts the tokens of this chat. If the model does not count, they are estimated: agents
    /// decide by them when to shorten a conversation, and have no other way to know.
    pub async fn count_tokens(self, mut call: Call) -> Result<TokenCount> {
        let context = call.host.context().child(&self.route.full_id);
        let caller = context.caller();
        call.host = call.host.with_context(context);
        call.model = self.route.requested_model;
        let estimate = Demand::chat(&call.body).prompt_tokens.max(1);
        let count = self.route.slot.count_tokens(call);
        match blocking::run(caller, self.has_long_body, count).await {
            Ok(tokens) => Ok(TokenCount { tokens, is_estimate: false }),
            Err(error) if error.is_uncounted() => {
                Ok(TokenCount { tokens: estimate, is_estimate: true })
            }
            Err(error) => Err(error),
        }
    }

    /// Embeds texts.
    pub async fn embed(self, mut call: EmbedCall) -> Result<Embeddings> {
        (call.user, call.caller, call.hints) = self.host.caller();
        let measurement = self.start_measurement(ModelKind::Embed);
        call.host = Some(self.host.with_context(measurement.child_context.clone()));
        (call.model, call.trace) = (self.route.requested_model, measurement.child_context.trace);
        let (slot, id) = (&self.route.slot, call.model.clone());
        let model = EmbeddingModel { pipe: slot.id(), model: &id, generation: slot.generation() };
        let cache = self.registry.embedding_cache();
        // Vectors are longer than the texts.
        let is_long = self.has_long_body || call.input.len() > MAX_TEXTS_ON_WORKER;
        let caller = call.caller;
        let result =
            cache.embed(model, call, |call| blocking::run(caller, is_long, slot.embed(call))).await;
        measurement.record_response(result, |answer| answer.prompt_tokens)
    }

    /// Ranks documents.
    pub async fn rerank(self, mut call: RerankCall) -> Result<Reranked> {
        (call.user, call.caller, call.hints) = self.host.caller();
        let measurement = self.start_measurement(ModelKind::Rerank);
        call.host = Some(self.host.with_context(measurement.child_context.clone()));
        (call.model, call.trace) = (self.route.requested_model, measurement.child_context.trace);
        let (caller, ranks) = (call.caller, self.route.slot.rerank(call));
        let result = blocking::run(caller, self.has_long_body, ranks).await;
        measurement.record_response(result, |answer| answer.prompt_tokens)
    }

    /// Generates images.
    pub async fn images(self, mut call: ImageCall) -> Result<Images> {
        (call.user, call.caller, call.hints) = self.host.caller();
        let measurement = self.start_measurement(ModelKind::Image);
        call.host = Some(self.host.with_context(measurement.child_context.clone()));
        call.model = self.route.requested_model;
        // The request is short, and the images are not.
        let (caller, images) = (call.caller, self.route.slot.images(call));
        let result = blocking::run(caller, true, images).await;
        measurement.record_response(result, |_| 0)
    }

    fn start_measurement(&self, kind: ModelKind) -> Measurement {
        let context = self.host.context().clone();
        self.registry.meter().start(&self.route, kind, context, self.demand.prompt_tokens)
    }
}
