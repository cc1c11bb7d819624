//! Access rules of documents, and the user on whose behalf the index is read.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The users who may see a collection or a document. A user needs access to both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexAudience {
    /// Every user, signed in or not.
    #[default]
    Everyone,
    /// Only these users.
    Only {
        /// Ids of users.
        #[serde(default)]
        users: BTreeSet<String>,
        /// Roles; a user who has one of them has access.
        #[serde(default)]
        roles: BTreeSet<String>,
    },
}

impl IndexAudience {
    /// Creates an audience of one user.
    pub fn user(id: impl Into<String>) -> Self {
        Self::Only { users: BTreeSet::from([id.into()]), roles: BTreeSet::new() }
    }

    /// Creates an audience of all users who have this role.
    pub fn role(name: impl Into<String>) -> Self {
        Self::Only { users: BTreeSet::new(), roles: BTreeSet::from([name.into()]) }
    }

    /// Returns the members of the audience, written as [`Viewer::principals`] writes them.
    pub(crate) fn principals(&self) -> Vec<String> {
        match self {
            Self::Everyone => vec![EVERYONE.to_owned()],
            Self::Only { users, roles } => users
                .iter()
                .map(|id| user_principal(id))
                .chain(roles.iter().map(|name| role_principal(name)))
                .collect(),
        }
    }
}

/// The user on whose behalf the index is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// An unknown user, who sees only what everyone may see.
    Anonymous,
    /// A user.
    User {
        /// The user's id.
        id: String,
        /// The roles that the user has.
        roles: Vec<String>,
    },
    /// The operator of the index, who sees everything.
    Operator,
}

impl Viewer {
    /// Returns the principals of the viewer, as the table `member` holds them; `None` for the
    /// operator, who needs no membership.
    pub(crate) fn principals(&self) -> Option<Vec<String>> {
        match self {
            Self::Anonymous => Some(vec![EVERYONE.to_owned()]),
            Self::User { id, roles } => Some(
                [EVERYONE.to_owned(), user_principal(id)]
                    .into_iter()
                    .chain(roles.iter().map(|name| role_principal(name)))
                    .collect(),
            ),
            Self::Operator => None,
        }
    }
}

/// The principal that every user has.
const EVERYONE: &str = "everyone";

fn user_principal(id: &str) -> String {
    format!("user:{}", id.replace('\0', " "))
}

fn role_principal(name: &str) -> String {
    format!("role:{}", name.replace('\0', " "))
}
