//! The packages that a file needs.

use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// The packages that a file needs, in the form that `pip install` takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Requirements {
    packages: Vec<String>,
    /// A `requirements.txt` of the operator, and its content.
    file: Option<(PathBuf, Vec<u8>)>,
}

/// The largest number of requirements of one file.
const MAX_REQUIREMENTS: usize = 200;
/// The largest length of one requirement, in bytes.
const MAX_REQUIREMENT_BYTES: usize = 500;

impl TryFrom<Vec<String>> for Requirements {
    type Error = String;

    fn try_from(mut packages: Vec<String>) -> Result<Self, String> {
        // A line that begins with a dash would be read as an option, as in `--index-url`.
        let is_valid = |one: &String| {
            one.len() <= MAX_REQUIREMENT_BYTES
                && one.starts_with(|char: char| char.is_ascii_alphanumeric())
                && !one.contains(char::is_control)
        };
        if packages.len() > MAX_REQUIREMENTS {
            return Err(format!("requirements: more than {MAX_REQUIREMENTS} packages"));
        }
        if let Some(bad) = packages.iter().find(|one| !is_valid(one)) {
            let bad: String = bad.chars().take(60).collect();
            return Err(format!("requirements: `{bad}` is not the name of a package"));
        }
        packages.sort();
        packages.dedup();
        Ok(Self { packages, file: None })
    }
}

impl Requirements {
    /// Adds a package.
    #[must_use]
    pub fn with_package(mut self, package: &str) -> Self {
        if !self.packages.iter().any(|one| one == package) {
            self.packages.push(package.to_owned());
            self.packages.sort();
        }
        self
    }

    /// Adds a `requirements.txt` with this content.
    #[must_use]
    pub fn with_file(self, path: &Path, content: Vec<u8>) -> Self {
        Self { file: Some((path.to_owned(), content)), ..self }
    }

    /// Returns the packages in order.
    pub fn packages(&self) -> &[String] {
        &self.packages
    }

    /// Returns whether nothing has to be installed.
    pub fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.file.is_none()
    }

    /// Returns the arguments of `pip install`.
    pub fn arguments(&self) -> Vec<String> {
        let file = self
            .file
            .iter()
            .flat_map(|(path, _)| ["-r".to_owned(), path.to_string_lossy().into_owned()]);
        file.chain(self.packages.iter().cloned()).collect()
    }

    /// Returns the file of the operator.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_ref().map(|(path, _)| path.as_path())
    }

    /// Returns a name for the environment of these requirements with this version of Python.
    pub fn digest(&self, python: &str) -> String {
        let mut hash = Sha256::new();
        let content = self.file.as_ref().map_or(&[][..], |(_, content)| content);
        let texts = self.packages.iter().map(String::as_bytes);
        for text in [python.as_bytes(), content].into_iter().chain(texts) {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }
}
