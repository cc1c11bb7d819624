//! Maps the fields of a chat to those of the request that it was made of.

/// The paths of all parts, message by message: turns are split into messages, so their numbers
/// differ.
#[derive(Default)]
pub struct FieldPaths {
    parts: Vec<Vec<String>>,
    /// The place in the request of each tool of the chat: some are left out.
    pub tools: Vec<usize>,
}

impl FieldPaths {
    /// Adds the paths of the next message's parts.
    pub fn push(&mut self, fields: Vec<String>) {
        self.parts.push(fields);
    }

    /// Returns the path in the request of this field of the chat, as in `messages[2].content[1]`;
    /// `None` if it is the same.
    pub fn original_field(&self, field: &str) -> Option<String> {
        if field.starts_with("messages[") {
            return self.part_field(field).map(str::to_owned);
        }
        if let Some(tool) = field.strip_prefix("tools[") {
            let (place, rest) = tool.split_once("].function")?;
            let place = self.tools.get(place.parse::<usize>().ok()?)?;
            return Some(format!("tools[{place}]{}", rest.replace(".parameters", ".input_schema")));
        }
        let own = [
            ("response_format.json_schema", "output_config.format"),
            ("response_format", "output_config.format"),
            ("reasoning_effort", "output_config.effort"),
            ("tool_choice.function", "tool_choice"),
            ("max_completion_tokens", "max_tokens"),
            ("stop", "stop_sequences"),
            ("user", "metadata.user_id"),
        ];
        own.iter().find_map(|(chats, own)| {
            let rest = field.strip_prefix(chats)?;
            let is_it = rest.is_empty() || rest.starts_with(['.', '[']);
            is_it.then(|| format!("{own}{rest}"))
        })
    }

    fn part_field(&self, field: &str) -> Option<&str> {
        let (message, part) = field.strip_prefix("messages[")?.split_once("].content[")?;
        let (part, _) = part.split_once(']')?;
        let parts = self.parts.get(message.parse::<usize>().ok()?)?;
        parts.get(part.parse::<usize>().ok()?).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_chat_are_named_as_in_the_request() {
        let parts = vec![Vec::new(), vec!["messages[0].content[2]".into()]];
        let field_paths = FieldPaths { parts, tools: vec![1, 4] };
        for (chats, own) in [
            ("messages[1].content[0]", Some("messages[0].content[2]")),
            ("messages[0].content[0]", None),
            ("tools[1].function.parameters", Some("tools[4].input_schema")),
            ("tools[4]", None),
            ("response_format.json_schema.schema", Some("output_config.format.schema")),
            ("tool_choice.function.name", Some("tool_choice.name")),
            ("stop[3]", Some("stop_sequences[3]")),
            ("stopped", None),
            ("temperature", None),
        ] {
            assert_eq!(field_paths.original_field(chats).as_deref(), own, "{chats}");
        }
    }
}
