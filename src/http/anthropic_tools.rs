//! Tools that Anthropic has defined:
//! <https://docs.claude.com/en/docs/agents-and-tools/tool-use/overview>.
//!
//! Clients run `bash`, `text_editor`, `computer` and `memory` themselves and send no schema. A pipe
//! whose model knows them finds their definition in [`Tool::kind`](pipe_sdk::Tool) and `rest`; for
//! all others they are functions with the published schemas.

use pipe_sdk::{FunctionTool, Tool};
use serde_json::{Map, Value, json, value::to_raw_value};

/// A tool that Anthropic has defined, by its `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnthropicTool {
    /// A shell.
    Bash,
    /// An editor of files.
    TextEditor,
    /// A screen, a mouse and a keyboard.
    Computer,
    /// A folder of notes.
    Memory,
}

/// The prefixes of the types of tools that run only at Anthropic's.
const SERVER_TOOL_PREFIXES: [&str; 7] = [
    "web_search_",
    "web_fetch_",
    "code_execution_",
    "tool_search_tool_",
    "tool_search_",
    "mcp_toolset",
    "advisor_",
];

/// Returns whether tools of this type run only at Anthropic's.
pub fn is_server_tool(kind: &str) -> bool {
    SERVER_TOOL_PREFIXES.iter().any(|beginning| kind.starts_with(beginning))
}

impl AnthropicTool {
    /// Returns the tool of this `type`, as in `bash_20250124`; `None` for all others.
    pub fn from_type(kind: &str) -> Option<Self> {
        let (name, version) = kind.rsplit_once('_')?;
        let is_date = version.len() == 8 && version.bytes().all(|byte| byte.is_ascii_digit());
        match name {
            _ if !is_date => None,
            "bash" => Some(Self::Bash),
            "text_editor" => Some(Self::TextEditor),
            "computer" => Some(Self::Computer),
            "memory" => Some(Self::Memory),
            _ => None,
        }
    }

    /// Returns the name that Anthropic gives the tool.
    fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::TextEditor => "str_replace_based_edit_tool",
            Self::Computer => "computer",
            Self::Memory => "memory",
        }
    }

    /// Returns the tool of this type with these fields of its definition.
    pub fn into_tool(self, kind: String, mut fields: Map<String, Value>) -> Tool {
        fields.shift_remove("type");
        let name = fields.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.unwrap_or(self.name()).to_owned();
        fields.insert("name".into(), name.as_str().into());
        let (mut description, schema) = self.schema();
        let number = |field: &str| fields.get(field).and_then(Value::as_u64);
        if self == Self::Computer
            && let (Some(width), Some(height)) =
                (number("display_width_px"), number("display_height_px"))
        {
            description.push_str(&format!(" The screen has {width} by {height} pixels."));
        }
        let function = FunctionTool {
            name,
            description: Some(description),
            parameters: to_raw_value(&schema).ok(),
            strict: None,
        };
        Tool { kind, function: Some(function), rest: fields }
    }

    /// Returns the description and the input schema of the tool.
    fn schema(self) -> (String, Value) {
        let text = |description: &str| json!({"type": "string", "description": description});
        let whole = |description: &str| json!({"type": "integer", "description": description});
        let point = |description: &str| json!({"type": "array", "items": {"type": "integer"}, "description": description});
        let (description, properties, required) = match self {
            Self::Bash => (
                "Runs commands in a bash shell that keeps its state between calls.",
                json!({
                    "command": text("The command to run. Needed unless the shell is restarted."),
                    "restart": {"type": "boolean", "description": "True to start the shell anew."},
                }),
                json!([]),
            ),
            Self::TextEditor => (
                "Views, creates and edits text files.",
                json!({
                    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
                    "path": text("The absolute path of the file or folder."),
                    "file_text": text("For create: the text of the file."),
                    "old_str": text("For str_replace: the text to replace; it must stand in the file once."),
                    "new_str": text("For str_replace: the text in its place. For insert, by older clients: the text to insert."),
                    "insert_line": whole("For insert: the line after which the text goes; 0 is the beginning."),
                    "insert_text": text("For insert: the text to insert."),
                    "view_range": point("For view: the first and the last line; -1 is the end."),
                }),
                json!(["command", "path"]),
            ),
            Self::Computer => (
                "Uses a screen, a mouse and a keyboard. Take a screenshot to see what an action has done.",
                json!({
                    "action": {"type": "string", "enum": [
                        "screenshot", "left_click", "right_click", "middle_click", "double_click", "triple_click",
                        "mouse_move", "left_click_drag", "left_mouse_down", "left_mouse_up", "cursor_position",
                        "key", "type", "hold_key", "scroll", "wait", "zoom",
                    ]},
                    "coordinate": point("Where: x and y in pixels from the upper left corner."),
                    "start_coordinate": point("For left_click_drag: where it begins."),
                    "text": text("For type: the text. For key and hold_key: the keys, as in ctrl+s."),
                    "scroll_direction": {"type": "string", "enum": ["up", "down", "left", "right"]},
                    "scroll_amount": whole("For scroll: how many clicks of the wheel."),
                    "duration": {"type": "number", "description": "For hold_key and wait: how many seconds."},
                    "region": point("For zoom: the upper left and the lower right corner."),
                }),
                json!(["action"]),
            ),
            Self::Memory => (
                "Keeps notes between conversations, as files below /memories. View that folder before anything else.",
                json!({
                    "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert", "delete", "rename"]},
                    "path": text("The path of the file or folder, below /memories."),
                    "file_text": text("For create: the text of the file."),
                    "old_str": text("For str_replace: the text to replace."),
                    "new_str": text("For str_replace: the text in its place."),
                    "insert_line": whole("For insert: the line after which the text goes."),
                    "insert_text": text("For insert: the text to insert."),
                    "old_path": text("For rename: the path until now."),
                    "new_path": text("For rename: the path from now on."),
                    "view_range": point("For view: the first and the last line."),
                }),
                json!(["command"]),
            ),
        };
        let schema = json!({"type": "object", "properties": properties, "required": required});
        (description.into(), schema)
    }
}
