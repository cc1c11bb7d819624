//! The user of a call.

use serde::{Deserialize, Serialize};

/// A user, as Open WebUI describes it (`docs/reference/open-webui.md`, "User headers" and "What a
/// chat carries"). Callers with the host's own key are trusted to name the user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// The id in Open WebUI.
    pub id: String,
    /// The display name; any text.
    pub name: Option<String>,
    /// The e-mail address, if there is one.
    pub email: Option<String>,
    /// The role: `admin`, `user` or `pending`.
    pub role: Option<String>,
}
