//! What the model may call, and what it must.

use super::request::fault;
use pipe_sdk::{FunctionTool, Result, Tool};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json, value::RawValue};

/// A function whose parts stand beside its type.
#[derive(Serialize, Deserialize)]
pub struct FlatTool {
    #[serde(default = "function", rename = "type")]
    kind: String,
    #[serde(default)]
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

fn function() -> String {
    "function".into()
}

impl FlatTool {
    /// The same tool of a chat; it stands at this place.
    pub fn read(self, place: usize) -> Result<Tool> {
        let Self { kind, name, description, parameters, strict, rest } = self;
        if kind != "function" {
            let rule = format!("tools of type `{kind}` are not served, only functions are");
            return Err(fault(&format!("tools[{place}].type"), &rule));
        }
        if name.is_empty() {
            return Err(fault(&format!("tools[{place}].name"), "a tool needs a name"));
        }
        let function = Some(FunctionTool { name, description, parameters, strict });
        Ok(Tool { kind, function, rest })
    }
}

/// What must be called. A chat names its tools within an object of their own.
pub fn choice(choice: Value) -> Result<Value> {
    let Value::Object(fields) = &choice else { return Ok(choice) };
    match fields.get("type").and_then(Value::as_str) {
        Some("function") => {
            named(&choice).ok_or_else(|| fault("tool_choice.name", "name the function"))
        }
        Some("allowed_tools") => {
            let tools = fields.get("tools").and_then(Value::as_array);
            let tools = tools.and_then(|tools| tools.iter().map(named).collect::<Option<Vec<_>>>());
            let tools = tools
                .ok_or_else(|| fault("tool_choice.tools", "name the functions by type and name"))?;
            let mode = fields.get("mode").and_then(Value::as_str).unwrap_or("auto");
            Ok(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}))
        }
        _ => Err(fault(
            "tool_choice",
            "must be none, auto, required, or an object of type function or allowed_tools",
        )),
    }
}

fn named(function: &Value) -> Option<Value> {
    let name = function.get("name")?.as_str()?;
    Some(json!({"type": "function", "function": {"name": name}}))
}
