//! A chat on its way through a pipe, with its user, its chat and its hints.

use crate::{Body, ChatRef, Hints, Host, User};
use std::sync::Arc;

/// A chat to be answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// The model's id within the pipe: `gpt-x` for `openai_proxy.gpt-x`. For a pipe with one model
    /// it is the pipe's own id.
    pub model: String,
    /// The request. Its `stream` is what the client asked for: a pipe may answer a chat that is not
    /// streamed from one response of its upstream, with a few large chunks.
    pub body: Body,
    /// The user, if known.
    pub user: Option<Arc<User>>,
    /// The chat that the call belongs to.
    pub chat: Arc<ChatRef>,
    /// The hints beside the body.
    pub hints: Hints,
    /// The handle for calls to other models.
    pub host: Host,
}
