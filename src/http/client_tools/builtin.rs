//! Tools whose schemas OpenAI has written, and that its clients run themselves.

use pipe_sdk::FunctionTool;
use serde_json::{Map, Value, json, value::to_raw_value};

/// A tool whose schema OpenAI has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltinTool {
    /// Runs one command, as a list of words.
    LocalShell,
    /// Runs several commands, each a line.
    Shell,
    /// Creates, changes and deletes files.
    ApplyPatch,
    /// Clicks and types.
    Computer,
    /// Looks for further tools.
    ToolSearch,
}

impl BuiltinTool {
    /// Returns the tool of this `type`.
    pub fn from_type(kind: &str) -> Option<Self> {
        Some(match kind {
            "local_shell" => Self::LocalShell,
            "shell" => Self::Shell,
            "apply_patch" => Self::ApplyPatch,
            "computer" | "computer_use" | "computer_use_preview" | "computer-preview" => {
                Self::Computer
            }
            "tool_search" => Self::ToolSearch,
            _ => return None,
        })
    }

    /// Returns the tool whose calls are items of this `type`.
    pub fn from_call_type(item: &str) -> Option<Self> {
        Self::from_type(item.strip_suffix("_call")?)
    }

    /// Returns the tool whose results are items of this `type`.
    pub fn from_result_type(item: &str) -> Option<Self> {
        match item {
            "tool_search_output" => Some(Self::ToolSearch),
            item => Self::from_call_type(item.strip_suffix("_output")?),
        }
    }

