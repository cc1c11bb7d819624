//! One chat on its way through a pipe, and who it belongs to.

use crate::{Body, Host};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, sync::Arc};

/// One chat to be answered.
#[derive(Clone, Debug)]
pub struct Call {
    /// The model's id within the pipe: `gpt-x` for `openai_proxy.gpt-x`; the pipe's own id for a pipe with one model.
    pub model: String,
    /// What is asked.
    pub body: Body,
    /// Who asks, if it is known.
    pub user: Option<User>,
    /// Which chat it is.
    pub chat: ChatRef,
    /// What was wished beside the body.
    pub hints: Hints,
    /// The way to other models.
    pub host: Host,
}

/// The person who chats, as Open WebUI tells it (`docs/reference/open-webui.md`, "User headers" and "What a chat carries"). Whoever holds the host's key is trusted to say it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// Open WebUI's id.
    pub id: String,
    /// Shown to others; any text.
    pub name: Option<String>,
    /// May be missing.
    pub email: Option<String>,
    /// `admin`, `user` or `pending`.
    pub role: Option<String>,
}

/// Which chat, message and session a call belongs to; what Open WebUI did not tell is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatRef {
    /// The chat. `local:…` for temporary chats, `channel:…` for channels.
    pub chat_id: Option<String>,
    /// The message that is being answered.
    pub message_id: Option<String>,
    /// The browser's session.
    pub session_id: Option<String>,
    /// `title_generation`, `tags_generation`, … when a background task of Open WebUI asks (`docs/reference/open-webui.md`, "Background tasks").
    pub task: Option<String>,
}

/// Wishes that stand beside the body of a chat, by lower-case names: `x-pipewright-…` and what providers' own clients send, as in
/// `x-amzn-bedrock-guardrailidentifier`. A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints(Arc<BTreeMap<String, String>>);

impl Hints {
    /// How long a context the model is to have: `1m` for a million tokens, where it has a choice.
    pub const CONTEXT: &str = "x-pipewright-context";

    /// The same with this wish too.
    #[must_use]
    pub fn with(&self, name: &str, wish: &str) -> Self {
        let mut wishes = BTreeMap::clone(&self.0);
        wishes.insert(name.into(), wish.into());
        Self(Arc::new(wishes))
    }

    /// What this wish says, if it was made.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Hints {
    fn from(wishes: [(&str, &str); N]) -> Self {
        wishes.into_iter().map(|(name, wish)| (name.into(), wish.into())).collect()
    }
}

impl FromIterator<(String, String)> for Hints {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(wishes: T) -> Self {
        Self(Arc::new(wishes.into_iter().collect()))
    }
}
