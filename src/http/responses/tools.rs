//! Converts tools and `tool_choice` of the Responses API.

use crate::http::{
    client_tools::{BuiltinTool, ClientTool, ClientTools, ToolKind, custom_function},
    field_error::field_error,
};
use pipe_sdk::{FunctionTool, Result, Tool};
use serde::{Deserialize, Serialize};
use serde_json::{
    Map, Value, json,
    value::{RawValue, to_raw_value},
};
use tool_schema::limit_nesting;

/// A tool whose fields are beside its type.
#[derive(Clone, Serialize, Deserialize)]
pub struct FlatTool {
    #[serde(default = "function", rename = "type")]
    kind: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Box<RawValue>>,
    #[serde(default)]
    strict: Option<bool>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl FlatTool {
    /// Returns the tool with its fields at the top, as in `{"type": "function", "name": …}`; chats
    /// have them in an object `function`.
    fn flatten(mut self) -> Self {
        let within = self.name.is_empty().then(|| self.rest.shift_remove(&self.kind)).flatten();
        match within.map(Self::deserialize) {
            Some(Ok(within)) => Self { kind: self.kind, ..within },
            _ => self,
        }
    }

    /// Returns the tool as JSON; `None` if its schema, which was kept as it came, holds a number
    /// that is too large. What of the schema is nested deeper than JSON is read is left out.
    pub fn to_json(&self) -> Option<Value> {
        let json = serde_json::to_string(self).ok()?;
        serde_json::from_str(&limit_nesting(&json, MAX_ECHO_DEPTH)).ok()
    }
}

/// The deepest nesting of a tool that an answer repeats.
const MAX_ECHO_DEPTH: usize = 100;

/// Returns the default type of a tool.
fn function() -> String {
    "function".into()
}

/// The tools of a chat, with their paths in the request.
#[derive(Default)]
pub struct ConvertedTools {
    /// The tools.
    pub tools: Vec<Tool>,
    /// The path of each in the request.
    pub fields: Vec<String>,
    /// The tools as the client knows them.
    pub client: ClientTools,
    /// The types of tools that are left out.
    pub left_out: Vec<String>,
}

impl ConvertedTools {
    /// Adds the tool at this path.
    pub fn add_tool(&mut self, tool: FlatTool, field: String) -> Result<()> {
        self.add_to(tool.flatten(), field, None)
    }

    fn add_to(&mut self, tool: FlatTool, field: String, namespace: Option<&str>) -> Result<()> {
        let named = |kind: ToolKind, name: &str| ClientTool {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        match tool.kind.as_str() {
            "function" | "custom" if tool.name.is_empty() => {
                Err(field_error(&format!("{field}.name"), "a tool needs a name"))
            }
            "function" => {
                let name = self.client.add(named(ToolKind::Function, &tool.name));
                let FlatTool { description, parameters, strict, mut rest, .. } = tool;
                rest.shift_remove("defer_loading");
                let [anthropic, mcp] =
                    ["input_schema", "inputSchema"].map(|name| rest.shift_remove(name));
                let other = anthropic.or(mcp).and_then(|schema| to_raw_value(&schema).ok());
                let parameters = parameters.or(other);
                self.push_function(
                    FunctionTool { name, description, parameters, strict },
                    rest,
                    field,
                );
                Ok(())
            }
            "custom" => {
                let name = self.client.add(named(ToolKind::Custom, &tool.name));
                let format = tool.rest.get("format");
                let function = custom_function(name, tool.description.as_deref(), format);
                self.push_function(function, Map::new(), field);
                Ok(())
            }
            "namespace" => self.add_namespace(tool, &field),
            kind => {
                match BuiltinTool::from_type(kind)
                    .filter(|builtin| is_client_side(*builtin, &tool.rest))
                {
                    Some(builtin) => self.add_builtin(builtin, tool, field),
                    None => self.note_left_out(kind),
                }
                Ok(())
            }
        }
    }

    fn add_namespace(&mut self, tool: FlatTool, field: &str) -> Result<()> {
        let FlatTool { name, mut rest, .. } = tool;
        let tools = match rest.shift_remove("tools") {
            Some(Value::Array(tools)) => tools,
            None | Some(Value::Null) => Vec::new(),
            Some(_) => {
                return Err(field_error(&format!("{field}.tools"), "must be a list of tools"));
            }
        };
        for (place, tool) in tools.into_iter().enumerate() {
            let field = format!("{field}.tools[{place}]");
            let tool: FlatTool =
                serde_json::from_value(tool).map_err(|_| field_error(&field, "must be a tool"))?;
            if tool.kind == "namespace" {
                return Err(field_error(&format!("{field}.type"), "a namespace holds no other"));
            }
            self.add_to(tool, field, Some(&name).filter(|name| !name.is_empty()).map(|n| &**n))?;
        }
        Ok(())
    }

    fn add_builtin(&mut self, builtin: BuiltinTool, tool: FlatTool, field: String) {
        let kind = ToolKind::Builtin(builtin);
        let name = builtin.name().to_owned();
        let name = self.client.add(ClientTool { kind, namespace: None, name });
        let FlatTool { description, parameters, mut rest, .. } = tool;
        if let Some(description) = description {
            rest.insert("description".into(), description.into());
        }
        if let Some(schema) = parameters.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            rest.insert("parameters".into(), schema);
        }
        self.push_function(builtin.function(name, &rest), Map::new(), field);
    }

