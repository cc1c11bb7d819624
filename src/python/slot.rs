//! The slot of a Python file: it passes calls to the file's process.

mod answer;
mod calls;
mod valves_update;

use super::{
    form::{self, THREADS, TIMEOUT, host_valve},
    host_models::HostModels,
};
use crate::{
    slot::{ConfigSources, EffectiveValves},
    valves::{LoadedValves, Values, ValveStore, ValvesSpec},
};
use arc_swap::ArcSwap;
use pipe_sdk::{FilterBody, FilterCall, Host, PipeError, Result};
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
    /// The file is being started.
    Starting(String),
    /// The requirements are being installed, which takes too long for requests to wait.
    Installing(String),
    /// The file answers calls.
    Running(Arc<Worker>),
    /// The file cannot be started, for this reason.
    Failed(String),
}

/// A command to the task of a file.
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
    Delete(Deletion),
}

/// A command to delete a file.
pub struct Deletion {
    /// `true` to delete what was saved of its valves, too.
    pub deletes_valves: bool,
    /// Receives the outcome.
    pub reply: oneshot::Sender<Result<()>>,
}

/// The slot of one version of a Python file.
pub struct PythonSlot {
    id: &'static str,
    name: String,
    /// The name of the file without `.py`. Its valves are saved by it.
    pub stem: &'static str,
    spec: ValvesSpec,
    sources: ConfigSources,
    /// The store of saved valves, `None` once the pipe's were deleted. It is locked while valves
    /// are turned or deleted.
    valve_store: Mutex<Option<Arc<dyn ValveStore>>>,
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
            problem: Some(error.to_string()),
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
            valve_store: Mutex::new(Some(Arc::clone(valve_store))),
            settings: ArcSwap::from_pointee(settings),
            description: ArcSwap::from_pointee(description),
            worker: watch::Sender::new(WorkerState::Starting("it is being started".into())),
            warning: ArcSwap::default(),
            upstream: Arc::new(Upstream::new(id, limits)),
            redactor,
            refresh: Notify::new(),
            commands,
        }
    }

    /// Returns the id of the pipe.
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

    /// Sets the state of a process that is being started.
    pub fn set_starting(&self) {
        self.set_worker_state(WorkerState::Starting("it is being started".into()));
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
        // Without an answer the state says what is being waited for.
        _ = timeout(WORKER_LIMIT, state.wait_for(is_known)).await;
        match self.worker_state() {
            WorkerState::Running(worker) => Ok(worker),
            WorkerState::Starting(why)
            | WorkerState::Installing(why)
            | WorkerState::Failed(why) => Err(PipeError::Unavailable {
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
            WorkerState::Starting(_) | WorkerState::Installing(_) | WorkerState::Failed(_) => None,
        }
    }

    /// Calls `inlet` or `outlet` of the file, if it has that method.
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
}

/// Runs the `on_shutdown` of a file.
pub async fn run_shutdown_hook(id: &'static str, worker: Arc<Worker>, redactor: Redactor) {
    if let Err(error) = worker.request::<Value>("shutdown", json!({}), SHUTDOWN_LIMIT).await {
        let error = redactor.redact(&error.to_string());
        tracing::warn!(pipe.id = id, "`on_shutdown` of `{id}`: {error}.");
    }
}
