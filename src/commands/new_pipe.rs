//! `pipewright new-pipe`: begins a pipe in a checkout of pipewright.

use super::print;
use anyhow::{Context, bail, ensure};
use std::{fs, path::Path};

/// The template of `Cargo.toml`.
const MANIFEST: &str = include_str!("new_pipe/Cargo.toml.template");
/// The template of `src/lib.rs`.
const CODE: &str = include_str!("new_pipe/lib.rs.template");

/// The words that are no names in Rust, and crates that every program has.
const RESERVED: [&str; 58] = [
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "union",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "pipewright",
];

/// Writes the crate `pipes/<id>`, and its lines in `Cargo.toml` and `src/pipes.rs`.
///
/// # Errors
/// Returns an error if the id is no valid one, if the pipe exists, or if the folder is no checkout
/// of pipewright.
pub fn create(id: &str, root: &Path) -> anyhow::Result<()> {
    let mut bytes = id.bytes();
    let is_id = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase())
        && bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'));
    ensure!(is_id, "`{id}` must be small letters, digits and `_`, as in my_pipe");
    ensure!(
        !RESERVED.contains(&id) && !id.contains("__") && !id.ends_with('_'),
        "`{id}` cannot be the name of a crate in Rust: choose another, as my_{}",
        id.trim_matches('_').replace("__", "_")
    );
    let (manifest_path, list_path) = (root.join("Cargo.toml"), root.join("src/pipes.rs"));
    let read = |path: &Path| {
        fs::read_to_string(path).with_context(|| {
            format!("{} cannot be read: run this in a checkout of pipewright", path.display())
        })
    };
    let names = Names::new(id);
    let manifest = add_to_manifest(&read(&manifest_path)?, &names)?;
    let list = add_to_list(&read(&list_path)?, &names)?;
    let folder = root.join("pipes").join(id);
    ensure!(!folder.exists(), "{} is there already", folder.display());
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), names.fill(MANIFEST))?;
    fs::write(folder.join("src/lib.rs"), names.fill(CODE))?;
    fs::write(manifest_path, manifest)?;
    fs::write(list_path, list)?;
    print(&format!(
        "Wrote pipes/{id}, and its lines in Cargo.toml and src/pipes.rs. Next:\n  \
         cargo test -p {}\n  \
         cargo run -- valves --example > valves.example.toml\n  \
         cargo run -- --demo\n",
        names.package
    ))
}

/// The forms of a pipe's name.
struct Names {
    id: String,
    /// The name of the package, as in `my-pipe`.
    package: String,
    /// The name of the type, as in `MyPipe`.
    type_name: String,
    /// The title, as in `My pipe`.
    title: String,
}

impl Names {
    fn new(id: &str) -> Self {
        let capital = |word: &str| {
            word.split_at_checked(1)
                .map_or_else(String::new, |(first, rest)| first.to_ascii_uppercase() + rest)
        };
        Self {
            id: id.to_owned(),
            package: id.replace('_', "-"),
            type_name: id.split('_').map(capital).collect(),
            title: capital(&id.replace('_', " ")),
        }
    }

    /// Writes the names into a template.
    fn fill(&self, template: &str) -> String {
        let Self { id, package, type_name, title } = self;
        [("{crate}", package), ("{type}", type_name), ("{title}", title), ("{id}", id)]
            .into_iter()
            .fold(template.to_owned(), |text, (place, name)| text.replace(place, name))
    }
}

/// Adds the dependency to the workspace's and the host's.
fn add_to_manifest(manifest: &str, names: &Names) -> anyhow::Result<String> {
    let Names { id, package, .. } = names;
    ensure!(
        !manifest.lines().any(|line| line.starts_with(&format!("{package} ="))),
        "Cargo.toml has a package `{package}` already"
    );
    let text = insert_sorted(
        manifest,
        "[workspace.dependencies]",
        &format!("{package} = {{ path = \"pipes/{id}\" }}"),
    )?;
    insert_sorted(&text, "[dependencies]", &format!("{package}.workspace = true"))
}

/// Inserts a line into a section, before the first line that sorts after it.
fn insert_sorted(text: &str, section: &str, line: &str) -> anyhow::Result<String> {
    let mut lines: Vec<&str> = text.lines().collect();
    let Some(start) = lines.iter().position(|one| *one == section) else {
        bail!("Cargo.toml has no section {section}: run this in a checkout of pipewright");
    };
    let is_entry = |one: &&str| !one.is_empty() && !one.starts_with('[');
    let length = lines.iter().skip(start + 1).take_while(|one| is_entry(one)).count();
    let later = lines.iter().skip(start + 1).take(length).position(|one| *one > line);
    lines.insert(start + 1 + later.unwrap_or(length), line);
    Ok(lines.join("\n") + "\n")
}

/// Adds the pipe to the list, sorted by id.
fn add_to_list(list: &str, names: &Names) -> anyhow::Result<String> {
    let Names { id, type_name, .. } = names;
    let import = format!("use {id}::{type_name};");
    let entry = format!("    Registration::for_pipe::<{type_name}>(),");
    let mut lines: Vec<&str> = list.lines().collect();
    let place_of = |lines: &[&str], beginning: &str, line: &str| {
        let own = |one: &&str| one.starts_with(beginning) && !one.starts_with("use crate");
        let later = lines.iter().position(|one| own(one) && *one > line);
        later.or_else(|| Some(lines.iter().rposition(own)? + 1))
    };
    for (beginning, line) in [("use ", &import), ("    Registration::for_pipe", &entry)] {
        match place_of(&lines, beginning, line) {
            Some(place) => lines.insert(place, line),
            None => bail!("src/pipes.rs has no line that begins with `{}`", beginning.trim()),
        }
    }
    Ok(lines.join("\n") + "\n")
}