    /// Returns the name of its function.
    pub fn name(self) -> &'static str {
        match self {
            Self::LocalShell => "local_shell",
            Self::Shell => "shell",
            Self::ApplyPatch => "apply_patch",
            Self::Computer => "computer",
            Self::ToolSearch => "tool_search",
        }
    }

    /// Returns the beginning of its items' ids.
    pub fn id_prefix(self) -> &'static str {
        match self {
            Self::LocalShell => "lsh",
            Self::Shell => "sh",
            Self::ApplyPatch => "apc",
            Self::Computer => "cu",
            Self::ToolSearch => "tsc",
        }
    }

    /// Returns the function that replaces the tool, under this name.
    pub fn function(self, name: String, fields: &Map<String, Value>) -> FunctionTool {
        let own = |field: &str| fields.get(field).filter(|value| !value.is_null()).cloned();
        let (mut description, mut schema) = self.schema();
        if self == Self::ToolSearch {
            if let Some(Value::String(text)) = own("description") {
                description = text;
            }
            schema = own("parameters").unwrap_or(schema);
        }
        if self == Self::Computer
            && let (Some(width), Some(height)) = (own("display_width"), own("display_height"))
        {
            description.push_str(&format!(" The screen has {width} by {height} pixels."));
        }
        let parameters = to_raw_value(&schema).ok();
        FunctionTool { name, description: Some(description), parameters, strict: None }
    }

    /// Returns the description and the parameters of the tool as a function.
    fn schema(self) -> (String, Value) {
        let (description, properties, required) = match self {
            Self::LocalShell => (
                "Runs a command on the user's machine.",
                json!({
                    "command": {"type": "array", "items": {"type": "string"}, "description": "The program and its arguments."},
                    "working_directory": {"type": "string", "description": "Where the command runs."},
                    "timeout_ms": {"type": "integer", "description": "How many milliseconds it may take."},
                    "env": {"type": "object", "additionalProperties": {"type": "string"}, "description": "Variables of its environment."},
                }),
                json!(["command"]),
            ),
            Self::Shell => (
                "Runs commands in a shell on the user's machine.",
                json!({
                    "commands": {"type": "array", "items": {"type": "string"}, "description": "The commands, each a line for the shell; they run at the same time."},
                    "timeout_ms": {"type": "integer", "description": "How many milliseconds they may take."},
                    "max_output_length": {"type": "integer", "description": "How many characters of output are wanted at most."},
                }),
                json!(["commands"]),
            ),
            Self::ApplyPatch => (
                "Creates, updates or deletes one file.",
                json!({
                    "operation": {
                        "type": "object",
                        "properties": {
                            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
                            "path": {"type": "string", "description": "The file, relative to the workspace."},
                            "diff": {"type": "string", "description": "For create_file and update_file: the change in V4A format: hunks that begin with @@, whose lines begin with a space, + or -."},
                        },
                        "required": ["type", "path"],
                    },
                }),
                json!(["operation"]),
            ),
            Self::Computer => (
                "Uses the computer: each call is one action, and its result is a screenshot.",
                json!({
                    "type": {"type": "string", "enum": ["click", "double_click", "drag", "keypress", "move", "screenshot", "scroll", "type", "wait"]},
                    "x": {"type": "integer"},
                    "y": {"type": "integer"},
                    "button": {"type": "string", "enum": ["left", "right", "wheel", "back", "forward"]},
                    "scroll_x": {"type": "integer"},
                    "scroll_y": {"type": "integer"},
                    "keys": {"type": "array", "items": {"type": "string"}, "description": "For keypress."},
                    "text": {"type": "string", "description": "For type."},
                    "path": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "integer"}, "y": {"type": "integer"}}}, "description": "For drag."},
                }),
                json!(["type"]),
            ),
            Self::ToolSearch => (
                "Looks for further tools.",
                json!({"query": {"type": "string", "description": "What the tool should do."}}),
                json!(["query"]),
            ),
        };
        let schema = json!({"type": "object", "properties": properties, "required": required});
        (description.into(), schema)
    }

    /// Returns the fields of the item for a call with these arguments.
    pub fn call_fields(self, arguments: &str) -> Map<String, Value> {
        let arguments: Value = serde_json::from_str(arguments).unwrap_or_default();
        let field = |name: &str| arguments.get(name).cloned().unwrap_or_default();
        let fields = match self {
            Self::LocalShell => {
                let command = match field("command") {
                    Value::String(line) => json!(["bash", "-lc", line]),
                    Value::Array(words) => words.into(),
                    _ => json!([]),
                };
                let env = arguments.get("env").filter(|env| env.is_object()).cloned();
                json!({"action": {
                    "type": "exec", "command": command, "env": env.unwrap_or_else(|| json!({})),
                    "timeout_ms": field("timeout_ms"), "user": null,
                    "working_directory": field("working_directory"),
                }})
            }
            Self::Shell => {
                let commands = match field("commands") {
                    Value::String(line) => json!([line]),
                    Value::Array(lines) => lines.into(),
                    _ => json!([]),
                };
                json!({
                    "action": {
                        "commands": commands, "timeout_ms": field("timeout_ms"),
                        "max_output_length": field("max_output_length"),
                    },
                    "environment": null,
                })
            }
            Self::ApplyPatch => {
                let operation = arguments.get("operation").filter(|op| op.is_object());
                json!({"operation": operation.unwrap_or(&arguments)})
            }
            Self::Computer => {
                let action =
                    if arguments.is_object() { arguments } else { json!({"type": "screenshot"}) };
                json!({"action": action, "pending_safety_checks": []})
            }
            Self::ToolSearch => json!({"execution": "client", "arguments": arguments}),
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }

    /// Returns the arguments of the function for a call that a client has sent back.
    pub fn arguments(self, item: &Map<String, Value>) -> String {
        let field = |name: &str| item.get(name).cloned().unwrap_or_default();
        let arguments = match self {
            Self::LocalShell | Self::Shell | Self::Computer => {
                let mut action = field("action");
                if let (Self::LocalShell | Self::Shell, Some(action)) =
                    (self, action.as_object_mut())
                {
                    action.shift_remove("type");
                    action.retain(|_, value| !value.is_null());
                }
                action
            }
            Self::ApplyPatch => json!({"operation": field("operation")}),
            Self::ToolSearch => match field("arguments") {
                Value::String(text) => return text,
                arguments => arguments,
            },
        };
        if arguments.is_object() { arguments.to_string() } else { "{}".into() }
    }
}
