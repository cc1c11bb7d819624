//! `valves.example.toml`, written from the pipes themselves.

use super::spec::{Kind, Property, Spec};
use serde_json::Value;

/// The whole example file: a table a pipe, every valve with its help text and its default.
pub fn example<'a>(pipes: impl IntoIterator<Item = (&'a str, &'a Spec)>) -> String {
    let head = "# Every valve of every pipe, with its default. Copy what you change to `valves.toml`.\n\
                # The later wins: defaults, this file, what was saved in Open WebUI, the environment (`PIPE_VALVE`, or `PIPE_VALVE_FILE`\n\
                # with the path of a file that holds the value).\n";
    pipes.into_iter().fold(head.to_owned(), |text, (pipe, spec)| text + "\n" + &table(pipe, spec))
}

/// One pipe's table.
fn table(pipe: &str, spec: &Spec) -> String {
    spec.properties().fold(format!("[{pipe}]\n"), |text, property| text + &lines(property))
}

fn lines(property: &Property) -> String {
    let help = property.wire.get("description").and_then(Value::as_str).unwrap_or_default();
    let choices = match &property.kind {
        Kind::Choice(choices) => format!(" One of {}.", Value::from(choices.clone())),
        Kind::Text | Kind::Secret | Kind::Integer | Kind::Number | Kind::Boolean | Kind::List => {
            String::new()
        }
    };
    let name = &property.name;
    match &property.default {
        Value::Null => format!("# {help}{choices}\n# {name} = \"\"\n"),
        default => format!("# {help}{choices}\n{name} = {default}\n"),
    }
}