    fn push_function(&mut self, function: FunctionTool, rest: Map<String, Value>, field: String) {
        // A tool may come again, as a search finds it twice.
        let is_there =
            |tool: &Tool| tool.function.as_ref().is_some_and(|f| f.name == function.name);
        if !self.tools.iter().any(is_there) {
            self.tools.push(Tool { kind: "function".into(), function: Some(function), rest });
            self.fields.push(field);
        }
    }

    /// Notes that tools of this type are left out.
    fn note_left_out(&mut self, kind: &str) {
        self.client.add_note(format!("left out a tool of type {kind}: it runs only at OpenAI's"));
        self.left_out.push(kind.to_owned());
    }
}

/// Returns whether the client runs a built-in tool: some may also run in a container of OpenAI's.
fn is_client_side(builtin: BuiltinTool, fields: &Map<String, Value>) -> bool {
    match builtin {
        BuiltinTool::ToolSearch => fields.get("execution").is_some_and(|place| place == "client"),
        BuiltinTool::Shell => {
            let place = fields.get("environment").and_then(|place| place.get("type"));
            place.is_none_or(|place| place == "local")
        }
        BuiltinTool::LocalShell | BuiltinTool::ApplyPatch | BuiltinTool::Computer => true,
    }
}

impl ConvertedTools {
    /// Returns the `tool_choice` of a chat, which names tools in an object of their own.
    pub fn convert_choice(&self, choice: Value) -> Result<Value> {
        let Value::Object(fields) = &choice else { return Ok(choice) };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "function" | "custom" => self
                .convert_named_tool(&choice)
                .ok_or_else(|| field_error("tool_choice.name", "name the function")),
            "allowed_tools" => self.convert_allowed_tools(fields),
            "none" | "auto" | "required" | "any" if fields.len() == 1 => Ok(kind.into()),
            "" if fields.is_empty() => Ok("auto".into()),
            kind => match self.convert_named_tool(&choice) {
                Some(named) => Ok(named),
                None if kind.is_empty() || !self.is_left_out(kind) => Err(field_error(
                    "tool_choice",
                    "must be none, auto, required, or an object that names a tool of the request by its type and name",
                )),
                None => {
                    let rule = format!(
                        "demands a tool of type `{kind}`, which runs only at OpenAI's: choose another one, or auto"
                    );
                    Err(field_error("tool_choice", &rule))
                }
            },
        }
    }

    fn convert_allowed_tools(&self, fields: &Map<String, Value>) -> Result<Value> {
        let unnamed = || field_error("tool_choice.tools", "name the tools by type and name");
        let tools = fields.get("tools").and_then(Value::as_array).ok_or_else(unnamed)?;
        let mode = fields.get("mode").and_then(Value::as_str).unwrap_or("auto");
        let mut named = Vec::new();
        for tool in tools {
            match self.convert_named_tool(tool) {
                Some(tool) => named.push(tool),
                None if tool["type"].as_str().is_some_and(|kind| self.is_left_out(kind)) => {}
                None => return Err(unnamed()),
            }
        }
        match mode {
            "auto" if named.is_empty() && !tools.is_empty() => Ok("none".into()),
            mode => Ok(
                json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}),
            ),
        }
    }

    /// Returns whether tools of this type are left out.
    fn is_left_out(&self, kind: &str) -> bool {
        self.left_out.iter().any(|left_out| left_out == kind)
    }

    /// Returns the choice of the function that replaces this tool.
    fn convert_named_tool(&self, tool: &Value) -> Option<Value> {
        let text = |name: &str| tool.get(name).and_then(Value::as_str);
        let name = match text("type")? {
            "function" => {
                self.client.function_name(ToolKind::Function, text("namespace"), text("name")?)
            }
            "custom" => {
                self.client.function_name(ToolKind::Custom, text("namespace"), text("name")?)
            }
            kind => self.client.builtin_function(BuiltinTool::from_type(kind)?)?.to_owned(),
        };
        Some(json!({"type": "function", "function": {"name": name}}))
    }
}
