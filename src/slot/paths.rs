//! Checks of file paths and database URLs in valves.
//!
//! The admin who edits valves and the operator of the machine may be two people: the admin must not
//! read or write the files of the other. So a path that was entered lies in a folder that only the
//! operator names. A path that the operator sets, in `valves.toml` or the environment, is bound
//! less: it only keeps out of the kernel's folders and of the host's own files.

use crate::valves::PathKind;
use std::{
    borrow::Cow,
    fs, io,
    path::{Component, Path, PathBuf},
};
use url::Url;

/// The folders that paths in valves must lie in. An empty list means the one within the data
/// folder.
#[derive(Clone, Debug, Default)]
pub struct PathRoots {
    /// Folders whose files may be taken in.
    pub watched: Vec<PathBuf>,
    /// Folders in which indexes may be made.
    pub index: Vec<PathBuf>,
    /// Folders in which local models may be.
    pub models: Vec<PathBuf>,
    /// The names of folders within the data folder that belong to pipes.
    pub pipe_folders: Vec<&'static str>,
}

/// Folders of the kernel: what they hold are no files, and some of it are secrets.
const KERNEL_FOLDERS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The extensions of index files, so that no other file is taken for one.
const INDEX_EXTENSIONS: [&str; 3] = ["db", "sqlite", "sqlite3"];

impl PathRoots {
    fn roots_for(&self, kind: PathKind, data: &Path) -> Vec<PathBuf> {
        let named = match kind {
            PathKind::Watched => &self.watched,
            PathKind::Index => &self.index,
            PathKind::Models => &self.models,
        };
        let named = named.iter().filter(|root| !root.as_os_str().is_empty());
        let mut roots: Vec<PathBuf> = named.map(|root| data.join(root)).collect();
        if roots.is_empty() {
            roots.push(data.join(kind.defaults().0));
        }
        roots
    }

    /// Returns the path with all its links resolved, or the rule that it breaks. It counts from the
    /// data folder.
    ///
    /// # Errors
    ///
    /// The rule. It names no path of this machine.
    pub fn resolve(
        &self,
        kind: PathKind,
        data: &Path,
        text: &str,
        is_operators: bool,
    ) -> Result<PathBuf, String> {
        let unknown = |_| "must be a path that can be looked up".to_owned();
        let path = resolve_links(&data.join(text)).map_err(unknown)?;
        let data = resolve_links(data).map_err(unknown)?;
        if KERNEL_FOLDERS.iter().any(|folder| is_overlapping(&path, Path::new(folder))) {
            return Err("must not lie in /proc, /sys or /dev, nor hold them".into());
        }
        if kind == PathKind::Watched && self.is_host_folder(&path, &data) {
            return Err("must not be a folder with the host's own files".into());
        }
        if is_operators {
            return Ok(path);
        }
        let roots = self.roots_for(kind, &data);
        let is_within = |root: &PathBuf| {
            resolve_links(root).is_ok_and(|root| match kind {
                // The root itself is a folder and no index.
                PathKind::Index => path.starts_with(&root) && path != root,
                PathKind::Watched | PathKind::Models => path.starts_with(&root),
            })
        };
        if !roots.iter().any(is_within) {
            let (folder, variable) = kind.defaults();
            return Err(format!(
                "must lie in `{folder}` of the data folder, or in another folder that the operator names in {variable}"
            ));
        }
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        if kind == PathKind::Index && !INDEX_EXTENSIONS.contains(&extension) {
            return Err("must end in .db, .sqlite or .sqlite3".into());
        }
        Ok(path)
    }

    /// Returns whether a folder is, contains, or is part of the host's own files: everything in the
    /// data folder except folders that are made for documents.
    fn is_host_folder(&self, path: &Path, data: &Path) -> bool {
        if data.starts_with(path) {
            return true;
        }
        let Ok(within) = path.strip_prefix(data) else { return false };
        let first = within.components().next();
        let Some(Component::Normal(first)) = first else { return true };
        let is_pipe = |pipe: &&str| first == *pipe;
        self.pipe_folders.iter().any(is_pipe) || first == PathKind::Models.defaults().0
    }
}

