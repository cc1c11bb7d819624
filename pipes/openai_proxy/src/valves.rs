//! The valves of the proxy.

mod text;
mod upstream_config;
mod upstream_keys;

pub(crate) use upstream_config::{UpstreamConfig, UpstreamConfigs};

use openai_client::DEFAULT_STREAM_ABOVE_MAX_TOKENS;
use pipe_sdk::{Secret, ValveError, Valves};
use resilience::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The valves of the proxy: one upstream in fields of its own, further ones as items of a text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ProxyValves {
    /// The base URL of the upstream's API. Without it, no models are listed. Examples:
    /// `https://api.openai.com/v1`, `http://127.0.0.1:11434/v1`.
    #[schemars(title = "Server · API base URL", extend("x-everyday" = true))]
    pub api_base: Option<String>,

    /// The API key of the upstream. Many servers in the own network need none.
    #[schemars(title = "Server · API key", extend("x-everyday" = true, "x-origin" = "api_base", "x-unbound" = true))]
    pub api_key: Secret,

    /// The id of the OpenAI organization that is billed, as in `org-…`.
    #[schemars(title = "Server · Organization")]
    pub organization: Option<String>,

    /// The models of the upstream that are listed, comma-separated, with `*` for any text. A name
    /// without `*` is listed even if the upstream does not list it. Empty: all. Example: `gpt-*,
    /// o3`.
    #[schemars(title = "Models · Listed models", extend("x-everyday" = true))]
    pub models: Option<String>,

    /// The prefix of the ids of the upstream's models, followed by a slash. Example: `openai` makes
    /// `openai/gpt-4o`.
    #[schemars(title = "Models · Name prefix", extend("x-everyday" = true))]
    pub name_prefix: Option<String>,

    /// The model that answers for ids that are not listed, and in place of a model that fails
    /// before its answer has begun. An upstream must list it. Empty: no fallback.
    #[schemars(title = "Models · Fallback model", extend("x-everyday" = true))]
    pub fallback_model: Option<String>,

    /// The age at which the list of models is refreshed, in seconds. Requests do not wait for that:
    /// the old list is served until the new one is complete.
    #[schemars(title = "Models · List refresh (s)", range(min = 10, max = 86400))]
    pub model_list_seconds: u64,

    /// Further upstreams, comma-separated: a name, a base URL, and settings if need be. The name is
    /// the prefix of the ids of its models. Settings are models, timeout, organization,
    /// `rate_limit` and `fallback_model`; all others are those of this form. Example: `groq
    /// https://api.groq.com/openai/v1 models=llama*|qwen* rate_limit=60, ollama
    /// http://127.0.0.1:11434/v1`.
    #[schemars(title = "More servers · Addresses", extend("x-everyday" = true))]
    pub more_upstreams: Option<String>,

    /// The API keys of further upstreams, comma-separated, each with the host that it is sent to
    /// and no other. Two accounts at one host: `name@host=key`. Example: `api.groq.com=gsk_…,
    /// http://127.0.0.1:8000=…`.
    #[schemars(title = "More servers · API keys", extend("x-everyday" = true))]
    pub more_api_keys: Secret,

    /// Lets Open WebUI add its built-in tools (about 28 definitions) to every chat. They cost
    /// prompt tokens, more than small models hold.
    #[schemars(title = "Chats · Built-in tools of Open WebUI", extend("x-everyday" = true))]
    pub builtin_tools: bool,

    /// The requests that each user may send to an upstream in a minute. Background tasks of Open
    /// WebUI, such as titles and tags, do not count; results of tools do. 0: no limit. Coding
    /// agents send many requests a minute, and the limit holds for them, too.
    #[schemars(title = "Limits · Requests per minute", extend("x-everyday" = true), range(min = 0, max = 100_000))]
    pub rate_limit: u32,

    /// The largest number of concurrent chats with an upstream. Further ones are refused at once.
    #[schemars(title = "Limits · Max concurrent requests", range(min = 1, max = 10_000))]
    pub max_concurrent: usize,

    /// The time until an answer must begin, in seconds, retries included.
    #[schemars(title = "Timeouts · First-token timeout (s)", extend("x-everyday" = true), range(min = 5, max = 120))]
    pub timeout: u64,

    /// The time that connecting to an upstream may take, in seconds.
    #[schemars(title = "Timeouts · Connect timeout (s)", range(min = 1, max = 60))]
    pub connect_timeout_seconds: u64,

    /// The time for which an answer that has begun may send nothing, in seconds. Models that reason
    /// can be silent for a while.
    #[schemars(title = "Timeouts · Idle timeout (s)", range(min = 1, max = 3600))]
    pub idle_timeout_seconds: u64,

    /// The `max_tokens` above which a chat without streaming is streamed from the upstream all the
    /// same, so that the connection does not stay silent until a long answer is there. Other chats
    /// without streaming are asked for in one piece, which costs a fraction of the CPU time; the
    /// idle timeout is their limit. 0: every chat is streamed from the upstream. Example: `8192`.
    #[schemars(title = "Timeouts · Stream above max_tokens", range(min = 0, max = 10_000_000))]
    pub stream_above_max_tokens: u32,

    /// The attempts of a chat when an upstream is busy or failing, the first one included. An
    /// answer that has begun is never tried again.
    #[schemars(title = "Retries · Attempts", range(min = 1, max = 10))]
    pub max_attempts: u32,

    /// The retries for each hundred chats, in the long run.
    #[schemars(title = "Retries · Retry budget (%)", range(min = 0, max = 100))]
    pub retry_percent: u32,

    /// The calls that must have ended within 30 seconds before a failing upstream is not called for
    /// a while. That happens when 90 % of them have failed, or 50 % because the upstream said that
    /// it is not available, for three callers or more. 0: never. No caller counts for more than a
    /// third, and all attempts of a chat are one call. Where no connection can be made, two calls
    /// are enough. Example: `20`.
    #[schemars(title = "Retries · Circuit breaker: failures", range(min = 0, max = 1000))]
    pub breaker_failures: u32,

    /// The time for which a failing upstream is not called at first, in seconds. It doubles, up to
    /// two minutes, as long as the upstream fails.
    #[schemars(title = "Retries · Circuit breaker: pause (s)", range(min = 1, max = 120))]
    pub breaker_seconds: u64,
}

impl Default for ProxyValves {
    fn default() -> Self {
        let Limits {
            connect,
            idle,
            attempts,
            retry_percent,
            failures,
            open_duration,
            max_concurrent,
            ..
        } = Limits::default();
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
            breaker_seconds: open_duration.as_secs(),
            stream_above_max_tokens: DEFAULT_STREAM_ABOVE_MAX_TOKENS,
            max_concurrent,
        }
    }
}

impl ProxyValves {
    /// Returns the limits of calls to an upstream whose answers must start within this time.
    pub(crate) fn limits(&self, first_byte: Duration) -> Limits {
        Limits {
            connect: self.connect_timeout(),
            first_byte,
            idle: Duration::from_secs(self.idle_timeout_seconds),
            attempts: self.max_attempts,
            retry_percent: self.retry_percent,
            failures: self.breaker_failures,
            open_duration: Duration::from_secs(self.breaker_seconds),
            max_concurrent: self.max_concurrent,
            ..Limits::default()
        }
    }

    /// Returns the time that connecting may take.
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds)
    }
}

impl Valves for ProxyValves {
    fn validate(&self) -> Vec<ValveError> {
        UpstreamConfigs::from_valves(self).err().unwrap_or_default()
    }
}
