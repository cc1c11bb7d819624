//! The model that a request is written for, as far as the body depends on it.

use crate::{
    family::{Family, Quirk},
    valves::{BedrockValves, LateInstructions},
};
use pipe_sdk::split_list;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The properties of a model that decide how requests to it are written.
#[derive(Clone, Debug)]
pub struct Target {
    /// The id to call it by.
    pub id: String,
    /// The capabilities of its family, and its own.
    pub family: Family,
    /// The inputs that it takes beside text.
    pub inputs: Inputs,
    /// The fields of its own that it has refused.
    pub rejected_fields: Vec<String>,
    /// The place of system messages within the conversation.
    pub late_instructions: LateInstructions,
    /// `true` to send files although it is not known to take them.
    pub tries_documents: bool,
    /// The places in S3 that chats may name.
    s3_locations: Vec<String>,
    is_claude: bool,
}

/// The inputs that a model takes beside text, where AWS reports them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Pictures.
    pub image: Option<bool>,
    /// Films.
    pub video: Option<bool>,
    /// Sounds.
    pub audio: Option<bool>,
}

impl Target {
    /// Returns a model of this family, of which nothing else is known.
    pub fn new(id: impl Into<String>, family: Family) -> Self {
        Self {
            id: id.into(),
            family,
            inputs: Inputs::default(),
            rejected_fields: Vec::new(),
            late_instructions: LateInstructions::default(),
            tries_documents: false,
            s3_locations: vec!["*".into()],
            is_claude: false,
        }
    }

    /// Creates the target for the model of this base id, under these valves.
    pub fn for_model(id: &str, base: &str, inputs: Inputs, valves: &BedrockValves) -> Self {
        Self {
            inputs,
            late_instructions: valves.late_instructions,
            tries_documents: valves.files_everywhere,
            s3_locations: split_list(&valves.s3_locations).map(String::from).collect(),
            is_claude: base.starts_with("anthropic."),
            ..Self::new(id, Family::from_model_id(base))
        }
    }

    /// Returns the same target without what the model has been found not to accept.
    #[must_use]
    pub fn with_quirks(&self, quirks: &[Quirk]) -> Self {
        let rejected = |quirk: &Quirk| match quirk {
            Quirk::Field(name) => Some(name.clone()),
            _ => None,
        };
        Self {
            family: self.family.with_quirks(quirks),
            rejected_fields: quirks.iter().filter_map(rejected).collect(),
            tries_documents: self.tries_documents && !quirks.contains(&Quirk::Documents),
            ..self.clone()
        }
    }

    /// Returns whether it is one of Anthropic's.
    pub fn is_claude(&self) -> bool {
        self.is_claude
    }

    /// Returns whether chats may name this place, as in `s3://bucket/key`.
    pub fn allows_s3(&self, uri: &str) -> bool {
        let place = uri.strip_prefix("s3://").unwrap_or(uri);
        let fits = |allowed: &String| {
            let allowed = allowed.strip_prefix("s3://").unwrap_or(allowed);
            let bucket = place.strip_prefix(allowed);
            allowed == "*"
                || bucket.is_some_and(|rest| allowed.ends_with('/') || rest.starts_with('/'))
        };
        self.s3_locations.iter().any(fits)
    }

    /// Returns the reason for which this model cannot take the request.
    pub fn unsupported(&self, what: &str) -> Cow<'static, str> {
        format!("model `{}` takes no {what}: leave them out, or pick one that does", self.id).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_s3_are_those_that_are_allowed() {
        let allowing = |s3: &str| Target {
            s3_locations: vec![s3.into()],
            ..Target::new("m", Family::from_model_id("x"))
        };
        for (allowed, uri, taken) in [
            ("*", "s3://any/thing", true),
            ("bucket", "s3://bucket/a", true),
            ("bucket", "s3://bucket-2/a", false),
            ("s3://bucket/public/", "s3://bucket/public/a", true),
            ("bucket/public", "s3://bucket/private/a", false),
        ] {
            assert_eq!(allowing(allowed).allows_s3(uri), taken, "{allowed} {uri}");
        }
    }
}
