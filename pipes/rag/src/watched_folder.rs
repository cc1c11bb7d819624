//! A watched folder, whose files become documents and follow the folder.

use crate::{
    confined_folder::{ConfinedFolder, FolderListing},
    document_reader,
    document_store::DocumentStore,
    file_fingerprint::{FileFingerprint, FileStamp, file_digest},
    searcher::to_pipe_error,
};
use pipe_sdk::{
    Result,
    library::{Audience, Content, DocumentSummary, Upload},
};
use retrieval::{IndexError, Viewer};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The maximum size of a file in bytes.
const MAX_FILE_BYTES: u64 = 100_000_000;

/// The number of documents in one page of a listing.
const PAGE_SIZE: usize = 1000;

/// The time for which a folder must stay empty before its documents are removed. A network share
/// that is not mounted looks empty.
const EMPTY_GRACE: Duration = Duration::from_secs(600);

/// The number of failures of the index in a row after which the rest waits for the next pass.
const MAX_INDEX_FAILURES: usize = 3;

/// The metadata that marks documents of a watched folder.
pub(crate) const MARK: &str = "pipewright.watched";

/// A watched folder, with the files that were seen in it.
pub(crate) struct WatchedFolder {
    folder: PathBuf,
    /// The audience of its files; `None` if the valves do not set one.
    audience: Option<Audience>,
    /// The value of the mark: a digest of the path.
    source: String,
    /// True if the process started with this folder. Documents whose mark names no folder belong to
    /// it.
    pub(crate) is_first: bool,
    state: Mutex<FolderState>,
}

/// The known state of the folder.
#[derive(Default)]
struct FolderState {
    /// The files whose documents are stored; `None` until they were loaded from the index.
    files: Option<BTreeMap<String, KnownFile>>,
    /// True once the documents of deleted files were looked for.
    has_passed: bool,
    empty_since: Option<Instant>,
    problem: Option<String>,
}

/// A file whose document is stored.
#[derive(Clone)]
struct KnownFile {
    /// `None` if the document was stored by another release.
    fingerprint: Option<FileFingerprint>,
    audience: Audience,
}

impl WatchedFolder {
    pub(crate) fn new(folder: PathBuf, audience: Option<Audience>, is_first: bool) -> Self {
        let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
        let source = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self { folder, audience, source, is_first, state: Mutex::default() }
    }

