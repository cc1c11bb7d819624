//! The usage of one answer.

use serde::Serialize;

/// The usage of one answer: the user, the model, the tokens and the cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// The time, in milliseconds since 1970.
    pub at: i64,
    /// The user's id.
    pub user: Option<String>,
    /// The displayed name of the user: a name or an e-mail address.
    pub name: Option<String>,
    /// The label of the API key.
    pub key: Option<String>,
    /// The full id of the model that answered.
    pub model: String,
    /// The pipe that answered.
    pub pipe: String,
    /// The full id of the requested model, if another one answered.
    pub via: Option<String>,
    /// The side that answered.
    pub side: Option<UsageSide>,
    /// The task of Open WebUI, as in `title_generation`.
    pub task: Option<String>,
    /// The kind of request.
    pub kind: UsageKind,
    /// The tokens.
    pub tokens: Tokens,
    /// The cost in micro-dollars (1 $ = 1,000,000); `None` if the price is unknown.
    pub cost: Option<i64>,
    /// The outcome.
    pub status: UsageStatus,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Prompt tokens, including cached ones.
    pub prompt: i64,
    /// Prompt tokens that were read from a cache.
    pub cached: i64,
    /// Prompt tokens that were written to a cache.
    pub cache_creation: i64,
    /// Completion tokens, including reasoning.
    pub completion: i64,
    /// Completion tokens of the reasoning.
    pub reasoning: i64,
}

/// The side that made an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageSide {
    /// The operator's own machines.
    Local,
    /// A cloud provider.
    Cloud,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageKind {
    /// A chat completion.
    #[default]
    Chat,
    /// Embeddings.
    Embed,
    /// A reranking.
    Rerank,
    /// An image.
    Image,
}

/// The outcome of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageStatus {
    /// The answer is complete.
    #[default]
    Ok,
    /// The answer failed.
    Error,
    /// The client cancelled the request.
    Cancelled,
}

impl UsageSide {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

impl UsageKind {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Image => "image",
        }
    }
}

impl UsageStatus {
    /// Returns the stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A row as it is stored: texts are never null, short enough for an index, and free of NUL, which
/// PostgreSQL cannot store.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct StoredRow {
    pub at: i64,
    pub user_id: String,
    pub name: String,
    pub key_label: String,
    pub model: String,
    pub pipe: String,
    pub via: String,
    pub side: &'static str,
    pub task: String,
    pub kind: &'static str,
    pub status: &'static str,
    #[serde(flatten)]
    pub tokens: Tokens,
    pub cost: Option<i64>,
}

impl From<UsageRow> for StoredRow {
    fn from(row: UsageRow) -> Self {
        let tokens = row.tokens;
        Self {
            at: row.at,
            user_id: truncate_text(row.user.unwrap_or_default(), 256),
            name: truncate_text(row.name.unwrap_or_default(), 256),
            key_label: truncate_text(row.key.unwrap_or_default(), 256),
            model: truncate_text(row.model, 512),
            pipe: truncate_text(row.pipe, 128),
            via: truncate_text(row.via.unwrap_or_default(), 512),
            side: row.side.map_or("", UsageSide::as_str),
            task: truncate_text(row.task.unwrap_or_default(), 128),
            kind: row.kind.as_str(),
            status: row.status.as_str(),
            tokens: Tokens {
                prompt: clamp_count(tokens.prompt),
                cached: clamp_count(tokens.cached),
                cache_creation: clamp_count(tokens.cache_creation),
                completion: clamp_count(tokens.completion),
                reasoning: clamp_count(tokens.reasoning),
            },
            cost: row.cost.map(clamp_count),
        }
    }
}

/// Limits a count, so that sums do not overflow 64 bits in either engine.
fn clamp_count(number: i64) -> i64 {
    number.clamp(0, 1_000_000_000_000)
}

/// Removes NULs from a text and truncates it to this many bytes, because index entries have a size
/// limit.
pub(crate) fn truncate_text(mut text: String, bytes: usize) -> String {
    if text.contains('\0') {
        text.retain(|char| char != '\0');
    }
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
    text
}
