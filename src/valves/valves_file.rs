//! The file of the valves that an admin saved. It is complete after any crash, and readable by its
//! owner alone.
//!
//! Its path is that of the reference server, `<folder>/<pipe>/valves.json`, so that an existing
//! volume keeps working. A copy of the last save is beside it, `valves.json.bak`. No earlier save
//! is kept, so that a secret that was cleared is gone. With the operator's key both files are
//! encrypted: `{"sealed": "…"}`.

use super::{LoadedValves, Values};
use crate::regular_file;
use serde_json::{Value, json};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use store::Cipher;

/// The one field of an encrypted file.
const SEALED: &str = "sealed";

/// The file of saved valves of one pipe.
#[derive(Clone, Debug)]
pub struct ValvesFile {
    folder: PathBuf,
    /// The pipe, without which the file cannot be decrypted.
    pipe: String,
    cipher: Option<Cipher>,
}

impl ValvesFile {
    /// Returns the file of this pipe's valves in the data folder. With a cipher it is encrypted.
    pub fn new(data_folder: &Path, pipe: &str, cipher: Option<&Cipher>) -> Self {
        Self { folder: data_folder.join(pipe), pipe: pipe.to_owned(), cipher: cipher.cloned() }
    }

    /// Returns the path of the file.
    fn path(&self) -> PathBuf {
        self.folder.join("valves.json")
    }

    fn backup_path(&self) -> PathBuf {
        self.folder.join("valves.json.bak")
    }

    fn corrupt_path(&self) -> PathBuf {
        self.folder.join("valves.json.corrupt")
    }

    /// Loads the saved valves. A corrupt file is renamed, and the backup is used in its place.
    pub fn load(&self) -> LoadedValves {
        match self.read_values(&self.path()) {
            Ok(values) => {
                LoadedValves { values: values.unwrap_or_default(), ..LoadedValves::default() }
            }
            Err(error) if !is_corrupt(&error) => {
                let problem = format!(
                    "{} cannot be read ({error}); nothing saved is used",
                    self.path().display()
                );
                LoadedValves { problem: Some(problem), ..LoadedValves::default() }
            }
            Err(error) => {
                let aside = self.corrupt_path();
                let moved = match fs::rename(self.path(), &aside) {
                    Ok(()) => format!("it was moved to {}", aside.display()),
                    Err(error) => format!("it could not be moved aside ({error})"),
                };
                let last_good = self.read_values(&self.backup_path()).ok().flatten();
                let restored = last_good.as_ref().is_some_and(|values| self.save(values).is_ok());
                let instead =
                    if restored { "its copy was restored" } else { "no saved valves are used" };
                let problem = format!(
                    "{} cannot be read ({error}); {moved}, {instead}",
                    self.path().display()
                );
                LoadedValves {
                    values: last_good.unwrap_or_default(),
                    problem: Some(problem),
                    ..LoadedValves::default()
                }
            }
        }
    }

    /// Loads the saved valves if they can be read. It changes nothing.
    pub fn load_if_readable(&self) -> Values {
        self.read_values(&self.path()).ok().flatten().unwrap_or_default()
    }

    fn read_values(&self, path: &Path) -> io::Result<Option<Values>> {
        let mut values: Values = match regular_file::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let sealed = match values.get_mut(SEALED) {
            Some(Value::String(sealed)) => std::mem::take(sealed),
            _ => return Ok(Some(values)),
        };
        let refuse = |reason| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        let Some(cipher) = &self.cipher else {
            return refuse("it is encrypted: set the PIPEWRIGHT_SECRET_KEY that it was saved with");
        };
        match cipher.decrypt(&self.pipe, &sealed) {
            Some(text) => Ok(Some(serde_json::from_str(&text)?)),
            None => refuse("it was encrypted with another PIPEWRIGHT_SECRET_KEY"),
        }
    }

    /// Returns values as the file has them, encrypted if there is a key.
    fn encode(&self, values: &Values) -> io::Result<Vec<u8>> {
        let Some(cipher) = &self.cipher else { return Ok(serde_json::to_vec_pretty(values)?) };
        let sealed = cipher.encrypt(&self.pipe, &serde_json::to_string(values)?);
        Ok(serde_json::to_vec(&json!({SEALED: sealed.map_err(io::Error::other)?}))?)
    }

