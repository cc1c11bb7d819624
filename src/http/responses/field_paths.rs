//! Maps the fields of a chat to those of the request that it was made of.

/// The paths in the request of a chat's messages and tools.
pub struct FieldPaths {
    /// The field of each message's content, as in `input[3].output`.
    pub messages: Vec<String>,
    /// The field of each tool, as in `tools[2].tools[0]`.
    pub tools: Vec<String>,
}

impl FieldPaths {
    /// Returns the path in the request of this field of the chat; `None` if it is the same.
    pub fn original_field(&self, field: &str) -> Option<String> {
        if let Some((place, rest)) = within(field, "messages[") {
            let rest = rest.strip_prefix(".content").unwrap_or(rest);
            return Some(format!("{}{rest}", self.messages.get(place)?));
        }
        if let Some((place, rest)) = within(field, "tools[") {
            let rest = rest.strip_prefix(".function").unwrap_or(rest);
            return Some(format!("{}{rest}", self.tools.get(place)?));
        }
        if let Some(rest) = field.strip_prefix("response_format") {
            return Some(format!(
                "text.format{}",
                rest.strip_prefix(".json_schema").unwrap_or(rest)
            ));
        }
        match field {
            "max_completion_tokens" | "max_tokens" => Some("max_output_tokens".into()),
            "reasoning_effort" => Some("reasoning.effort".into()),
            "tool_choice.allowed_tools" => Some("tool_choice.tools".into()),
            "tool_choice.function.name" => Some("tool_choice.name".into()),
            _ => None,
        }
    }
}

/// Returns the number in these brackets, and what comes after them.
fn within<'a>(field: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (place, rest) = field.strip_prefix(list)?.split_once(']')?;
    Some((place.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_chat_are_named_as_in_the_request() {
        let field_paths = FieldPaths {
            messages: vec!["instructions".into(), "input[3].output".into()],
            tools: vec!["tools[4]".into(), "tools[5].tools[1]".into()],
        };
        for (chats, own) in [
            ("messages[0].content", Some("instructions")),
            ("messages[1].content[2]", Some("input[3].output[2]")),
            ("messages[2].content", None),
            ("tools[0].function.parameters", Some("tools[4].parameters")),
            ("tools[1]", Some("tools[5].tools[1]")),
            ("tools[2]", None),
            ("response_format.json_schema.schema", Some("text.format.schema")),
            ("response_format.type", Some("text.format.type")),
            ("max_completion_tokens", Some("max_output_tokens")),
            ("reasoning_effort", Some("reasoning.effort")),
            ("temperature", None),
        ] {
            assert_eq!(field_paths.original_field(chats).as_deref(), own, "{chats}");
        }
    }
}
