//! Files that the operator names: settings, valves, prices, secrets. They are read only if they are
//! regular files, so that a FIFO or a device cannot hold the host for ever.

use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

/// The maximum size of a file, in bytes.
const MAX_BYTES: u64 = 16 << 20;

/// Opens a file, or refuses at once if it is a folder, a FIFO or a device. Links are followed.
///
/// # Errors
/// Returns an error if the file cannot be opened, or is not a regular file.
pub fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Without it, opening a FIFO waits until somebody opens its other end. Files do not mind.
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = options.custom_flags(nonblocking).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Reads a file whole.
///
/// # Errors
/// Returns an error if the file cannot be read, is not a regular file, or is larger than such files
/// may be.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path, OpenOptions::new().read(true))?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 16 MiB"));
    }
    Ok(bytes)
}

/// Reads a text file whole.
///
/// # Errors
/// As [`read`], and when it is not UTF-8.
pub fn read_to_string(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for path in [&fifo, folder.path(), Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = read(path).unwrap_err();
            assert_eq!(error.to_string(), "it is not a regular file", "{}", path.display());
        }
        // Writing to a FIFO that nobody reads would wait too.
        open_regular(&fifo, OpenOptions::new().write(true)).unwrap_err();
        assert_eq!(read(&folder.path().join("x")).unwrap_err().kind(), io::ErrorKind::NotFound);
        let file = folder.path().join("large");
        File::create(&file).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(read(&file).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
        File::create(&file).unwrap().set_len(MAX_BYTES).unwrap();
        assert_eq!(read(&folder.path().join("link")).unwrap().len() as u64, MAX_BYTES);
    }
}
