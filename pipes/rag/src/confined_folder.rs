//! A folder that is read without ever leaving it: no link is followed, neither in its own path nor
//! within it.
//!
//! Every step is an `openat` with `O_NOFOLLOW` from the folder before it, so that a link that takes
//! a folder's place between a check and the opening leads to an error and not to another file.

use crate::file_fingerprint::FileStamp;
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, fstatfs, open, openat, statat},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Component, Path},
};

/// An open folder.
pub(crate) struct ConfinedFolder(OwnedFd);

/// The files of a folder, by their paths within it.
#[derive(Debug, Default)]
pub struct FolderListing {
    /// The files, with the stamps that change when they do.
    pub files: BTreeMap<String, FileStamp>,
    /// The folders and files that could not be read, with the reasons.
    pub unreadable: BTreeMap<String, String>,
}

impl FolderListing {
    /// Returns true if this path, or a folder above it, could not be read, so that the file may
    /// exist.
    pub(crate) fn is_unreadable(&self, path: &str) -> bool {
        self.unreadable.keys().any(|unreadable| {
            let rest = path.strip_prefix(unreadable.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// The reason why a file is not read whose name is in another encoding.
const UNREADABLE_NAME: &str = "its name is not in UTF-8: rename it";

/// The maximum number of files in a folder.
const MAX_FILES: usize = 100_000;

/// Filesystems that hold the kernel's own data instead of documents, by their magic numbers
/// (statfs(2)): proc, sysfs, debugfs, tracefs, cgroup, cgroup2, securityfs, devpts, bpf.
const KERNEL_FILESYSTEMS: [u64; 9] = [
    0x9fa0,
    0x6265_6572,
    0x6462_6720,
    0x7472_6163,
    0x0027_e0eb,
    0x6367_7270,
    0x7363_6673,
    0x1cd1,
    0xcafe_4a11,
];

impl ConfinedFolder {
    /// Opens the folder of this absolute path.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut at = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for component in path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => {
                    at = openat(&at, name, path_flags(), Mode::empty())?;
                }
                Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
            }
        }
        Self(at).open_subfolder("")
    }

    /// Lists the files of the folder and of the folders in it. Hidden files are left out, and so
    /// are links, which may lead elsewhere, and what is no file, such as a pipe. A folder within
    /// that cannot be read is reported, and does not stop the listing.
    pub(crate) fn list_files(&self) -> io::Result<FolderListing> {
        let mut listing = FolderListing::default();
        let mut folders = vec![String::new()];
        while let Some(path) = folders.pop() {
            match self.list_folder(&path, &mut listing, &mut folders) {
                Err(error) if !path.is_empty() => {
                    listing.unreadable.insert(path, error.to_string());
                }
                listed => listed?,
            }
            if listing.files.len() + listing.unreadable.len() + folders.len() > MAX_FILES {
                return Err(io::Error::other(format!("it has more than {MAX_FILES} files")));
            }
        }
        Ok(listing)
    }

    /// Adds the files of one folder to the listing, and its folders to `folders`.
    fn list_folder(
        &self,
        path: &str,
        listing: &mut FolderListing,
        folders: &mut Vec<String>,
    ) -> io::Result<()> {
        let Self(folder) = self.open_subfolder(path)?;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let id = if path.is_empty() { name.to_string() } else { format!("{path}/{name}") };
            // An id is UTF-8, so that a file with another name could not be opened by it.
            let Ok(name) = entry.file_name().to_str() else {
                listing.unreadable.insert(id, UNREADABLE_NAME.to_owned());
                continue;
            };
            let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It was deleted meanwhile.
                Err(Errno::NOENT) => continue,
                Err(error) => {
                    listing.unreadable.insert(id, error.to_string());
                    continue;
                }
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => folders.push(id),
                FileType::RegularFile => _ = listing.files.insert(id, to_stamp(&stat)),
                _ => {}
            }
            if listing.files.len() + listing.unreadable.len() + folders.len() > MAX_FILES {
                break;
            }
        }
        Ok(())
    }

    /// Reads a file of the folder, of at most `max_bytes`.
    ///
    /// # Errors
    ///
    /// If it is no file, is larger, or lies behind a link.
    pub(crate) fn read(&self, id: &str, max_bytes: u64) -> io::Result<Vec<u8>> {
        let (folder_path, name) = id.rsplit_once('/').unwrap_or(("", id));
        let Self(folder) = self.open_subfolder(folder_path)?;
        // Opening a pipe would wait for whoever writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, name, flags, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        File::from(file).take(max_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// Opens a folder within, for listing.
    fn open_subfolder(&self, path: &str) -> io::Result<Self> {
        let mut at = openat(&self.0, ".", path_flags(), Mode::empty())?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if name == ".." {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            at = openat(&at, name, path_flags(), Mode::empty())?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(&at, ".", flags, Mode::empty())?;
        let magic = u64::try_from(fstatfs(&folder)?.f_type).unwrap_or_default();
        if KERNEL_FILESYSTEMS.contains(&magic) {
            return Err(io::Error::other("it holds the kernel's own data"));
        }
        Ok(Self(folder))
    }
}

/// Returns the flags for opening a folder on the way to another.
fn path_flags() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn to_stamp(stat: &rustix::fs::Stat) -> FileStamp {
    FileStamp {
        bytes: u64::try_from(stat.st_size).unwrap_or_default(),
        seconds: stat.st_mtime,
        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or_default(),
    }
}
