//! The slot of a Python file: it passes calls to the file's process.

use super::{
    answer,
    form::{self, THREADS, TIMEOUT, host_valve, is_host_valve},
    host_models::HostModels,
};
use crate::{
    slot::{ConfigSources, EffectiveValves, Slot},
    valves::{
        CheckReferences, LoadedValves, ModelReference, ParsedUpdate, Values, ValveDescription,
        ValveStore, ValvesForm, ValvesSpec, ValvesUpdate,
    },
};
use arc_swap::ArcSwap;
use futures_util::future::BoxFuture;
use pipe_sdk::{
    AdmissionRequest, Body, Call, ChunkStream, EmbedCall, Embeddings, FilterBody, FilterCall, Host,
    HostBackend, ImageCall, Images, Model, ModelResolution, PipeError, QuirkState, RerankCall,
    Reranked, Result, Serves, UpstreamState, UsageReport, library::Library,
};
use python_worker::{Description, Redactor, Worker, WorkerError};
use resilience::{Limits, Upstream};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, Notify, mpsc, oneshot, watch},
    time::timeout,
};

/// The longest time that a call waits for a process that is being started.
const WORKER_LIMIT: Duration = Duration::from_secs(15);

/// The longest time that `on_startup` and `on_valves_updated` may take.
pub const HOOK_LIMIT: Duration = Duration::from_secs(120);

/// The longest time that `on_shutdown` may take.
pub const SHUTDOWN_LIMIT: Duration = Duration::from_secs(4);

/// The state of a file's process.
#[derive(Clone)]
pub enum WorkerState {
    /// It is being started, or its requirements are being installed.
    Starting(String),
    /// It answers calls.
    Running(Arc<Worker>),
    /// It cannot be started, for this reason.
    Failed(String),
}

/// A wish to the task of a file.
pub enum FileCommand {
    /// Loads the file again.
    Load {
        /// The new content of the file, if it is to be written.
        content: Option<Vec<u8>>,
        /// `true` to load it although it runs and has not changed.
        is_forced: bool,
        /// Receives the id of the pipe.
        reply: oneshot::Sender<Result<&'static str>>,
    },
    /// Ends the process, and deletes the file if it is there.
    Delete(oneshot::Sender<Result<()>>),
}

/// The slot of one version of a Python file.
pub struct PythonSlot {
    id: &'static str,
    name: String,
    /// The name of the file without `.py`. Its valves are saved by it.
    pub stem: &'static str,
    spec: ValvesSpec,
    sources: ConfigSources,
    valve_store: Arc<dyn ValveStore>,
    settings: ArcSwap<EffectiveValves>,
    description: ArcSwap<Description>,
    worker: watch::Sender<WorkerState>,
    /// A problem that does not keep the file from running.
    pub warning: ArcSwap<Option<String>>,
    pub(super) upstream: Arc<Upstream>,
    /// Replaces secrets in what the file prints and raises.
    pub redactor: Redactor,
    /// Asks for a new list of models.
    pub refresh: Notify,
    commands: mpsc::Sender<FileCommand>,
    update_lock: Mutex<()>,
}

impl PythonSlot {
    /// Returns a slot with this description, and loads its valves.
    pub async fn new(
        (id, stem): (&'static str, &'static str),
        description: Description,
        sources: &ConfigSources,
        valve_store: &Arc<dyn ValveStore>,
        redactor: Redactor,
        commands: mpsc::Sender<FileCommand>,
    ) -> Self {
        let spec = form::build_spec(&description);
        let found = valve_store.load(stem).await.unwrap_or_else(|error| LoadedValves {
            trouble: Some(error.to_string()),
            ..LoadedValves::default()
        });
        let settings = EffectiveValves::new(&spec, sources.layers(id, &spec), found);
        redactor.set_secrets(form::secrets(&spec, &settings.values));
        let limit = Duration::from_secs(host_valve(&settings.values, TIMEOUT));
        let threads = usize::try_from(host_valve(&settings.values, THREADS)).unwrap_or(1);
        let limits = Limits {
            first_byte: limit,
            idle: limit,
            attempts: 1,
            max_concurrent: threads,
            ..Limits::default()
        };
        Self {
            id,
            name: description.name.clone().unwrap_or_else(|| id.to_owned()),
            stem,
            spec,
            sources: sources.clone(),
            valve_store: Arc::clone(valve_store),
            settings: ArcSwap::from_pointee(settings),
            description: ArcSwap::from_pointee(description),
            worker: watch::Sender::new(WorkerState::Starting("it is being started".into())),
            warning: ArcSwap::default(),
            upstream: Arc::new(Upstream::new(id, limits)),
            redactor,
            refresh: Notify::new(),
            commands,
            update_lock: Mutex::default(),
        }
    }

