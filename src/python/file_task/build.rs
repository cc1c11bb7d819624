//! The processes of a Python file: what one is started with, and the slot that it gets.

use super::{FileTask, is_being_started};
use crate::{
    python::{
        context::run_blocking,
        file_name::{intern, is_valid_id},
        form::{THREADS, host_valve},
        slot::{HOOK_LIMIT, PythonSlot, WorkerState},
    },
    slot::Slot,
    valves::Values,
};
use python_worker::{Description, OutputSink, PipelineSource, Redactor, Worker, WorkerError};
use std::{path::PathBuf, sync::Arc};

/// The parameters of a file's process.
struct Launch {
    text: String,
    python: PathBuf,
    output: OutputSink,
    redactor: Redactor,
}

impl FileTask {
    /// Returns a slot of the file with the valves that were saved.
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

    /// Starts a process with the file as it is now. The slot reports whether it runs.
    pub(super) async fn build(&self) -> Result<(Arc<PythonSlot>, String), WorkerError> {
        let launch = self.prepare().await?;
        let values = self.current_slot().map(|slot| slot.values()).unwrap_or_default();
        let (worker, description) = self.start_worker(&launch, &values).await?;
        let id = self.choose_id(&description)?;
        let slot = Arc::new(self.new_slot(id, description, launch.redactor.clone()).await);
        let threads = |values: &Values| host_valve(values, THREADS);
        // The first description names the valves, and so those with which the file starts.
        let worker = if threads(&slot.values()) == threads(&values) {
            worker
        } else {
            drop(worker);
            self.start_worker(&launch, &slot.values()).await?.0
        };
        for part in &worker.missing {
            let risk = match part.as_str() {
                "Landlock" => "can read the files of its user",
                _ => "can change permissions, limits and shared memory of its user",
            };
            tracing::warn!(pipe.id = id, "`{id}` {risk}: this kernel has no {part}.");
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

    /// Starts another process for a slot, with the file as it is now.
    pub(super) async fn start_again(&self, slot: &PythonSlot) -> Result<Worker, WorkerError> {
        let mut launch = self.prepare().await?;
        launch.redactor = slot.redactor.clone();
        launch.output = log_output(self.stem, slot.redactor.clone());
        let (worker, _) = self.start_worker(&launch, &slot.values()).await?;
        slot.start_up(&worker).await?;
        Ok(worker)
    }
}

/// Returns a sink that logs what a file prints, under its name and without its secrets.
fn log_output(stem: &'static str, redactor: Redactor) -> OutputSink {
    Arc::new(move |line| tracing::info!(pipe.id = stem, "{stem}: {}", redactor.redact(line)))
}
