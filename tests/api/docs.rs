//! The examples of the README and of `docs/`: each is run, or read by what it is written for.

use crate::{
    openai_proxy::server::Server,
    support::{Builder, KEY},
};
use clap::{CommandFactory, Parser};
use pipewright::{cli::Cli, pipes::PIPES, slot::Registration};
use serde_json::Value;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A block of code in a document.
#[derive(Debug)]
struct Example {
    /// The file and the line of the first line, for failures.
    place: String,
    /// The language of a fence; empty for an indented block.
    language: String,
    text: String,
}

/// The type of an example.
#[derive(Debug, PartialEq)]
enum Kind {
    Json,
    Toml,
    Python,
    /// Commands of a shell.
    Shell,
    /// Lines `NAME=value`.
    Variables,
    /// Syntax that is explained, and no input of a program.
    Figure,
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    docs.chain([root().join("README.md"), root().join("CONTRIBUTING.md")]).collect()
}

fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        find_examples(&name, &text, &mut found);
    }
    assert!(found.len() > 25, "{}", found.len());
    found
}

fn find_examples(name: &str, text: &str, found: &mut Vec<Example>) {
    let lines: Vec<_> = text.lines().collect();
    let mut at = 0;
    while at < lines.len() {
        let place = format!("{name}:{}", at + 1);
        if let Some(language) = lines[at].trim_start().strip_prefix("```") {
            let end = (at + 1..lines.len()).find(|line| lines[*line].trim_start() == "```");
            let end = end.unwrap_or_else(|| panic!("{place}: the fence has no end"));
            let text = lines[at + 1..end].join("\n");
            found.push(Example { place, language: language.trim().to_owned(), text });
            at = end + 1;
        } else if lines[at].starts_with("    ") && at > 0 && lines[at - 1].is_empty() {
            let is_code = |line: &&str| line.starts_with("    ") || line.is_empty();
            let block: Vec<_> = lines[at..].iter().take_while(|line| is_code(line)).collect();
            let text: Vec<_> = block.iter().map(|line| line.get(4..).unwrap_or_default()).collect();
            at += block.len();
            let text = text.join("\n").trim_end().to_owned();
            found.push(Example { place, language: String::new(), text });
        } else {
            at += 1;
        }
    }
}

/// The programs that the documents tell the reader to run.
const PROGRAMS: [&str; 11] = [
    ".ci/test",
    "aws",
    "cargo",
    "claude",
    "curl",
    "deploy/image/build",
    "docker",
    "pipewright",
    "printf",
    "python3",
    "taskset",
];

impl Example {
    fn kind(&self) -> Kind {
        let first = self.text.lines().find(|line| !line.trim_start().starts_with('#'));
        let first = first.unwrap_or_default();
        match self.language.as_str() {
            "json" => Kind::Json,
            "toml" => Kind::Toml,
            "python" => Kind::Python,
            "sh" => Kind::Shell,
            "" if first.starts_with('{') => Kind::Json,
            "" if first.starts_with('[') || first.contains(" = ") => Kind::Toml,
            "" if first.split(' ').any(|word| PROGRAMS.contains(&word)) => Kind::Shell,
            "" if first.split_once('=').is_some_and(|(name, _)| is_variable(name)) => {
                Kind::Variables
            }
            _ => Kind::Figure,
        }
    }

    /// The commands: lines that go on are joined.
    fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        let mut open = String::new();
        for line in self.text.lines() {
            open = if open.is_empty() { line.to_owned() } else { format!("{open}\n{line}") };
            let is_open = line.ends_with('\\') || open.matches('\'').count() % 2 == 1;
            if !is_open {
                commands.push(std::mem::take(&mut open));
            }
        }
        assert!(open.is_empty(), "{}: `{open}` has no end", self.place);
        commands.into_iter().filter(|command| !command.trim().is_empty()).collect()
    }
}

fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && name.chars().all(|char| char.is_ascii_uppercase() || "_0123456789".contains(char))
}