    /// Returns the problem of the last pass, if it had one.
    pub(crate) fn problem(&self) -> Option<String> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).problem.clone()
    }

    /// Updates the first collection to the files that are in the folder now.
    pub(crate) async fn sync(&self, store: &DocumentStore) {
        let path = self.folder.clone();
        let list = tokio::task::spawn_blocking(move || {
            let folder = ConfinedFolder::open(&path)?;
            Ok::<_, io::Error>((folder.list_files()?, folder))
        });
        let problem = match list.await {
            Ok(Ok((listing, folder))) => {
                match self.sync_files(&listing, &Arc::new(folder), store).await {
                    Ok(problem) => problem.or_else(|| describe_unreadable(&listing)),
                    Err(error) => Some(format!("the watched folder was not read whole: {error}")),
                }
            }
            // A folder that is unavailable for a moment has not lost its files.
            Ok(Err(error)) => Some(format!("the watched folder cannot be read: {error}")),
            Err(_) => return,
        };
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.problem != problem
            && let Some(problem) = &problem
        {
            tracing::warn!("The watched folder has a problem: {problem}.");
        }
        state.problem = problem;
    }

    /// Stores new and changed files, removes the documents of deleted ones, and returns a problem
    /// if there is one.
    async fn sync_files(
        &self,
        listing: &FolderListing,
        folder: &Arc<ConfinedFolder>,
        store: &DocumentStore,
    ) -> Result<Option<String>> {
        let known = self.load_known(store).await?;
        let mut failures = 0;
        for (id, stamp) in &listing.files {
            if self.is_unchanged(known.get(id), *stamp) {
                continue;
            }
            match self.sync_file(id, *stamp, known.get(id), folder, store).await {
                Ok(file) => {
                    failures = 0;
                    self.set_known(id, file);
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(error = error.kind(), "A file of the watched folder waits.");
                    if failures == MAX_INDEX_FAILURES {
                        return Err(error);
                    }
                }
            }
        }
        self.remove_deleted(listing, &known, store).await
    }

    /// Returns true if neither size nor time of a file has changed, nor the audience that it should
    /// have.
    fn is_unchanged(&self, known: Option<&KnownFile>, stamp: FileStamp) -> bool {
        let Some(KnownFile { fingerprint: Some(fingerprint), audience }) = known else {
            return false;
        };
        fingerprint.stamp == Some(stamp) && self.audience.as_ref().is_none_or(|own| own == audience)
    }

    /// Stores a file as a document, or records why it cannot be read. An error is one of the index.
    async fn sync_file(
        &self,
        id: &str,
        stamp: FileStamp,
        known: Option<&KnownFile>,
        folder: &Arc<ConfinedFolder>,
        store: &DocumentStore,
    ) -> Result<KnownFile> {
        let known_audience = known.map(|known| &known.audience);
        let audience =
            self.audience.as_ref().or(known_audience).cloned().unwrap_or_else(admins_only);
        let (bytes, failure) = match read_file(folder, id, stamp).await {
            Ok(bytes) => (Some(bytes), None),
            Err(reason) => (None, Some(reason)),
        };
        let sha256 = bytes.as_ref().map(|(_, digest)| digest.clone());
        let fingerprint = FileFingerprint::new(sha256, Some(stamp));
        let file = KnownFile { fingerprint: Some(fingerprint.clone()), audience: audience.clone() };
        if known.is_some_and(|known| has_same_content(known, &file)) {
            return Ok(file);
        }
        let name = store.scope.first();
        let mut upload = self.upload(id, audience, bytes.map(|(bytes, _)| bytes));
        fingerprint.insert_into(&mut upload.metadata);
        match failure {
            None => _ = store.ingest(name, upload).await?,
            Some(reason) => {
                let (document, _) = document_reader::split_content(upload);
                store.record_failure(name, document, &reason).await?;
            }
        }
        Ok(file)
    }

    /// Returns the stored files of this folder; reads them from the index once.
    async fn load_known(&self, store: &DocumentStore) -> Result<BTreeMap<String, KnownFile>> {
        let loaded = self.state.lock().unwrap_or_else(PoisonError::into_inner).files.clone();
        if let Some(files) = loaded {
            return Ok(files);
        }
        let mut files = BTreeMap::new();
        for_each_document(store, |document| {
            let is_own = match document.metadata.get(MARK) {
                Some(Value::String(source)) => *source == self.source,
                Some(_) => self.is_first,
                None => false,
            };
            if is_own {
                let fingerprint = FileFingerprint::from_metadata(&document.metadata);
                files.insert(document.id, KnownFile { fingerprint, audience: document.audience });
            }
        })
        .await?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.files = Some(files.clone());
        Ok(files)
    }

    fn set_known(&self, id: &str, file: KnownFile) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.files.get_or_insert_default().insert(id.to_owned(), file);
    }

    /// Removes the documents of files that are gone. If the whole folder is empty, it waits first.
    async fn remove_deleted(
        &self,
        listing: &FolderListing,
        known: &BTreeMap<String, KnownFile>,
        store: &DocumentStore,
    ) -> Result<Option<String>> {
        let is_gone = |id: &str| !listing.files.contains_key(id) && !listing.is_unreadable(id);
        let mut gone = BTreeSet::new();
        if self.is_first_pass() || known.keys().any(|id| is_gone(id)) {
            for_each_document(store, |document| {
                if document.metadata.contains_key(MARK) && is_gone(&document.id) {
                    gone.insert(document.id);
                }
            })
            .await?;
        }
        if gone.is_empty() || !listing.files.is_empty() {
            self.set_empty_since(None);
        } else {
            let since = self.set_empty_since(Some(Instant::now()));
            if since.is_some_and(|since| since.elapsed() < EMPTY_GRACE) {
                let minutes = EMPTY_GRACE.as_secs() / 60;
                return Ok(Some(format!(
                    "the watched folder is empty: its documents are removed when it has been empty for {minutes} minutes"
                )));
            }
        }
        if !gone.is_empty() {
            let name = store.scope.first();
            store.remove_documents(name, gone.iter().cloned().collect()).await?;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_passed = true;
        state.files.get_or_insert_default().retain(|id, _| !gone.contains(id));
        Ok(None)
    }

    fn is_first_pass(&self) -> bool {
        !self.state.lock().unwrap_or_else(PoisonError::into_inner).has_passed
    }

    /// Sets the time since which the folder is empty, unless it is known already, and returns it.
    fn set_empty_since(&self, since: Option<Instant>) -> Option<Instant> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.empty_since = since.map(|now| state.empty_since.unwrap_or(now));
        state.empty_since
    }

    /// Returns an upload for a file.
    fn upload(&self, id: &str, audience: Audience, bytes: Option<Vec<u8>>) -> Upload {
        Upload {
            id: id.to_owned(),
            title: None,
            url: None,
            audience,
            metadata: Map::from_iter([(MARK.to_owned(), json!(self.source))]),
            content: Content::File { name: id.to_owned(), bytes: bytes.unwrap_or_default() },
        }
    }
}

