//! The data folder: whether it can be written to.

use anyhow::{Context, bail, ensure};
use rustix::fs::{Access, access};
use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// Checks that files can be written into the data folder, which is created if it does not exist.
///
/// # Errors
/// A sentence with the way out. A folder of another user, as a bind mount in a container often is,
/// gets the command that mends it.
pub fn check_data_folder(folder: &Path) -> anyhow::Result<()> {
    let probe: PathBuf = folder.join(".pipewright-check");
    let written = fs::create_dir_all(folder).and_then(|()| fs::write(&probe, b""));
    let Err(error) = written.and_then(|()| fs::remove_file(&probe)) else { return Ok(()) };
    let shown = folder.display();
    if error.kind() == io::ErrorKind::PermissionDenied
        && let (Ok(owner), Some(user)) = (fs::metadata(folder).map(|data| data.uid()), find_user())
        && owner != user
    {
        bail!(
            "the data folder `{shown}` belongs to user {owner}, and pipewright runs as user {user}: \
             run `chown -R {user} {shown}` on the host, or choose another folder with PIPELINES_DIR"
        );
    }
    Err(error).with_context(|| {
        format!("the data folder `{shown}` cannot be written to: choose another with PIPELINES_DIR")
    })
}

/// Describes the data folder. A folder that does not exist is not created.
///
/// # Errors
/// A sentence with the way out, if it cannot be written to or created.
pub fn describe_data_folder(folder: &Path) -> anyhow::Result<String> {
    let shown = folder.display();
    if folder.exists() {
        check_data_folder(folder)?;
        return Ok(format!("`{shown}` can be written to"));
    }
    let absolute = std::path::absolute(folder).with_context(|| format!("`{shown}` is no path"))?;
    let existing = absolute.ancestors().find(|parent| parent.exists()).unwrap_or(&absolute);
    ensure!(
        existing.is_dir(),
        "the data folder `{shown}` cannot be created: `{}` is no folder; choose another with \
         PIPELINES_DIR",
        existing.display()
    );
    access(existing, Access::WRITE_OK | Access::EXEC_OK).with_context(|| {
        format!(
            "the data folder `{shown}` cannot be created in `{}`: choose another with PIPELINES_DIR",
            existing.display()
        )
    })?;
    Ok(format!("`{shown}` does not exist, and would be created"))
}

/// Returns the id of the user that this process runs as.
fn find_user() -> Option<u32> {
    fs::metadata("/proc/self").ok().map(|data| data.uid())
}
