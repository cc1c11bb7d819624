//! The manager of the Python files: it watches the data folder, and gives each file its task.

use super::{
    MAX_FILE_BYTES,
    context::{PythonContext, run_blocking},
    download,
    file_name::parse_file_name,
    file_task::{FileTask, MAX_COMMANDS},
    slot::{Deletion, FileCommand, PythonSlot},
};
use crate::{registry::Registry, slot::Slot};
use pipe_sdk::{PipeError, Result, Task};
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::interval,
};

/// The time between two looks into the folder.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// The most files that are run.
const MAX_FILES: usize = 500;

/// A command to the manager.
pub enum Request {
    /// Writes a file and loads it.
    Install(&'static str, Vec<u8>, oneshot::Sender<Result<&'static str>>),
    /// Deletes the file of the pipe with this id, and its saved valves.
    Delete(String, oneshot::Sender<Result<()>>),
    /// Looks into the folder now, and loads what has changed or does not run.
    Rescan(oneshot::Sender<()>),
}

/// The manager of the Python files.
pub struct Manager {
    context: Arc<PythonContext>,
    registry: Arc<Registry>,
    files: BTreeMap<&'static str, FileHandle>,
    /// The stamps of the files at the last scan.
    seen: BTreeMap<String, Stamp>,
}

/// The task of a file, and its slot.
struct FileHandle {
    commands: mpsc::Sender<FileCommand>,
    slot: Arc<Mutex<Option<Arc<PythonSlot>>>>,
    _task: Task,
}

/// The stamp of a file's content: the time of its last change, and its size.
type Stamp = (Option<SystemTime>, u64);

impl Manager {
    /// Returns the manager of no files yet.
    pub fn new(context: Arc<PythonContext>, registry: Arc<Registry>) -> Self {
        Self { context, registry, files: BTreeMap::new(), seen: BTreeMap::new() }
    }

    /// Starts the files of the folder, or deletes them.
    pub async fn start(&mut self, resets_folder: bool) {
        if resets_folder {
            self.reset_folder().await;
        }
        self.scan().await;
    }

