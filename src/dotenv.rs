//! The file `.env` of the working directory or of a folder above it, whose lines become variables
//! of the environment unless they are set already.

use anyhow::{Context, bail};
use pipewright::regular_file;
use std::{env, io};

/// Loads the nearest `.env`. There need not be one.
pub fn load() -> anyhow::Result<()> {
    let folder = env::current_dir().context("the working directory is gone")?;
    for folder in folder.ancestors() {
        match regular_file::read(&folder.join(".env")) {
            Ok(bytes) => return set_variables(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            // A folder of that name, as virtual environments of Python have, is no such file.
            Err(_) if folder.join(".env").is_dir() => {}
            Err(error) => bail!("cannot read .env: {error}"),
        }
    }
    Ok(())
}

fn set_variables(bytes: &[u8]) -> anyhow::Result<()> {
    // Its own words would show the line, and with it a secret.
    dotenvy::from_read(bytes)
        .map_err(|_| anyhow::anyhow!("cannot read .env: it holds a line that is not `NAME=value`"))
}