    pub(super) fn static_id(&self) -> &'static str {
        self.id
    }

    /// Returns the valves in force.
    pub fn values(&self) -> Values {
        self.settings.load().values.clone()
    }

    /// Returns the state of the process.
    pub fn worker_state(&self) -> WorkerState {
        self.worker.borrow().clone()
    }

    /// Sets the state of the process.
    pub fn set_worker_state(&self, state: WorkerState) {
        self.worker.send_replace(state);
    }

    /// Prepares a process for calls: sets its valves, starts the pipeline and asks what it serves.
    ///
    /// # Errors
    /// Returns an error if valves are wrong or the file's own functions fail.
    pub async fn start_up(&self, worker: &Worker) -> Result<(), WorkerError> {
        let settings = self.settings.load_full();
        if let Err(PipeError::BadValves(violations)) = settings.check() {
            return Err(WorkerError::Valves(violations));
        }
        let values = form::file_values(&self.spec, &settings.values);
        let arguments = json!({"values": values, "notifies": false});
        worker.request::<Value>("valves", arguments, HOOK_LIMIT).await?;
        worker.request::<Value>("startup", json!({}), HOOK_LIMIT).await?;
        self.describe(worker).await
    }

    /// Asks the file again what it serves.
    pub async fn describe(&self, worker: &Worker) -> Result<(), WorkerError> {
        self.description.store(Arc::new(worker.describe(HOOK_LIMIT).await?));
        Ok(())
    }

    /// Returns the process, which may have to be waited for.
    pub(super) async fn wait_for_worker(&self) -> Result<Arc<Worker>> {
        let mut state = self.worker.subscribe();
        let is_known = |state: &WorkerState| !matches!(state, WorkerState::Starting(_));
        // Without an answer the state tells what is being waited for.
        _ = timeout(WORKER_LIMIT, state.wait_for(is_known)).await;
        match self.worker_state() {
            WorkerState::Running(worker) => Ok(worker),
            WorkerState::Starting(why) | WorkerState::Failed(why) => Err(PipeError::Unavailable {
                message: format!("`{}` is not running: {why}", self.id),
                retry_after: None,
            }),
        }
    }

    /// Returns an error of the process without secrets.
    pub(super) fn worker_error(&self, error: WorkerError) -> PipeError {
        self.redact_error(error.into_pipe_error(self.id))
    }

    /// Returns the error without secrets.
    pub(super) fn redact_error(&self, error: PipeError) -> PipeError {
        match error {
            PipeError::Refused { status, message, retry_after } => {
                let message = self.redactor.redact(&message);
                PipeError::Refused { status, message, retry_after }
            }
            PipeError::Upstream(message) => PipeError::Upstream(self.redactor.redact(&message)),
            other => other,
        }
    }

    fn running_worker(&self) -> Option<Arc<Worker>> {
        match &*self.worker.borrow() {
            WorkerState::Running(worker) => Some(Arc::clone(worker)),
            WorkerState::Starting(_) | WorkerState::Failed(_) => None,
        }
    }

    async fn filter(self: Arc<Self>, method: &'static str, call: FilterCall) -> Result<FilterBody> {
        let has_method = self.description.load().methods.iter().any(|one| one == method);
        if !has_method {
            return Ok(call.body);
        }
        let worker = self.wait_for_worker().await?;
        let FilterCall { body, user, host } = call;
        let arguments = json!({"name": method, "body": body, "user": user});
        let result = self.run_filter(&worker, &arguments, host).await;
        let result = result.map_err(|error| self.worker_error(error))?;
        serde_json::from_value(result).map_err(|_| PipeError::Refused {
            status: 500,
            message: format!("`{}` must return the body as a dictionary", self.id),
            retry_after: None,
        })
    }

    async fn run_filter(
        &self,
        worker: &Worker,
        arguments: &Value,
        host: Host,
    ) -> Result<Value, WorkerError> {
        let mut call = worker.call("filter", arguments, Some(Arc::new(HostModels(host))))?;
        let limit = self.upstream.limits().first_byte;
        timeout(limit, call.wait_for_end()).await.map_err(|_| WorkerError::Timeout(limit))?
    }

    /// Checks posted valves, sets them in the process, and saves them. On an error nothing changes.
    async fn apply_update(self: Arc<Self>, posted: Values) -> Result<Values> {
        let _guard = self.update_lock.lock().await;
        let before = self.settings.load_full();
        let EffectiveValves { layers, saved, version, values, sources, .. } = &*before;
        let update = ValvesUpdate { spec: &self.spec, values, sources, saved };
        let ParsedUpdate { saved, entered_secrets } =
            update.parse(posted).map_err(PipeError::BadValves)?;
        let next = LoadedValves { values: saved, version: *version, trouble: None };
        let mut next = EffectiveValves::new(&self.spec, layers.clone(), next);
        next.check()?;
        let unbound = update.check_secret_origins(&next.values, &entered_secrets);
        if !unbound.is_empty() {
            return Err(PipeError::BadValves(unbound));
        }
        // A process that does not run may run with other valves.
        let is_host_valve_changed = next
            .values
            .iter()
            .any(|(name, value)| is_host_valve(name) && values.get(name) != Some(value));
        let worker = self.running_worker().filter(|_| !is_host_valve_changed);
        self.redactor.set_secrets(form::secrets(&self.spec, &next.values));
        if let Some(worker) = &worker {
            self.set_valves(worker, &next.values).await?;
        }
        let saving = self.valve_store.save(self.stem, next.saved.clone(), next.version).await;
        match (saving, &worker) {
            (Ok(version), _) => next.version = version,
            (Err(error), Some(worker)) => {
                self.set_valves(worker, values).await?;
                return Err(error);
            }
            (Err(error), None) => return Err(error),
        }
        let shown = self.spec.mask_values(&next.values);
        self.settings.store(Arc::new(next));
        match worker {
            Some(worker) => {
                self.describe(&worker).await.map_err(|error| self.worker_error(error))?;
            }
            None => _ = self.load_file().await?,
        }
        tracing::info!(pipe.id = self.id, "Turned valves of `{}`.", self.id);
        Ok(shown)
    }

    async fn set_valves(&self, worker: &Worker, values: &Values) -> Result<()> {
        let values = form::file_values(&self.spec, values);
        let arguments = json!({"values": values, "notifies": true});
        let set = worker.request::<Value>("valves", arguments, HOOK_LIMIT).await;
        set.map(|_| ()).map_err(|error| self.worker_error(error))
    }

    /// Has the file loaded again.
    async fn load_file(&self) -> Result<&'static str> {
        let (reply, loaded) = oneshot::channel();
        let gone = || PipeError::Unavailable {
            message: format!("`{}` is being deleted", self.id),
            retry_after: None,
        };
        let load = FileCommand::Load { content: None, is_forced: true, reply };
        self.commands.send(load).await.map_err(|_| gone())?;
        loaded.await.map_err(|_| gone())?
    }

    /// Takes over valves that were saved elsewhere, if they have changed.
    async fn reload_valves(self: Arc<Self>) -> Result<()> {
        let _guard = self.update_lock.lock().await;
        let found = self.valve_store.load(self.stem).await?;
        let layers = self.sources.layers(self.id, &self.spec);
        let next = EffectiveValves::new(&self.spec, layers, found);
        next.check()?;
        if let Some(worker) = self.running_worker()
            && next.values != self.settings.load().values
        {
            self.set_valves(&worker, &next.values).await?;
            self.describe(&worker).await.map_err(|error| self.worker_error(error))?;
        }
        self.redactor.set_secrets(form::secrets(&self.spec, &next.values));
        self.settings.store(Arc::new(next));
        Ok(())
    }

    fn model_not_found<T: Send + 'static>(model: String) -> BoxFuture<'static, Result<T>> {
        Box::pin(async { Err(PipeError::ModelNotFound(model)) })
    }
}

