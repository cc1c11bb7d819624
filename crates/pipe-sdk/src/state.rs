//! Files that a pipe keeps from one start of the host to the next, and fingerprints that show
//! whether they belong to the present settings.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::spawn_blocking;

/// The folder of a pipe within the data folder. The default is none: nothing is found and nothing
/// is saved.
///
/// It is for what can be lost, such as lists that are asked for again. With several replicas, each
/// has its own.
#[derive(Clone, Debug, Default)]
pub struct StateFolder(Option<Arc<Folder>>);

/// The folder of the files that a pipe keeps.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// The lock for writing a file: during a change of valves two instances of a pipe may exist.
    writing: Mutex<()>,
}

/// A number that identifies texts which may be secret, without revealing them. It is another one
/// with each salt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    salt: String,
    digest: String,
}

/// The largest size of a file, in bytes.
const MAX_BYTES: u64 = 16 << 20;

impl StateFolder {
    /// Returns the folder at this path, which is made when something is saved.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Some(Arc::new(Folder { path: path.into(), writing: Mutex::default() })))
    }

    /// Returns the state that was saved under this name. If it cannot be read, the log says so and
    /// it counts as missing.
    pub async fn load<T: DeserializeOwned + Send + 'static>(
        &self,
        name: &'static str,
    ) -> Option<T> {
        let folder = Arc::clone(self.0.as_ref()?);
        let loaded = spawn_blocking(move || {
            let Some(bytes) = read(&folder.path.join(name))? else { return Ok(None) };
            Ok(Some(serde_json::from_slice(&bytes)?))
        });
        let loaded = loaded.await.unwrap_or_else(|error| Err(io::Error::other(error)));
        loaded.unwrap_or_else(|error: io::Error| {
            // The text of an error about JSON may quote what is in the file.
            let why = error.kind();
            tracing::warn!(
                "The saved file `{name}` is not used, because it cannot be read: {why}."
            );
            None
        })
    }

    /// Saves this under this name, in place of what was there: a crash leaves the one or the other.
    /// Its owner alone may read it.
    pub async fn save<T: Serialize>(&self, name: &'static str, state: &T) {
        let Some(folder) = self.0.clone() else { return };
        let saved = match serde_json::to_vec(state) {
            Ok(bytes) if bytes.len() as u64 > MAX_BYTES => {
                Err(io::Error::from(io::ErrorKind::FileTooLarge))
            }
            Ok(bytes) => spawn_blocking(move || folder.replace(name, &bytes))
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error))),
            Err(error) => Err(error.into()),
        };
        if let Err(error) = saved {
            let why = error.kind();
            tracing::warn!("The file `{name}` is not saved: {why}.");
        }
    }
}

impl Folder {
    /// Replaces a file by one with these bytes, in one step.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)?;
        let (path, draft) = (self.path.join(name), self.path.join(format!("{name}.draft")));
        // This is left of a write that was broken off, or it is no file.
        if let Err(error) = fs::remove_file(&draft)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let written = write(&draft, bytes).and_then(|()| fs::rename(&draft, &path));
        if written.is_err() {
            // The draft is of no use; if it cannot be removed either, the first error is the one to
            // tell.
            _ = fs::remove_file(&draft);
        }
        written?;
        File::open(&self.path)?.sync_all()
    }
}

/// Reads a file; `None` if it does not exist.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    Ok(Some(bytes))
}

/// Creates a file that only its owner may read, and syncs it to the disk.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl Fingerprint {
    /// Takes the fingerprint of these texts.
    pub fn from_texts(texts: &[&str]) -> Self {
        let salt = uuid::Uuid::new_v4().simple().to_string();
        let digest = digest(&salt, texts);
        Self { salt, digest }
    }

    /// Returns whether it was made from these texts.
    pub fn matches(&self, texts: &[&str]) -> bool {
        digest(&self.salt, texts) == self.digest
    }
}

/// Returns the SHA-256 of a salt and texts, in hexadecimal digits.
fn digest(salt: &str, texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for text in std::iter::once(&salt).chain(texts) {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[tokio::test]
    async fn what_is_saved_is_its_owners_alone_and_found_again() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(place.path().join("pipe"));
        assert_eq!(folder.load::<Vec<u8>>("list.json").await, None);
        for list in [vec![1, 2], vec![3]] {
            folder.save("list.json", &list).await;
            assert_eq!(folder.load::<Vec<u8>>("list.json").await, Some(list));
        }
        let mode = |path: &str| place.path().join(path).metadata().unwrap().permissions().mode();
        assert_eq!(mode("pipe/list.json") & 0o777, 0o600);
        assert_eq!(mode("pipe") & 0o777, 0o700);
        let files = fs::read_dir(place.path().join("pipe")).unwrap().count();
        assert_eq!(files, 1, "no draft is left");
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_not_there_and_can_be_replaced() {
        let place = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(place.path());
        let path = place.path().join("list.json");
        for bad in ["", "{", "null", "[\"x\"]"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(folder.load::<Vec<u8>>("list.json").await, None, "{bad}");
        }
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(folder.load::<Vec<u8>>("list.json").await, None);
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        assert_eq!(folder.load::<Vec<u8>>("list.json").await, None);
        fs::write(place.path().join("list.json.draft"), "left").unwrap();
        folder.save("list.json", &[7]).await;
        assert_eq!(folder.load::<Vec<u8>>("list.json").await, Some(vec![7]));
    }

    #[tokio::test]
    async fn without_a_folder_nothing_is_kept() {
        let folder = StateFolder::default();
        folder.save("list.json", &[7]).await;
        assert_eq!(folder.load::<Vec<u8>>("list.json").await, None);
    }

    #[test]
    fn texts_are_known_again_and_not_read() {
        let print = Fingerprint::from_texts(&["key", ""]);
        assert!(print.matches(&["key", ""]));
        for others in [&["key"][..], &["", "key"], &["ke", "y"], &[]] {
            assert!(!print.matches(others), "{others:?}");
        }
        assert_ne!(print, Fingerprint::from_texts(&["key", ""]));
        assert!(!format!("{print:?}").contains("key"));
    }
}
