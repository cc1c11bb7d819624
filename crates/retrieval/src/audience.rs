//! Who may see a document, and who is looking.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Who may see a collection or a document. Both must let somebody in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Whoever asks, known or not.
    #[default]
    Everyone,
    /// These, and nobody else.
    Only {
        /// Ids of users.
        #[serde(default)]
        users: BTreeSet<String>,
        /// Roles; whoever has one of them is let in.
        #[serde(default)]
        roles: BTreeSet<String>,
    },
}

impl Audience {
    /// The user of this id alone.
    pub fn user(id: impl Into<String>) -> Self {
        Self::Only { users: BTreeSet::from([id.into()]), roles: BTreeSet::new() }
    }

    /// Whoever has this role.
    pub fn role(name: impl Into<String>) -> Self {
        Self::Only { users: BTreeSet::new(), roles: BTreeSet::from([name.into()]) }
    }

    /// Each one that is let in, as [`Viewer::principals`] names them.
    pub(crate) fn principals(&self) -> Vec<String> {
        match self {
            Self::Everyone => vec![EVERYONE.to_owned()],
            Self::Only { users, roles } => {
                users.iter().map(|id| user(id)).chain(roles.iter().map(|name| role(name))).collect()
            }
        }
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Nobody that we know: sees what everyone may see.
    Anonymous,
    /// A user.
    User {
        /// The user's id.
        id: String,
        /// The roles that the user has.
        roles: Vec<String>,
    },
    /// Whoever runs the index: sees everything.
    Operator,
}

impl Viewer {
    /// What the asker is, as a row of the table of members names it. `None`: no row is asked.
    pub(crate) fn principals(&self) -> Option<Vec<String>> {
        match self {
            Self::Anonymous => Some(vec![EVERYONE.to_owned()]),
            Self::User { id, roles } => Some(
                [EVERYONE.to_owned(), user(id)]
                    .into_iter()
                    .chain(roles.iter().map(|name| role(name)))
                    .collect(),
            ),
            Self::Operator => None,
        }
    }
}

const EVERYONE: &str = "everyone";

fn user(id: &str) -> String {
    format!("user:{}", id.replace('\0', " "))
}

fn role(name: &str) -> String {
    format!("role:{}", name.replace('\0', " "))
}