/// Runs the `on_shutdown` of a file.
pub async fn run_shutdown_hook(id: &'static str, worker: Arc<Worker>, redactor: Redactor) {
    if let Err(error) = worker.request::<Value>("shutdown", json!({}), SHUTDOWN_LIMIT).await {
        let error = redactor.redact(&error.to_string());
        tracing::warn!(pipe.id = id, "`on_shutdown` of `{id}`: {error}.");
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
        let settings = self.settings.load();
        self.spec.describe(&settings.values, &settings.sources)
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
            WorkerState::Starting(why) | WorkerState::Failed(why) => Some(why),
        };
        problem.or_else(|| self.settings.load().trouble.clone())
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
        Box::pin(answer::answer(self, call))
    }

    fn count_tokens(&self, call: Call) -> BoxFuture<'static, Result<u64>> {
        Box::pin(async move { Err(PipeError::uncounted(&call.model)) })
    }

    fn embed(&self, call: EmbedCall) -> BoxFuture<'static, Result<Embeddings>> {
        Self::model_not_found(call.model)
    }

    fn rerank(&self, call: RerankCall) -> BoxFuture<'static, Result<Reranked>> {
        Self::model_not_found(call.model)
    }

    fn images(&self, call: ImageCall) -> BoxFuture<'static, Result<Images>> {
        Self::model_not_found(call.model)
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
