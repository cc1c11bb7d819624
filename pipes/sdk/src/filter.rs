//! What a filter sees: the body of a chat as Open WebUI has it, whole.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The JSON object that Open WebUI hands to an inlet or outlet (contract §2.4, §2.5).
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

    /// The messages, oldest first.
    pub fn messages(&self) -> &[Value] {
        self.0.get("messages").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// A text of Open WebUI's metadata, as in `metadata("chat_id")`; on the way in only.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.0.get("metadata")?.get(key)?.as_str()
    }
}
