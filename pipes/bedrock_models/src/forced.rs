//! A wish of an operator who tries the fallbacks: the first model, or those of these names, are taken for throttled.

use crate::{attempts::Unanswered, catalogue::Entry, stream::Trouble};
use bedrock_runtime::{SendError, ServiceError};
use pipe_sdk::Hints;

/// The failures that a request asks for by the header `x-pipewright-fail`: `first`, or names with `*`, separated by commas.
#[derive(Clone, Copy, Default)]
pub struct ForcedFailure<'a>(Option<&'a str>);

impl<'a> ForcedFailure<'a> {
    /// What these hints wish.
    pub fn of(hints: &'a Hints) -> Self {
        Self(hints.get("x-pipewright-fail").map(str::trim))
    }

    /// The failure of this model, which is asked in this place, if it is to fail.
    pub fn of_entry(self, entry: &Entry, place: usize) -> Option<Unanswered> {
        let is_meant = match self.0? {
            "first" | "1" | "true" => place == 0,
            names => names.split(',').any(|name| entry.is_meant(name.trim())),
        };
        is_meant.then(|| {
            let words = "the request asked for this failure, by x-pipewright-fail";
            let complaint = ServiceError::in_stream("ThrottlingException", words, 429);
            Unanswered::of(Trouble::SendError(SendError::Said(complaint)), &entry.source())
        })
    }
}