/// Returns true if a file has the bytes and the audience with which its document is stored.
fn has_same_content(known: &KnownFile, file: &KnownFile) -> bool {
    let digest = |file: &KnownFile| file.fingerprint.as_ref()?.sha256.clone();
    digest(known).is_some() && digest(known) == digest(file) && known.audience == file.audience
}

fn describe_unreadable(listing: &FolderListing) -> Option<String> {
    let (path, reason) = listing.unreadable.first_key_value()?;
    Some(format!("`{path}` in the watched folder cannot be read: {reason}"))
}

/// Reads a file, and returns its bytes with their digest.
async fn read_file(
    folder: &Arc<ConfinedFolder>,
    id: &str,
    stamp: FileStamp,
) -> Result<(Vec<u8>, String), String> {
    let too_large = || format!("it is larger than {} MB", MAX_FILE_BYTES / 1_000_000);
    if stamp.bytes > MAX_FILE_BYTES {
        return Err(too_large());
    }
    let (folder, id) = (Arc::clone(folder), id.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let bytes = folder.read(&id, MAX_FILE_BYTES)?;
        let digest = file_digest(&bytes);
        Ok((bytes, digest))
    });
    match read.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
        Ok(read) => Ok(read),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Err(too_large()),
        Err(error) => Err(format!("it cannot be read: {error}")),
    }
}

/// Calls `visit` for each document of the first collection, if it exists.
async fn for_each_document(
    store: &DocumentStore,
    mut visit: impl FnMut(DocumentSummary),
) -> Result<()> {
    let name = store.scope.first();
    match store.index().await?.get_collection(name, &Viewer::Operator).await {
        Ok(_) => {}
        Err(IndexError::CollectionNotFound(_)) => return Ok(()),
        Err(error) => return Err(to_pipe_error(error)),
    }
    let mut after = String::new();
    loop {
        let page = store.list_documents(name, &after, PAGE_SIZE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.id.clone();
        page.into_iter().for_each(&mut visit);
    }
}

/// Returns the audience of a folder's files if the valves set none.
fn admins_only() -> Audience {
    Audience::Only { users: BTreeSet::new(), roles: BTreeSet::from(["admin".to_owned()]) }
}

/// Lists the files of a folder, by their paths within it. Hidden files, links and what is no file
/// are left out.
///
/// # Errors
///
/// If the folder cannot be read.
pub fn list_files(folder: &Path) -> io::Result<FolderListing> {
    ConfinedFolder::open(&folder.canonicalize()?)?.list_files()
}
