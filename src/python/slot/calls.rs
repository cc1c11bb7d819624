//! The calls of the host to a Python file.

use super::{PythonSlot, WorkerState, answer::answer, run_shutdown_hook};
use crate::{
    slot::Slot,
    valves::{CheckReferences, ModelReference, Values, ValveDescription, ValvesForm},
};
use futures_util::future::BoxFuture;
use pipe_sdk::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall,
    HostBackend, ImageCall, Images, Model, ModelResolution, PipeError, QuirkState, RerankCall,
    Reranked, Result, Serves, UpstreamState, UsageReport, library::Library,
};
use python_worker::Description;
use serde_json::Value;
use std::sync::Arc;

impl PythonSlot {
    /// Returns whether the file lists this model; a filter lists none, and answers for itself.
    pub fn lists(&self, model: &str) -> bool {
        match describe_serves(self.id, &self.description.load()) {
            Serves::Manifold(models) => models.iter().any(|listed| listed.id == model),
            Serves::Model(_) => model == self.id,
            Serves::Filter { .. } => true,
        }
    }
}

impl Slot for PythonSlot {
    fn id(&self) -> &'static str {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn form(&self) -> ValvesForm {
        self.settings.load().form(&self.spec)
    }

    fn valves(&self) -> Values {
        self.spec.mask_values(&self.settings.load().values)
    }

    fn describe_valves(&self) -> Vec<ValveDescription> {
        self.settings.load().describe(&self.spec)
    }

    fn update_valves(
        self: Arc<Self>,
        posted: Values,
        _models: Arc<dyn CheckReferences>,
    ) -> BoxFuture<'static, Result<Values>> {
        Box::pin(self.apply_update(posted))
    }

    fn references(&self) -> Vec<ModelReference> {
        Vec::new()
    }

    fn reload(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.reload_valves())
    }

    fn apply_replicated_valves(self: Arc<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(self.reload_valves())
    }

    fn serves(&self) -> Option<Serves> {
        self.running_worker()?;
        self.refresh.notify_one();
        Some(describe_serves(self.id, &self.description.load()))
    }

    fn resolve_model(&self, id: &str) -> Option<ModelResolution> {
        match self.serves()? {
            Serves::Manifold(models) => {
                let model = models.iter().find(|model| model.id == id)?.clone();
                Some(ModelResolution::Available(Arc::new(model)))
            }
            Serves::Model(_) | Serves::Filter { .. } => None,
        }
    }

    /// Returns 0: a file's process does not embed, so nothing of it is cached.
    fn generation(&self) -> u64 {
        0
    }

    fn stores_responses(&self) -> bool {
        false
    }

    fn take_over(&self, _body: &mut Body, _host: &dyn HostBackend) {}

    fn describes_images_for(&self, _model: &str) -> bool {
        false
    }

    fn health_problem(&self) -> Option<String> {
        let problem = match self.worker_state() {
            WorkerState::Running(_) => Option::clone(&self.warning.load()),
            WorkerState::Starting(why)
            | WorkerState::Installing(why)
            | WorkerState::Failed(why) => Some(why),
        };
        problem.or_else(|| self.settings.load().problem.clone())
    }

    fn learned_quirks(&self) -> Vec<QuirkState> {
        Vec::new()
    }

    fn upstream_states(&self) -> Vec<UpstreamState> {
        vec![self.upstream.state()]
    }

    fn library(&self) -> Option<Arc<dyn Library>> {
        None
    }

    fn wait_until_ready(&self) -> BoxFuture<'static, ()> {
        let mut state = self.worker.subscribe();
        Box::pin(async move {
            // The sender goes only with the slot.
            _ = state.wait_for(|state| !matches!(state, WorkerState::Starting(_))).await;
        })
    }

    fn pipe(self: Arc<Self>, call: Call) -> BoxFuture<'static, Result<ChunkStream>> {
        Box::pin(answer(self, call))
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'static, Result<u64>> {
        Box::pin(async move { Err(PipeError::uncounted(&call.model)) })
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings>> {
        model_not_found(call.model)
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'static, Result<Reranked>> {
        model_not_found(call.model)
    }

    fn images(&self, call: ImageCall) -> BoxFuture<'static, Result<Images>> {
        model_not_found(call.model)
    }

    fn inlet(self: Arc<Self>, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>> {
        Box::pin(self.filter("inlet", call))
    }

    fn outlet(self: Arc<Self>, call: FilterCall) -> BoxFuture<'static, Result<FilterBody>> {
        Box::pin(self.filter("outlet", call))
    }

    fn admit(&self, _asked: AdmissionRequest) -> BoxFuture<'static, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn record_usage(&self, _spent: UsageReport) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn shutdown(&self) -> BoxFuture<'static, ()> {
        let worker = self.running_worker();
        let (id, redactor) = (self.id, self.redactor.clone());
        Box::pin(async move {
            if let Some(worker) = worker {
                run_shutdown_hook(id, worker, redactor).await;
            }
        })
    }
}

/// Returns the models of a file with this description.
fn describe_serves(id: &str, description: &Description) -> Serves {
    let name = description.name.clone().unwrap_or_else(|| id.to_owned());
    match description.kind.as_deref() {
        Some("filter") => {
            let pipelines = description.pipelines.as_array().into_iter().flatten();
            let pipelines = pipelines.filter_map(Value::as_str).map(str::to_owned).collect();
            let priority = description.priority.as_i64().unwrap_or_default();
            Serves::Filter { pipelines, priority }
        }
        Some("manifold") => {
            let prefix = description.name.as_deref().unwrap_or_default();
            let model = |model: &python_worker::ListedModel| {
                Model::new(&model.id, format!("{prefix}{}", model.name))
            };
            Serves::manifold(description.models.iter().map(model).collect::<Vec<_>>())
        }
        _ => Serves::Model(Model::new(id, name)),
    }
}

fn model_not_found<T: Send + 'static>(model: String) -> BoxFuture<'static, Result<T>> {
    Box::pin(async { Err(PipeError::ModelNotFound(model)) })
}
