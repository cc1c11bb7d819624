//! The task of a Python file: it loads the file, starts its process again when that ends, and
//! takes over new versions.

use super::{
    context::{PythonContext, file_error, run_blocking},
    file_name::{intern, is_valid_id},
    form::{THREADS, host_valve},
    slot::{FileCommand, HOOK_LIMIT, PythonSlot, WorkerState, run_shutdown_hook},
};
use crate::{registry::Registry, slot::Slot, valves::Values};
use pipe_sdk::{PipeError, Result, Task};
use python_worker::{Description, OutputSink, PipelineSource, Redactor, Worker, WorkerError};
use std::{
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

/// The pauses before a process is started again: the first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A process that ran for so long is started again after the first pause.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// The least time between two questions for the list of models.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);

/// The longest time that answers of a replaced version may go on.
const RETIREMENT_LIMIT: Duration = Duration::from_secs(1800);
const RETIREMENT_CHECK: Duration = Duration::from_millis(200);

/// The task of a file.
pub struct FileTask {
    /// The state that all files share.
    pub context: Arc<PythonContext>,
    /// The pipes, among which the file's slot is.
    pub registry: Arc<Registry>,
    /// The name of the file without `.py`.
    pub stem: &'static str,
    /// The commands to this task.
    pub commands: mpsc::Receiver<FileCommand>,
    /// The other end of `commands`, for the slots.
    pub sender: mpsc::Sender<FileCommand>,
    /// The slot that is registered, and shared with the manager.
    pub current: Arc<Mutex<Option<Arc<PythonSlot>>>>,
    /// Tasks that wait until answers of replaced versions have ended.
    pub retiring: Vec<Task>,
    /// The text of the version that runs.
    pub loaded: Option<String>,
}

/// The parameters of a file's process.
struct Launch {
    text: String,
    python: PathBuf,
    output: OutputSink,
    redactor: Redactor,
}

impl FileTask {
    /// Obeys commands, and keeps the file running, until the file is deleted.
    pub async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let (slot, started) = (self.current_slot(), Instant::now());
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(FileCommand::Load { content, is_forced, reply }) => {
                        let loaded = match self.loaded_id(content.is_some() || is_forced).await {
                            Some(id) => Ok(id),
                            None => self.load(content).await,
                        };
                        // Whoever asked may have stopped waiting.
                        _ = reply.send(loaded);
                    }
                    Some(FileCommand::Delete { deletes_valves, reply }) => {
                        _ = reply.send(self.delete(deletes_valves).await);
                        return;
                    }
                    None => return,
                },
                () = wait_until_retired(slot.as_deref()) => {
                    if started.elapsed() > STABLE_AFTER {
                        pause = FIRST_PAUSE;
                    }
                    self.restart(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                () = refresh(slot.as_deref()) => {}
            }
            self.retiring.retain(|task| !task.is_finished());
        }
    }

    fn current_slot(&self) -> Option<Arc<PythonSlot>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Registers a slot in the place of the one before.
    fn publish(&self, slot: &Arc<PythonSlot>) {
        let before = self.current_slot();
        let before = before.map(|before| before as Arc<dyn Slot>);
        self.registry.register(&(Arc::clone(slot) as Arc<dyn Slot>), before.as_ref());
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Arc::clone(slot));
    }

    /// Returns the id of the version that runs, if the file has not changed and nobody insists.
    async fn loaded_id(&self, is_forced: bool) -> Option<&'static str> {
        let slot = self.current_slot().filter(|slot| is_running(slot) && !is_forced)?;
        let path = self.context.file(self.stem);
        let text = run_blocking(move || crate::regular_file::read_to_string(&path)).await.ok();
        (text.is_some() && text == self.loaded).then(|| slot.id())
    }

    /// Loads the file, with new content if there is any. A version that runs goes on if the new
    /// one does not.
    async fn load(&mut self, content: Option<Vec<u8>>) -> Result<&'static str> {
        let path = self.context.file(self.stem);
        let replaced = match content {
            Some(content) => {
                let path = path.clone();
                let written = run_blocking(move || replace_file(&path, &content)).await;
                Some(written.map_err(|error| write_error(&error))?)
            }
            None => None,
        };
        let before = self.current_slot();
        let running = before.as_ref().filter(|slot| is_running(slot));
        if running.is_none()
            && let Some(slot) = &before
        {
            slot.set_starting();
        }
        let problem = match self.build().await {
            Ok((slot, text)) => match slot.worker_state() {
                WorkerState::Running(_) => {
                    self.publish(&slot);
                    self.loaded = Some(text);
                    if let Some(before) = before {
                        self.retire(&before);
                    }
                    tracing::info!(pipe.id = slot.id(), "Loaded `{}.py`.", self.stem);
                    return Ok(slot.id());
                }
                WorkerState::Starting(problem)
                | WorkerState::Installing(problem)
                | WorkerState::Failed(problem) => {
                    if running.is_none() {
                        self.publish(&slot);
                    }
                    problem
                }
            },
            Err(error) => {
                let problem = self.current_slot().map_or_else(
                    || error.to_string(),
                    |slot| slot.redactor.redact(&error.to_string()),
                );
                if running.is_none()
                    && let Some(slot) = self.current_slot()
                {
                    slot.set_worker_state(WorkerState::Failed(problem.clone()));
                }
                problem
            }
        };
        tracing::error!(pipe.id = self.stem, "`{}.py` was not loaded: {problem}.", self.stem);
        if let Some(running) = running {
            self.keep_running(running, replaced, &problem).await;
        }
        Err(file_error(format!("{}.py was not loaded: {problem}", self.stem)))
    }

    /// Keeps the version that runs, and its file if that was replaced.
    async fn keep_running(&self, slot: &PythonSlot, replaced: Option<Option<Vec<u8>>>, why: &str) {
        let path = self.context.file(self.stem);
        match replaced {
            Some(Some(content)) => {
                let restored = run_blocking(move || replace_file(&path, &content)).await;
                if let Err(error) = restored {
                    tracing::error!(%error, "`{}.py` cannot be restored.", self.stem);
                }
            }
            Some(None) | None => {
                let warning = format!("the changed file is not used: {why}");
                slot.warning.store(Arc::new(Some(warning)));
            }
        }
    }

    async fn new_slot(
        &self,
        id: &'static str,
        description: Description,
        redactor: Redactor,
    ) -> PythonSlot {
        let (sources, store) = (&self.context.sources, &self.context.valve_store);
        let ids = (id, self.stem);
        PythonSlot::new(ids, description, sources, store, redactor, self.sender.clone()).await
    }

    /// Starts a process with the file as it is now. The slot tells whether it runs.
    async fn build(&self) -> Result<(Arc<PythonSlot>, String), WorkerError> {
        let launch = self.prepare().await?;
        let values = self.current_slot().map(|slot| slot.values()).unwrap_or_default();
        let (worker, description) = self.start_worker(&launch, &values).await?;
        let id = self.choose_id(&description)?;
        let slot = Arc::new(self.new_slot(id, description, launch.redactor.clone()).await);
        let threads = |values: &Values| host_valve(values, THREADS);
        // The first description tells which valves there are, and so with which the file starts.
        let worker = if threads(&slot.values()) == threads(&values) {
            worker
        } else {
            drop(worker);
            self.start_worker(&launch, &slot.values()).await?.0
        };
        if !worker.is_confined {
            tracing::warn!(
                pipe.id = id,
                "`{id}` can read the files of its user: this kernel has no Landlock."
            );
        }
        slot.set_worker_state(match slot.start_up(&worker).await {
            Ok(()) => WorkerState::Running(Arc::new(worker)),
            Err(error) => WorkerState::Failed(slot.redactor.redact(&error.to_string())),
        });
        Ok((slot, launch.text))
    }

    /// Reads the file, and installs its requirements.
    async fn prepare(&self) -> Result<Launch, WorkerError> {
        let path = self.context.file(self.stem);
        let text = run_blocking(move || crate::regular_file::read_to_string(&path)).await;
        let text = text.map_err(WorkerError::Spawn)?;
        let source = PipelineSource::new(text.clone());
        let interpreter = self.context.interpreter().await?;
        let mut requirements = source.requirements().map_err(WorkerError::Install)?;
        let bundled = source.bundled_imports();
        let modules: Vec<_> = bundled.iter().map(|(module, _)| *module).collect();
        let missing = interpreter.missing_modules(&modules).await?;
        for (module, package) in bundled {
            if missing.iter().any(|one| one == module) {
                requirements = requirements.with_package(package);
            }
        }
        let requirements = self.context.with_requirements_file(requirements).await?;
        let progress = self.install_progress();
        let python =
            self.context.environments.prepare(interpreter, &requirements, &progress).await?;
        if let Some(slot) = self.current_slot()
            && matches!(slot.worker_state(), WorkerState::Installing(_))
        {
            slot.set_starting();
        }
        let redactor = Redactor::default();
        let output = log_output(self.stem, redactor.clone());
        Ok(Launch { text, python, output, redactor })
    }

    /// Returns a sink that shows what the installer prints in the log and in the slot's problem.
    fn install_progress(&self) -> OutputSink {
        let (stem, slot) = (self.stem, self.current_slot());
        Arc::new(move |line| {
            tracing::info!(pipe.id = stem, "Requirements of `{stem}.py`: {line}");
            if let Some(slot) = &slot
                && is_being_started(slot)
            {
                let state = format!("its requirements are being installed: {line}");
                slot.set_worker_state(WorkerState::Installing(state));
            }
        })
    }

    async fn start_worker(
        &self,
        launch: &Launch,
        values: &Values,
    ) -> Result<(Worker, Description), WorkerError> {
        let (python, output) = (launch.python.clone(), launch.output.clone());
        let settings = self.context.process_settings(self.stem, python, values, output).await?;
        let threads = usize::try_from(host_valve(values, THREADS)).unwrap_or(1);
        let module = self.stem.replace('-', "_");
        let path = self.context.file(self.stem);
        Worker::start(&settings, &module, &path, threads, HOOK_LIMIT).await
    }

    /// Returns the id that the file names, or the name of the file.
    fn choose_id(&self, description: &Description) -> Result<&'static str, WorkerError> {
        let Some(id) = description.id.as_deref().filter(|id| !id.is_empty()) else {
            return Ok(self.stem);
        };
        let refuse = |why: &str| WorkerError::Exception {
            message: format!("`self.id` is `{id}`: {why}"),
            class: "ValueError".into(),
        };
        if !is_valid_id(id) {
            return Err(refuse("use words of letters, digits, `_` and `-`"));
        }
        let is_own = self.current_slot().is_some_and(|slot| slot.id() == id);
        let same = self.registry.slots().iter().filter(|slot| slot.id() == id).count();
        if same > usize::from(is_own) {
            return Err(refuse("another pipe has this id"));
        }
        intern(id).ok_or_else(|| refuse("too many ids were used since the host was started"))
    }

    /// Starts the process again that has ended, or that has calls which cannot be ended.
    async fn restart(&mut self, pause: Duration) {
        let Some(slot) = self.current_slot() else { return };
        let WorkerState::Running(old) = slot.worker_state() else { return };
        let how = old.exit();
        let why = how.unwrap_or_else(|| "a call of it cannot be ended".to_owned());
        tracing::error!(pipe.id = slot.id(), "`{}` is started again: {why}.", slot.id());
        slot.set_worker_state(WorkerState::Starting(format!("its process has ended ({why})")));
        if old.exit().is_none() {
            self.retire_worker(slot.id(), old, slot.redactor.clone());
        }
        sleep(pause).await;
        let state = match self.start_again(&slot).await {
            Ok(worker) => WorkerState::Running(Arc::new(worker)),
            Err(error) => WorkerState::Failed(slot.redactor.redact(&error.to_string())),
        };
        slot.set_worker_state(state);
    }

    async fn start_again(&self, slot: &PythonSlot) -> Result<Worker, WorkerError> {
        let mut launch = self.prepare().await?;
        launch.redactor = slot.redactor.clone();
        launch.output = log_output(self.stem, slot.redactor.clone());
        let (worker, _) = self.start_worker(&launch, &slot.values()).await?;
        slot.start_up(&worker).await?;
        Ok(worker)
    }

    /// Lets the answers of a replaced version end, then ends its process.
    fn retire(&mut self, slot: &PythonSlot) {
        if let WorkerState::Running(worker) = slot.worker_state() {
            self.retire_worker(slot.id(), worker, slot.redactor.clone());
        }
    }

    fn retire_worker(&mut self, id: &'static str, worker: Arc<Worker>, redactor: Redactor) {
        self.retiring.push(Task::spawn(async move {
            let begun = Instant::now();
            while worker.calls_in_flight() > 0
                && worker.exit().is_none()
                && begun.elapsed() < RETIREMENT_LIMIT
            {
                sleep(RETIREMENT_CHECK).await;
            }
            run_shutdown_hook(id, worker, redactor).await;
        }));
    }

    /// Deletes the file and ends its process.
    async fn delete(&self, deletes_valves: bool) -> Result<()> {
        if deletes_valves && let Some(slot) = self.current_slot() {
            slot.delete_saved_valves().await?;
        }
        let path = self.context.file(self.stem);
        let removed = run_blocking(move || match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
        removed.await.map_err(|error| write_error(&error))?;
        let slot = self.current.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(slot) = slot {
            self.registry.unregister(&(Arc::clone(&slot) as Arc<dyn Slot>));
            if let WorkerState::Running(worker) = slot.worker_state() {
                run_shutdown_hook(slot.id(), worker, slot.redactor.clone()).await;
            }
            tracing::info!(pipe.id = slot.id(), "Deleted `{}.py`.", self.stem);
        }
        Ok(())
    }
}

