//! The order of turns: who speaks first, who speaks last, and nobody twice in a row (`docs/reference/bedrock.md`, "Turns").

use super::body::{Block, Speaker, Turn};
use crate::family::Family;
use std::borrow::Cow;

/// The same turns with no two in a row by one side, and instructions only before an answer.
pub fn joined(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut joined: Vec<Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns {
        let unanswered = turn.role != Speaker::Assistant;
        if unanswered && let Some(late) = joined.pop_if(|last| last.role == Speaker::System) {
            put(&mut joined, Speaker::User, late.content.into_iter().map(framed).collect());
        }
        put(&mut joined, turn.role, turn.content);
    }
    if let Some(late) = joined.pop_if(|last| last.role == Speaker::System) {
        put(&mut joined, Speaker::User, late.content.into_iter().map(framed).collect());
    }
    joined
}

fn put<'a>(turns: &mut Vec<Turn<'a>>, role: Speaker, content: Vec<Block<'a>>) {
    match turns.last_mut() {
        Some(last) if last.role == role => {
            last.content.extend(content);
            // What the model thought stands before what it said.
            last.content.sort_by_key(|block| !matches!(block, Block::ReasoningContent(_)));
        }
        _ => turns.push(Turn { role, content }),
    }
}

/// Instructions on the user's side, told apart from what the user says.
pub fn framed(block: Block<'_>) -> Block<'_> {
    match block {
        Block::Text(text) => Block::Text(format!("<system>\n{text}\n</system>").into()),
        block => block,
    }
}

/// Whether a block says something by itself.
pub fn says(block: &Block<'_>) -> bool {
    !matches!(block, Block::CachePoint(_))
}

/// A conversation that ends with the assistant's words is to be continued; families that cannot are asked to.
pub fn settle_end(turns: &mut Vec<Turn<'_>>, family: &Family) {
    let Some(Turn { role: Speaker::Assistant, content }) = turns.last_mut() else { return };
    if !family.prefill {
        turns.push(user("Continue from exactly where you stopped."));
        return;
    }
    content.retain(says);
    if let Some(Block::Text(text)) = content.last_mut() {
        // Claude refuses blanks at the end.
        match text {
            Cow::Borrowed(text) => *text = text.trim_end(),
            Cow::Owned(text) => text.truncate(text.trim_end().len()),
        }
    }
}

/// The same turns with calls and results alone in theirs, for families that take no words beside them.
///
/// The other side's turn between the two says next to nothing.
pub fn parted(turns: Vec<Turn<'_>>) -> Vec<Turn<'_>> {
    let mut parted = Vec::with_capacity(turns.len());
    for Turn { role, content } in turns {
        let is_of_tools =
            |block: &Block<'_>| matches!(block, Block::ToolUse(_) | Block::ToolResult(_));
        let says_more = content.iter().any(|block| says(block) && !is_of_tools(block));
        if !says_more || !content.iter().any(is_of_tools) {
            parted.push(Turn { role, content });
            continue;
        }
        // A cache point stays behind what it stands behind.
        let (mut tools, mut words, mut of_tools) = (Vec::new(), Vec::new(), false);
        for block in content {
            if says(&block) {
                of_tools = is_of_tools(&block);
            }
            if of_tools { tools.push(block) } else { words.push(block) }
        }
        let (first, between, second) = match role {
            Speaker::Assistant => (words, user("Go on."), tools),
            Speaker::User | Speaker::System => (tools, assistant("I have the results."), words),
        };
        parted.push(Turn { role, content: first });
        parted.push(between);
        parted.push(Turn { role, content: second });
    }
    parted
}

fn assistant(text: &'static str) -> Turn<'static> {
    Turn { role: Speaker::Assistant, content: vec![Block::Text(text.into())] }
}

/// A file needs words beside it.
pub fn accompany(turn: &mut Turn<'_>) {
    let has = |kind: fn(&Block<'_>) -> bool| turn.content.iter().any(kind);
    if has(|block| matches!(block, Block::Document(_))) && !has(|b| matches!(b, Block::Text(_))) {
        turn.content.push(Block::Text(".".into()));
    }
}

/// A turn of the user's with this text.
pub fn user(text: &'static str) -> Turn<'static> {
    Turn { role: Speaker::User, content: vec![Block::Text(text.into())] }
}