    /// Saves the valves. On an error the file is unchanged.
    ///
    /// A new file is written and synced under another name, then takes the name in one step, then
    /// the folder is synced: whenever the machine stops, the file is the old one or the new one.
    pub fn save(&self, values: &Values) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        // Values that another key has encrypted would be lost.
        if let Err(error) = self.read_values(&self.path())
            && error.kind() == io::ErrorKind::InvalidInput
        {
            return Err(error);
        }
        let content = self.encode(values)?;
        self.replace_file(&self.path(), &content)?;
        if let Err(error) = self.replace_file(&self.backup_path(), &content) {
            // The valves are saved; a copy of others is worse than none.
            tracing::warn!(%error, "The copy of the saved valves could not be written.");
            _ = fs::remove_file(self.backup_path());
        }
        Ok(())
    }

    /// Deletes the saved valves and the copies of them, and their folder if nothing else is in it.
    pub fn delete(&self) -> io::Result<()> {
        for path in [self.path(), self.backup_path(), self.corrupt_path()] {
            allow_missing(fs::remove_file(draft_path(&path)))?;
            allow_missing(fs::remove_file(path))?;
        }
        match allow_missing(fs::remove_dir(&self.folder)) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed,
        }
    }

    fn replace_file(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let draft = draft_path(path);
        let written = write_synced(&draft, content).and_then(|()| fs::rename(&draft, path));
        if written.is_err() {
            // The draft is of no use to anybody; if it cannot even be removed, the first error is
            // the one to tell.
            _ = fs::remove_file(&draft);
        }
        written.and_then(|()| File::open(&self.folder)?.sync_all())
    }
}

/// Accepts that a file to be removed does not exist.
fn allow_missing(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// Returns the name under which a new version of a file is written.
fn draft_path(path: &Path) -> PathBuf {
    path.with_extension("draft")
}

/// Returns whether the file exists but is corrupt. Other errors, such as missing permissions, are
/// no reason to change it.
fn is_corrupt(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = regular_file::open_regular(path, options)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

    fn values(prefix: &str) -> Values {
        Values::from_iter([("prefix".to_owned(), json!(prefix))])
    }

    #[test]
    fn what_was_saved_is_found_again_and_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let saved = ValvesFile::new(folder.path(), "echo", None);
        assert_eq!(saved.load(), LoadedValves::default());
        saved.save(&values("a")).unwrap();
        saved.save(&values("b")).unwrap();
        assert_eq!(saved.load().values, values("b"));
        assert_eq!(saved.read_values(&saved.backup_path()).unwrap(), Some(values("b")));
        assert_eq!(fs::metadata(saved.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_corrupt_file_is_moved_aside_and_the_last_good_one_serves() {
        let folder = tempfile::tempdir().unwrap();
        let saved = ValvesFile::new(folder.path(), "echo", None);
        saved.save(&values("a")).unwrap();
        saved.save(&values("b")).unwrap();
        for corrupt in ["", "{", "[]", "null", "\u{0}"] {
            fs::write(saved.path(), corrupt).unwrap();
            let found = saved.load();
            assert_eq!(found.values, values("b"), "{corrupt:?}");
            assert!(found.problem.unwrap().contains("valves.json.corrupt"));
            assert_eq!(
                saved.load(),
                LoadedValves { values: values("b"), ..LoadedValves::default() },
                "restored for good"
            );
        }
    }

    #[test]
    fn a_key_encrypts_both_files_and_no_other_key_reads_or_replaces_them() {
        let folder = tempfile::tempdir().unwrap();
        let plain = ValvesFile::new(folder.path(), "echo", None);
        plain.save(&values("in clear")).unwrap();
        let cipher = |text: &str| Cipher::for_valves(&text.repeat(32)).unwrap();
        let with = |cipher: &Cipher| ValvesFile::new(folder.path(), "echo", Some(cipher));
        let saved = with(&cipher("k"));
        assert_eq!(saved.load().values, values("in clear"), "saved before there was a key");
        saved.save(&values("canary")).unwrap();
        for path in [saved.path(), saved.backup_path()] {
            assert!(!fs::read_to_string(path).unwrap().contains("canary"));
        }
        assert_eq!(saved.load(), LoadedValves { values: values("canary"), ..Default::default() });
        for (other, words) in [(plain, "set the PIPEWRIGHT"), (with(&cipher("x")), "with another")]
        {
            let found = other.load();
            assert_eq!(found.values, Values::new());
            assert!(found.problem.unwrap().contains(words));
            other.save(&values("lost")).unwrap_err();
        }
        assert_eq!(saved.load().values, values("canary"));
    }

    #[test]
    fn a_save_that_fails_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let saved = ValvesFile::new(folder.path(), "echo", None);
        saved.save(&values("a")).unwrap();
        // A folder in the draft's place makes the write fail, for root too.
        fs::create_dir(saved.path().with_extension("draft")).unwrap();
        saved.save(&values("b")).unwrap_err();
        assert_eq!(saved.load().values, values("a"));
    }
}
