//! The valves of the router.

mod daily_hours;
mod local_endpoint;

pub(crate) use local_endpoint::{LocalEndpoint, ServerApi};

use crate::pipe_id::PIPE_ID;
use daily_hours::DailyHours;
use pipe_sdk::{Secret, ValveError, Valves};
use resilience::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The two backends, and which of them is asked when.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HybridValves {
    /// The local side: the address of a server, as in `http://localhost:11434/v1`, or the id of a
    /// model of this host, as in `openai_proxy.llama3`. An address is that of an OpenAI-compatible
    /// API, or one that ends in `/generate`; if it has no path, both are tried.
    #[schemars(title = "Local · Server or model", extend("x-everyday" = true, "x-models" = true))]
    pub local_endpoint: String,

    /// The id of the model at the local server. None: the first model that the server lists.
    #[schemars(title = "Local · Model's name at the server", extend("x-everyday" = true))]
    pub local_model: Option<String>,

    /// The key of the server at the local address. Most need none.
    #[schemars(title = "Local · API key of the server", extend("x-everyday" = true, "x-origin" = "local_endpoint"))]
    pub local_api_key: Secret,

    /// The local model takes images. Off: chats with images go to the cloud.
    #[schemars(title = "Local · Model sees pictures", extend("x-everyday" = true))]
    pub local_images: bool,

    /// The local model calls tools. Off: chats with tools go to the cloud, and Open WebUI adds none
    /// of its built-in tools.
    #[schemars(title = "Local · Model calls tools", extend("x-everyday" = true))]
    pub local_tools: bool,

    /// The context length of the local model in tokens, prompt and answer together. Longer chats go
    /// to the cloud. None: the cloud is asked when the local server refuses a chat as too long.
    #[schemars(title = "Local · Context (tokens)", range(min = 1))]
    pub local_context_tokens: Option<u64>,

    /// The largest number of concurrent chats with the local side. Further ones go to the cloud at
    /// once.
    #[schemars(title = "Local · Max concurrent requests", range(min = 1, max = 10_000))]
    pub local_at_once: usize,

    /// The cloud side: the id of a model of this host, as in
    /// `bedrock_models.amazon.nova-lite-v1:0`.
    #[schemars(title = "Cloud · Model", extend("x-everyday" = true, "x-models" = true))]
    pub cloud_model: Option<String>,

    /// Asks the cloud when the local side cannot answer, or does not begin to. Off: such a chat
    /// ends in an error.
    #[schemars(title = "Cloud · Answer when local fails", extend("x-everyday" = true))]
    pub cloud_fallback: bool,

    /// The amount in US dollars that each person may spend in a day (UTC) before `hybrid-smart`
    /// stops asking the cloud, by the host's table of prices. None or 0: no limit. To keep people
    /// from the cloud, name their roles in the valve of roles for the local side only.
    #[schemars(title = "Cloud · Budget a day ($)", extend("x-everyday" = true), range(min = 0.0))]
    pub cloud_budget_per_day: Option<f64>,

    /// Records the usage of the local side and of the cloud separately, for each person.
    #[schemars(title = "Cloud · Track costs by side", extend("x-everyday" = true))]
    pub cost_tracking: bool,

    /// The number of prompt tokens above which chats go to the cloud first; it is compared with an
    /// estimate. None: the length of a chat does not matter.
    #[schemars(title = "Routing · Cloud above prompt tokens", range(min = 1))]
    pub cloud_above_prompt_tokens: Option<u64>,

    /// Asks the local side first for Open WebUI's background tasks (titles, tags, follow-up
    /// questions), whatever the rules below say.
    #[schemars(title = "Routing · Background tasks go local")]
    pub tasks_local: bool,

    /// The roles of Open WebUI whose chats go to the cloud first, comma-separated, as in `admin`.
    #[schemars(title = "Routing · Roles for the cloud")]
    pub cloud_roles: Option<String>,

    /// The roles whose chats never go to the cloud by way of `hybrid-smart`, comma-separated.
    #[schemars(title = "Routing · Roles for the local side only")]
    pub local_roles: Option<String>,

    /// The hours (UTC) in which chats go to the cloud first, comma-separated. Example:
    /// `08:00-18:00, 22-6`.
    #[schemars(title = "Routing · Hours for the cloud (UTC)")]
    pub cloud_hours: Option<String>,

    /// The time after which the cloud is asked too if the local side has not begun to answer, in
    /// milliseconds. The first side to send a token answers; both may cost. None: the cloud is
    /// asked only when the local side has failed.
    #[schemars(title = "Routing · Ask the cloud too after (ms)", range(min = 0, max = 60_000))]
    pub hedge_after_ms: Option<u64>,

    /// Adds a line above each answer of `hybrid-smart` that says which side answers, and why.
    #[schemars(title = "Routing · Say who answers", extend("x-everyday" = true))]
    pub show_side: bool,

    /// The time until the local side must begin to answer, in seconds. A server that answers in one
    /// piece (`/generate`) has at least two minutes.
    #[schemars(
        title = "Timeouts · First-token timeout (s)", extend("x-everyday" = true),
        range(min = 1, max = 600)
    )]
    pub local_timeout_seconds: u64,

    /// The time for which a local answer that has begun may send nothing, in seconds.
    #[schemars(title = "Timeouts · Idle timeout (s)", range(min = 1, max = 3600))]
    pub local_idle_seconds: u64,

    /// The chats in a row that must fail before the local side is not called for a while. 0: it is
    /// always called. A probe is sent at once: if it is answered, the chats were at fault, and the
    /// local side is called again. A failure does not count while the chats of others are answered.
    /// Example: `1`.
    #[schemars(title = "Retries · Circuit breaker: failures", range(min = 0, max = 1000))]
    pub breaker_failures: u32,

    /// The time between probes of a failing local side at first, in seconds. It doubles, up to two
    /// minutes, as long as they fail.
    #[schemars(title = "Retries · Circuit breaker: pause (s)", range(min = 1, max = 120))]
    pub breaker_seconds: u64,
}