fn of_kind(kind: &Kind) -> Vec<Example> {
    let found: Vec<_> = examples().into_iter().filter(|example| example.kind() == *kind).collect();
    assert!(!found.is_empty(), "no example is {kind:?}");
    found
}

#[test]
fn every_example_is_of_a_kind_that_is_checked() {
    let figures: Vec<_> = of_kind(&Kind::Figure);
    let known =
        ["main → app", "role admin: none", "main --> app", "flowchart", "sequenceDiagram", "TEXT:"];
    for Example { place, language, text } in &figures {
        let is_known = language == "mermaid" || known.iter().any(|begin| text.starts_with(begin));
        assert!(is_known, "{place} is checked by no test:\n{text}");
    }
}

#[test]
fn json_in_documents_is_json() {
    for Example { place, text, .. } in of_kind(&Kind::Json) {
        let read = serde_json::from_str::<Value>(&text);
        assert!(read.is_ok(), "{place}: {read:?}");
    }
}

/// The pipes that these tables are of.
fn pipes_of(tables: &toml::Table) -> &'static [Registration] {
    let pipes = PIPES.iter().filter(|pipe| tables.contains_key(pipe.id)).copied();
    Box::leak(pipes.collect::<Vec<_>>().into_boxed_slice())
}

#[actix_web::test]
async fn a_host_starts_with_the_toml_in_documents() {
    let mut checked = 0;
    for Example { place, text, .. } in of_kind(&Kind::Toml) {
        let tables: toml::Table = text.parse().unwrap_or_else(|error| panic!("{place}: {error}"));
        let pipes = pipes_of(&tables);
        if tables.contains_key("model_providers") {
            // Codex's own file.
            continue;
        }
        assert!(!pipes.is_empty(), "{place} is of no pipe");
        let builder = Builder::new();
        let is_prices = text.contains("input = ");
        let host = if is_prices {
            let file = builder.data_folder().join("prices.toml");
            fs::write(&file, &text).unwrap();
            builder.flag("--prices-file", file.to_str().unwrap()).pipes(&[]).start().await
        } else {
            builder.valves_file(&text).pipes(pipes).start().await
        };
        for pipe in pipes.iter().filter(|_| !is_prices) {
            let shown = host.get(&format!("/admin/pipes/{}", pipe.id)).await.json;
            let valves = shown["valves"].as_array().unwrap();
            for name in tables[pipe.id].as_table().unwrap().keys() {
                let valve = valves.iter().find(|valve| valve["name"] == name.as_str());
                let source = valve.map(|valve| &valve["source"]);
                assert_eq!(source, Some(&"file".into()), "{place}: {}.{name}: {shown}", pipe.id);
            }
        }
        checked += 1;
    }
    assert!(checked >= 3, "{checked}");
}

