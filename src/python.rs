//! Python pipelines of Open WebUI, which run beside the pipes that are compiled in.
//!
//! Each `.py` file of the data folder has a `FileTask` that runs it in a process of its own
//! (`crates/python-worker`), and a slot in the registry. [`PythonPipelines`] starts the tasks,
//! watches the folder, and takes files that the admin page uploads, installs or deletes. See
//! `docs/python-pipelines.md`.

mod context;
mod file_name;
mod file_task;
mod form;
mod host_models;
mod manager;
mod settings;
mod slot;

pub use settings::{PythonMode, PythonSettings};

use crate::{registry::Registry, slot::ConfigSources, valves::ValveStore};
use context::{PythonContext, file_error};
use file_name::{file_name_of_url, parse_file_name, to_raw_url};
use guarded_fetch::{FetchPolicy, Fetcher};
use manager::{Manager, Request};
use pipe_sdk::{PipeError, Result, Task};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

/// The largest file, in bytes.
pub const MAX_FILE_BYTES: usize = 1 << 20;

/// The longest time that an admin's request waits for a file. Open WebUI waits for 300 s
/// (`docs/reference/open-webui.md`, "Calls").
const LOAD_LIMIT: Duration = Duration::from_secs(280);

/// A handle to the Python pipelines of a host.
pub struct PythonPipelines {
    mode: PythonMode,
    compiled: Vec<&'static str>,
    requests: mpsc::Sender<Request>,
    /// The task that starts processes. It runs where the host runs, not where requests are served:
    /// a process ends with the thread that started it.
    _task: Task,
}

impl PythonPipelines {
    /// Starts the files of the data folder, if the settings say so.
    ///
    /// # Errors
    /// Returns an error if a setting is wrong.
    pub async fn start(
        settings: &PythonSettings,
        sources: &ConfigSources,
        valve_store: &Arc<dyn ValveStore>,
        registry: &Arc<Registry>,
    ) -> anyhow::Result<Option<Self>> {
        if settings.mode == PythonMode::Off {
            return Ok(None);
        }
        let compiled: Vec<_> = registry.slots().iter().map(|slot| slot.id()).collect();
        let context = PythonContext::new(settings, sources, valve_store, compiled.clone())?;
        let (requests, receiver) = mpsc::channel(64);
        let mut manager = Manager::new(Arc::new(context), Arc::clone(registry));
        manager.start(settings.resets_folder).await;
        let task = Task::spawn(manager.run(receiver, settings.urls.clone()));
        Ok(Some(Self { mode: settings.mode, compiled, requests, _task: task }))
    }

    /// Returns whether the pipe with this id is compiled in.
    pub fn is_compiled(&self, id: &str) -> bool {
        self.compiled.contains(&id)
    }

    /// Returns an error if files cannot be added or deleted through the API.
    pub fn check_writable(&self) -> Result<()> {
        match self.mode {
            PythonMode::On => Ok(()),
            PythonMode::Files | PythonMode::Off => Err(PipeError::Refused {
                status: 403,
                message: "Files are added and deleted in the data folder only: PYTHON_PIPELINES is `files`".into(),
                retry_after: None,
            }),
        }
    }

    /// Saves a file and loads it; returns the id of its pipe.
    ///
    /// # Errors
    /// Returns an error if it is no usable Python pipeline.
    pub async fn install(&self, file_name: &str, content: Vec<u8>) -> Result<&'static str> {
        self.check_writable()?;
        let stem = parse_file_name(file_name, &self.compiled).map_err(file_error)?;
        if content.len() > MAX_FILE_BYTES {
            return Err(file_error(format!("{file_name} is larger than {MAX_FILE_BYTES} bytes")));
        }
        let load = self.request(|reply| Request::Install(stem, content, reply));
        timeout(LOAD_LIMIT, load).await.map_err(|_| {
            PipeError::Timeout(format!(
                "{file_name} is still being installed: GET /pipelines tells when it runs"
            ))
        })??
    }

    /// Downloads a file and loads it; returns the id of its pipe.
    ///
    /// # Errors
    /// Returns an error if it cannot be downloaded, or is no usable Python pipeline.
    pub async fn install_from_url(&self, url: &str) -> Result<&'static str> {
        self.check_writable()?;
        let (file_name, content) = download(url).await?;
        self.install(&file_name, content).await
    }

    /// Deletes the file of a pipe, and what was saved of its valves.
    ///
    /// # Errors
    /// Returns an error if there is no such file.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.check_writable()?;
        let id = id.to_owned();
        self.request(|reply| Request::Delete(id, reply)).await?
    }

    /// Loads files that have changed or do not run.
    ///
    /// # Errors
    /// Returns an error if the host is stopping.
    pub async fn rescan(&self) -> Result<()> {
        self.request(Request::Rescan).await
    }

    /// Sends a request to the manager, and waits for its reply.
    async fn request<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T> {
        let gone = || PipeError::Unavailable {
            message: "the file is busy or the host is stopping: try again".into(),
            retry_after: None,
        };
        let (reply, answered) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    }
}

/// Downloads a file through the guard for links.
async fn download(url: &str) -> Result<(String, Vec<u8>)> {
    let url = to_raw_url(url.trim());
    let policy = FetchPolicy {
        max_bytes: MAX_FILE_BYTES,
        total_timeout: Duration::from_secs(30),
        ..FetchPolicy::default()
    };
    let file = Fetcher::new(policy).fetch(&url).await;
    let file = file.map_err(|error| PipeError::bad_field("url", format!("url: {error}")))?;
    Ok((file_name_of_url(&url), file.bytes.to_vec()))
}
