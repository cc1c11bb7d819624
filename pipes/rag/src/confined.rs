//! A folder that is read without ever leaving it: no link is followed, neither in its own path nor beneath it.
//!
//! Every step is an `openat` with `O_NOFOLLOW` from the folder before it, so that a link that takes a folder's place between a check and
//! the opening leads to an error and not to another file.

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
    time::{Duration, SystemTime},
};

/// When a file was last written, and how many bytes it has: differs when the file does.
pub type Stamp = (Option<SystemTime>, u64);

/// A folder that is open.
pub(crate) struct Folder(OwnedFd);

/// A folder of more files than these is not read.
const MOST_FILES: usize = 100_000;

/// Filesystems that hold no documents but the kernel's own data, by their magic numbers (statfs(2)): proc, sysfs, debugfs, tracefs, cgroup, cgroup2,
/// securityfs, devpts, bpf.
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

impl Folder {
    /// Opens the folder of this absolute path.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut at = open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        for component in path.components() {
            match component {
                Component::RootDir => {}
                Component::Normal(name) => {
                    at = openat(&at, name, step(), Mode::empty())?;
                }
                Component::CurDir | Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::ErrorKind::InvalidInput.into());
                }
            }
        }
        Self(at).beneath("")
    }

    /// Lists every file in the folder by its path within, with slashes. What is hidden stays out, and so do links, which may lead elsewhere,
    /// and what is no file: a pipe would be read for ever.
    pub(crate) fn files(&self) -> io::Result<BTreeMap<String, Stamp>> {
        let mut files = BTreeMap::new();
        let mut open = vec![String::new()];
        while let Some(within) = open.pop() {
            let Self(folder) = self.beneath(&within)?;
            for entry in Dir::read_from(&folder)? {
                let entry = entry?;
                let Ok(name) = entry.file_name().to_str() else { continue };
                if name.starts_with('.') {
                    continue;
                }
                let stat = match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => stat,
                    // It was deleted meanwhile.
                    Err(Errno::NOENT) => continue,
                    Err(error) => return Err(error.into()),
                };
                let id = if within.is_empty() { name.into() } else { format!("{within}/{name}") };
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::Directory => open.push(id),
                    FileType::RegularFile => _ = files.insert(id, stamp(&stat)),
                    _ => {}
                }
                if files.len() + open.len() > MOST_FILES {
                    return Err(io::Error::other(format!("it has more than {MOST_FILES} files")));
                }
            }
        }
        Ok(files)
    }

    /// Reads a file of the folder, up to this many bytes.
    ///
    /// # Errors
    ///
    /// What is no file, is larger, or lies behind a link.
    pub(crate) fn read(&self, id: &str, most: u64) -> io::Result<Vec<u8>> {
        let (within, name) = id.rsplit_once('/').unwrap_or(("", id));
        let Self(folder) = self.beneath(within)?;
        // Opening a pipe would wait for whoever writes to it.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, name, flags, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is no file"));
        }
        let mut bytes = Vec::new();
        File::from(file).take(most + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes)
    }

    /// Opens the folder of this path within, to be listed.
    fn beneath(&self, within: &str) -> io::Result<Self> {
        let mut at = openat(&self.0, ".", step(), Mode::empty())?;
        for name in within.split('/').filter(|name| !name.is_empty()) {
            if name == ".." {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            at = openat(&at, name, step(), Mode::empty())?;
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

/// How a folder is opened that is passed through.
fn step() -> OFlags {
    OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn stamp(stat: &rustix::fs::Stat) -> Stamp {
    let seconds = u64::try_from(stat.st_mtime).ok();
    let nanos = u32::try_from(stat.st_mtime_nsec).unwrap_or_default();
    let modified = seconds.and_then(|seconds| {
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos.min(999_999_999)))
    });
    (modified, u64::try_from(stat.st_size).unwrap_or_default())
}
