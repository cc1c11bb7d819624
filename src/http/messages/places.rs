//! Where a part of a body's message stood in the request: turns are cut into messages, so their numbers differ.

/// The fields of all parts, message by message.
#[derive(Default)]
pub struct Places(Vec<Vec<String>>);

impl Places {
    /// Adds the next message, whose parts stood in these fields.
    pub fn push(&mut self, fields: Vec<String>) {
        self.0.push(fields);
    }

    /// Where this field of the body, as in `messages[2].content[1]`, stood.
    pub fn of(&self, field: &str) -> Option<&str> {
        let (message, part) = field.strip_prefix("messages[")?.split_once("].content[")?;
        let (part, _) = part.split_once(']')?;
        let parts = self.0.get(message.parse::<usize>().ok()?)?;
        parts.get(part.parse::<usize>().ok()?).map(String::as_str)
    }
}
