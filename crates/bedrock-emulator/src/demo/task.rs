//! Open WebUI's background tasks: titles, tags, follow-ups, queries.

use serde_json::{Value, json};

/// The beginning of Open WebUI's prompts for titles, tags and follow-up questions.
const TASK: &str = "### Task:";

/// Returns the JSON for a background task, if the prompt is one.
pub(super) fn task_answer(prompt: &str) -> Option<String> {
    if !prompt.trim_start().starts_with(TASK) {
        return None;
    }
    let topic = topic(prompt);
    let tasks: [(&str, Value); 4] = [
        ("title", json!(format!("💬 {topic}"))),
        ("tags", json!(["Demo", "Bedrock"])),
        ("follow_ups", json!([format!("Tell me more about {topic}."), "What else can you do?"])),
        ("queries", json!([topic])),
    ];
    let (name, value) =
        tasks.into_iter().find(|(name, _)| prompt.contains(&format!("\"{name}\"")))?;
    Some(json!({ name: value }).to_string())
}

/// Returns the first words of the user in the chat that the prompt quotes.
fn topic(prompt: &str) -> String {
    let history = prompt.split("<chat_history>").last().unwrap_or_default();
    let message = history
        .split("USER:")
        .nth(1)
        .and_then(|message| message.lines().find(|line| !line.trim().is_empty()));
    let words: Vec<_> = message.unwrap_or("the chat").split_whitespace().take(4).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_chore_gets_its_json() {
        let prompt = |format: &str| {
            format!(
                "### Task:\nDo it.\n### Output:\n{format}\n<chat_history>\nUSER: Why is the sky blue?\nASSISTANT: Light.\n</chat_history>"
            )
        };
        for (format, wanted) in [
            (r#"{ "title": "your title" }"#, Some(r#"{"title":"💬 Why is the sky"}"#)),
            (r#"{ "tags": ["tag1"] }"#, Some(r#"{"tags":["Demo","Bedrock"]}"#)),
            (r#"{ "queries": ["q"] }"#, Some(r#"{"queries":["Why is the sky"]}"#)),
            ("plain text", None),
        ] {
            assert_eq!(task_answer(&prompt(format)).as_deref(), wanted);
        }
        assert_eq!(task_answer("What is \"title\"?"), None);
    }
}
