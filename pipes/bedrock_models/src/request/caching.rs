//! Places cache points in the request (`docs/reference/bedrock.md`, "Converse request" and "Model
//! families").
//!
//! Points are set by the client, or else at the ends of the tools, of the system prompt and of the
//! user's last two turns: what was a prefix in one turn of a conversation is one in the next, byte
//! for byte.

use super::{
    body::{Block, CachePoint, ConverseMessage, ConverseRole, Tool, ToolConfig},
    extra_fields::ExtraFields,
};
use crate::{
    family::{CacheSupport, Family},
    valves::PromptCaching,
};
use pipe_sdk::Body;
use serde_json::Value;

/// More points are refused.
const MAX_POINTS: usize = 4;

/// The cache points that are set if the client sets none.
#[derive(Clone, Copy, Debug)]
pub struct CachePolicy {
    system: bool,
    messages: bool,
}

impl CachePolicy {
    /// Returns the caching of this chat: that of the request, or else of the valve. A background
    /// task is sent once, so nothing of it is cached.
    pub fn new(body: &Body, valve: PromptCaching, is_task: bool) -> Self {
        let own = ExtraFields::from_body(body).get("prompt_caching");
        let setting = |part: &str| own.and_then(|own| own.get(part)).and_then(Value::as_bool);
        let (system, messages) = match valve {
            PromptCaching::Off => (false, false),
            PromptCaching::System => (true, false),
            PromptCaching::Auto => (true, !is_task),
        };
        Self {
            system: setting("system").unwrap_or(system),
            messages: setting("messages").unwrap_or(messages),
        }
    }
}

/// Puts the points where the family takes them.
pub fn place_cache_points<'a>(
    tools: Option<&mut ToolConfig<'a>>,
    system: &mut Vec<Block<'a>>,
    turns: &mut [ConverseMessage<'a>],
    family: &Family,
    policy: CachePolicy,
) {
    let mut none = Vec::new();
    let tools = tools.map_or(&mut none, |config| &mut config.tools);
    let marked = tools.iter().any(|tool| matches!(tool, Tool::CachePoint(_)))
        || system.iter().chain(turns.iter().flat_map(|turn| &turn.content)).any(is_point);
    if family.cache != CacheSupport::Unsupported && !marked {
        add_points(tools, system, turns, family, policy);
    }
    remove_invalid_points(tools, system, turns, family);
}

/// Adds cache points to tools, system prompt and turns, by the policy of the valves.
fn add_points(
    tools: &mut Vec<Tool<'_>>,
    system: &mut Vec<Block<'_>>,
    turns: &mut [ConverseMessage<'_>],
    family: &Family,
    policy: CachePolicy,
) {
    let point = CachePoint::new(false);
    if policy.system && family.cache != CacheSupport::Messages && !tools.is_empty() {
        tools.push(Tool::CachePoint(point));
    }
    if policy.system && !system.is_empty() {
        system.push(Block::CachePoint(point));
    }
    if policy.messages {
        let user_turns = turns.iter_mut().rev().filter(|turn| turn.role == ConverseRole::User);
        user_turns.take(2).for_each(|turn| turn.content.push(Block::CachePoint(point)));
    }
}

/// Takes away the points that would be refused: before anything, after reasoning, too many, too
/// long.
fn remove_invalid_points<'a>(
    tools: &mut Vec<Tool<'_>>,
    system: &mut Vec<Block<'a>>,
    turns: &mut [ConverseMessage<'a>],
    family: &Family,
) {
    let mut hour = family.cache == CacheSupport::OneHour;
    let mut kept = 0;
    // Cache points of an hour must come before those of five minutes.
    let mut fit = |point: &mut CachePoint| {
        hour &= point.ttl.is_some();
        point.ttl = point.ttl.filter(|_| hour);
        kept += 1;
    };
    let caches_tools = matches!(family.cache, CacheSupport::WithTools | CacheSupport::OneHour);
    let mut before = false;
    tools.retain_mut(|tool| match tool {
        Tool::CachePoint(point) if before && caches_tools => {
            before = false;
            fit(point);
            true
        }
        Tool::CachePoint(_) => false,
        Tool::ToolSpec(_) | Tool::System { .. } => {
            before = true;
            true
        }
    });
    let is_supported = family.cache != CacheSupport::Unsupported;
    for blocks in
        std::iter::once(&mut *system).chain(turns.iter_mut().map(|turn| &mut turn.content))
    {
        let mut before = false;
        blocks.retain_mut(|block| match block {
            Block::CachePoint(point) if before && is_supported => {
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
    drop_oldest_points(kept.max(MAX_POINTS) - MAX_POINTS, tools, system, turns);
}

/// Removes this number of points, the oldest of the conversation first: later ones include what
/// earlier ones cover.
fn drop_oldest_points<'a>(
    mut excess: usize,
    tools: &mut Vec<Tool<'_>>,
    system: &mut Vec<Block<'a>>,
    turns: &mut [ConverseMessage<'a>],
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

/// Returns whether a block is a cache point.
fn is_point(block: &Block<'_>) -> bool {
    matches!(block, Block::CachePoint(_))
}
