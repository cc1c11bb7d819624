//! Puts turns into the order that Bedrock accepts: the user first, and alternating roles
//! (`docs/reference/bedrock.md`, "Turns").

use super::body::{Block, ConverseMessage, ConverseRole};
use crate::family::Family;
use std::borrow::Cow;

/// Returns the same turns with no two in a row by one side, and instructions only before an answer.
pub fn merge_adjacent(turns: Vec<ConverseMessage<'_>>) -> Vec<ConverseMessage<'_>> {
    let mut merged: Vec<ConverseMessage<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        let unanswered = turn.role != ConverseRole::Assistant;
        if unanswered && let Some(late) = merged.pop_if(|last| last.role == ConverseRole::System) {
            append(
                &mut merged,
                ConverseRole::User,
                late.content.into_iter().map(frame_instructions).collect(),
            );
        }
        append(&mut merged, turn.role, turn.content);
    }
    if let Some(late) = merged.pop_if(|last| last.role == ConverseRole::System) {
        append(
            &mut merged,
            ConverseRole::User,
            late.content.into_iter().map(frame_instructions).collect(),
        );
    }
    merged
}

/// Appends content to the last turn, if it has the same role, or else as a turn.
fn append<'a>(turns: &mut Vec<ConverseMessage<'a>>, role: ConverseRole, content: Vec<Block<'a>>) {
    match turns.last_mut() {
        Some(last) if last.role == role => {
            last.content.extend(content);
            // Reasoning comes before the text of the answer.
            last.content.sort_by_key(|block| !matches!(block, Block::ReasoningContent(_)));
        }
        _ => turns.push(ConverseMessage { role, content }),
    }
}

/// Frames instructions on the user's side, so that they differ from the user's own text.
pub fn frame_instructions(block: Block<'_>) -> Block<'_> {
    match block {
        Block::Text(text) => Block::Text(format!("<system>\n{text}\n</system>").into()),
        block => block,
    }
}

/// Returns whether a block has content of its own.
pub fn has_content(block: &Block<'_>) -> bool {
    !matches!(block, Block::CachePoint(_))
}

/// Asks the model to continue if the conversation ends with the assistant's message and its family
/// takes no prefill.
pub fn fix_last_turn(turns: &mut Vec<ConverseMessage<'_>>, family: &Family) {
    let Some(ConverseMessage { role: ConverseRole::Assistant, content }) = turns.last_mut() else {
        return;
    };
    if !family.prefill {
        turns.push(user_message("Continue from exactly where you stopped."));
        return;
    }
    content.retain(has_content);
    if let Some(Block::Text(text)) = content.last_mut() {
        // Claude refuses blanks at the end.
        match text {
            Cow::Borrowed(text) => *text = text.trim_end(),
            Cow::Owned(text) => text.truncate(text.trim_end().len()),
        }
    }
}

/// Returns the same turns with calls and results alone in theirs, for families that take no words
/// beside them.
///
/// The other side's turn between the two says next to nothing.
pub fn separate_tool_turns(turns: Vec<ConverseMessage<'_>>) -> Vec<ConverseMessage<'_>> {
    let mut separated = Vec::with_capacity(turns.len());
    for ConverseMessage { role, content } in turns {
        let is_of_tools =
            |block: &Block<'_>| matches!(block, Block::ToolUse(_) | Block::ToolResult(_));
        let has_more = content.iter().any(|block| has_content(block) && !is_of_tools(block));
        if !has_more || !content.iter().any(is_of_tools) {
            separated.push(ConverseMessage { role, content });
            continue;
        }
        // A cache point stays after the block that it follows.
        let (mut tools, mut words, mut of_tools) = (Vec::new(), Vec::new(), false);
        for block in content {
            if has_content(&block) {
                of_tools = is_of_tools(&block);
            }
            if of_tools { tools.push(block) } else { words.push(block) }
        }
        let (first, between, second) = match role {
            ConverseRole::Assistant => (words, user_message("Go on."), tools),
            ConverseRole::User | ConverseRole::System => {
                (tools, assistant_message("I have the results."), words)
            }
        };
        separated.push(ConverseMessage { role, content: first });
        separated.push(between);
        separated.push(ConverseMessage { role, content: second });
    }
    separated
}

fn assistant_message(text: &'static str) -> ConverseMessage<'static> {
    ConverseMessage { role: ConverseRole::Assistant, content: vec![Block::Text(text.into())] }
}

/// Adds a text beside files, which Bedrock requires.
pub fn add_text_beside_documents(turn: &mut ConverseMessage<'_>) {
    let has = |kind: fn(&Block<'_>) -> bool| turn.content.iter().any(kind);
    if has(|block| matches!(block, Block::Document(_))) && !has(|b| matches!(b, Block::Text(_))) {
        turn.content.push(Block::Text(".".into()));
    }
}

/// Returns a turn of the user's with this text.
pub fn user_message(text: &'static str) -> ConverseMessage<'static> {
    ConverseMessage { role: ConverseRole::User, content: vec![Block::Text(text.into())] }
}
