//! The model that is asked, as far as it decides how.

use crate::{
    family::{Family, Lesson},
    valves::{BedrockValves, LateInstructions},
};
use pipe_sdk::split_list;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What of a model decides how it is asked.
#[derive(Clone, Debug)]
pub struct Target {
    /// The id to call it by.
    pub id: String,
    /// What its family takes, and it itself.
    pub family: Family,
    /// What it takes beside text.
    pub inputs: Inputs,
    /// The fields of its own that it has refused.
    pub refused: Vec<String>,
    /// Where instructions amid the conversation go.
    pub late_instructions: LateInstructions,
    /// Whether files go to it although it is not known that it takes them.
    pub tries_documents: bool,
    /// The places in S3 that chats may name.
    s3: Vec<String>,
    claude: bool,
}

/// What a model takes beside text, where AWS tells.
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
    /// A model of this family, of which nothing else is known.
    pub fn new(id: impl Into<String>, family: Family) -> Self {
        Self {
            id: id.into(),
            family,
            inputs: Inputs::default(),
            refused: Vec::new(),
            late_instructions: LateInstructions::default(),
            tries_documents: false,
            s3: vec!["*".into()],
            claude: false,
        }
    }

    /// The model of this base id, after these lessons and under these valves.
    pub fn of(
        id: &str,
        base: &str,
        inputs: Inputs,
        lessons: &[Lesson],
        valves: &BedrockValves,
    ) -> Self {
        let refused = |lesson: &Lesson| match lesson {
            Lesson::Field(name) => Some(name.clone()),
            _ => None,
        };
        let family = Family::of(base).taught(lessons);
        Self {
            inputs,
            refused: lessons.iter().filter_map(refused).collect(),
            late_instructions: valves.late_instructions,
            tries_documents: valves.files_everywhere && !lessons.contains(&Lesson::Documents),
            s3: split_list(&valves.s3_locations).map(String::from).collect(),
            claude: base.starts_with("anthropic."),
            ..Self::new(id, family)
        }
    }

    /// Whether it is one of Anthropic's.
    pub fn is_claude(&self) -> bool {
        self.claude
    }

    /// Whether chats may name this place, as in `s3://bucket/key`.
    pub fn takes_s3(&self, uri: &str) -> bool {
        let place = uri.strip_prefix("s3://").unwrap_or(uri);
        let fits = |allowed: &String| {
            let allowed = allowed.strip_prefix("s3://").unwrap_or(allowed);
            let bucket = place.strip_prefix(allowed);
            allowed == "*"
                || bucket.is_some_and(|rest| allowed.ends_with('/') || rest.starts_with('/'))
        };
        self.s3.iter().any(fits)
    }

    /// Why it cannot be asked this.
    pub fn takes_no(&self, what: &str) -> Cow<'static, str> {
        format!("model `{}` takes no {what}: leave them out, or pick one that does", self.id).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_in_s3_are_those_that_are_allowed() {
        let allowing =
            |s3: &str| Target { s3: vec![s3.into()], ..Target::new("m", Family::of("x")) };
        for (allowed, uri, taken) in [
            ("*", "s3://any/thing", true),
            ("bucket", "s3://bucket/a", true),
            ("bucket", "s3://bucket-2/a", false),
            ("s3://bucket/public/", "s3://bucket/public/a", true),
            ("bucket/public", "s3://bucket/private/a", false),
        ] {
            assert_eq!(allowing(allowed).takes_s3(uri), taken, "{allowed} {uri}");
        }
    }
}
