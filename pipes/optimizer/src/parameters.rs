//! The parameters of an approach in a request: `OptiLLM`'s own fields, taken
//! out of the body before anybody else sees them.

use crate::valves::OptimizerValves;
use pipe_sdk::{Body, Hints, PipeError, Result};
use serde_json::{Map, Value};
use std::time::Duration;

/// The field that names an approach.
pub(crate) const APPROACH_FIELD: &str = "optillm_approach";

/// The header in which a client names its time limit, in seconds.
const DEADLINE_HEADER: &str = "x-pipewright-deadline";

/// The parameters of one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameters {
    /// The number of answers to sample; `None`: the usual number of the approach.
    pub samples: Option<usize>,
    /// The number of improvements that `mcts` tries.
    pub simulations: usize,
    /// The exploration constant of `mcts`.
    pub exploration: f64,
    /// The depth of the tree of `mcts`.
    pub tree_depth: usize,
    /// The number of steps in a line of reasoning of `rstar`.
    pub rstar_depth: usize,
    /// The share of votes that `deepthink` needs to trust them.
    pub confidence: f64,
    /// The number of times that `mars` improves rejected solutions.
    pub iterations: usize,
    /// The number of planners of `cepo` that must succeed.
    pub plans: usize,
    /// The number of planners that may be tried.
    pub plans_tried: usize,
    /// The number of last turns that `compact` leaves as they are.
    pub keep_recent: usize,
    /// The number of tokens of a chat from which on `compact` acts.
    pub compact_above: u64,
    /// The number of rounds of searches of `deep_research`.
    pub research_rounds: usize,
    /// The number of pages that `deep_research` uses.
    pub max_sources: usize,
    /// `true` if `spl` learns from the request.
    pub learns_strategies: bool,
    /// `true` if `deepthink` makes a structure first.
    pub self_discover: bool,
    /// `true` if the answer carries the report of its calls.
    pub report: bool,
    /// `true` if `cot_reflection` answers with all that was written.
    pub full_response: bool,
    /// The time that the client waits.
    pub deadline: Option<Duration>,
}

/// The fields that `OptiLLM` reads and that have no effect here.
const IGNORED: [&str; 6] = [
    "comparison_temperature",
    "comparison_mode",
    "include_reasoning",
    "reasoning_modules_limit",
    "mcts_noise",
    "rstar_c",
];

