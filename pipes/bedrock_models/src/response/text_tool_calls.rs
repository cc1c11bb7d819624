//! Calls of tools that a model has written as text.
//!
//! Nova ends such an answer with `malformed_tool_use` and gives its own notation as text, as in
//! `<__function=name><__parameter=city>Lima</__parameter>`
//! (<https://github.com/vercel/ai/issues/16926>), or JSON that names the tool.

use serde_json::{Map, Value};
use std::mem;

/// The beginnings of calls that are written as text.
const PREFIXES: &[&str] = &[
    "<tools>",
    "<tool_call>",
    "<__function=",
    "{\"name\"",
    "{\"tool",
    "{\"function",
    "[{\"name\"",
    "[{\"tool",
];

/// The largest text that is held back because it may be a tool call. A longer one is passed on as
/// text.
const MAX_HELD_BYTES: usize = 4 << 20;

/// Holds back what may turn out to be a call.
#[derive(Debug, Default)]
pub struct TextToolCalls {
    /// Text that waits for its end, or until it can be distinguished from other text.
    held: String,
    is_call: bool,
}

impl TextToolCalls {
    /// Returns the part of this text, and of the text before it, that certainly is no call.
    pub fn filter(&mut self, text: &str) -> String {
        self.held.push_str(text);
        if !self.is_call {
            let start = PREFIXES.iter().filter_map(|prefix| self.held.find(prefix)).min();
            self.is_call = start.is_some();
            let end = start.unwrap_or_else(|| self.held.len() - partial_prefix_len(&self.held));
            let call = self.held.split_off(end);
            return mem::replace(&mut self.held, call);
        }
        if self.held.len() > MAX_HELD_BYTES {
            self.is_call = false;
            return self.take_held();
        }
        String::new()
    }

    /// Returns the text that is still held back.
    pub fn take_held(&mut self) -> String {
        self.is_call = false;
        mem::take(&mut self.held)
    }

    /// Returns whether what is held back looks like a call.
    pub fn is_call(&self) -> bool {
        self.is_call
    }
}

/// Returns the number of bytes at the end of a text that may be the beginning of a call.
fn partial_prefix_len(text: &str) -> usize {
    let longest = PREFIXES.iter().map(|prefix| prefix.len()).max().unwrap_or_default();
    let starts = |length: &usize| {
        let end = text.len().checked_sub(*length).and_then(|from| text.get(from..));
        end.is_some_and(|end| PREFIXES.iter().any(|prefix| prefix.starts_with(end)))
    };
    (1..longest).rev().find(starts).unwrap_or_default()
}

/// Returns the calls in this text of tools of these names, each with its arguments; none, if it is
/// not clear what is called.
pub fn parse_tool_calls(text: &str, tools: &[String]) -> Vec<(String, Map<String, Value>)> {
    let calls = if text.contains("<__function=") { parse_tagged(text) } else { parse_json(text) };
    let known = |(name, _): &(String, _)| tools.contains(name);
    if calls.iter().all(known) { calls } else { Vec::new() }
}

/// Returns the calls in Nova's own notation. What is cut off at the end of it stands for itself.
fn parse_tagged(text: &str) -> Vec<(String, Map<String, Value>)> {
    let mut calls = Vec::new();
    for call in text.split("<__function=").skip(1) {
        let Some((name, rest)) = call.split_once('>') else { return Vec::new() };
        let rest = rest.split("</__function>").next().unwrap_or_default();
        let mut arguments = Map::new();
        for parameter in rest.split("<__parameter=").skip(1) {
            let Some((name, value)) = parameter.split_once('>') else { return Vec::new() };
            let value = value.rsplit_once("</__parameter>").map_or(value, |(value, _)| value);
            let value = value.trim();
            let read = serde_json::from_str(value).unwrap_or_else(|_| value.into());
            arguments.insert(strip_quotes(name), read);
        }
        calls.push((strip_quotes(name), arguments));
    }
    calls
}

fn strip_quotes(name: &str) -> String {
    name.trim().trim_matches('"').to_owned()
}

/// Returns the calls in JSON: a text may hold one call or a list of them.
fn parse_json(text: &str) -> Vec<(String, Map<String, Value>)> {
    let Some(start) = text.find(['{', '[']) else { return Vec::new() };
    let json = text.get(start..).unwrap_or_default();
    let mut calls = Vec::new();
    for value in serde_json::Deserializer::from_str(json).into_iter::<Value>() {
        // Words and tags after the last call are no calls.
        let Ok(value) = value else { break };
        collect(value, &mut calls);
    }
    calls
}

/// Collects the tool calls of a JSON value, or of each value in a list.
fn collect(value: Value, calls: &mut Vec<(String, Map<String, Value>)>) {
    let mut call = match value {
        Value::Array(list) => {
            list.into_iter().for_each(|value| collect(value, calls));
            return;
        }
        Value::Object(call) => call,
        _ => return,
    };
    for inner in ["toolUse", "tool_use", "tool_call", "tool_calls", "function"] {
        if let Some(inner @ (Value::Object(_) | Value::Array(_))) = call.shift_remove(inner) {
            collect(inner, calls);
            return;
        }
    }
    let name = ["name", "tool_name"].into_iter().find_map(|name| call.get(name)?.as_str());
    let Some(name) = name.map(str::to_owned) else { return };
    let given = ["arguments", "parameters", "input", "args"];
    let arguments = given.into_iter().find_map(|given| call.shift_remove(given));
    let arguments = match arguments {
        Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or_default(),
        Some(arguments) => arguments,
        None => Value::Object(Map::new()),
    };
    if let Value::Object(arguments) = arguments {
        calls.push((name, arguments));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn calls_are_read_in_either_notation() {
        let tools = ["time".to_owned()];
        for (text, arguments) in [
            (
                "<tools>\n  <__function=time>\n    <__parameter=city>Lima</__parameter>\n    <__parameter=n>5</__parameter>\n",
                json!({"city": "Lima", "n": 5}),
            ),
            (
                "<__function=time><__parameter=tags>[\"a\"]</__parameter></__function></tools>",
                json!({"tags": ["a"]}),
            ),
            ("<__function=time>", json!({})),
            (r#"{"name": "time", "arguments": {"city": "Lima"}}"#, json!({"city": "Lima"})),
            (r#"[{"name": "time", "parameters": "{\"a\":1}"}]"#, json!({"a": 1})),
            (r#"<tool_call>{"name": "time", "input": {}}</tool_call>"#, json!({})),
            (
                r#"{"toolUse": {"name": "time", "toolUseId": "x", "input": {"a": 1}}}"#,
                json!({"a": 1}),
            ),
        ] {
            let calls = parse_tool_calls(text, &tools);
            let read: Vec<_> =
                calls.into_iter().map(|(name, all)| (name, Value::from(all))).collect();
            assert_eq!(read, [("time".to_owned(), arguments)], "{text}");
        }
        for text in ["no", "{", r#"{"name": "other", "arguments": {}}"#, "<__function=time", "{}"] {
            assert!(parse_tool_calls(text, &tools).is_empty(), "{text}");
        }
    }

    #[test]
    fn other_text_is_passed_on_however_it_is_split() {
        let text = "a < b, <b>{\"x\": [1]} <tool>{";
        for size in 1..text.len() {
            let mut calls = TextToolCalls::default();
            let pieces = text.as_bytes().chunks(size);
            let mut output: String =
                pieces.map(|piece| calls.filter(std::str::from_utf8(piece).unwrap())).collect();
            output += &calls.take_held();
            assert_eq!(output, text, "{size}");
        }
    }
}
