//! The messages of a chat as OpenAI-compatible servers accept them.

use super::{ExtraFields, Vendor, parts::RequestPart};
use crate::call_ids::CallIds;
use crate::quirks::{Quirks, REASONING_FIELDS};
use pipe_sdk::{Content, Message, Role, ToolCall};
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use tool_schema::SentTools;

/// A message, with the fields that servers accept.
#[derive(Serialize)]
pub(super) struct RequestMessage<'a> {
    role: Role,
    content: RequestContent<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<RequestToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(flatten)]
    rest: ExtraFields<'a>,
}

/// The content of a message.
#[derive(Serialize)]
#[serde(untagged)]
enum RequestContent<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<RequestPart<'a>>),
    None,
}

/// A tool call in a message of the assistant.
#[derive(Serialize)]
struct RequestToolCall<'a> {
    id: Cow<'a, str>,
    r#type: &'static str,
    function: Function<'a>,
}

/// The name and the arguments of a call.
#[derive(Serialize)]
struct Function<'a> {
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
}

impl RequestMessage<'static> {
    /// Returns a system message with the descriptions of these tools; `None` if there are none.
    pub fn describing_tools(descriptions: &[(String, String)]) -> Option<Self> {
        if descriptions.is_empty() {
            return None;
        }
        let descriptions = descriptions.iter().map(|(name, text)| format!("`{name}`: {text}"));
        let descriptions: Vec<_> = descriptions.collect();
        let text = format!("Descriptions of tools:\n\n{}", descriptions.join("\n\n"));
        Some(RequestMessage::new(Role::System, RequestContent::Text(text.into())))
    }
}

/// Further fields of messages that servers accept.
const MESSAGE_FIELDS: &[&str] = &["function_call", "prefix", "partial"];

/// Returns the messages of a chat.
///
/// Each call has a result right after it, and each result a call before it: servers refuse others.
/// Servers accept pictures and files from the user only. What a tool or the assistant has shown
/// goes into the user's next message, after the results of all calls.
pub(super) fn write_messages<'a>(
    messages: &'a [Message],
    vendor: Vendor,
    quirks: Quirks,
    tools: &mut SentTools,
) -> Vec<RequestMessage<'a>> {
    let mut writer = MessageWriter {
        vendor,
        quirks,
        done: Vec::new(),
        shown: Vec::new(),
        ids: CallIds::new(quirks.call_id_form(vendor)),
        unanswered: Vec::new(),
    };
    for message in messages {
        writer.add(message, tools);
    }
    writer.answer_calls();
    writer.push_shown();
    writer.done
}

/// Writes the messages of a chat in a form that the server accepts.
struct MessageWriter<'a> {
    vendor: Vendor,
    quirks: Quirks,
    done: Vec<RequestMessage<'a>>,
    /// The pictures and files of tools and of the assistant.
    shown: Vec<RequestPart<'a>>,
    ids: CallIds<'a>,
    /// The calls that no result has answered yet.
    unanswered: Vec<UnansweredCall<'a>>,
}

/// A call that no result has answered yet.
struct UnansweredCall<'a> {
    /// The id that the client gave it.
    given: &'a str,
    /// The id that the server gets.
    id: Cow<'a, str>,
}

impl<'a> MessageWriter<'a> {
    fn add(&mut self, message: &'a Message, tools: &mut SentTools) {
        let is_result = matches!(message.role, Role::Tool | Role::Function);
        if !is_result {
            self.answer_calls();
        }
        if !is_result && message.role != Role::User {
            self.push_shown();
        }
        let mut tool_call_id = message.tool_call_id.as_deref().map(Cow::Borrowed);
        if message.role == Role::Tool {
            let given = message.tool_call_id.as_deref().unwrap_or_default();
            match self.unanswered.iter().position(|call| call.given == given) {
                Some(place) => tool_call_id = Some(self.unanswered.remove(place).id),
                None => return self.show_result(message),
            }
        }
        let content = self.content(message);
        let tool_calls = message.tool_calls.iter().map(|call| self.call(call, tools)).collect();
        let with_reasoning = !self.vendor.is_strict() && !self.quirks.no_reasoning;
        let reasoning = if with_reasoning { REASONING_FIELDS } else { &[] };
        let name = message.rest.get("name").and_then(Value::as_str);
        self.done.push(RequestMessage {
            // Chat templates of other vendors refuse `developer`.
            role: match message.role {
                Role::Developer if !self.vendor.is_strict() => Role::System,
                role => role,
            },
            content,
            tool_calls,
            tool_call_id,
            name: name.filter(|name| !name.is_empty()).map(to_accepted_name),
            rest: ExtraFields::select(&message.rest, &[MESSAGE_FIELDS, reasoning]),
        });
    }

