//! The limits of the local model, and the background tasks that every model can do.

use crate::valves::HybridValves;
use pipe_sdk::{Body, Call, Content, Demand, Message};

/// A capability that a chat needs and the local model lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MissingCapability {
    /// Images, audio or files.
    Media,
    /// Tools.
    Tools,
    /// A context of that size.
    Context,
}

impl MissingCapability {
    /// Returns the capability that the local model lacks for this chat, by the valves.
    pub fn find(body: &Body, valves: &HybridValves) -> Option<Self> {
        if !valves.local_images && body.messages.iter().any(has_media) {
            return Some(Self::Media);
        }
        if !valves.local_tools && offers_tools(body) {
            return Some(Self::Tools);
        }
        let max_tokens = valves.local_context_tokens?;
        let tokens =
            Demand::chat(body).prompt_tokens + body.max_answer_tokens().unwrap_or_default();
        (tokens > max_tokens).then_some(Self::Context)
    }

    /// Returns it as a reason, for errors and status lines.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Media => "the chat holds pictures or files, which the local model does not take",
            Self::Tools => "the chat offers tools, which the local model does not call",
            Self::Context => "the chat is longer than the local model can hold",
        }
    }
}

fn has_media(message: &Message) -> bool {
    let Some(Content::Parts(parts)) = &message.content else { return false };
    parts.iter().any(|part| part.text().is_none())
}

/// Returns whether the chat has tools that the model may call.
fn offers_tools(body: &Body) -> bool {
    let is_off = body.tool_choice.as_ref().is_some_and(|choice| choice == "none");
    !body.tools.is_empty() && !is_off
}

/// The background tasks of Open WebUI that any model does well enough.
const TASKS: [&str; 7] = [
    "title_generation",
    "tags_generation",
    "follow_up_generation",
    "query_generation",
    "image_prompt_generation",
    "autocomplete_generation",
    "emoji_generation",
];

/// Returns whether the chat is a background task that every model can do: by the task's name, or
/// without one by the prompt.
pub(crate) fn is_background_task(call: &Call) -> bool {
    if let Some(task) = &call.chat.task {
        return TASKS.contains(&task.as_str());
    }
    call.body.is_task_prompt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::testing::ScriptedHost;
    use serde_json::{Value, json};

    fn body(mut fields: Value) -> Body {
        let mut body =
            json!({"model": "m", "messages": [{"role": "user", "content": "0123456789abcdef"}]});
        body.as_object_mut().unwrap().append(fields.as_object_mut().unwrap());
        serde_json::from_value(body).unwrap()
    }

    fn call(body: Body, task: Option<&str>) -> Call {
        let chat = pipe_sdk::ChatRef { task: task.map(Into::into), ..Default::default() };
        let (model, host) = ("hybrid-smart".into(), ScriptedHost::new().host());
        Call { model, body, user: None, chat: chat.into(), hints: Default::default(), host }
    }

    #[test]
    fn what_the_valves_do_not_grant_is_lacking() {
        let pictured = json!({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:x"}]}]});
        let spoken = json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]});
        let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}]});
        let unused = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"});
        let plain = HybridValves::default();
        let able = HybridValves { local_images: true, local_tools: true, ..plain.clone() };
        let small = HybridValves { local_context_tokens: Some(13), ..plain.clone() };
        for (fields, valves, missing) in [
            (json!({}), &plain, None),
            (pictured.clone(), &plain, Some(MissingCapability::Media)),
            (pictured, &able, None),
            (spoken, &plain, Some(MissingCapability::Media)),
            (tools.clone(), &plain, Some(MissingCapability::Tools)),
            (tools, &able, None),
            (unused, &plain, None),
            (json!({}), &small, None),
            (json!({"max_tokens": 9}), &small, None),
            (json!({"max_tokens": 10}), &small, Some(MissingCapability::Context)),
        ] {
            assert_eq!(MissingCapability::find(&body(fields.clone()), valves), missing, "{fields}");
        }
    }

    #[test]
    fn a_task_is_known_by_its_name_or_by_its_form() {
        let asked = |text: &str| body(json!({"messages": [{"role": "user", "content": text}]}));
        for (text, task, is) in [
            ("hi", Some("title_generation"), true),
            ("hi", Some("follow_up_generation"), true),
            ("### Task:\nGenerate", Some("moa_response_generation"), false),
            ("### Task:\nGenerate 1-3 broad tags", None, true),
            ("What is a task?", None, false),
        ] {
            assert_eq!(is_background_task(&call(asked(text), task)), is, "{text} {task:?}");
        }
    }
}
