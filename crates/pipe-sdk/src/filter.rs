//! The inputs of a filter: chats as Open WebUI has them, requests for admission to a model, and
//! usage.

use crate::{CallContext, ChatRef, Demand, Host, ModelKind, Usage, User};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The JSON object that Open WebUI hands to an inlet or outlet (`docs/reference/open-webui.md`,
/// "Inlet and outlet bodies").
///
/// The filter's result *replaces* the body, so it is kept complete and in order: a filter changes
/// what it has to change and returns the rest as it came. In an outlet a changed text must be
/// changed in `output` too, or the browser does not show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilterBody(pub Map<String, Value>);

impl FilterBody {
    /// Returns the model as selected in Open WebUI, a connection's prefix included.
    pub fn model(&self) -> Option<&str> {
        self.0.get("model")?.as_str()
    }

    /// Returns the model behind a model of Open WebUI's own workspace; on the way in only.
    pub fn base_model(&self) -> Option<&str> {
        self.0.get("metadata")?.get("model")?.get("info")?.get("base_model_id")?.as_str()
    }

    /// Returns the messages, oldest first.
    pub fn messages(&self) -> &[Value] {
        self.0.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Returns a text of Open WebUI's metadata, as in `metadata("chat_id")`. Only inlet filters get
    /// metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(key)?.as_str()
    }
}

/// A chat that passes through a filter.
#[derive(Clone, Debug)]
pub struct FilterCall {
    /// The chat.
    pub body: FilterBody,
    /// The user, if known.
    pub user: Option<Arc<User>>,
    /// The host, for access to models and the ledger.
    pub host: Host,
}

/// A request to a model of this host, before it is sent: by a client, or by a pipe that answers
/// through another model.
#[derive(Clone, Debug)]
pub struct AdmissionRequest {
    /// The full id of the model.
    pub model: String,
    /// The demand.
    pub demand: Demand,
    /// The highest possible cost in millionths of a US dollar, if the price is known.
    pub cost: Option<u64>,
    /// The chat.
    pub chat: Arc<ChatRef>,
    /// The context: it names the user, the models that were admitted already, and the model that
    /// the request has passed through.
    pub context: CallContext,
    /// The host, for access to the ledger.
    pub host: Host,
}

/// The usage of one answer.
#[derive(Clone, Debug)]
pub struct UsageReport {
    /// The full id of the model that answered.
    pub model: String,
    /// The kind of the model.
    pub kind: ModelKind,
    /// The usage, in tokens.
    pub usage: Usage,
    /// The cost in millionths of a US dollar, if the price is known.
    pub cost: Option<u64>,
    /// The context: the user, and the model that the request has passed through.
    pub context: CallContext,
    /// The host, for access to the ledger.
    pub host: Host,
}