    /// Returns the content of a message in a form that the server accepts.
    fn content(&mut self, message: &'a Message) -> RequestContent<'a> {
        let calls = !message.tool_calls.is_empty() || message.rest.contains_key("function_call");
        let parts = match &message.content {
            Some(Content::Text(text)) if message.role != Role::User || self.shown.is_empty() => {
                return RequestContent::Text(with_failure(message, text));
            }
            Some(Content::Text(text)) => vec![RequestPart::from_text(text)],
            Some(Content::Parts(parts)) => {
                let (vendor, quirks) = (self.vendor, self.quirks);
                let parts = parts.iter();
                parts.filter_map(|part| RequestPart::from_part(part, vendor, quirks)).collect()
            }
            None if calls => return RequestContent::None,
            None => return RequestContent::Text("".into()),
        };
        if message.role == Role::User {
            let shown = std::mem::take(&mut self.shown);
            let parts: Vec<_> = shown.into_iter().chain(parts).collect();
            return if parts.is_empty() {
                RequestContent::Text("".into())
            } else {
                RequestContent::Parts(parts)
            };
        }
        let (texts, media): (Vec<_>, Vec<_>) = parts.into_iter().partition(RequestPart::is_text);
        let has_media = !media.is_empty();
        if !matches!(message.role, Role::System | Role::Developer) {
            self.show(media, message.role);
        }
        match (texts.is_empty(), has_media) {
            (false, _) if is_failure(message) => {
                let failure = RequestPart::from_text(FAILURE);
                RequestContent::Parts([failure].into_iter().chain(texts).collect())
            }
            (false, _) => RequestContent::Parts(texts),
            (true, true) if message.role == Role::Tool => {
                RequestContent::Text("(The user's next message shows the result.)".into())
            }
            (true, _) if calls => RequestContent::None,
            (true, _) => RequestContent::Text(with_failure(message, "")),
        }
    }

    /// Answers the calls that have no result: a client may have been stopped.
    fn answer_calls(&mut self) {
        for UnansweredCall { id, .. } in std::mem::take(&mut self.unanswered) {
            self.done.push(RequestMessage {
                tool_call_id: Some(id),
                ..RequestMessage::new(
                    Role::Tool,
                    RequestContent::Text("(There is no result.)".into()),
                )
            });
        }
    }

    /// Shows a result that answers no call to the user.
    fn show_result(&mut self, message: &'a Message) {
        let parts: Vec<_> = match &message.content {
            Some(Content::Text(text)) => vec![RequestPart::from_text(text)],
            Some(Content::Parts(parts)) => {
                let (vendor, quirks) = (self.vendor, self.quirks);
                parts
                    .iter()
                    .filter_map(|part| RequestPart::from_part(part, vendor, quirks))
                    .collect()
            }
            None => Vec::new(),
        };
        self.show(parts, Role::Tool);
    }

    /// Keeps media of an assistant or a tool for the next message of the user.
    fn show(&mut self, media: Vec<RequestPart<'a>>, role: Role) {
        if media.is_empty() {
            return;
        }
        let whose = if role == Role::Assistant { "The assistant" } else { "The tool" };
        self.shown.push(RequestPart::from_text(format!("[{whose} has shown this:]")));
        let leaves_out = self.quirks.no_shown_images;
        self.shown.extend(media.into_iter().map(|part| match part {
            RequestPart::ImageUrl { .. } if leaves_out => RequestPart::from_text(LEFT_OUT_IMAGE),
            part => part,
        }));
    }

    /// Adds a message of the user with the media that were shown.
    fn push_shown(&mut self) {
        if self.shown.is_empty() {
            return;
        }
        let shown = std::mem::take(&mut self.shown);
        self.done.push(RequestMessage::new(Role::User, RequestContent::Parts(shown)));
    }

    fn call(&mut self, call: &'a ToolCall, tools: &mut SentTools) -> RequestToolCall<'a> {
        let name = &call.function.name;
        let given = call.function.arguments.trim();
        let arguments = match tools.arguments_to_service(name, given) {
            Some(changed) => changed.into(),
            None if given.is_empty() => "{}".into(),
            // Chat templates parse the arguments, so a broken call would break every later turn.
            None if serde_json::from_str::<serde::de::IgnoredAny>(given).is_err() => {
                serde_json::json!({"arguments": given}).to_string().into()
            }
            None => given.into(),
        };
        let function = Function { name: tools.to_service(name), arguments };
        let id = self.ids.add(&call.id);
        self.unanswered.push(UnansweredCall { given: &call.id, id: id.clone() });
        RequestToolCall { id, r#type: "function", function }
    }
}

impl<'a> RequestMessage<'a> {
    fn new(role: Role, content: RequestContent<'a>) -> Self {
        Self {
            role,
            content,
            tool_calls: Vec::new(),
            tool_call_id: None,
            name: None,
            rest: ExtraFields(Vec::new()),
        }
    }
}

/// The text in place of an image for a model that accepts none.
const LEFT_OUT_IMAGE: &str = "[An image was left out: you cannot see images.]";

/// The text before the result of a tool that has failed.
const FAILURE: &str = "The tool has failed:";

/// Returns whether the message is the result of a tool that has failed: OpenAI's API has no field
/// for that.
fn is_failure(message: &Message) -> bool {
    message.role == Role::Tool && message.rest.get("is_error").is_some_and(|failed| *failed == true)
}

/// Returns the text of a tool result, which begins with a note if the tool has failed.
fn with_failure<'a>(message: &Message, text: &'a str) -> Cow<'a, str> {
    if is_failure(message) { format!("{FAILURE} {text}").into() } else { text.into() }
}

/// Returns a name without white space and `<|\/>`, which OpenAI refuses.
fn to_accepted_name(name: &str) -> Cow<'_, str> {
    let is_refused = |c: char| c.is_whitespace() || "<|\\/>".contains(c);
    if name.contains(is_refused) { name.replace(is_refused, "_").into() } else { name.into() }
}