/// Returns whether one of the paths contains the other.
fn is_overlapping(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// Resolves all links of a path; what does not exist yet is appended as it is.
fn resolve_links(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let (mut at, mut missing) = (path.as_path(), Vec::new());
    loop {
        match fs::canonicalize(at) {
            Ok(found) => return Ok(missing.iter().rev().fold(found, |path, name| path.join(name))),
            // A link that leads nowhere yet could lead anywhere later.
            Err(error) if error.kind() != io::ErrorKind::NotFound || at.is_symlink() => {
                return Err(error);
            }
            Err(error) => {
                let (Some(name), Some(parent)) = (at.file_name(), at.parent()) else {
                    return Err(error);
                };
                missing.push(name);
                at = parent;
            }
        }
    }
}

/// The parameters of a database's address that an admin may set. Others name files of the machine,
/// or a host in other words.
const DATABASE_PARAMETERS: [&str; 5] =
    ["sslmode", "connect_timeout", "application_name", "target_session_attrs", "channel_binding"];

/// Returns the rule that a database's address breaks, if it names files or sockets of this machine.
pub(super) fn find_database_url_violation(url: &str) -> Option<&'static str> {
    // The client that connects reports a text that is no address.
    let Ok(url) = Url::parse(url) else { return None };
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() || host.contains(['%', '/']) {
        return Some("must name a host: a socket of this machine is the operator's to name");
    }
    let is_fine = |(name, _): (Cow<'_, str>, _)| DATABASE_PARAMETERS.contains(&&*name);
    (!url.query_pairs().all(is_fine)).then_some(
        "must have no parameters but sslmode, connect_timeout, application_name, target_session_attrs and channel_binding: others are the operator's to set",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn watched(data: &Path, text: &str) -> Result<PathBuf, String> {
        PathRoots::default().resolve(PathKind::Watched, data, text, false)
    }

    #[test]
    fn links_and_dots_lead_out_of_no_root() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().canonicalize().unwrap().join("data");
        fs::create_dir_all(data.join("watched/own")).unwrap();
        fs::create_dir_all(data.join("rag")).unwrap();
        fs::create_dir_all(folder.path().join("other")).unwrap();
        symlink("/etc", data.join("watched/etc")).unwrap();
        symlink("nowhere", data.join("watched/dangling")).unwrap();
        symlink("own", data.join("watched/alias")).unwrap();
        let long = format!("watched/{}", "x".repeat(300));
        for text in [
            ".",
            "..",
            "",
            "/",
            "/etc",
            "/proc/self",
            "/proc",
            "watched/etc",
            "watched/etc/ssl",
            "watched/dangling",
            "watched/../rag",
            "watched/missing/../../../other",
            "watched/own/../../..",
            "rag",
            "watchedx",
            "../other",
            "watched\u{2215}..",
            "wätched",
            &long,
            "watched/\0",
            "/dev/fd",
            "/sys",
        ] {
            assert!(watched(&data, text).is_err(), "{text:?}");
        }
        for (text, within) in [
            ("watched", "watched"),
            ("watched/own", "watched/own"),
            ("watched/alias", "watched/own"),
            ("watched/later/on", "watched/later/on"),
            ("./watched//own/.", "watched/own"),
            ("watched/own/..", "watched"),
        ] {
            assert_eq!(watched(&data, text), Ok(data.join(within)), "{text:?}");
        }
    }

    #[test]
    fn a_root_of_everything_still_keeps_the_host_s_own_files_and_the_kernel_s_out() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().canonicalize().unwrap();
        let roots = PathRoots {
            watched: vec!["/".into()],
            pipe_folders: vec!["rag", "bedrock_models"],
            ..PathRoots::default()
        };
        let is_allowed = |text: &str, is_operators| {
            roots.resolve(PathKind::Watched, &data, text, is_operators).is_ok()
        };
        for is_operators in [false, true] {
            for text in [".", "/", "/proc/self", "/sys/fs", "/dev", "rag", "bedrock_models", ".."] {
                assert!(!is_allowed(text, is_operators), "{text:?}");
            }
            assert!(is_allowed("docs", is_operators) && is_allowed("/srv/docs", is_operators));
        }
    }

    #[test]
    fn an_index_is_a_file_of_its_own_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let roots = PathRoots::default();
        let resolve_index = |text: &str| roots.resolve(PathKind::Index, folder.path(), text, false);
        for text in [
            "rag/valves.json",
            "rag",
            "host.lock",
            "usage.db",
            "rag/../usage.db",
            "/tmp/x.db",
            "rag/x.db-wal",
        ] {
            assert!(resolve_index(text).is_err(), "{text}");
        }
        for text in ["rag/index.db", "rag/more/other.sqlite3"] {
            assert!(resolve_index(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_database_is_a_host_and_no_file() {
        for (url, is_fine) in [
            ("postgres://me:secret@db.example/docs?sslmode=verify-full", true),
            ("postgres://me@db.example/docs?sslrootcert=/etc/shadow", false),
            ("postgres:///docs?host=/var/run/postgresql", false),
            ("postgres://%2Fvar%2Frun%2Fpostgresql/docs", false),
            ("postgres://db.example/docs?host=/var/run/postgresql", false),
            ("postgres://db.example/docs?options=-c%20x", false),
        ] {
            assert_eq!(find_database_url_violation(url).is_none(), is_fine, "{url}");
        }
    }
}
