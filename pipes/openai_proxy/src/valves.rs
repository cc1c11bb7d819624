//! What an admin can turn, and which combinations cannot be so.

use crate::ways::Ways;
use pipe_sdk::{Secret, ValveError, Valves};
use resilience::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The settings of the proxy: one upstream in fields of its own, further ones as lines of a text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProxyValves {
    /// Where the upstream's API is, as in `https://api.openai.com/v1` or `http://127.0.0.1:11434/v1`. None: nothing is listed.
    #[schemars(title = "API base URL")]
    pub api_base: Option<String>,

    /// The upstream's API key. Servers of one's own mostly need none.
    #[schemars(title = "API key", extend("x-origin" = "api_base", "x-unbound" = true))]
    pub api_key: Secret,

    /// How long the upstream may take until its answer begins, in seconds, retries included.
    #[schemars(title = "Timeout in seconds", range(min = 5, max = 120))]
    pub timeout: u64,

    /// The organisation that OpenAI is to bill.
    #[schemars(title = "Organisation")]
    pub organization: Option<String>,

    /// How many questions a minute each person may ask an upstream. Titles, tags and the like that Open WebUI asks for do not count; what
    /// tools give back does. 0: no limit. A limit holds for coding agents too, which ask many questions a minute.
    #[schemars(title = "Requests per minute", range(min = 0, max = 100_000))]
    pub rate_limit: u32,

    /// The model that answers for ids that are not listed, and in place of one that fails before it has said anything. It answers only
    /// where an upstream lists it. None: nobody stands in.
    #[schemars(title = "Fallback model")]
    pub fallback_model: Option<String>,

    /// Which of the upstream's models are listed, comma-separated, as in `gpt-*, o3`; `*` stands for anything. Names without one are listed
    /// even if the upstream does not list them. None: all.
    #[schemars(title = "Models")]
    pub models: Option<String>,

    /// What stands before the names of the upstream's models, with a slash between.
    #[schemars(title = "Name prefix")]
    pub name_prefix: Option<String>,

    /// Further upstreams, comma-separated: a name, its base URL, and settings if need be, as in
    /// `groq https://api.groq.com/openai/v1 models=llama*|qwen* rate_limit=60, ollama http://127.0.0.1:11434/v1`. The name stands before the names of
    /// its models. Settings are models, timeout, organization, `rate_limit` and `fallback_model`; the others are those of this form.
    #[schemars(title = "More upstreams")]
    pub more_upstreams: Option<String>,

    /// The keys of further upstreams, each with the host that it is for, comma-separated, as in `api.groq.com=gsk_…,
    /// http://127.0.0.1:8000=…`. A key goes to its host and to no other. Two accounts of one host: `name@host=key`.
    #[schemars(title = "Keys of more upstreams")]
    pub more_api_keys: Secret,

    /// Whether Open WebUI may add its own tools (about 28 definitions) to every chat. They cost prompt tokens, more than small models hold.
    #[schemars(title = "Built-in tools of Open WebUI")]
    pub builtin_tools: bool,

    /// How old a list of models may be before it is asked for again, in seconds. People never wait for it: the old list is shown until
    /// the new one is there.
    #[schemars(title = "Model list: seconds until refresh", range(min = 10, max = 86400))]
    pub model_list_seconds: u64,

    /// How long connecting to an upstream may take, in seconds.
    #[schemars(title = "Longest connect in seconds", range(min = 1, max = 60))]
    pub connect_timeout_seconds: u64,

    /// How long a begun answer may stay silent, in seconds. Models that think can be silent for a while.
    #[schemars(title = "Longest silence in an answer in seconds", range(min = 1, max = 3600))]
    pub idle_timeout_seconds: u64,

    /// How often a chat is tried when an upstream is busy or failing, the first time included. A begun answer is never tried again.
    #[schemars(title = "Attempts", range(min = 1, max = 10))]
    pub max_attempts: u32,

    /// How many retries there may be to a hundred chats, in the long run.
    #[schemars(title = "Retries in a hundred chats", range(min = 0, max = 100))]
    pub retry_percent: u32,

    /// How many calls must have ended within 30 seconds until an upstream that fails is not asked for a while: when 90 % of them have
    /// failed, or 50 % because it said that it is not available, for three callers or more; 0: never. No caller counts for more than a third,
    /// and all attempts of a chat are one call. Where no connection can be made, two calls are enough. Example: `20`.
    #[schemars(title = "Calls until an upstream rests", range(min = 0, max = 1000))]
    pub breaker_failures: u32,

    /// How long it is left in peace at first, in seconds. That doubles, up to two minutes, as long as it keeps failing.
    #[schemars(title = "Rest after failures in seconds", range(min = 1, max = 120))]
    pub breaker_seconds: u64,

    /// How many chats an upstream may have under way. Further ones are refused at once.
    #[schemars(title = "Chats at once", range(min = 1, max = 10_000))]
    pub max_concurrent: usize,
}

impl Default for ProxyValves {
    fn default() -> Self {
        let Limits { connect, idle, attempts, retry_percent, failures, rest, at_once, .. } =
            Limits::default();
        Self {
            api_base: None,
            api_key: Secret::default(),
            timeout: 30,
            organization: None,
            rate_limit: 0,
            fallback_model: None,
            models: None,
            name_prefix: None,
            more_upstreams: None,
            more_api_keys: Secret::default(),
            builtin_tools: true,
            model_list_seconds: 300,
            connect_timeout_seconds: connect.as_secs(),
            idle_timeout_seconds: idle.as_secs(),
            max_attempts: attempts,
            retry_percent,
            breaker_failures: failures,
            breaker_seconds: rest.as_secs(),
            max_concurrent: at_once,
        }
    }
}

impl ProxyValves {
    /// How long and how often an upstream is asked whose answers must begin within this time.
    pub(crate) fn limits(&self, first_byte: Duration) -> Limits {
        Limits {
            connect: self.connect_timeout(),
            first_byte,
            idle: Duration::from_secs(self.idle_timeout_seconds),
            attempts: self.max_attempts,
            retry_percent: self.retry_percent,
            failures: self.breaker_failures,
            rest: Duration::from_secs(self.breaker_seconds),
            at_once: self.max_concurrent,
            ..Limits::default()
        }
    }

    /// How long connecting may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds)
    }
}

impl Valves for ProxyValves {
    fn validate(&self) -> Vec<ValveError> {
        Ways::of(self).err().unwrap_or_default()
    }
}
