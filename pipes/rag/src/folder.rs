//! A watched folder: its files become documents, and follow it.

use crate::{
    confined::{Folder, Stamp},
    library::Shelves,
    reading,
};
use pipe_sdk::{
    Result,
    library::{Audience, Content, DocumentSummary, Library, Upload},
};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
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
    /// Who may see its files; none if the valves do not say.
    audience: Option<Audience>,
    /// What the mark of its documents says: a digest of its path.
    source: String,
    /// Whether the process started with it, so that documents whose mark names no folder are its.
    pub(crate) is_first: bool,
    seen: Mutex<BTreeMap<String, Stamp>>,
}

impl Watched {
    pub(crate) fn new(folder: PathBuf, audience: Option<Audience>, is_first: bool) -> Self {
        let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        let source = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { folder, audience, source, is_first, seen: Mutex::default() }
    }

    /// Brings the first collection to what is in the folder now.
    pub(crate) async fn follow(&self, shelves: &Shelves) {
        let path = self.folder.clone();
        let listed = tokio::task::spawn_blocking(move || {
            let folder = Folder::open(&path)?;
            Ok::<_, io::Error>((folder.files()?, folder))
        });
        let (files, folder) = match listed.await {
            Ok(Ok(listed)) => listed,
            // A folder that is away for a moment has not lost its files.
            Ok(Err(error)) => {
                tracing::warn!(%error, "The watched folder cannot be read.");
                return;
            }
            Err(_) => return,
        };
        if let Err(error) = self.take_in(&files, &Arc::new(folder), shelves).await {
            tracing::warn!(%error, "The watched folder was not taken in whole.");
        }
    }

    async fn take_in(
        &self,
        files: &BTreeMap<String, Stamp>,
        folder: &Arc<Folder>,
        shelves: &Shelves,
    ) -> Result<()> {
        let name = shelves.scope.first();
        let before = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let changed: Vec<_> =
            files.iter().filter(|(id, stamp)| before.get(*id) != Some(*stamp)).collect();
        let kept = match &self.audience {
            None if !changed.is_empty() => self.kept(shelves, name).await?,
            None | Some(_) => BTreeMap::new(),
        };
        for (id, stamp) in changed {
            let audience = self.audience.as_ref().or_else(|| kept.get(id));
            let audience = audience.cloned().unwrap_or_else(admins);
            match read(folder, id, stamp).await {
                Ok(bytes) => {
                    let upload = self.upload(id, audience, bytes);
                    _ = shelves.put(name.to_owned(), vec![upload]).await?;
                }
                Err(reason) => {
                    let (document, _) = reading::apart(self.upload(id, audience, Vec::new()));
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

    /// Returns the audiences of the documents that this folder has brought in.
    async fn kept(&self, shelves: &Shelves, name: &str) -> Result<BTreeMap<String, Audience>> {
        let mut kept = BTreeMap::new();
        each_document(shelves, name, |document| {
            let is_own = match document.metadata.get(MARK) {
                Some(Value::String(source)) => *source == self.source,
                Some(_) => self.is_first,
                None => false,
            };
            if is_own {
                kept.insert(document.id, document.audience);
            }
        })
        .await?;
        Ok(kept)
    }

    /// Takes out what came from the folder and is there no longer.
    async fn take_out(
        &self,
        files: &BTreeMap<String, Stamp>,
        shelves: &Shelves,
        name: &str,
    ) -> Result<()> {
        let mut gone = BTreeSet::new();
        each_document(shelves, name, |document| {
            if document.metadata.contains_key(MARK) && !files.contains_key(&document.id) {
                gone.insert(document.id);
            }
        })
        .await?;
        if !gone.is_empty() {
            shelves.remove(name.to_owned(), gone.iter().cloned().collect()).await?;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|id, _| files.contains_key(id));
        Ok(())
    }

    fn upload(&self, id: &str, audience: Audience, bytes: Vec<u8>) -> Upload {
        Upload {
            id: id.to_owned(),
            title: None,
            url: None,
            audience,
            metadata: Map::from_iter([(MARK.to_owned(), json!(self.source))]),
            content: Content::File { name: id.to_owned(), bytes },
        }
    }
}

async fn read(folder: &Arc<Folder>, id: &str, (_, bytes): &Stamp) -> Result<Vec<u8>, String> {
    let too_large = || format!("it is larger than {} MB", LARGEST / 1_000_000);
    if *bytes > LARGEST {
        return Err(too_large());
    }
    let (folder, id) = (Arc::clone(folder), id.to_owned());
    let read = tokio::task::spawn_blocking(move || folder.read(&id, LARGEST)).await;
    match read.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(too_large()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// Hands every document of a collection to `visit`; a collection that is not there has none.
async fn each_document(
    shelves: &Shelves,
    name: &str,
    mut visit: impl FnMut(DocumentSummary),
) -> Result<()> {
    if shelves.collections().await?.iter().all(|collection| collection.name != name) {
        return Ok(());
    }
    let mut after = String::new();
    loop {
        let listed = shelves.documents(name.to_owned(), after, LISTED).await?;
        let Some(last) = listed.last() else { return Ok(()) };
        after = last.id.clone();
        listed.into_iter().for_each(&mut visit);
    }
}

/// Who sees what a folder brings in when nobody has said.
fn admins() -> Audience {
    Audience::Only { users: BTreeSet::new(), roles: BTreeSet::from(["admin".to_owned()]) }
}

/// Lists every file in the folder by its path within, with slashes. What is hidden stays out, and so do links, which may lead elsewhere, and
/// what is no file: a pipe would be read for ever.
///
/// # Errors
///
/// A folder that cannot be read.
pub fn files(folder: &Path) -> io::Result<BTreeMap<String, Stamp>> {
    Folder::open(&folder.canonicalize()?)?.files()
}
