//! Cache points: their positions and number.

use super::family::FAMILIES;
use super::model_error;
use crate::body::{list, messages};
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// The largest number of cache points in a request.
const MAX_POINTS: usize = 4;

/// Checks the number and positions of cache points.
pub(super) fn check_cache_points(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let lists = lists(body);
    let points: Vec<_> = lists
        .iter()
        .flat_map(|(_, blocks)| blocks.iter().filter_map(|block| block.get("cachePoint")))
        .collect();
    let in_tools =
        list(&body["toolConfig"]["tools"]).iter().any(|tool| tool.get("cachePoint").is_some());
    if points.is_empty() {
        return Ok(());
    }
    if !model.has_capability('K') || (in_tools && FAMILIES.no_tool_cache.has(model)) {
        return Err(BedrockException::access_denied(
            "You invoked an unsupported model or your request did not allow prompt caching. See the documentation for \
             more information.",
        ));
    }
    if points.len() > MAX_POINTS {
        let found = points.len();
        return Err(model_error(format!(
            "A maximum of {MAX_POINTS} blocks with cache_control may be provided. Found {found}."
        )));
    }
    if points.iter().any(|point| point["ttl"] == "1h") && !FAMILIES.hour_cache.has(model) {
        return Err(BedrockException::validation(
            "This model doesn't support the cachePoint.ttl value 1h.",
        ));
    }
    if points.iter().any(|point| !point["ttl"].is_null()) && FAMILIES.no_cache_ttl.has(model) {
        return Err(BedrockException::validation(
            "This model doesn't support the cachePoint.ttl field.",
        ));
    }
    lists.iter().try_for_each(|(path, blocks)| check_position(path, blocks))
}

/// Checks that cache points with a longer `ttl` come before those with a shorter one, in the order
/// of tools, system prompt and messages.
pub(super) fn check_lifetimes(
    _model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    let lists = lists(body);
    let points = lists
        .iter()
        .flat_map(|(path, blocks)| {
            blocks.iter().enumerate().map(move |(at, block)| (path, at, block))
        })
        .filter(|(_, _, block)| block.get("cachePoint").is_some());
    let long = |block: &Value| block["cachePoint"]["ttl"] == "1h";
    match points.skip_while(|(_, _, block)| long(block)).find(|(_, _, block)| long(block)) {
        None => Ok(()),
        Some((path, at, _)) => Err(model_error(format!(
            "{path}.{at}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control \
             block. Note that blocks are processed in the following order: `tools`, `system`, `messages`."
        ))),
    }
}

/// Returns all lists that may contain a cache point.
fn lists(body: &Value) -> Vec<(String, &[Value])> {
    let tools = ("toolConfig.tools".to_owned(), list(&body["toolConfig"]["tools"]));
    let system = ("system".to_owned(), list(&body["system"]));
    let turns = messages(body).iter().enumerate();
    let turns = turns.map(|(at, turn)| (format!("messages.{at}.content"), list(&turn["content"])));
    [tools, system].into_iter().chain(turns).collect()
}

fn check_position(path: &str, blocks: &[Value]) -> Result<(), BedrockException> {
    let place = blocks.iter().enumerate().find_map(|(at, block)| {
        block.get("cachePoint")?;
        let before = at.checked_sub(1).map(|before| &blocks[before]);
        before.is_none_or(|before| before.get("reasoningContent").is_some()).then_some(at)
    });
    match place {
        None => Ok(()),
        Some(at) => Err(model_error(format!(
            "{path}.{at}: a cachePoint cannot stand first, nor after reasoningContent"
        ))),
    }
}
