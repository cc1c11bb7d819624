//! The properties of a file that can be read without running it.

use crate::{
    packages::{BUNDLED_PACKAGES, HELPER_IMPORTS, PACKAGE_ALIASES, STANDARD_MODULES},
    requirements::Requirements,
};
use std::collections::{BTreeMap, BTreeSet};

/// The text of a pipeline's file.
#[derive(Clone, Debug)]
pub struct PipelineSource {
    text: String,
}

impl PipelineSource {
    /// Returns the source with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// Returns the fields of the front matter: `key: value` lines in the docstring at the start.
    pub fn front_matter(&self) -> BTreeMap<String, String> {
        let text = self.text.trim_start_matches('\u{feff}');
        let docstring = text.strip_prefix("\"\"\"").and_then(|rest| rest.split_once("\"\"\""));
        let lines = docstring.map_or("", |(docstring, _)| docstring).lines();
        let field = |line: &str| {
            let (key, value) = line.split_once(':')?;
            Some((key.trim().to_lowercase(), value.trim().to_owned()))
        };
        lines.filter_map(field).collect()
    }

    /// Returns the names of the modules that the file imports.
    pub fn imports(&self) -> BTreeSet<&str> {
        self.text.lines().map(str::trim_start).flat_map(imported_modules).collect()
    }

    /// Returns the modules it imports that the reference server's image brings along, each with
    /// its package.
    pub fn bundled_imports(&self) -> Vec<(&'static str, &'static str)> {
        let mut imports = self.imports();
        for (helper, modules) in HELPER_IMPORTS {
            if imports.iter().any(|import| is_within(import, helper)) {
                imports.extend(modules);
            }
        }
        let is_imported = |module: &str| imports.iter().any(|import| is_within(import, module));
        BUNDLED_PACKAGES.into_iter().filter(|(module, _)| is_imported(module)).collect()
    }

    /// Returns the requirements of the front matter.
    ///
    /// # Errors
    /// Returns an error if one of them is no requirement.
    pub fn requirements(&self) -> Result<Requirements, String> {
        let front_matter = self.front_matter();
        let listed = front_matter.get("requirements").map_or("", String::as_str).split(',');
        let wanted = listed
            .map(str::trim)
            .filter(|one| !one.is_empty() && !STANDARD_MODULES.contains(one))
            .map(|one| {
                PACKAGE_ALIASES
                    .iter()
                    .find(|(name, _)| *name == one)
                    .map_or(one, |(_, package)| package)
            });
        wanted.map(str::to_owned).collect::<Vec<_>>().try_into()
    }
}

fn is_within(import: &str, module: &str) -> bool {
    import == module || import.strip_prefix(module).is_some_and(|rest| rest.starts_with('.'))
}

/// Returns the modules that a line imports: `import a.b, c as d` or `from a.b import c`.
fn imported_modules(line: &str) -> Vec<&str> {
    let is_name = |char: char| char.is_alphanumeric() || char == '_' || char == '.';
    let name = |text: &'_ str| -> usize { text.find(|char| !is_name(char)).unwrap_or(text.len()) };
    if let Some(rest) = line.strip_prefix("from ") {
        let rest = rest.trim_start();
        return rest.get(..name(rest)).into_iter().collect();
    }
    let Some(rest) = line.strip_prefix("import ") else { return Vec::new() };
    let names = rest.split(',').map(str::trim_start);
    names.filter_map(|text| text.get(..name(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#""""
title: A pipeline
Requirements: one==1.0, two[extra]>=2, os, yaml
"""

import os, requests
from typing import List
from google.generativeai import x
try:
    import numpy.linalg as linalg
except ImportError:
    pass
from schemas import OpenAIChatMessage
text = "import torch"
"#;

    #[test]
    fn front_matter_and_imports_are_read() {
        let source = PipelineSource::new(FILE);
        assert_eq!(source.front_matter()["title"], "A pipeline");
        assert_eq!(
            source.requirements().unwrap().packages(),
            ["PyYAML", "one==1.0", "two[extra]>=2"]
        );
        let packages: Vec<_> = source.bundled_imports().into_iter().map(|(_, name)| name).collect();
        assert_eq!(packages, ["google-generativeai", "numpy", "pydantic", "requests"]);
    }

    #[test]
    fn an_option_of_pip_is_no_requirement() {
        for bad in ["--index-url=http://x", "-e .", "a\tb"] {
            let source = PipelineSource::new(format!("\"\"\"\nrequirements: {bad}\n\"\"\"\n"));
            source.requirements().unwrap_err();
        }
    }
}
