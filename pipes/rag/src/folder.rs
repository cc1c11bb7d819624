//! A watched folder: its files become documents, and follow it.

use crate::{library::Shelves, reading};
use pipe_sdk::{
    Result,
    library::{Audience, Content, Library, Upload},
};
use serde_json::{Map, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

/// Larger files are not read.
const LARGEST: u64 = 100_000_000;

/// How many documents are listed at once.
const LISTED: usize = 1000;

/// What tells documents of the folder from others.
pub(crate) const MARK: &str = "pipewright.watched";

/// A folder, and what was last seen in it.
pub(crate) struct Watched {
    folder: PathBuf,
    seen: Mutex<BTreeMap<String, Stamp>>,
}

/// When a file was last written, and how many bytes it has: differs when the file does.
pub type Stamp = (Option<SystemTime>, u64);

impl Watched {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, seen: Mutex::default() }
    }

    /// Brings the first collection to what is in the folder now.
    pub(crate) async fn follow(&self, shelves: &Shelves) {
        let folder = self.folder.clone();
        let files = match tokio::task::spawn_blocking(move || files(&folder)).await {
            Ok(Ok(files)) => files,
            // A folder that is away for a moment has not lost its files.
            Ok(Err(error)) => {
                tracing::warn!(%error, "The watched folder cannot be read.");
                return;
            }
            Err(_) => return,
        };
        if let Err(error) = self.take_in(&files, shelves).await {
            tracing::warn!(%error, "The watched folder was not taken in whole.");
        }
    }

    async fn take_in(&self, files: &BTreeMap<String, Stamp>, shelves: &Shelves) -> Result<()> {
        let name = shelves.scope.first();
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (id, stamp) in files.iter().filter(|(id, stamp)| before.get(*id) != Some(*stamp)) {
            match self.read(id, stamp).await {
                Ok(bytes) => _ = shelves.put(name.to_owned(), vec![upload(id, bytes)]).await?,
                Err(reason) => {
                    let (document, _) = reading::apart(upload(id, Vec::new()));
                    shelves.fail(name, document, &reason).await?;
                }
            }
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), *stamp);
        }
        if before.is_empty() || before.keys().any(|id| !files.contains_key(id)) {
            self.take_out(files, shelves, name).await?;
        }
        Ok(())
    }

    async fn read(&self, id: &str, (_, bytes): &Stamp) -> Result<Vec<u8>, String> {
        if *bytes > LARGEST {
            return Err(format!("it is larger than {} MB", LARGEST / 1_000_000));
        }
        let read = tokio::fs::read(self.folder.join(id)).await;
        read.map_err(|error| format!("it cannot be read: {error}"))
    }

    /// Takes out what came from the folder and is there no longer.
    async fn take_out(
        &self,
        files: &BTreeMap<String, Stamp>,
        shelves: &Shelves,
        name: &str,
    ) -> Result<()> {
        if shelves.collections().await?.iter().all(|collection| collection.name != name) {
            return Ok(());
        }
        let (mut gone, mut after) = (BTreeSet::new(), String::new());
        loop {
            let listed = shelves.documents(name.to_owned(), after.clone(), LISTED).await?;
            let Some(last) = listed.last() else { break };
            after = last.id.clone();
            let is_gone = |id: &str| !files.contains_key(id);
            let of_folder = listed.iter().filter(|kept| kept.metadata.contains_key(MARK));
            gone.extend(of_folder.map(|kept| kept.id.clone()).filter(|id| is_gone(id)));
        }
        if !gone.is_empty() {
            shelves.remove(name.to_owned(), gone.iter().cloned().collect()).await?;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|id, _| files.contains_key(id));
        Ok(())
    }
}

fn upload(id: &str, bytes: Vec<u8>) -> Upload {
    Upload {
        id: id.to_owned(),
        title: None,
        url: None,
        audience: Audience::Everyone,
        metadata: Map::from_iter([(MARK.to_owned(), json!(true))]),
        content: Content::File { name: id.to_owned(), bytes },
    }
}

/// Every file in the folder by its path within, with slashes. What is hidden stays out, and so do links, which may lead elsewhere, and what
/// is no file: a pipe would be read for ever.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn files(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    let mut files = BTreeMap::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((folder, within)) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            if name.starts_with('.') || kind.is_symlink() {
                continue;
            }
            let id = if within.is_empty() { name } else { format!("{within}/{name}") };
            if kind.is_dir() {
                open.push((entry.path(), id));
            } else if kind.is_file()
                && let Ok(file) = entry.metadata()
            {
                files.insert(id, (file.modified().ok(), file.len()));
            }
        }
    }
    Ok(files)
}
