//! A chat on its way through a pipe, with its user, its chat and its hints.

use crate::{Body, Host};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

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

/// A user, as Open WebUI describes it (`docs/reference/open-webui.md`, "User headers" and "What a
/// chat carries"). Callers with the host's own key are trusted to name the user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The id in Open WebUI.
    pub id: String,
    /// The display name; any text.
    pub name: Option<String>,
    /// The e-mail address, if there is one.
    pub email: Option<String>,
    /// The role: `admin`, `user` or `pending`.
    pub role: Option<String>,
}

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

/// Options beside the body of a request, by lower-case names: `x-pipewright-…`, and headers of the
/// providers' own clients, as in `x-amzn-bedrock-guardrailidentifier`. A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints(Arc<BTreeMap<String, String>>);

impl Hints {
    /// The length of the model's context: `1m` for a million tokens, where the model has a choice.
    pub const CONTEXT: &str = "x-pipewright-context";

    /// Returns the same hints and this one.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut hints = BTreeMap::clone(&self.0);
        hints.insert(name.into(), value.into());
        Self(Arc::new(hints))
    }

    /// Returns the value of this hint.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Hints {
    fn from(hints: [(&str, &str); N]) -> Self {
        hints.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

impl FromIterator<(String, String)> for Hints {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(hints: T) -> Self {
        Self(Arc::new(hints.into_iter().collect()))
    }
}
