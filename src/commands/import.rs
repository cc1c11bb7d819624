//! `pipewright import`: settings of other servers become valves and variables.

mod access_gateway;
mod litellm;
mod pipelines;
mod upstreams;

use super::{placeholder, print};
use anyhow::{Context, bail, ensure};
use pipewright::{cli::ImportSource, regular_file};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::OpenOptions,
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

/// The outcome of importing the settings of another server.
#[derive(Debug, Default)]
struct Imported {
    /// Valves by pipe and name, for `valves.toml`.
    valves: BTreeMap<&'static str, BTreeMap<&'static str, Value>>,
    /// Variables, for `.env`.
    variables: BTreeMap<String, String>,
    /// Names of models there and here.
    models: BTreeMap<String, String>,
    /// The settings that have no counterpart, with advice.
    notes: Vec<String>,
}

/// The text that is shown in place of a secret.
const MASK: &str = "********";

/// The valves that hold secrets.
const SECRET_VALVES: [&str; 6] = [
    "aws_secret_access_key",
    "aws_session_token",
    "bedrock_api_key",
    "api_key",
    "more_api_keys",
    "aws_access_key_id",
];

/// Prints what becomes of the settings, or writes it into files of this folder.
pub fn import(source: &ImportSource, folder: Option<&Path>) -> anyhow::Result<()> {
    let imported = match source {
        ImportSource::AccessGateway { file } => {
            access_gateway::import(&read_variables(file.as_deref())?)
        }
        ImportSource::Litellm { file } => litellm::import(&read(file)?, env)?,
        ImportSource::Pipelines { folder } => pipelines::import(folder)?,
    };
    match folder {
        // Files without a line would be in the way of the next try.
        Some(_) if imported.is_empty() => print(&imported.describe_rest()),
        None => print(&imported.describe(true)),
        Some(folder) => {
            write_new(&folder.join("valves.toml"), &imported.valves_file(false))?;
            write_new(&folder.join(".env"), &imported.variables_file(false))?;
            let place = folder.display();
            print(&format!(
                "Wrote {place}/valves.toml and {place}/.env.\n\n{}",
                imported.describe_rest()
            ))
        }
    }
}

/// Returns the value of an environment variable, unless it is empty.
fn env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads a file that the operator names.
fn read(path: &Path) -> anyhow::Result<String> {
    regular_file::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Returns the variables of a file of lines `NAME=value`, or of the environment.
fn read_variables(file: Option<&Path>) -> anyhow::Result<BTreeMap<String, String>> {
    let Some(file) = file else {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        return Ok(std::env::vars_os().filter_map(text).collect());
    };
    let mut variables = BTreeMap::new();
    for (number, line) in read(file)?.lines().enumerate() {
        let line = line.trim().trim_start_matches("export ").trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            bail!("{}:{}: must be a line NAME=value", file.display(), number + 1);
        };
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            value.strip_prefix(quote).and_then(|value| value.strip_suffix(quote))
        });
        variables.insert(name.trim().to_owned(), quoted.unwrap_or(value).to_owned());
    }
    Ok(variables)
}

/// Writes a file that only its owner can read. A file that is there is not replaced.
fn write_new(path: &PathBuf, text: &str) -> anyhow::Result<()> {
    ensure!(!path.exists(), "{} is there already: name another folder", path.display());
    let context = || format!("cannot write {}", path.display());
    let mut file = OpenOptions::new();
    let mut file =
        file.write(true).create_new(true).mode(0o600).open(path).with_context(context)?;
    file.write_all(text.as_bytes()).with_context(context)
}

impl Imported {
    /// Sets a valve of a pipe.
    fn set(&mut self, pipe: &'static str, valve: &'static str, value: impl Into<Value>) {
        self.valves.entry(pipe).or_default().insert(valve, value.into());
    }

    /// Adds a note for the operator.
    fn note(&mut self, words: impl Into<String>) {
        self.notes.push(words.into());
    }

    /// Returns whether nothing was found that can be set here.
    fn is_empty(&self) -> bool {
        self.valves.is_empty() && self.variables.is_empty() && self.models.is_empty()
    }

    /// Returns the variables whose values are missing from the files.
    fn missing_variables(&self) -> BTreeSet<String> {
        let texts = self.valves.values().flat_map(BTreeMap::values).map(Value::to_string);
        let mut names = BTreeSet::new();
        for text in texts.chain(self.variables.values().cloned()) {
            names.extend(placeholder::find_variables(&text).map(str::to_owned));
        }
        names
    }

    /// Returns the models whose names clients must change. Bedrock's have their names as aliases.
    fn renamed_models(&self) -> Vec<(&String, &String)> {
        let is_renamed = |(there, here): &(&String, &String)| {
            here.strip_prefix("openai_proxy.").is_some_and(|id| id != *there)
        };
        self.models.iter().filter(is_renamed).collect()
    }

    /// Returns everything as one text.
    fn describe(&self, is_masked: bool) -> String {
        let mut text = format!(
            "# valves.toml\n{}\n# .env\n{}\n",
            self.valves_file(is_masked),
            self.variables_file(is_masked)
        );
        if is_masked && text.contains(MASK) {
            text += "# Secrets are masked: `--write FOLDER` writes the files with them.\n\n";
        }
        text + &self.describe_rest()
    }

    fn valves_file(&self, is_masked: bool) -> String {
        let mut text = String::new();
        for (pipe, valves) in &self.valves {
            _ = writeln!(text, "[{pipe}]");
            for (valve, value) in valves {
                let is_secret = is_masked && SECRET_VALVES.contains(valve);
                let value = if is_secret { MASK.into() } else { value.clone() };
                _ = writeln!(text, "{valve} = {value}");
            }
            text.push('\n');
        }
        text
    }

    fn variables_file(&self, is_masked: bool) -> String {
        let is_secret = |name: &str| is_masked && (name.contains("KEY") || name.contains("TOKEN"));
        let line = |(name, value): (&String, &String)| {
            let value = if is_secret(name) { MASK } else { value };
            format!("{name}={value}\n")
        };
        self.variables.iter().map(line).collect()
    }

    /// Returns the names of models and what has no counterpart, as comments.
    fn describe_rest(&self) -> String {
        let mut text = String::new();
        let missing = self.missing_variables();
        if !missing.is_empty() {
            text += "# Not set in this shell: set them and import again, or replace the texts\n\
                     # `<the value of …>` in the files before you start\n";
            for name in missing {
                _ = writeln!(text, "#   {name}");
            }
            text.push('\n');
        }
        if !self.models.is_empty() {
            text += "# Models: their names there, and their ids here\n";
            for (there, here) in &self.models {
                _ = writeln!(text, "#   {there} -> {here}");
            }
            text.push('\n');
        }
        let renamed = self.renamed_models();
        if !renamed.is_empty() {
            text += "# CLIENTS MUST CHANGE: these names end in status 404 here\n";
            for (there, here) in renamed {
                _ = writeln!(text, "#   {there}: clients must ask for {here}");
            }
            text.push('\n');
        }
        if self.is_empty() {
            text += "# Nothing was found that can be imported, and no file is written.\n";
        } else if self.notes.is_empty() {
            text += "# Everything has a counterpart.\n";
        }
        if !self.notes.is_empty() {
            text += "# Without a counterpart, or to be done by hand\n";
        }
        for note in &self.notes {
            _ = writeln!(text, "#   {note}");
        }
        text
    }
}