/// The default of the local endpoint. It does not count as set, as few have a server there.
const DEFAULT_ENDPOINT: &str = "http://localhost:5000";

impl Default for HybridValves {
    fn default() -> Self {
        let Limits { idle, open_duration, max_concurrent, .. } = Limits::default();
        Self {
            local_endpoint: DEFAULT_ENDPOINT.into(),
            local_model: None,
            local_api_key: Secret::default(),
            cloud_model: None,
            cloud_fallback: true,
            cost_tracking: false,
            local_timeout_seconds: 20,
            local_idle_seconds: idle.as_secs(),
            local_at_once: max_concurrent,
            breaker_failures: 1,
            breaker_seconds: open_duration.as_secs(),
            hedge_after_ms: None,
            local_images: false,
            local_tools: false,
            local_context_tokens: None,
            cloud_above_prompt_tokens: None,
            tasks_local: true,
            cloud_roles: None,
            local_roles: None,
            cloud_hours: None,
            cloud_budget_per_day: None,
            show_side: false,
        }
    }
}

impl HybridValves {
    /// Returns whether an admin has set the router up.
    pub(crate) fn is_set_up(&self) -> bool {
        self.cloud_model.is_some() || self.local_endpoint != DEFAULT_ENDPOINT
    }

    /// Returns whether other valves configure the same local backend.
    pub(crate) fn has_same_local_backend(&self, others: &Self) -> bool {
        let side = |valves: &Self| {
            let key = valves.local_api_key.expose().map(str::to_owned);
            let (endpoint, model) = (valves.local_endpoint.clone(), valves.local_model.clone());
            (endpoint, model, key, valves.local_limits(), valves.cost_tracking)
        };
        side(self) == side(others)
    }

    /// Returns the limits of calls to the local backend.
    pub(crate) fn local_limits(&self) -> Limits {
        Limits {
            first_byte: Duration::from_secs(self.local_timeout_seconds),
            idle: Duration::from_secs(self.local_idle_seconds),
            // The other backend is a better choice than a retry.
            attempts: 1,
            failures: self.breaker_failures,
            is_probed: true,
            open_duration: Duration::from_secs(self.breaker_seconds),
            max_concurrent: self.local_at_once,
            ..Limits::default()
        }
    }

    /// Returns the hours in which the cloud is asked first.
    pub(crate) fn cloud_hours(&self) -> Result<DailyHours, &'static str> {
        self.cloud_hours.as_deref().unwrap_or_default().parse()
    }
}

impl Valves for HybridValves {
    fn validate(&self) -> Vec<ValveError> {
        let is_own =
            |id: &str| id == PIPE_ID || id.split_once('.').is_some_and(|(pipe, _)| pipe == PIPE_ID);
        let own = "must be a model of another pipe";
        let rules = [
            ("local_endpoint", self.local_endpoint.parse::<LocalEndpoint>().err()),
            ("local_endpoint", is_own(&self.local_endpoint).then_some(own)),
            ("cloud_model", self.cloud_model.as_deref().is_some_and(is_own).then_some(own)),
            ("cloud_hours", self.cloud_hours().err()),
        ];
        let broken =
            rules.into_iter().filter_map(|(valve, rule)| Some(ValveError::new(valve, rule?)));
        broken.collect()
    }
}
