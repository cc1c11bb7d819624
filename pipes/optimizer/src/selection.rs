//! Reads the approach in a name: `moa-gpt-4o`, `bon&moa-gpt-4o` one after the other,
//! `bon|moa-gpt-4o` side by side.

use crate::approach::{Approach, ApproachWord, parse_word};
use pipe_sdk::{PipeError, Result};

/// The meaning of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The approaches.
    pub plan: Plan,
    /// The model; empty if the name holds none.
    pub model: String,
}

/// One approach or several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// One after the other; each gets the question and what the one before it made of it.
    Sequence(Vec<Approach>),
    /// Side by side, each with an answer of its own.
    Parallel(Vec<Approach>),
}

impl Plan {
    /// Returns all approaches, in order.
    pub fn approaches(&self) -> &[Approach] {
        match self {
            Self::Sequence(all) | Self::Parallel(all) => all,
        }
    }

    /// Returns the plan as it is written in a name.
    pub fn name(&self) -> String {
        let names: Vec<_> = self.approaches().iter().map(|approach| approach.name()).collect();
        names.join(if matches!(self, Self::Sequence(_)) { "&" } else { "|" })
    }
}

/// The maximum number of approaches that one request may name.
const MAX_APPROACHES: usize = 6;

/// Returns whether a name begins like one that names an approach, valid or not.
pub fn is_selection(id: &str) -> bool {
    let piece = id.split_once('-').map_or(id, |(piece, _)| piece);
    let mut parts = piece.split(['&', '|']).map(parse_word);
    parts.any(|part| part.is_some()) && !id.starts_with('-')
}

/// Parses a name. `has` returns whether the host has a model of a name, which takes precedence over
/// every other reading; `auto` is the approach of the word `auto`.
///
/// # Errors
/// Returns an error for an invalid name, before any call.
pub fn parse_selection(id: &str, auto: Approach, has: impl Fn(&str) -> bool) -> Result<Selection> {
    let plain =
        |model: &str| Selection { plan: Plan::Sequence(vec![Approach::None]), model: model.into() };
    let (piece, model) = id.split_once('-').unwrap_or((id, ""));
    if !is_selection(id) || has(id) {
        return Ok(plain(id));
    }
    let plan = parse_plan(piece, auto)?;
    if plan == Plan::Sequence(vec![Approach::None]) {
        // The rest after `none` is a model's name, even if it looks like an approach.
        return Ok(plain(model));
    }
    if !has(model) && is_selection(model) {
        let (next, rest) = model.split_once('-').unwrap_or((model, ""));
        let message = format!(
            "`{id}` names two approaches: write `{piece}&{next}-{rest}` for one after the other, or `{piece}|{next}-{rest}` for both"
        );
        return Err(approach_error(message));
    }
    Ok(Selection { plan, model: model.into() })
}

/// Parses `moa`, `bon&moa` or `bon|moa`.
///
/// # Errors
/// Returns an error if a name is unknown, unavailable, or not allowed in its place.
pub fn parse_plan(text: &str, auto: Approach) -> Result<Plan> {
    let text = text.trim();
    if text.contains('&') && text.contains('|') {
        return Err(approach_error(format!("`{text}`: `&` and `|` cannot stand together")));
    }
    let is_parallel = text.contains('|');
    let parts: Vec<_> = text.split(['&', '|']).map(str::trim).collect();
    if parts.len() > MAX_APPROACHES {
        return Err(approach_error(format!(
            "at most {MAX_APPROACHES} approaches can be named at once"
        )));
    }
    let approaches: Vec<_> =
        parts.iter().map(|part| parse_approach(text, part, auto)).collect::<Result<_>>()?;
    let is_several = approaches.len() > 1;
    if is_several && approaches.contains(&Approach::None) {
        return Err(approach_error(format!("`{text}`: `none` cannot stand with others")));
    }
    if is_several && approaches.contains(&Approach::Router) {
        return Err(approach_error(format!(
            "`{text}`: `router` chooses by itself, and cannot stand with others"
        )));
    }
    if is_parallel && let Some(one) = approaches.iter().find(|one| one.is_transformer()) {
        let name = one.name();
        let message =
            format!("`{text}`: `{name}` gives no answer of its own: put it before another by `&`");
        return Err(approach_error(message));
    }
    Ok(if is_parallel { Plan::Parallel(approaches) } else { Plan::Sequence(approaches) })
}

