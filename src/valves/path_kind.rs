//! The purposes of paths in valves.

/// The purpose of a path in a valve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// A watched folder.
    Watched,
    /// An index file.
    Index,
    /// A folder with a local model.
    Models,
}

impl PathKind {
    /// Parses the value of `x-place` in a valve's schema.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "watched" => Some(Self::Watched),
            "index" => Some(Self::Index),
            "models" => Some(Self::Models),
            _ => None,
        }
    }

    /// Returns the default folder within the data folder, and the environment variable that
    /// overrides it.
    pub fn defaults(self) -> (&'static str, &'static str) {
        match self {
            Self::Watched => ("watched", "WATCHED_ROOTS"),
            Self::Index => ("rag", "INDEX_ROOTS"),
            Self::Models => ("models", "MODEL_ROOTS"),
        }
    }
}
