//! The chat that a call belongs to.

/// The chat, message and session of a call; `None` where Open WebUI did not send it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatRef {
    /// The id of the chat: `local:…` for temporary chats, `channel:…` for channels.
    pub chat_id: Option<String>,
    /// The id of the message that is being answered.
    pub message_id: Option<String>,
    /// The session of the browser.
    pub session_id: Option<String>,
    /// The background task of Open WebUI that the call is for: `title_generation`,
    /// `tags_generation`, … (`docs/reference/open-webui.md`, "Background tasks").
    pub task: Option<String>,
    /// The response of the Responses API that the client wants to be stored.
    pub response: Option<ResponseRef>,
}

/// A response of the Responses API that is to be stored, or continues a stored one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseRef {
    /// The id of the response; `None` if it is not to be stored.
    pub id: Option<String>,
    /// The id of the stored response that the request continues.
    pub previous_id: Option<String>,
    /// `true` if the first message holds the request's `instructions`, which apply to it alone.
    pub has_instructions: bool,
}
