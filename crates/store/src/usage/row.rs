//! What one answer cost, and who had it.

use serde::Serialize;

/// One answer: who asked for what, who answered, and what it cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageRow {
    /// When, in ms since 1970.
    pub at: i64,
    /// The user's id.
    pub user: Option<String>,
    /// What the user is shown as: a name or an e-mail.
    pub name: Option<String>,
    /// The label of the key that opened the door.
    pub key: Option<String>,
    /// The full id of the model that answered.
    pub model: String,
    /// The pipe that answered.
    pub pipe: String,
    /// The full id of the model that was asked for, when it was another.
    pub via: Option<String>,
    /// Where it was answered.
    pub side: Option<Side>,
    /// What Open WebUI wanted it for, as in `title_generation`.
    pub task: Option<String>,
    /// What was asked for.
    pub kind: Kind,
    /// How much was read and written.
    pub tokens: Tokens,
    /// In micro-dollars (1 $ = 1,000,000); `None` when no price is known.
    pub cost: Option<i64>,
    /// What came of it.
    pub status: Status,
}

/// How much was read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Read, cached ones included.
    pub prompt: i64,
    /// Of those, read from a cache.
    pub cached: i64,
    /// Of those, written to a cache.
    pub cache_creation: i64,
    /// Written, thoughts included.
    pub completion: i64,
    /// Of those, thoughts.
    pub reasoning: i64,
}

/// Where an answer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On machines of one's own.
    Local,
    /// At a provider's.
    Cloud,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// An answer in a chat.
    #[default]
    Chat,
    /// Vectors of texts.
    Embed,
    /// An order of texts.
    Rerank,
    /// A picture.
    Image,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Status {
    /// It was answered to its end.
    #[default]
    Ok,
    /// It failed.
    Error,
    /// The client left.
    Cancelled,
}

impl Side {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

impl Kind {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embed => "embed",
            Self::Rerank => "rerank",
            Self::Image => "image",
        }
    }
}

impl Status {
    /// The word that is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A row as it is stored: every text is there, fit for an index, and without what PostgreSQL's texts cannot hold.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
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

impl From<UsageRow> for Entry {
    fn from(row: UsageRow) -> Self {
        let tokens = row.tokens;
        Self {
            at: row.at,
            user_id: fit(row.user.unwrap_or_default(), 256),
            name: fit(row.name.unwrap_or_default(), 256),
            key_label: fit(row.key.unwrap_or_default(), 256),
            model: fit(row.model, 512),
            pipe: fit(row.pipe, 128),
            via: fit(row.via.unwrap_or_default(), 512),
            side: row.side.map_or("", Side::word),
            task: fit(row.task.unwrap_or_default(), 128),
            kind: row.kind.word(),
            status: row.status.word(),
            tokens: Tokens {
                prompt: counted(tokens.prompt),
                cached: counted(tokens.cached),
                cache_creation: counted(tokens.cache_creation),
                completion: counted(tokens.completion),
                reasoning: counted(tokens.reasoning),
            },
            cost: row.cost.map(counted),
        }
    }
}

/// Sums of a great many such numbers stay within what both engines can add.
fn counted(number: i64) -> i64 {
    number.clamp(0, 1_000_000_000_000)
}

/// The text without NUL, and no longer than so many bytes: what stands in an index has a limit.
pub(crate) fn fit(mut text: String, bytes: usize) -> String {
    if text.contains('\0') {
        text.retain(|letter| letter != '\0');
    }
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
    text
}
