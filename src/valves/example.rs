//! `valves.example.toml`, written from the pipes themselves.

use super::spec::{ValveKind, ValveProperty, ValvesSpec};
use serde_json::Value;

/// Returns the example file: a table for each pipe, with each valve's help text and default.
pub fn format_example<'a>(pipes: impl IntoIterator<Item = (&'a str, &'a ValvesSpec)>) -> String {
    let head = "# Every valve of every pipe, with its default. Copy what you change to `valves.toml`.\n\
                # The later wins: defaults, this file, what was saved in Open WebUI, the environment (`PIPE_VALVE`, or `PIPE_VALVE_FILE`\n\
                # with the path of a file that holds the value).\n";
    pipes
        .into_iter()
        .fold(head.to_owned(), |text, (pipe, spec)| text + "\n" + &format_table(pipe, spec))
}

/// Returns the table of one pipe.
fn format_table(pipe: &str, spec: &ValvesSpec) -> String {
    spec.properties()
        .fold(format!("[{pipe}]\n"), |text, property| text + &format_property(property))
}

fn format_property(property: &ValveProperty) -> String {
    let help = property.form.get("description").and_then(Value::as_str).unwrap_or_default();
    let choices = match &property.kind {
        ValveKind::Choice(choices) => format!(" One of {}.", Value::from(choices.clone())),
        ValveKind::Text
        | ValveKind::Secret
        | ValveKind::Integer
        | ValveKind::Number
        | ValveKind::Boolean
        | ValveKind::List
        | ValveKind::Json => String::new(),
    };
    let name = &property.name;
    match &property.default {
        Value::Null => format!("# {help}{choices}\n# {name} = \"\"\n"),
        default => format!("# {help}{choices}\n{name} = {default}\n"),
    }
}
