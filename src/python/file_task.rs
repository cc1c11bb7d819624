//! The task of a Python file: it loads the file, starts its process again when that ends, and
//! takes over new versions.

mod build;
mod command_queue;

pub use command_queue::MAX_COMMANDS;

use super::{
    context::{PythonContext, file_error, run_blocking},
    slot::{Deletion, FileCommand, PythonSlot, WorkerState, run_shutdown_hook},
};
use crate::{registry::Registry, slot::Slot};
use command_queue::CommandQueue;
use pipe_sdk::{PipeError, Result, Task};
use python_worker::{Redactor, Worker};
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

/// The first pause before a process is started again.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before a process is started again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A process that ran for at least this time is started again after the first pause.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// The least time between two questions for the list of models.
const REFRESH_INTERVAL: Duration = Duration::from_secs(15);

/// The longest time that answers of a replaced version may continue.
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
    /// The channel of the commands to this task, for the slots.
    pub sender: mpsc::Sender<FileCommand>,
    /// The slot that is registered, and shared with the manager.
    pub current: Arc<Mutex<Option<Arc<PythonSlot>>>>,
    /// Tasks that wait until answers of replaced versions have ended.
    pub retiring: Vec<Task>,
    /// The text of the version that runs.
    pub loaded: Option<String>,
}

impl FileTask {
    /// Obeys commands, and keeps the file running, until the file is deleted.
    pub async fn run(mut self, commands: mpsc::Receiver<FileCommand>) {
        let mut commands = CommandQueue::new(commands);
        let mut pause = FIRST_PAUSE;
        loop {
            let (slot, started) = (self.current_slot(), Instant::now());
            let deletion = tokio::select! {
                command = commands.next() => match command {
                    Some(FileCommand::Load { content, is_forced, reply }) => {
                        let load = self.obey_load(content, is_forced, &mut commands);
                        let (loaded, deletion) = load.await;
                        // The receiver may have stopped waiting.
                        _ = reply.send(loaded);
                        deletion
                    }
                    Some(FileCommand::Delete(deletion)) => Some(deletion),
                    None => return,
                },
                () = wait_until_retired(slot.as_deref()) => {
                    if started.elapsed() > STABLE_AFTER {
                        pause = FIRST_PAUSE;
                    }
                    let deletion = commands.run_until_deletion(self.restart(pause)).await.err();
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    deletion
                }
                () = refresh(slot.as_deref()) => None,
            };
            if let Some(deletion) = deletion
                && self.obey_deletion(deletion).await
            {
                return;
            }
            self.retiring.retain(|task| !task.is_finished());
        }
    }

    /// Loads the file, with new content if there is any, unless it runs as it is; a deletion that
    /// comes meanwhile breaks that off, and is returned.
    async fn obey_load(
        &mut self,
        content: Option<Vec<u8>>,
        is_forced: bool,
        commands: &mut CommandQueue,
    ) -> (Result<&'static str>, Option<Deletion>) {
        if let Some(id) = self.loaded_id(content.is_some() || is_forced).await {
            return (Ok(id), None);
        }
        let replaced = match content {
            Some(content) => match self.write_file(content).await {
                Ok(before) => Some(before),
                Err(error) => return (Err(error), None),
            },
            None => None,
        };
        let problem = match commands.run_until_deletion(self.load()).await {
            Ok(Ok(id)) => return (Ok(id), None),
            Ok(Err(problem)) => problem,
            Err(deletion) => {
                let message = format!("{}.py was deleted while it was being loaded", self.stem);
                return (Err(file_error(message)), Some(deletion));
            }
        };
        tracing::error!(pipe.id = self.stem, "`{}.py` was not loaded: {problem}.", self.stem);
        if let Some(running) = self.current_slot().filter(|slot| is_running(slot)) {
            self.keep_running(&running, replaced, &problem).await;
        }
        (Err(file_error(format!("{}.py was not loaded: {problem}", self.stem))), None)
    }

    /// Deletes the file; returns whether it is gone.
    async fn obey_deletion(&self, deletion: Deletion) -> bool {
        let deleted = self.delete(deletion.deletes_valves).await;
        let is_deleted = deleted.is_ok();
        if !is_deleted && let Some(slot) = self.current_slot().filter(|slot| is_being_started(slot))
        {
            slot.set_worker_state(WorkerState::Failed("it could not be deleted".into()));
        }
        // The receiver may have stopped waiting.
        _ = deletion.reply.send(deleted);
        is_deleted
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

    /// Returns the id of the pipe that runs, unless the file has changed or a restart is forced.
    async fn loaded_id(&self, is_forced: bool) -> Option<&'static str> {
        let slot = self.current_slot().filter(|slot| is_running(slot) && !is_forced)?;
        let path = self.context.file(self.stem);
        let text = run_blocking(move || crate::regular_file::read_to_string(&path)).await.ok();
        (text.is_some() && text == self.loaded).then(|| slot.id())
    }

    /// Writes the file, and returns its previous content.
    async fn write_file(&self, content: Vec<u8>) -> Result<Option<Vec<u8>>> {
        let path = self.context.file(self.stem);
        let written = run_blocking(move || replace_file(&path, &content)).await;
        written.map_err(|error| write_error(&error))
    }

    /// Loads the file. A version that runs keeps running if the new one fails.
    ///
    /// # Errors
    /// Returns the reason why the file does not run.
    async fn load(&mut self) -> Result<&'static str, String> {
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
        Err(problem)
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

/// Waits until the process of the slot must be replaced; forever if the slot has no process.
async fn wait_until_retired(slot: Option<&PythonSlot>) {
    match slot.map(PythonSlot::worker_state) {
        Some(WorkerState::Running(worker)) => worker.wait_until_retired().await,
        _ => std::future::pending().await,
    }
}

/// Waits until the models are requested, and asks the file for them.
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

/// Writes a file at once, and returns its previous content.
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
