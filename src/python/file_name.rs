//! Names of Python files, and the links that they come from.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// The longest name of a file, without its extension.
const MAX_NAME_BYTES: usize = 100;

/// Names of folders and modules that a file must not take.
const RESERVED_NAMES: [&str; 5] = ["python", "models", "watched", "failed", "pipewright"];

/// The most names that are kept while the host runs.
const MAX_INTERNED: usize = 4096;

/// The names of files, each of which is kept once.
static INTERNED: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);

/// Returns the name as one that lives as long as the host, as the ids of pipes do. `None` if too
/// many names have come by.
pub fn intern(name: &str) -> Option<&'static str> {
    let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    let names = interned.get_or_insert_default();
    if let Some(known) = names.get(name) {
        return Some(known);
    }
    if names.len() >= MAX_INTERNED {
        return None;
    }
    let name: &'static str = name.to_owned().leak();
    names.insert(name);
    Some(name)
}

/// Returns whether a file can have this name: letters, digits, `_` and `-`.
fn is_valid_name(name: &str) -> bool {
    let is_valid = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-';
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.chars().all(is_valid)
}

/// Returns whether a file can give its pipe this id: words of letters, digits, `_` and `-`, with
/// spaces between them.
pub fn is_valid_id(id: &str) -> bool {
    id.len() <= MAX_NAME_BYTES && id.split(' ').all(is_valid_name)
}

/// Returns the name of a file without `.py`.
///
/// # Errors
/// Returns an error if it is no Python file, or its name cannot be the id of a pipe.
pub fn parse_file_name(file_name: &str, compiled: &[&str]) -> Result<&'static str, String> {
    let stem = file_name.strip_suffix(".py").ok_or("the file's name must end in `.py`")?;
    if !is_valid_name(stem) {
        return Err(format!(
            "the file's name must have letters, digits, `_` and `-` only, and at most {MAX_NAME_BYTES} of them"
        ));
    }
    if compiled.contains(&stem) || RESERVED_NAMES.contains(&stem) {
        return Err(format!("`{stem}` is a name of pipewright's own: rename the file"));
    }
    intern(stem).ok_or_else(|| "too many files were added since the host was started".to_owned())
}

/// Returns the link to the raw file for a link to a file's page on GitHub, and any other link as
/// it is.
pub fn to_raw_url(url: &str) -> String {
    let path = url.strip_prefix("https://github.com/");
    let parts = path.and_then(|path| {
        let (owner, rest) = path.split_once('/')?;
        let (repository, rest) = rest.split_once("/blob/")?;
        let is_plain = !repository.contains('/');
        is_plain.then(|| format!("https://raw.githubusercontent.com/{owner}/{repository}/{rest}"))
    });
    parts.unwrap_or_else(|| url.to_owned())
}

/// Returns the name of the file that a link leads to.
pub fn file_name_of_url(url: &str) -> String {
    let path = url::Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        let long = "x".repeat(101) + ".py";
        for bad in
            ["x.txt", "../x.py", "a/b.py", ".py", "a b.py", "rag.py", "python.py", "ü.py", &long]
        {
            parse_file_name(bad, &["rag"]).unwrap_err();
        }
        assert_eq!(parse_file_name("my_pipe-2.py", &["rag"]), Ok("my_pipe-2"));
    }

    #[test]
    fn ids_may_have_several_words() {
        for (id, is_valid) in [("my pipe", true), ("", false), (" pipe", false), ("a.b", false)] {
            assert_eq!(is_valid_id(id), is_valid, "{id}");
        }
    }

    #[test]
    fn pages_of_github_lead_to_the_raw_file() {
        assert_eq!(
            to_raw_url("https://github.com/open-webui/pipelines/blob/main/examples/x.py"),
            "https://raw.githubusercontent.com/open-webui/pipelines/main/examples/x.py"
        );
        for other in ["https://example.com/x.py", "https://github.com/a/b/c/blob/main/x.py"] {
            assert_eq!(to_raw_url(other), other);
        }
        assert_eq!(file_name_of_url("https://example.com/a/x.py?raw=true#top"), "x.py");
    }
}
