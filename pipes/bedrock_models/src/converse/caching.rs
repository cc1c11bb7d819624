//! Where Bedrock is to keep the request for the next turn (`docs/reference/bedrock.md`, "Converse request" and "Model families").
//!
//! Points are set by the client, or else at the ends of the tools, of the system prompt and of the user's last two turns: what was a prefix
//! in one turn of a conversation is one in the next, byte for byte.

use super::{
    body::{Block, CachePoint, Speaker, Tool, ToolConfig, Turn},
    extras::Extras,
};
use crate::{
    family::{Cache, Family},
    valves::PromptCaching,
};
use pipe_sdk::Body;
use serde_json::Value;

/// More points are refused.
const MOST: usize = 4;

/// Which points are set if the client sets none.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    system: bool,
    talk: bool,
}

impl Wish {
    /// The wish of this chat: what it says itself, or else the valve. A background task is asked once, so nothing of it is kept.
    pub fn of(body: &Body, valve: PromptCaching, is_task: bool) -> Self {
        let own = Extras::of(body).get("prompt_caching");
        let said = |part: &str| own.and_then(|own| own.get(part)).and_then(Value::as_bool);
        let (system, talk) = match valve {
            PromptCaching::Off => (false, false),
            PromptCaching::System => (true, false),
            PromptCaching::Auto => (true, !is_task),
        };
        Self { system: said("system").unwrap_or(system), talk: said("messages").unwrap_or(talk) }
    }
}

/// Puts the points where the family takes them.
pub fn settle<'a>(
    tools: Option<&mut ToolConfig<'a>>,
    system: &mut Vec<Block<'a>>,
    turns: &mut [Turn<'a>],
    family: &Family,
    wish: Wish,
) {
    let mut none = Vec::new();
    let tools = tools.map_or(&mut none, |config| &mut config.tools);
    let marked = tools.iter().any(|tool| matches!(tool, Tool::CachePoint(_)))
        || system.iter().chain(turns.iter().flat_map(|turn| &turn.content)).any(is_point);
    if family.cache != Cache::No && !marked {
        set(tools, system, turns, family, wish);
    }
    tidy(tools, system, turns, family);
}

fn set(
    tools: &mut Vec<Tool<'_>>,
    system: &mut Vec<Block<'_>>,
    turns: &mut [Turn<'_>],
    family: &Family,
    wish: Wish,
) {
    let point = CachePoint::new(false);
    if wish.system && family.cache != Cache::Talk && !tools.is_empty() {
        tools.push(Tool::CachePoint(point));
    }
    if wish.system && !system.is_empty() {
        system.push(Block::CachePoint(point));
    }
    if wish.talk {
        let asked = turns.iter_mut().rev().filter(|turn| turn.role == Speaker::User);
        asked.take(2).for_each(|turn| turn.content.push(Block::CachePoint(point)));
    }
}

/// Takes away the points that would be refused: before anything, after reasoning, too many, too long.
fn tidy<'a>(
    tools: &mut Vec<Tool<'_>>,
    system: &mut Vec<Block<'a>>,
    turns: &mut [Turn<'a>],
    family: &Family,
) {
    let mut hour = family.cache == Cache::Hour;
    let mut kept = 0;
    // What is kept for an hour has to stand before what is kept for five minutes.
    let mut fit = |point: &mut CachePoint| {
        hour &= point.ttl.is_some();
        point.ttl = point.ttl.filter(|_| hour);
        kept += 1;
    };
    let keeps_tools = matches!(family.cache, Cache::All | Cache::Hour);
    let mut before = false;
    tools.retain_mut(|tool| match tool {
        Tool::CachePoint(point) if before && keeps_tools => {
            before = false;
            fit(point);
            true
        }
        Tool::CachePoint(_) => false,
        Tool::ToolSpec(_) | Tool::Own { .. } => {
            before = true;
            true
        }
    });
    let keeps = family.cache != Cache::No;
    for blocks in
        std::iter::once(&mut *system).chain(turns.iter_mut().map(|turn| &mut turn.content))
    {
        let mut before = false;
        blocks.retain_mut(|block| match block {
            Block::CachePoint(point) if before && keeps => {
                before = false;
                fit(point);
                true
            }
            Block::CachePoint(_) => false,
            Block::ReasoningContent(_) => {
                before = false;
                true
            }
            _ => {
                before = true;
                true
            }
        });
    }
    drop_first(kept.max(MOST) - MOST, tools, system, turns);
}

/// Takes away so many points, the oldest of the conversation first: the later ones hold what they hold.
fn drop_first<'a>(
    mut excess: usize,
    tools: &mut Vec<Tool<'_>>,
    system: &mut Vec<Block<'a>>,
    turns: &mut [Turn<'a>],
) {
    let mut stays = |is_point: bool| {
        let spare = is_point && excess > 0;
        excess -= usize::from(spare);
        !spare
    };
    let contents = turns.iter_mut().map(|turn| &mut turn.content);
    for blocks in contents.chain(std::iter::once(system)) {
        blocks.retain(|block| stays(is_point(block)));
    }
    tools.retain(|tool| stays(matches!(tool, Tool::CachePoint(_))));
}

fn is_point(block: &Block<'_>) -> bool {
    matches!(block, Block::CachePoint(_))
}