#[test]
#[expect(clippy::print_stderr, reason = "tells why it is skipped")]
fn python_in_documents_is_python() {
    if Command::new("python3").arg("--version").output().is_err() {
        return eprintln!("Skipped: there is no python3");
    }
    for Example { place, text, .. } in of_kind(&Kind::Python) {
        let compile = "import sys; compile(sys.argv[1], 'example', 'exec')";
        let output = Command::new("python3").args(["-c", compile, &text]).output().unwrap();
        assert!(output.status.success(), "{place}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The variables that the program, a pipe or a library of it reads.
fn known_variables() -> BTreeSet<String> {
    let command = Cli::command();
    let settings = command.get_arguments().filter_map(|argument| argument.get_env());
    let settings = settings.map(|name| name.to_string_lossy().into_owned());
    let valves = PIPES.iter().flat_map(|pipe| {
        let names: Vec<_> = (pipe.spec)().properties().map(|one| one.name.clone()).collect();
        names.into_iter().map(move |name| format!("{}_{name}", pipe.id).to_uppercase())
    });
    settings.chain(valves).collect()
}

#[test]
fn variables_in_documents_are_read_by_the_program() {
    let known = known_variables();
    for Example { place, text, .. } in of_kind(&Kind::Variables) {
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (name, _) = line.split_once('=').unwrap_or_else(|| panic!("{place}: {line}"));
            let is_known = known.contains(name) || name == "AWS_REGION";
            assert!(is_known, "{place}: nothing reads {name}");
        }
    }
}

/// The words of a command up to a redirection, without variables before it.
fn words(command: &str) -> Vec<String> {
    let words = command.split_whitespace().map(|word| word.trim_matches(['"', '\'']).to_owned());
    let words =
        words.take_while(|word| !word.starts_with(['>', '#']) && word != "&&" && word != "|");
    words
        .skip_while(|word| word.split_once('=').is_some_and(|(name, _)| is_variable(name)))
        .collect()
}

/// Checks the arguments of the program, as it would.
fn check_arguments(place: &str, arguments: &[String]) {
    let arguments = ["pipewright".to_owned()].into_iter().chain(arguments.iter().cloned());
    if let Err(error) = Cli::try_parse_from(arguments) {
        assert!(!error.use_stderr(), "{place}: {error}");
    }
}

#[test]
fn commands_in_documents_name_programs_packages_files_and_flags_that_exist() {
    let manifests = ["crates", "pipes", "tools"].map(|folder| root().join(folder));
    let packages: String = manifests
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).ok())
        .collect();
    for example in of_kind(&Kind::Shell) {
        let place = &example.place;
        for command in example.commands() {
            let words = words(&command);
            let after = words.iter().position(|word| word == "--").map(|at| &words[at + 1..]);
            let package = words.iter().position(|word| word == "-p").map(|at| &words[at + 1]);
            if let Some(package) = package.filter(|_| command.contains("cargo")) {
                assert!(packages.contains(&format!("name = \"{package}\"")), "{place}: {package}");
            }
            match words[0].as_str() {
                "pipewright" => check_arguments(place, &words[1..]),
                "cargo" if package.is_none() => check_arguments(place, after.unwrap_or_default()),
                "python3" => assert!(root().join(&words[1]).is_file(), "{place}: {}", words[1]),
                "deploy/image/build" => assert!(root().join(&words[0]).is_file(), "{place}"),
                ".ci/test" | "docker" | "aws" | "taskset" | "cargo" | "claude" | "curl" => {}
                program => panic!("{place}: what is `{program}`?"),
            }
        }
    }
}

#[actix_web::test]
#[expect(clippy::print_stderr, reason = "tells why it is skipped")]
async fn curl_in_documents_is_answered() {
    if Command::new("curl").arg("--version").output().is_err() {
        return eprintln!("Skipped: there is no curl");
    }
    let server = Server::start(&["gpt-5"]).await;
    let valves = format!(
        "[openai_proxy]\napi_base = \"{}\"\n[conversation]\nmodels = \"openai_proxy.gpt-5\"\n\
         [multimodal]\nimage_model = \"openai_proxy.gpt-5\"\ntext_model = \"openai_proxy.gpt-5\"\n",
        server.url()
    );
    let names = ["openai_proxy", "conversation", "multimodal"];
    let pipes: Vec<_> = PIPES.iter().filter(|pipe| names.contains(&pipe.id)).copied().collect();
    let host =
        Builder::new().valves_file(&valves).pipes(Box::leak(pipes.into_boxed_slice())).start();
    let host = host.await;
    let own = |command: &String| command.starts_with("curl ") && command.contains("localhost:9099");
    let mut answered = 0;
    for example in of_kind(&Kind::Shell) {
        for command in example.commands().into_iter().filter(own) {
            let address = host.url.trim_start_matches("http://");
            let command = command.replace("localhost:9099", address);
            let command =
                command.replacen("curl ", "curl --silent --show-error --fail-with-body ", 1);
            let child = tokio::task::spawn_blocking(move || {
                let shell = Command::new("sh")
                    .args(["-c", &command])
                    .env("KEY", KEY)
                    .stdin(Stdio::null())
                    .output();
                shell.unwrap()
            });
            let output = child.await.unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && !text.is_empty(), "{}: {text}", example.place);
            answered += 1;
        }
    }
    assert!(answered >= 2, "{answered}");
}
