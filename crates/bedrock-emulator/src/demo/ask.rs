//! What a `Converse` body asks for, as far as the demo understands it.

use crate::body::{list, messages};
use aws_smithy_types::base64;
use serde_json::Value;

pub(super) struct Ask<'a> {
    body: &'a Value,
    last: &'a [Value],
    text: String,
}

impl<'a> Ask<'a> {
    pub(super) fn new(body: &'a Value) -> Self {
        let last = messages(body).last().map_or(&[][..], |turn| list(&turn["content"]));
        let text =
            last.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n");
        Self { body, last, text }
    }

    /// The text of the last turn.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    pub(super) fn has_system(&self) -> bool {
        list(&self.body["system"]).iter().any(|block| block["text"].is_string())
    }

    /// The images of the last turn, each as format and size.
    pub(super) fn images(&self) -> Vec<String> {
        let images = self.last.iter().filter_map(|block| block.get("image"));
        images.map(|image| format!("{}, {}", plain(&image["format"]), size(image))).collect()
    }

    /// The documents of the last turn, each as name, format and size.
    pub(super) fn documents(&self) -> Vec<String> {
        let documents = self.last.iter().filter_map(|block| block.get("document"));
        documents
            .map(|file| {
                format!("{} ({}, {})", plain(&file["name"]), plain(&file["format"]), size(file))
            })
            .collect()
    }

    /// What the tools have answered in the last turn.
    pub(super) fn tool_result(&self) -> Option<String> {
        let results = self.last.iter().filter_map(|block| block.get("toolResult"));
        let said = results.flat_map(|result| list(&result["content"])).map(|part| {
            part["text"].as_str().map_or_else(|| part["json"].to_string(), str::to_owned)
        });
        Some(said.collect::<Vec<_>>().join("\n")).filter(|said| !said.is_empty())
    }

    /// The tool that must be called, or that the user speaks of.
    pub(super) fn wanted_tool(&self) -> Option<&'a Value> {
        let choice = &self.body["toolConfig"]["toolChoice"];
        let mut tools =
            list(&self.body["toolConfig"]["tools"]).iter().filter_map(|tool| tool.get("toolSpec"));
        if let Some(named) = choice.get("tool") {
            return tools.find(|tool| tool["name"] == named["name"]);
        }
        if choice.get("any").is_some() {
            return tools.next();
        }
        tools.find(|tool| self.speaks_of(tool)).filter(|_| self.tool_result().is_none())
    }

    fn speaks_of(&self, tool: &Value) -> bool {
        let (text, name) = (self.text.to_lowercase(), plain(&tool["name"]).to_lowercase());
        let about = format!("{name} {}", plain(&tool["description"]).to_lowercase());
        text.contains(&name)
            || text.contains(&name.replace('_', " "))
            || ["weather", "time"].iter().any(|topic| text.contains(topic) && about.contains(topic))
    }

    /// Whether the model is asked to think, in any family's way.
    pub(super) fn wants_thinking(&self) -> bool {
        let fields = &self.body["additionalModelRequestFields"];
        let kinds =
            ["thinking", "reasoning_config", "reasoningConfig"].map(|name| &fields[name]["type"]);
        kinds.iter().any(|kind| **kind == "enabled" || **kind == "adaptive")
            || fields["reasoning_effort"].is_string()
    }

    /// The schema the answer must have.
    pub(super) fn answer_schema(&self) -> Option<Value> {
        let schema = &self.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
        serde_json::from_str(schema.as_str()?).ok()
    }
}

fn plain(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn size(medium: &Value) -> String {
    let bytes = base64::decode(plain(&medium["source"]["bytes"])).map_or(0, |bytes| bytes.len());
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} kB", bytes / 1024) }
}
