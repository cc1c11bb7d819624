//! What a filter sees: chats as Open WebUI has them, what is asked at the host's own door, and what answers have cost.

use crate::{CallContext, ChatRef, Demand, Host, ModelKind, Usage, User};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// The JSON object that Open WebUI hands to an inlet or outlet (`docs/reference/open-webui.md`, "Inlet and outlet bodies").
///
/// What a filter answers *replaces* the body, so it is kept whole and in order: a filter changes what it means to change and returns
/// the rest as it came. On the way out a changed text must be changed in `output` too, or the browser does not show it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FilterBody(pub Map<String, Value>);

impl FilterBody {
    /// The model as selected in Open WebUI, a connection's prefix included.
    pub fn model(&self) -> Option<&str> {
        self.0.get("model")?.as_str()
    }

    /// The model behind a model of Open WebUI's own workspace; on the way in only.
    pub fn base_model(&self) -> Option<&str> {
        self.0.get("metadata")?.get("model")?.get("info")?.get("base_model_id")?.as_str()
    }

    /// The messages, oldest first.
    pub fn messages(&self) -> &[Value] {
        self.0.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A text of Open WebUI's metadata, as in `metadata("chat_id")`; on the way in only.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(key)?.as_str()
    }
}

/// One chat on its way through a filter.
#[derive(Clone, Debug)]
pub struct FilterCall {
    /// The chat.
    pub body: FilterBody,
    /// Who chats, if it is known.
    pub user: Option<Arc<User>>,
    /// The way to models, and to what is counted.
    pub host: Host,
}

/// What is asked of a model of this host, before it goes there: by a client, or by a pipe that answers through another model.
#[derive(Clone, Debug)]
pub struct AdmissionRequest {
    /// The full id of the model.
    pub model: String,
    /// What is asked for.
    pub demand: Demand,
    /// What that may cost in millionths of a US dollar, where the price is known.
    pub cost: Option<u64>,
    /// Which chat it is.
    pub chat: Arc<ChatRef>,
    /// Who asks. It says what was let pass already, and through which model the request has come.
    pub context: CallContext,
    /// The way to what is counted.
    pub host: Host,
}

/// What one answer has cost.
#[derive(Clone, Debug)]
pub struct UsageReport {
    /// The full id of the model that answered.
    pub model: String,
    /// What it did.
    pub kind: ModelKind,
    /// In tokens.
    pub usage: Usage,
    /// In millionths of a US dollar, where the price is known.
    pub cost: Option<u64>,
    /// Who asked, and through which model.
    pub context: CallContext,
    /// The way to what is counted.
    pub host: Host,
}