    /// Runs the files until the host ends.
    pub async fn run(mut self, mut requests: mpsc::Receiver<Request>, urls: Vec<String>) {
        for url in urls.iter().map(|url| url.trim_matches(['"', ' '])) {
            if !url.is_empty() {
                self.download_file(url).await;
            }
        }
        let mut ticks = interval(WATCH_INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.scan().await,
                request = requests.recv() => match request {
                    Some(request) => self.serve(request).await,
                    None => return,
                },
            }
        }
    }

    /// Handles one request.
    async fn serve(&mut self, request: Request) {
        match request {
            Request::Install(stem, content, reply) => {
                let content = Some(content);
                self.send(stem, FileCommand::Load { content, is_forced: true, reply }).await;
            }
            Request::Delete(id, reply) => match self.find(&id) {
                Some(stem) => {
                    let deletion = Deletion { deletes_valves: true, reply };
                    self.send(stem, FileCommand::Delete(deletion)).await;
                }
                // The receiver may have stopped waiting.
                None => _ = reply.send(Err(not_found(&id))),
            },
            Request::Rescan(reply) => {
                self.seen.clear();
                self.scan().await;
                _ = reply.send(());
            }
        }
    }

    /// Returns the name of the file whose pipe has this id, or a model of it.
    fn find(&self, id: &str) -> Option<&'static str> {
        let pipe = id.split('.').next().unwrap_or(id);
        let has_id = |handle: &FileHandle| {
            let slot = handle.slot.lock().unwrap_or_else(PoisonError::into_inner);
            slot.as_ref().is_some_and(|slot| slot.id() == pipe)
        };
        self.files.iter().find(|(_, handle)| has_id(handle)).map(|(stem, _)| *stem)
    }

    /// Sends a command to the task of a file, and starts the task if it does not run.
    async fn send(&mut self, stem: &'static str, command: FileCommand) {
        if self.files.get(stem).is_none_or(|handle| handle.commands.is_closed()) {
            let handle = self.start_task(stem).await;
            self.files.insert(stem, handle);
        }
        // A file with a full queue of commands is busy; the sender learns it when the reply is
        // dropped.
        if let Some(handle) = self.files.get(stem)
            && handle.commands.try_send(command).is_err()
        {
            tracing::warn!(pipe.id = stem, "`{stem}.py` is busy: a command was dropped.");
        }
    }

    /// Starts the task of a file, whose slot reports its state from now on.
    async fn start_task(&self, stem: &'static str) -> FileHandle {
        let (sender, commands) = mpsc::channel(MAX_COMMANDS);
        let (sources, store) = (&self.context.sources, &self.context.valve_store);
        let (description, redactor) = Default::default();
        let ids = (stem, stem);
        let slot = PythonSlot::new(ids, description, sources, store, redactor, sender.clone());
        let slot = Arc::new(slot.await);
        self.registry.register(&(Arc::clone(&slot) as Arc<dyn Slot>), None);
        let slot = Arc::new(Mutex::new(Some(slot)));
        let task = FileTask {
            context: Arc::clone(&self.context),
            registry: Arc::clone(&self.registry),
            stem,
            sender: sender.clone(),
            current: Arc::clone(&slot),
            retiring: Vec::new(),
            loaded: None,
        };
        FileHandle { commands: sender, slot, _task: Task::spawn(task.run(commands)) }
    }

    /// Looks into the folder: loads new and changed files, and ends those that are gone.
    async fn scan(&mut self) {
        self.files.retain(|_, handle| !handle.commands.is_closed());
        let folder = self.context.folder.clone();
        let found = match run_blocking(move || list_files(&folder)).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "The data folder cannot be searched for Python files.");
                return;
            }
        };
        let changed: Vec<_> = found
            .iter()
            .filter(|(name, stamp)| self.seen.get(*name) != Some(*stamp))
            .map(|(name, _)| name.clone())
            .collect();
        for name in changed {
            match parse_file_name(&name, &self.context.compiled) {
                Ok(stem) => {
                    let (reply, _) = oneshot::channel();
                    let load = FileCommand::Load { content: None, is_forced: false, reply };
                    self.send(stem, load).await;
                }
                Err(why) => tracing::error!("The file `{name}` is not run: {why}."),
            }
        }
        // A file that was never seen here is being written now.
        let is_gone = |stem: &&'static str| {
            let name = format!("{stem}.py");
            self.seen.contains_key(&name) && !found.contains_key(&name)
        };
        let gone: Vec<_> = self.files.keys().copied().filter(is_gone).collect();
        for stem in gone {
            let (reply, _) = oneshot::channel();
            let deletion = Deletion { deletes_valves: false, reply };
            self.send(stem, FileCommand::Delete(deletion)).await;
        }
        self.seen = found;
    }

    /// Deletes all Python files and their environments.
    async fn reset_folder(&self) {
        let folder = self.context.folder.clone();
        let removed = run_blocking(move || {
            for name in list_files(&folder)?.keys() {
                fs::remove_file(folder.join(name))?;
            }
            match fs::remove_dir_all(folder.join("python")) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            }
        });
        match removed.await {
            Ok(()) => tracing::info!("Deleted all Python pipelines: RESET_PIPELINES_DIR is set."),
            Err(error) => tracing::error!(%error, "The Python pipelines cannot be deleted."),
        }
    }

    /// Downloads a file that the operator names. A file that cannot be had keeps nothing from
    /// starting.
    async fn download_file(&self, url: &str) {
        let saved = async {
            let (name, content) = download(url).await.map_err(|error| error.to_string())?;
            let stem = parse_file_name(&name, &self.context.compiled)?;
            let path = self.context.file(stem);
            let written = run_blocking(move || fs::write(path, content)).await;
            written.map_err(|error| error.to_string())?;
            Ok::<_, String>(name)
        };
        match saved.await {
            Ok(name) => tracing::info!("Downloaded `{name}`."),
            Err(error) => tracing::error!("A URL of PIPELINES_URLS is left out: {error}."),
        }
    }
}

/// Returns the Python files of a folder.
fn list_files(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let metadata = entry.metadata()?;
        let is_python = name.ends_with(".py") && metadata.is_file();
        if is_python && metadata.len() <= MAX_FILE_BYTES as u64 && found.len() < MAX_FILES {
            found.insert(name, (metadata.modified().ok(), metadata.len()));
        }
    }
    Ok(found)
}

fn not_found(id: &str) -> PipeError {
    let message = format!("Pipeline {id} not found");
    PipeError::Refused { status: 404, message, retry_after: None }
}
