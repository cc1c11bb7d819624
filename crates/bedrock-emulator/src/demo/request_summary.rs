//! The parts of a `Converse` body that the demo evaluates.

use crate::body::{list, messages};
use aws_smithy_types::base64;
use serde_json::Value;

/// A `Converse` body with its last message.
pub(super) struct RequestSummary<'a> {
    body: &'a Value,
    last: &'a [Value],
    text: String,
}

impl<'a> RequestSummary<'a> {
    pub(super) fn new(body: &'a Value) -> Self {
        let last = messages(body).last().map_or(&[][..], |turn| list(&turn["content"]));
        let text =
            last.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n");
        Self { body, last, text }
    }

    /// Returns the text of the last message.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn has_text(&self) -> bool {
        !self.text.is_empty()
    }

    pub(super) fn has_system(&self) -> bool {
        list(&self.body["system"]).iter().any(|block| block["text"].is_string())
    }

    /// Describes the images of the last message, each by format and size.
    pub(super) fn images(&self) -> Vec<String> {
        let images = self.last.iter().filter_map(|block| block.get("image"));
        images
            .map(|image| format!("{}, {}", as_text(&image["format"]), describe_size(image)))
            .collect()
    }

    /// Describes the documents of the last message, each by name, format and size.
    pub(super) fn documents(&self) -> Vec<String> {
        let documents = self.last.iter().filter_map(|block| block.get("document"));
        documents
            .map(|file| {
                format!(
                    "{} ({}, {})",
                    as_text(&file["name"]),
                    as_text(&file["format"]),
                    describe_size(file)
                )
            })
            .collect()
    }

    /// Returns the text of the tool results in the last message.
    pub(super) fn tool_result(&self) -> Option<String> {
        let results = self.last.iter().filter_map(|block| block.get("toolResult"));
        let texts = results.flat_map(|result| list(&result["content"])).map(|part| {
            part["text"].as_str().map_or_else(|| part["json"].to_string(), str::to_owned)
        });
        Some(texts.collect::<Vec<_>>().join("\n")).filter(|texts| !texts.is_empty())
    }

    /// Returns the tool that must be called, or that the user mentions.
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
        tools.find(|tool| self.is_mentioned(tool)).filter(|_| self.tool_result().is_none())
    }

    fn is_mentioned(&self, tool: &Value) -> bool {
        let (text, name) = (self.text.to_lowercase(), as_text(&tool["name"]).to_lowercase());
        let about = format!("{name} {}", as_text(&tool["description"]).to_lowercase());
        text.contains(&name)
            || text.contains(&name.replace('_', " "))
            || ["weather", "time"].iter().any(|topic| text.contains(topic) && about.contains(topic))
    }

    /// Returns whether the request enables reasoning, in the form of any model family.
    pub(super) fn enables_reasoning(&self) -> bool {
        let fields = &self.body["additionalModelRequestFields"];
        let kinds =
            ["thinking", "reasoning_config", "reasoningConfig"].map(|name| &fields[name]["type"]);
        kinds.iter().any(|kind| **kind == "enabled" || **kind == "adaptive")
            || fields["reasoning_effort"].is_string()
    }

    /// Returns the JSON schema of the answer.
    pub(super) fn answer_schema(&self) -> Option<Value> {
        let schema = &self.body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
        serde_json::from_str(schema.as_str()?).ok()
    }
}

fn as_text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn describe_size(medium: &Value) -> String {
    let bytes = base64::decode(as_text(&medium["source"]["bytes"])).map_or(0, |bytes| bytes.len());
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} kB", bytes / 1024) }
}