fn parse_approach(text: &str, part: &str, auto: Approach) -> Result<Approach> {
    match parse_word(part) {
        Some(ApproachWord::Approach(approach)) => Ok(approach),
        Some(ApproachWord::Auto) => Ok(auto),
        Some(ApproachWord::Unavailable(reason)) => {
            Err(approach_error(format!("the approach `{part}` is not available: {reason}")))
        }
        None if part.is_empty() => Err(approach_error(format!(
            "`{text}`: an approach is missing before or behind `&` or `|`"
        ))),
        None => {
            let known: Vec<_> = Approach::ALL.iter().map(|approach| approach.name()).collect();
            let known = known.join(", ");
            Err(approach_error(format!("there is no approach `{part}`: name one of {known}")))
        }
    }
}

fn approach_error(message: String) -> PipeError {
    PipeError::BadRequest { message, param: Some("model".into()), code: Some("invalid_approach") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(id: &str) -> Result<(String, String), String> {
        let has = |id: &str| ["leap-7b", "moa-real", "a&moa-real"].contains(&id);
        let selected = parse_selection(id, Approach::None, has);
        selected.map(|s| (s.plan.name(), s.model)).map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_read_as_the_table_of_selection_has_them() {
        let cases = [
            ("moa-gpt-4o", "moa", "gpt-4o"),
            ("MOA-gpt-4o", "moa", "gpt-4o"),
            ("gpt-4o-moa", "none", "gpt-4o-moa"),
            ("bon&moa-gpt-4o", "bon&moa", "gpt-4o"),
            ("bon|moa|mcts-gpt-4o", "bon|moa|mcts", "gpt-4o"),
            ("memory&moa-gpt-4o-mini", "memory&moa", "gpt-4o-mini"),
            ("meta/llama&x-3", "none", "meta/llama&x-3"),
            ("leap-7b", "none", "leap-7b"),
            ("moa-leap-7b", "moa", "leap-7b"),
            ("moa-real", "none", "moa-real"),
            ("bon-moa-real", "bon", "moa-real"),
            ("a&moa-real", "none", "a&moa-real"),
            ("none-router-x", "none", "router-x"),
            ("proxy-gpt", "none", "gpt"),
            ("auto-gpt-4", "none", "gpt-4"),
            ("moa", "moa", ""),
            (
                "moa-bedrock_models.us.amazon.nova-lite-v1:0",
                "moa",
                "bedrock_models.us.amazon.nova-lite-v1:0",
            ),
        ];
        for (id, plan, model) in cases {
            assert_eq!(read(id), Ok((plan.into(), model.into())), "{id}");
        }
    }

    #[test]
    fn what_cannot_be_so_is_refused() {
        let cases = [
            ("moa-mcts-gpt-4", "`moa&mcts-gpt-4`"),
            ("bon&moa-mcts-gpt", "two approaches"),
            ("moa|bon&mcts-gpt", "cannot stand together"),
            ("moa&-gpt", "missing"),
            ("&moa-gpt", "missing"),
            ("moa&&bon-gpt", "missing"),
            ("moa&nonsense-gpt", "no approach `nonsense`"),
            ("moa&none-gpt", "`none` cannot"),
            ("moa|privacy-gpt", "no answer of its own"),
            ("cot_decoding-gpt", "not available"),
            ("thinkdeeper&moa-gpt", "not available"),
            ("moa|web_search-gpt", "no answer of its own"),
            ("deepconf-gpt", "`majority_voting`"),
            ("router&moa-gpt", "chooses by itself"),
            ("bon&bon&bon&bon&bon&bon&bon-gpt", "at most 6"),
        ];
        for (id, part) in cases {
            let refused = read(id).expect_err(id);
            assert!(refused.contains(part), "{id}: {refused}");
        }
    }

    #[test]
    fn every_name_of_optillm_is_a_word() {
        let names = "none mcts bon moa rto z3 self_consistency pvg rstar cot_reflection plansearch leap re2 cepo mars spl deepthink \
                     longcepo majority_voting mcp router coc memory privacy readurls executecode json genselect web_search \
                     deep_research proxy compact auto autothink cot_decoding entropy_decoding thinkdeeper deepconf";
        for name in names.split_whitespace() {
            assert!(parse_word(name).is_some(), "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(id in "[a-z&|.-]{0,24}|(moa|bon|none|auto|[&|-]){0,8}") {
            if let Ok((_, model)) = read(&id) {
                proptest::prop_assert!(id.ends_with(&model));
            }
        }
    }
}
