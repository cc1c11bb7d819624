//! Tools of other kinds than functions: each is offered to the model as a function, and its calls
//! come back in the shape of its kind.
//!
//! The kinds are those of OpenAI's Responses API
//! (<https://platform.openai.com/docs/api-reference/responses/create>): `custom` tools take one
//! text, `local_shell`, `shell`, `apply_patch` and `computer` have schemas of OpenAI's own, and a
//! `namespace` groups several tools.

mod builtin;
mod text_input;

pub use builtin::BuiltinTool;
pub use text_input::{TextInput, parse_input};

use pipe_sdk::FunctionTool;
use serde_json::{Value, json, value::to_raw_value};
use std::{
    collections::{BTreeMap, HashSet, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

/// The largest number of characters in a function's name, at OpenAI and Bedrock.
const MAX_NAME_CHARS: usize = 64;

/// A tool as the client knows it; the model knows it as a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTool {
    /// The kind.
    pub kind: ToolKind,
    /// The group that it belongs to.
    pub namespace: Option<String>,
    /// The name within the group.
    pub name: String,
}

/// The kind of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolKind {
    /// A function with arguments in JSON.
    Function,
    /// A tool that takes one text.
    Custom,
    /// A tool with a schema of OpenAI's.
    Builtin(BuiltinTool),
}

/// The tools of one request that are not plain functions, by the names under which the model knows
/// them.
#[derive(Clone, Debug, Default)]
pub struct ClientTools {
    tools: BTreeMap<String, ClientTool>,
    names: HashSet<String>,
    /// Notes for the client about ignored parts of the request.
    pub notes: Vec<String>,
}

impl ClientTools {
    /// Adds a tool and returns the name of its function.
    pub fn add(&mut self, tool: ClientTool) -> String {
        let wanted = match &tool.namespace {
            Some(namespace) => namespaced_name(namespace, &tool.name),
            None => tool.name.clone(),
        };
        let is_plain = tool.kind == ToolKind::Function && tool.namespace.is_none();
        if is_plain {
            self.names.insert(wanted.clone());
            return wanted;
        }
        if let Some((name, _)) = self.tools.iter().find(|(_, known)| **known == tool) {
            return name.clone();
        }
        let mut name = wanted.clone();
        let mut count = 2;
        while !self.names.insert(name.clone()) {
            name = truncate_name(&format!("{wanted}_{count}"));
            count += 1;
        }
        self.tools.insert(name.clone(), tool);
        name
    }

    /// Returns the tool whose function has this name; `None` for a plain function.
    pub fn get(&self, function: &str) -> Option<&ClientTool> {
        self.tools.get(function)
    }

    /// Returns the name of the function that replaces this tool.
    pub fn function_name(&self, kind: ToolKind, namespace: Option<&str>, name: &str) -> String {
        let is_it = |tool: &&ClientTool| {
            tool.kind == kind && tool.name == name && tool.namespace.as_deref() == namespace
        };
        let known = self.tools.iter().find(|(_, tool)| is_it(tool)).map(|(name, _)| name.clone());
        known.unwrap_or_else(|| match namespace {
            Some(namespace) => namespaced_name(namespace, name),
            None => name.to_owned(),
        })
    }

    /// Returns the function that replaces this built-in tool, if the request has one.
    pub fn builtin_function(&self, wanted: BuiltinTool) -> Option<&str> {
        let is_it = |tool: &ClientTool| tool.kind == ToolKind::Builtin(wanted);
        self.tools.iter().find(|(_, tool)| is_it(tool)).map(|(name, _)| name.as_str())
    }

    /// Adds a note for the client, once.
    pub fn add_note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// Returns the name of a tool in a namespace: both names joined, as clients of MCP servers do it.
fn namespaced_name(namespace: &str, name: &str) -> String {
    let joint = if namespace.ends_with("__") { "" } else { "__" };
    truncate_name(&format!("{namespace}{joint}{name}"))
}

/// Returns the name within the limit of its length; names that are cut differ by a hash.
fn truncate_name(name: &str) -> String {
    if name.chars().count() <= MAX_NAME_CHARS {
        return name.to_owned();
    }
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let kept: String = name.chars().take(MAX_NAME_CHARS - 9).collect();
    format!("{kept}_{:08x}", hasher.finish() as u32)
}

/// Returns the function that replaces a custom tool: it takes one text, whose grammar the
/// description explains.
pub fn custom_function(
    name: String,
    description: Option<&str>,
    format: Option<&Value>,
) -> FunctionTool {
    let mut told = description.map(str::trim).unwrap_or_default().to_owned();
    let grammar = format.filter(|format| format["type"] == "grammar");
    // Chat completions have the grammar in an object of its own.
    let grammar = grammar.map(|format| format.get("grammar").unwrap_or(format));
    let mut input = "The whole text of the call, as it is: no JSON, no code fence.".to_owned();
    if let Some(definition) = grammar.and_then(|grammar| grammar["definition"].as_str()) {
        let syntax = grammar.and_then(|grammar| grammar["syntax"].as_str()).unwrap_or("lark");
        if !told.is_empty() {
            told.push_str("\n\n");
        }
        told.push_str(&format!(
            "`input` must follow this grammar, in the syntax of {syntax}:\n\n{definition}"
        ));
        input.push_str(" It must follow the grammar in the tool's description.");
    }
    let schema = json!({
        "type": "object",
        "properties": {"input": {"type": "string", "description": input}},
        "required": ["input"],
        "additionalProperties": false,
    });
    FunctionTool {
        name,
        description: Some(told).filter(|told| !told.is_empty()),
        parameters: to_raw_value(&schema).ok(),
        strict: None,
    }
}

/// Returns the arguments of the function that replaces a custom tool, for this text.
pub fn custom_arguments(input: &str) -> String {
    json!({"input": input}).to_string()
}