impl Parameters {
    /// Takes the fields out of the body.
    ///
    /// # Errors
    /// Returns an error if a field has a wrong type or value, by its name.
    pub fn take(body: &mut Body, hints: &Hints, valves: &OptimizerValves) -> Result<Self> {
        let rest = &mut body.rest;
        rest.shift_remove(APPROACH_FIELD);
        for name in IGNORED {
            rest.shift_remove(name);
        }
        for (name, way_out) in [
            (
                "decoding",
                "decoding methods need the probabilities of all tokens: use `self_consistency` or `autothink`",
            ),
            ("proxy_wrap", "name the approach before the model's name, as in `moa-<model>`"),
        ] {
            if rest.shift_remove(name).is_some_and(|value| !value.is_null()) {
                return Err(PipeError::bad_field(name, format!("{name}: {way_out}")));
            }
        }
        let most = valves.max_samples;
        let mut samples = None;
        for name in [
            "optillm_samples",
            "best_of_n",
            "num_candidates",
            "deepthink_samples",
            "bestofn_n",
            "k",
        ] {
            if let Some(count) = take_integer(rest, name, 1, most)? {
                samples.get_or_insert(count);
            }
        }
        let mars = match rest.shift_remove("mars_config") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(config)) => config,
            Some(_) => {
                return Err(PipeError::bad_field("mars_config", "mars_config: must be an object"));
            }
        };
        let mut mars = mars;
        if let Some(agents) = take_integer(&mut mars, "num_agents", 1, most)? {
            samples.get_or_insert(agents);
        }
        let window =
            take_integer(rest, "compact_context_window", 1, 100_000_000)?.unwrap_or(128_000);
        let threshold = take_number(rest, "compact_threshold", 0.0, 1.0)?.unwrap_or(0.75);
        let plans = take_integer(rest, "cepo_planning_n", 1, most)?.unwrap_or(3);
        let deadline = hints.get(DEADLINE_HEADER).map(parse_seconds).transpose()?;
        let wished = take_number(rest, "optillm_deadline_seconds", 0.1, 3600.0)?;
        let learns_strategies = take_flag(rest, "spl_learning")?.unwrap_or(false);
        if learns_strategies && !valves.spl_learning {
            let rule = "spl_learning: is switched off: an admin can switch it on in the optimizer";
            return Err(PipeError::bad_field("spl_learning", rule));
        }
        Ok(Self {
            samples: samples.or(valves.samples),
            simulations: take_integer(rest, "mcts_simulations", 0, most)?.unwrap_or(5),
            exploration: take_number(rest, "mcts_exploration", 0.0, 10.0)?.unwrap_or(0.5),
            tree_depth: take_integer(rest, "mcts_depth", 1, 8)?.unwrap_or(3),
            rstar_depth: take_integer(rest, "rstar_max_depth", 1, 8)?.unwrap_or(3),
            confidence: take_number(rest, "confidence_threshold", 0.0, 1.0)?.unwrap_or(0.7),
            iterations: take_integer(&mut mars, "max_iterations", 0, 5)?.unwrap_or(1),
            plans,
            plans_tried: take_integer(rest, "cepo_planning_m", 1, 2 * most)?
                .unwrap_or(2 * plans)
                .max(plans),
            keep_recent: take_integer(rest, "compact_keep_recent", 1, 1000)?.unwrap_or(4),
            compact_above: (window as f64 * threshold) as u64,
            research_rounds: take_integer(rest, "max_iterations", 1, 5)?.unwrap_or(2),
            max_sources: take_integer(rest, "max_sources", 1, 30)?.unwrap_or(12),
            learns_strategies,
            self_discover: take_flag(rest, "enable_self_discover")?.unwrap_or(true),
            report: take_flag(rest, "x_optimizer")?.unwrap_or(false),
            full_response: take_flag(rest, "return_full_response")?
                .unwrap_or(valves.return_full_response),
            deadline: deadline.or(wished.map(Duration::from_secs_f64)),
        })
    }
}

fn parse_seconds(text: &str) -> Result<Duration> {
    let seconds: Option<f64> = text.trim().parse().ok();
    let seconds = seconds.filter(|seconds| (0.1..=3600.0).contains(seconds));
    let rule = || {
        PipeError::bad_field(
            DEADLINE_HEADER,
            format!("{DEADLINE_HEADER}: must be seconds, between 0.1 and 3600"),
        )
    };
    seconds.map(Duration::from_secs_f64).ok_or_else(rule)
}

fn take_integer(
    rest: &mut Map<String, Value>,
    name: &str,
    least: usize,
    most: usize,
) -> Result<Option<usize>> {
    let rule = || {
        let rule = format!("{name}: must be a whole number between {least} and {most}");
        PipeError::bad_field(name, rule)
    };
    match rest.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            let number = number.filter(|number| {
                number.fract() == 0.0 && (least as f64..=most as f64).contains(number)
            });
            number.map(|number| Some(number as usize)).ok_or_else(rule)
        }
    }
}

fn take_number(
    rest: &mut Map<String, Value>,
    name: &str,
    least: f64,
    most: f64,
) -> Result<Option<f64>> {
    let rule = || {
        PipeError::bad_field(name, format!("{name}: must be a number between {least} and {most}"))
    };
    match rest.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
            let number = number.filter(|number| (least..=most).contains(number));
            number.map(Some).ok_or_else(rule)
        }
    }
}

fn take_flag(rest: &mut Map<String, Value>, name: &str) -> Result<Option<bool>> {
    match rest.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(_) => Err(PipeError::bad_field(name, format!("{name}: must be true or false"))),
    }
}
