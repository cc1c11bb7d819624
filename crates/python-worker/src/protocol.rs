//! The frames between the host and the runner.
//!
//! The host sends `call` frames with an id, and grants credit: an item costs one, and one more for
//! each [`CREDIT_BYTES`]. As long as a call has credit, the runner may send an item of it. The
//! runner answers each call with any number of `item` frames and one `end` or `error`. While a call
//! is answered, the runner may ask a `question` about models of the host, which `reply` frames
//! answer.

use crate::error::WorkerError;
use pipe_sdk::ValveError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// The credit of a call: what a worker may send ahead of its reader.
pub const CREDIT: usize = 32;

/// The bytes of an item that cost one credit.
pub const CREDIT_BYTES: usize = 16 << 10;

/// The largest frame of an item, in bytes.
pub const MAX_ITEM_BYTES: usize = 16 << 20;

/// The longest message of an error that is kept, in bytes.
const MAX_MESSAGE_BYTES: usize = 16 << 10;

/// Returns the credit that a frame of this many bytes costs.
pub fn credit_of(bytes: usize) -> usize {
    1 + bytes / CREDIT_BYTES
}

/// A frame to the runner.
#[derive(Debug, Serialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum HostFrame<'a> {
    /// Starts a call.
    Call { id: u64, method: &'a str, arguments: &'a RawValue, credit: usize },
    /// Lets a call send this number of further items.
    Credit { id: u64, count: usize },
    /// Ends a call without a receiver.
    Cancel { id: u64 },
    /// Asks for a `pong`.
    Ping { id: u64 },
    /// Answers a question: with an item, an error, or, if both are missing, with its end.
    Reply {
        question: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        item: Option<Value>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    },
}

/// A frame of the runner. The fields that are set decide its type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct WorkerFrame {
    /// The call that the frame is about.
    pub id: Option<u64>,
    /// An item of the call.
    pub item: Option<Item>,
    /// The end of the call, with its result.
    #[serde(deserialize_with = "present")]
    pub end: Option<Value>,
    /// The end of the call, with an error.
    pub error: Option<ErrorFrame>,
    /// `true` if the call could not be ended although it was cancelled.
    pub stuck: bool,
    /// The answer to a ping: its id.
    pub pong: Option<u64>,
    /// The first frame of a process.
    pub ready: Option<Ready>,
    /// The id of a question, with which the file calls the host.
    pub question: Option<u64>,
    /// The method of the question: `chat` or `models`.
    pub method: Option<String>,
    /// The arguments of the question.
    pub body: Option<Value>,
}

/// Deserializes `null` as `Some(Value::Null)`, to distinguish it from a missing field.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// Cuts a text that is longer than a message should be.
fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let mut text = String::deserialize(deserializer)?;
    if text.len() > MAX_MESSAGE_BYTES {
        text.truncate(text.floor_char_boundary(MAX_MESSAGE_BYTES));
        text.push('…');
    }
    Ok(text)
}

/// The first message of a process after its start.
#[derive(Debug, Default, Deserialize)]
pub struct Ready {
    /// The names of the parts of the kernel that are missing to confine it.
    pub missing: Vec<String>,
    /// The version of Python.
    pub python: String,
}

/// An item of a call: what a pipe has returned or yielded.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// Text.
    Text(String),
    /// The continuation of a text that is longer than one item.
    Rest(String),
    /// A dictionary, or the fields of a pydantic model.
    Object(Value),
}

/// An error of a call.
#[derive(Debug, Deserialize)]
pub struct ErrorFrame {
    /// The text of the exception.
    #[serde(deserialize_with = "short")]
    pub message: String,
    /// The name of the exception's class.
    #[serde(default, rename = "type")]
    pub class: String,
    /// The valves that were rejected.
    pub valves: Option<Vec<Violation>>,
}

/// A valve that was rejected.
#[derive(Debug, Deserialize)]
pub struct Violation {
    valve: String,
    rule: String,
}

impl From<Violation> for ValveError {
    fn from(violation: Violation) -> Self {
        Self::new(violation.valve, violation.rule)
    }
}

/// The description of a pipeline by itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Description {
    /// `Pipeline.id`.
    pub id: Option<String>,
    /// `Pipeline.name`.
    pub name: Option<String>,
    /// `Pipeline.type`: `manifold`, `filter`, or anything else for one model.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The functions that it has, of `pipe`, `inlet` and `outlet`.
    pub methods: Vec<String>,
    /// The JSON schema of its valves.
    pub schema: Value,
    /// The values of its valves.
    pub valves: Map<String, Value>,
    /// The valve `pipelines` of a filter.
    pub pipelines: Value,
    /// The valve `priority` of a filter.
    pub priority: Value,
    /// The models of a manifold.
    pub models: Vec<ListedModel>,
}

/// The largest number of models of a file; `runner/pipeline.py` has the same limit.
const MAX_MODELS: usize = 10_000;
/// The largest number of valves of a file; `runner/pipeline.py` has the same limit.
const MAX_VALVES: usize = 2_000;

impl Description {
    /// Checks that there are not too many models and valves.
    ///
    /// # Errors
    /// Returns an error if there are some.
    pub fn check_size(self) -> Result<Self, WorkerError> {
        let valves = self.schema["properties"].as_object().map_or(0, Map::len);
        if self.models.len() > MAX_MODELS || valves.max(self.valves.len()) > MAX_VALVES {
            let message = format!("{} models and {valves} valves", self.models.len());
            return Err(WorkerError::Protocol(message));
        }
        Ok(self)
    }
}

/// A model of a manifold.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ListedModel {
    /// The id within the manifold.
    pub id: String,
    /// The name.
    pub name: String,
}
