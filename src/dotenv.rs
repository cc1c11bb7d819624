//! The file `.env` of the working folder, whose lines become variables of the environment unless
//! they are set already.
//!
//! The syntax is that of `docker run --env-file`, with quotes as in Docker Compose: `NAME=value`,
//! comments that begin with `#`, `'literal'` and `"escaped"` values. `$` has no meaning.

use anyhow::{Context, bail};
use pipewright::regular_file;
use std::{collections::BTreeSet, env, fmt::Write, io, path::Path};

/// The variables that the file has set.
#[derive(Debug, Default)]
pub struct LoadedVariables(BTreeSet<String>);

impl LoadedVariables {
    /// Returns whether the file has set this variable.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

/// Loads `.env`. There need not be one.
///
/// # Errors
/// The file cannot be read, or one of its lines is invalid. The error names the number of the line
/// and never its content, which may be a secret.
pub fn load() -> anyhow::Result<LoadedVariables> {
    let path = Path::new(".env");
    let text = match regular_file::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        // Virtual environments of Python have a folder of that name.
        Err(_) if path.is_dir() => return Ok(Default::default()),
        Err(error) => bail!("cannot read .env: {error}"),
    };
    let is_unset = |name: &str| env::var_os(name).is_none_or(|value| value.is_empty());
    let mut variables = parse(&text)?;
    variables.retain(|(name, value)| is_unset(name) && !value.is_empty());
    // As in Docker, the last setting of a name wins.
    let script = variables.iter().fold(String::new(), |mut script, (name, value)| {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$");
        // A text can always be written to.
        _ = writeln!(script, "{name}=\"{}\"", value.replace('\n', "\\n"));
        script
    });
    dotenvy::from_read_override(script.as_bytes()).context("cannot set the variables of .env")?;
    Ok(LoadedVariables(variables.into_iter().map(|(name, _)| name).collect()))
}

/// Parses the lines of the file.
fn parse(text: &str) -> anyhow::Result<Vec<(String, String)>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=') else {
            // In Docker's files, a name alone passes on a variable that is set already.
            if is_name(line) {
                continue;
            }
            bail!("cannot read .env: line {} is not `NAME=value`", index + 1);
        };
        let name = name.trim_end();
        if !is_name(name) {
            bail!(
                "cannot read .env: line {} begins with a name that is no variable's: use letters, \
                 digits and `_`",
                index + 1
            );
        }
        let value = parse_value(value.trim()).with_context(|| {
            format!("cannot read .env: line {} has a quote that does not end", index + 1)
        })?;
        variables.push((name.to_owned(), value));
    }
    Ok(variables)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}

/// Returns the value without its quotes and the comment after it; `None` if a quote does not end.
fn parse_value(text: &str) -> Option<String> {
    let is_end = |rest: &str| {
        let rest = rest.trim_start();
        rest.is_empty() || rest.starts_with('#')
    };
    if let Some(quoted) = text.strip_prefix('\'') {
        let (value, rest) = quoted.split_once('\'')?;
        return is_end(rest).then(|| value.to_owned());
    }
    if let Some(quoted) = text.strip_prefix('"') {
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => return is_end(chars.as_str()).then_some(value),
                '\\' => match chars.next()? {
                    'n' => value.push('\n'),
                    'r' => value.push('\r'),
                    't' => value.push('\t'),
                    escaped @ ('"' | '\\' | '$' | '\'') => value.push(escaped),
                    other => value.extend(['\\', other]),
                },
                char => value.push(char),
            }
        }
    }
    let end = text.find(" #").or_else(|| text.find("\t#")).unwrap_or(text.len());
    text.get(..end).map(|value| value.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_docker_reads_them() {
        let text = "\u{feff}# comment\n\nPLAIN=a b$c\nexport EXPORTED = x # comment\nSINGLE='a # \"$b'\n\
                    DOUBLE=\"a\\n\\\"b\\\" \\w\" # comment\nEMPTY=\nPASSED_ON\nURL=postgres://u:p#w@h/d\n";
        let expected = [
            ("PLAIN", "a b$c"),
            ("EXPORTED", "x"),
            ("SINGLE", "a # \"$b"),
            ("DOUBLE", "a\n\"b\" \\w"),
            ("EMPTY", ""),
            ("URL", "postgres://u:p#w@h/d"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named_by_its_number_alone() {
        for (text, line) in [("A=1\nsecret value\n", 2), ("\n\n1A=x\n", 3), ("A='secret\n", 1)] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(&format!("line {line} ")) && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
