//! Content blocks with their position in the conversation.

use crate::body::{list, messages};
use serde_json::Value;

/// A content block with its position.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) message: usize,
    pub(super) index: usize,
    pub(super) role: &'a str,
    pub(super) value: &'a Value,
}

/// Returns all content blocks of all messages.
pub(super) fn all_blocks(body: &Value) -> impl Iterator<Item = Block<'_>> {
    messages(body).iter().enumerate().flat_map(|(message, turn)| blocks_of_message(message, turn))
}

/// Returns the content blocks of one message.
pub(super) fn blocks_of_message(message: usize, turn: &Value) -> impl Iterator<Item = Block<'_>> {
    let role = turn["role"].as_str().unwrap_or_default();
    list(&turn["content"]).iter().enumerate().map(move |(index, value)| Block {
        message,
        index,
        role,
        value,
    })
}

impl<'a> Block<'a> {
    /// Returns the member of this name, if the block is of that kind.
    pub(super) fn member(self, name: &str) -> Option<&'a Value> {
        self.value.get(name)
    }

    /// Returns the path as in Bedrock's error texts, counted from 0.
    pub(super) fn path(self) -> String {
        format!("messages.{}.content.{}", self.message, self.index)
    }
}
