//! A content block and its place in the conversation.

use crate::body::{list, messages};
use serde_json::Value;

#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    pub(super) message: usize,
    pub(super) index: usize,
    pub(super) role: &'a str,
    pub(super) value: &'a Value,
}

/// All content blocks of all messages.
pub(super) fn all(body: &Value) -> impl Iterator<Item = Block<'_>> {
    messages(body).iter().enumerate().flat_map(|(message, turn)| of_turn(message, turn))
}

/// The content blocks of one message.
pub(super) fn of_turn(message: usize, turn: &Value) -> impl Iterator<Item = Block<'_>> {
    let role = turn["role"].as_str().unwrap_or_default();
    list(&turn["content"]).iter().enumerate().map(move |(index, value)| Block {
        message,
        index,
        role,
        value,
    })
}

impl<'a> Block<'a> {
    /// The member of this name, if the block is of that kind.
    pub(super) fn member(self, name: &str) -> Option<&'a Value> {
        self.value.get(name)
    }

    /// As Bedrock writes it, counted from 0.
    pub(super) fn path(self) -> String {
        format!("messages.{}.content.{}", self.message, self.index)
    }
}