fn is_running(slot: &PythonSlot) -> bool {
    matches!(slot.worker_state(), WorkerState::Running(_))
}

fn is_being_started(slot: &PythonSlot) -> bool {
    matches!(slot.worker_state(), WorkerState::Starting(_) | WorkerState::Installing(_))
}

/// Waits until the process of the slot must be replaced; forever if there is none.
async fn wait_until_retired(slot: Option<&PythonSlot>) {
    match slot.map(PythonSlot::worker_state) {
        Some(WorkerState::Running(worker)) => worker.wait_until_retired().await,
        _ => std::future::pending().await,
    }
}

/// Waits until somebody has asked for the models, and asks the file for them.
async fn refresh(slot: Option<&PythonSlot>) {
    let Some(slot) = slot else { return std::future::pending().await };
    sleep(REFRESH_INTERVAL).await;
    slot.refresh.notified().await;
    if let WorkerState::Running(worker) = slot.worker_state()
        && let Err(error) = slot.describe(&worker).await
    {
        let error = slot.redactor.redact(&error.to_string());
        tracing::warn!(
            pipe.id = slot.id(),
            "The models of `{}` are not known: {error}.",
            slot.id()
        );
    }
}

/// Returns a sink that logs what a file prints, under its name and without its secrets.
fn log_output(stem: &'static str, redactor: Redactor) -> OutputSink {
    Arc::new(move |line| tracing::info!(pipe.id = stem, "{stem}: {}", redactor.redact(line)))
}

/// Writes a file whole, and returns what stood there before.
fn replace_file(path: &PathBuf, content: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let before = match fs::read(path) {
        Ok(before) => Some(before),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let draft = path.with_extension("py.draft");
    fs::write(&draft, content)?;
    fs::rename(&draft, path)?;
    Ok(before)
}

fn write_error(error: &io::Error) -> PipeError {
    tracing::error!(%error, "A Python file cannot be written.");
    let message = "the file was not saved: the data folder cannot be written to".to_owned();
    PipeError::Refused { status: 507, message, retry_after: None }
}
