//! The valves of the pipe, and their validation.

mod aliases;
mod choices;

pub use aliases::Aliases;
pub use choices::{
    BuiltinTools, GuardrailStreaming, GuardrailTrace, ImageAnswers, LateInstructions,
    PromptCaching, ReasoningOutput,
};
use guarded_fetch::HostPattern;
use http_client::is_metadata_host;
use pipe_sdk::{EmbedInput, Secret, ValveError, Valves, split_list};
use resilience::Limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, time::Duration};
use url::Url;

/// The settings of the Bedrock pipe.
///
/// Without any of the credential valves, AWS's own default chain is asked: environment, profile,
/// SSO, web identity, ECS, IMDS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BedrockValves {
    /// AWS regions whose models are listed, comma-separated. Where two regions have the same model,
    /// the first one serves it.
    #[schemars(
        title = "AWS · Regions",
        extend("x-everyday" = true, "x-default-variables" = ["AWS_REGION", "AWS_DEFAULT_REGION"])
    )]
    pub regions: Vec<String>,

    /// The access key id of an AWS user. None: the default chain of AWS decides.
    #[schemars(title = "AWS · Access key id", extend("x-everyday" = true))]
    pub aws_access_key_id: Option<String>,

    /// The secret that belongs to the access key id.
    #[schemars(title = "AWS · Secret access key", extend("x-everyday" = true, "x-origin" = "endpoint_url"))]
    pub aws_secret_access_key: Secret,

    /// The session token, for temporary keys only.
    #[schemars(title = "AWS · Session token", extend("x-origin" = "endpoint_url"))]
    pub aws_session_token: Secret,

    /// An API key of Bedrock (bearer token). It takes precedence over all other credentials.
    #[schemars(title = "AWS · Bedrock API key", extend("x-everyday" = true, "x-origin" = "endpoint_url"))]
    pub bedrock_api_key: Secret,

    /// The name of a profile in the AWS config files of this machine, in place of keys.
    #[schemars(title = "AWS · Profile", extend("x-everyday" = true))]
    pub aws_profile: Option<String>,

    /// The ARN of a role to assume with the credentials above, as in
    /// `arn:aws:iam::123456789012:role/chat`.
    #[schemars(title = "AWS · Role to assume", extend("x-everyday" = true))]
    pub aws_role_arn: Option<String>,

    /// The external id that the role asks for.
    #[schemars(title = "AWS · External id of the role")]
    pub aws_role_external_id: Option<String>,

    /// The name of the assumed session in the logs of AWS. Example: `pipewright`.
    #[schemars(title = "AWS · Session name of the role")]
    pub aws_role_session_name: Option<String>,

    /// The URL of Bedrock, for private endpoints and tests. It is used for both services (`bedrock`
    /// and `bedrock-runtime`), in all regions. Credentials of the machine (environment, profiles,
    /// roles) go only to hosts of Bedrock and to hosts that the environment names
    /// (`AWS_ENDPOINT_URL_BEDROCK_RUNTIME`); for any other host enter keys with it. None: AWS's
    /// own.
    #[schemars(title = "AWS · Endpoint URL")]
    pub endpoint_url: Option<String>,

    /// Lists cross-region and application inference profiles too. Most newer models can only be
    /// reached through one.
    #[schemars(title = "Models · Inference profiles", extend("x-everyday" = true))]
    pub inference_profiles: bool,

    /// Offers every route to a model in the picker: its own id and all inference profiles. Off: the
    /// picker has the best one, which is the profile of the region's own geography if there is one.
    /// The others can be called by their ids.
    #[schemars(title = "Models · List all profiles")]
    pub list_all_routes: bool,

    /// The models that may be used, comma-separated; a name may hold `*`, and `@region` at its end.
    /// It means a model by its id, its ARN or the model behind it, so `anthropic.*` is every Claude
    /// and `us.*` every US profile. None: all.
    #[schemars(title = "Models · Allowed models", extend("x-everyday" = true))]
    pub allow: Option<String>,

    /// The models that may not be used, by whatever name, written as the allowed ones. They take
    /// precedence over those. None: no model is denied.
    #[schemars(title = "Models · Denied models", extend("x-everyday" = true))]
    pub deny: Option<String>,

    /// Other names for models, as in `gpt-4o=us.amazon.nova-pro-v1:0,
    /// gpt-*=us.amazon.nova-lite-v1:0`. A plain name takes precedence over all ids; one with `*`
    /// matches ids that no model has.
    #[schemars(title = "Models · Model aliases", extend("x-everyday" = true))]
    pub aliases: Option<String>,

    /// The model that answers for ids that are not known. None: such chats are refused.
    #[schemars(title = "Models · Default model")]
    pub default_model: Option<String>,

    /// Lists models that AWS calls legacy too. They answer, but AWS has announced their end.
    #[schemars(title = "Models · Legacy models")]
    pub legacy_models: bool,

    /// Lists the models whose weights the account has imported too, as `imported/<name>`.
    #[schemars(title = "Models · Imported models")]
    pub imported_models: bool,

    /// Lists the throughput that the account has bought too, as `provisioned/<name>`.
    #[schemars(title = "Models · Provisioned throughput")]
    pub provisioned_models: bool,

    /// Lists the customised models that the account has deployed too, as `custom/<name>`.
    #[schemars(title = "Models · Custom model deployments")]
    pub deployed_models: bool,

    /// Lists the account's endpoints of Amazon Bedrock Marketplace too, as `marketplace/<name>`.
    #[schemars(title = "Models · Marketplace endpoints")]
    pub marketplace_models: bool,

    /// Lists prompt routers too, AWS's own and the account's, as `router/<name>`.
    #[schemars(title = "Models · Prompt routers")]
    pub prompt_routers: bool,

    /// The age at which the list of models is refreshed, in seconds. Requests do not wait for that:
    /// the old list is shown until the new one is complete.
    #[schemars(title = "Models · List refresh (s)", range(min = 10, max = 86400))]
    pub model_list_seconds: u64,

    /// The time that one region may take to list its models, in seconds.
    #[schemars(title = "Models · List timeout (s)", range(min = 1, max = 60))]
    pub model_list_timeout_seconds: u64,

    /// Models that answer when another cannot, as chains: `model > next > next, model > next`. A
    /// name may hold `*`, and means a model by its id, its ARN or the model behind it, so
    /// `anthropic.*` is every Claude by whatever profile it is called. Before the chain come the
    /// model's other regions and the profile of the same geography.
    #[schemars(title = "Fallback · Fallback models", extend("x-everyday" = true))]
    pub fallbacks: Option<String>,

    /// Asks the other regions of the same geography when a model cannot answer.
    #[schemars(title = "Fallback · Other regions")]
    pub fallback_regions: bool,

    /// Asks the cross-region inference profile of the model's own geography (`us.`, `eu.`, …) when
    /// a model cannot answer. Requests never leave the geography, so `global.` profiles are not
    /// asked.
    #[schemars(title = "Fallback · Cross-region profile")]
    pub fallback_profiles: bool,

    /// The parts of a chat that Bedrock caches for the next turn, with models that support prompt
    /// caching: none (off), the system prompt and the tools (system), or the conversation too
    /// (auto). Writing to the cache costs a quarter more than other input, and reading from it a
    /// tenth.
    #[schemars(title = "Chats · Prompt caching", extend("x-everyday" = true))]
    pub prompt_caching: PromptCaching,

    /// The place of the model's reasoning: a field of its own (`reasoning_content`), between think
    /// tags in the answer, or hidden. Hidden reasoning cannot be sent back, so Claude does not
    /// continue it between tool calls.
    #[schemars(title = "Chats · Reasoning", extend("x-everyday" = true))]
    pub reasoning: ReasoningOutput,

    /// The place of system messages that come in the middle of a chat: in the user's turn there
    /// (`user`), in a turn of their own with models that support it, Claude from Opus 4.8 on
    /// (`own_turn`), or at the front of the chat (`hoist`).
    #[schemars(title = "Chats · System messages mid-chat")]
    pub late_instructions: LateInstructions,

    /// Lets Open WebUI add its built-in tools (about 28 definitions) to chats: in
    /// those with models that support tools (`when_supported`), in every chat (`always`), or in
    /// none (`never`). The tools cost prompt tokens, and models without tool use refuse such chats.
    #[schemars(title = "Chats · Built-in tools of Open WebUI")]
    pub builtin_tools: BuiltinTools,

    /// Beta features of Claude that requests may ask for.
    #[schemars(title = "Chats · Anthropic betas")]
    pub anthropic_betas: Vec<String>,

    /// Leaves tools out of chats with models that take none. Otherwise such chats are refused.
    #[schemars(title = "Chats · Drop unsupported tools")]
    pub drop_tools: bool,

    /// Refuses fields that Bedrock does not support, such as `seed` and `logit_bias`. Otherwise
    /// they are ignored.
    #[schemars(title = "Chats · Refuse ignored fields")]
    pub refuse_ignored: bool,

    /// Sends the user's id, e-mail address and role to AWS as request metadata, which AWS logs with
    /// model invocations.
    #[schemars(title = "Chats · User in request metadata")]
    pub user_in_metadata: bool,

    /// The id or ARN of a guardrail that checks every chat. None: no guardrail. Example:
    /// `gr4kx9example`.
    #[schemars(title = "Guardrail · Id or ARN", extend("x-everyday" = true))]
    pub guardrail_id: Option<String>,

    /// The version of the guardrail: a number, or DRAFT.
    #[schemars(title = "Guardrail · Version", extend("x-everyday" = true))]
    pub guardrail_version: String,

    /// The trace of the guardrail in answers: none, its assessments when it acts (enabled), or all
    /// of them (`enabled_full`).
    #[schemars(title = "Guardrail · Trace")]
    pub guardrail_trace: GuardrailTrace,

    /// Streamed answers wait for the guardrail (sync), or run ahead of it (async).
    #[schemars(title = "Guardrail · While streaming")]
    pub guardrail_streaming: GuardrailStreaming,

    /// Lets requests name another guardrail in place of this one. Without one here, they always
    /// may.
    #[schemars(title = "Guardrail · Named by requests")]
    pub guardrail_choice: bool,

    /// The form of images in streamed chats with image models: files beside the text
    /// (`delta.images`, which Open WebUI stores as files), or Markdown in the text, for clients
    /// that do not read that field.
    #[schemars(title = "Files · Images in answers")]
    pub image_answers: ImageAnswers,

    /// Sends files to models too of which it is unknown if they read files. Text files reach every
    /// model, as text if need be.
    #[schemars(title = "Files · Files for every model")]
    pub files_everywhere: bool,

    /// Hosts whose images and files may be fetched when a chat links to them, as in `example.com,
    /// *.example.org`; `*`, the default, for all public hosts. Private addresses are never
    /// contacted. None: links are refused.
    #[schemars(title = "Files · Links to images and files")]
    pub image_hosts: Option<String>,

    /// Buckets of S3, or prefixes in them, that chats may name, comma-separated, as in `my-bucket,
    /// other/public/`; `*` for all that the host's role can read. AWS reads them with the rights of
    /// this account, for every user. None: chats may name no S3 locations.
    #[schemars(title = "Files · S3 locations")]
    pub s3_locations: Option<String>,

    /// The purpose of embeddings when a request names none: documents of a search, queries of a
    /// search, classification, or clustering.
    #[schemars(title = "Embeddings · Input type")]
    pub embedding_input_type: EmbedInput,

    /// The time that connecting to AWS may take, in seconds.
    #[schemars(title = "Timeouts · Connect timeout (s)", range(min = 1, max = 60))]
    pub connect_timeout_seconds: u64,

    /// The time until an answer must begin, in seconds, retries included.
    #[schemars(title = "Timeouts · First-token timeout (s)", range(min = 1, max = 3600))]
    pub first_event_timeout_seconds: u64,

    /// The time for which an answer that has begun may send nothing, in seconds. Models that reason
    /// can be silent for a while.
    #[schemars(title = "Timeouts · Idle timeout (s)", range(min = 1, max = 3600))]
    pub idle_timeout_seconds: u64,

    /// The number of tokens above which an answer is streamed from Bedrock although the client
    /// wants it in one piece. Bedrock sends nothing until a whole answer is there, so a long one
    /// could exceed *First-token timeout*. The number is compared with the limit of the answer
    /// (`max_tokens`, and the budget of reasoning); without a limit, answers of chats with
    /// reasoning are streamed, and others are not. 0: every answer is streamed from Bedrock.
    /// Example: `8192`.
    #[schemars(title = "Timeouts · Stream above max_tokens", range(min = 0, max = 1_000_000))]
    pub stream_above_max_tokens: u32,

    /// The attempts of a chat when AWS is busy or failing, the first one included. An answer that
    /// has begun is never tried again.
    #[schemars(title = "Retries · Attempts", range(min = 1, max = 10))]
    pub max_attempts: u32,

    /// The retries for each hundred chats with a model, in the long run.
    #[schemars(title = "Retries · Retry budget (%)", range(min = 0, max = 100))]
    pub retry_percent: u32,

    /// The calls that must have ended within 30 seconds before a failing model of a region is not
    /// called for a while. That happens when 90 % of them have failed, or 50 % because the service
    /// said that it is not available, for three callers or more. 0: never. No caller counts for
    /// more than a third, and all attempts of a chat are one call. Being throttled is no failure.
    /// Where no connection can be made, two calls are enough. Example: `20`.
    #[schemars(title = "Retries · Circuit breaker: failures", range(min = 0, max = 1000))]
    pub breaker_failures: u32,

    /// The time for which a failing model is not called at first, in seconds. It doubles, up to two
    /// minutes, as long as the model fails.
    #[schemars(title = "Retries · Circuit breaker: pause (s)", range(min = 1, max = 120))]
    pub breaker_seconds: u64,

    /// The largest number of concurrent requests to a model of a region. Further ones are refused
    /// at once.
    #[schemars(title = "Retries · Max concurrent requests", range(min = 1, max = 10_000))]
    pub max_concurrent: usize,
}

/// The betas of Claude that Converse is known to take (`docs/reference/bedrock.md`, "Model
/// families").
const BETAS: &[&str] = &[
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "context-1m-2025-08-07",
    "effort-2025-11-24",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "structured-outputs-2025-11-13",
    "thinking-binding-controls-2026-08-01",
    "thinking-display-updates-2026-08-18",
];

impl Default for BedrockValves {
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
            regions: vec!["us-east-1".into(), "us-west-2".into()],
            inference_profiles: true,
            list_all_routes: false,
            legacy_models: false,
            imported_models: false,
            provisioned_models: false,
            deployed_models: false,
            marketplace_models: false,
            prompt_routers: false,
            allow: None,
            deny: None,
            aliases: None,
            builtin_tools: BuiltinTools::default(),
            fallbacks: None,
            fallback_regions: true,
            fallback_profiles: true,
            default_model: None,
            prompt_caching: PromptCaching::default(),
            reasoning: ReasoningOutput::default(),
            image_answers: ImageAnswers::default(),
            late_instructions: LateInstructions::default(),
            anthropic_betas: BETAS.iter().map(|beta| String::from(*beta)).collect(),
            files_everywhere: true,
            image_hosts: Some("*".into()),
            drop_tools: false,
            s3_locations: None,
            refuse_ignored: false,
            user_in_metadata: false,
            guardrail_id: None,
            guardrail_version: "DRAFT".into(),
            guardrail_trace: GuardrailTrace::default(),
            guardrail_streaming: GuardrailStreaming::default(),
            guardrail_choice: false,
            embedding_input_type: EmbedInput::default(),
            aws_access_key_id: None,
            aws_secret_access_key: Secret::default(),
            aws_session_token: Secret::default(),
            aws_profile: None,
            aws_role_arn: None,
            aws_role_external_id: None,
            aws_role_session_name: None,
            bedrock_api_key: Secret::default(),
            endpoint_url: None,
            model_list_seconds: 300,
            model_list_timeout_seconds: 8,
            connect_timeout_seconds: connect.as_secs(),
            first_event_timeout_seconds: 300,
            idle_timeout_seconds: idle.as_secs(),
            stream_above_max_tokens: 8192,
            max_attempts: attempts,
            retry_percent,
            breaker_failures: failures,
            breaker_seconds: open_duration.as_secs(),
            max_concurrent,
        }
    }
}

impl BedrockValves {
    /// Returns the time in which one region must list its models.
    pub fn list_timeout(&self) -> Duration {
        Duration::from_secs(self.model_list_timeout_seconds)
    }

    /// Returns the limits of calls to a model.
    pub fn limits(&self) -> Limits {
        Limits {
            connect: Duration::from_secs(self.connect_timeout_seconds),
            first_byte: Duration::from_secs(self.first_event_timeout_seconds),
            idle: Duration::from_secs(self.idle_timeout_seconds),
            attempts: self.max_attempts,
            retry_percent: self.retry_percent,
            failures: self.breaker_failures,
            open_duration: Duration::from_secs(self.breaker_seconds),
            max_concurrent: self.max_concurrent,
            ..Limits::default()
        }
    }

    /// Returns the guardrail over every chat and its version.
    pub fn guardrail(&self) -> Option<(&str, &str)> {
        let id = self.guardrail_id.as_deref().filter(|id| !id.is_empty())?;
        Some((id, &self.guardrail_version))
    }
}

impl Valves for BedrockValves {
    fn validate(&self) -> Vec<ValveError> {
        let mut errors = Vec::new();
        let mut add = |valve: &str, rule: &str| errors.push(ValveError::new(valve, rule));
        if let Some(rule) = regions_rule(&self.regions) {
            add("regions", rule);
        }
        for (valve, names) in [("allow", &self.allow), ("deny", &self.deny)] {
            if split_list(names).any(|name| name.contains(char::is_whitespace)) {
                add(
                    valve,
                    "must be names of models with commas between them, as in us.*, amazon.nova-*",
                );
            }
        }
        if let Some(rule) = Aliases::validate(&self.aliases) {
            add("aliases", &rule);
        }
        let (id, secret) = (is_set(&self.aws_access_key_id), self.aws_secret_access_key.is_set());
        if id && !secret {
            add("aws_secret_access_key", "must be set together with aws_access_key_id");
        }
        if secret && !id {
            add("aws_access_key_id", "must be set together with aws_secret_access_key");
        }
        if self.aws_session_token.is_set() && !(id && secret) {
            add("aws_session_token", "needs aws_access_key_id and aws_secret_access_key");
        }
        if id && is_set(&self.aws_profile) {
            add("aws_profile", "must be empty while aws_access_key_id is set");
        }
        if split_list(&self.image_hosts)
            .any(|host| host != "*" && host.parse::<HostPattern>().is_err())
        {
            add("image_hosts", "must be names of hosts, as in example.com or *.example.org, or *");
        }
        if !split_list(&self.fallbacks).all(is_fallback_chain) {
            add("fallbacks", "must be chains of models, as in `model > next > next, model > next`");
        }
        if self.guardrail_id.as_deref().is_some_and(|id| !is_guardrail_id(id)) {
            add("guardrail_id", "must be an id of small letters and digits, or an ARN");
        }
        if is_set(&self.guardrail_id) && !is_guardrail_version(&self.guardrail_version) {
            add("guardrail_version", "must be DRAFT or a number");
        }
        let role = self.aws_role_arn.as_deref().unwrap_or_default();
        if !role.is_empty() && !role.starts_with("arn:") {
            add("aws_role_arn", "must be an ARN, as in arn:aws:iam::123456789012:role/chat");
        }
        if let Some(rule) = self.endpoint_url.as_deref().and_then(endpoint_rule) {
            add("endpoint_url", rule);
        }
        errors
    }
}

/// Returns the rule that a list of regions breaks.
fn regions_rule(regions: &[String]) -> Option<&'static str> {
    // A region becomes a label of a host's name.
    let named = |region: &String| {
        (1..=63).contains(&region.len())
            && region.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    };
    let mut seen = HashSet::new();
    if regions.is_empty() {
        Some("must name at least one region, as in us-east-1")
    } else if !regions.iter().all(named) {
        Some("must be names of AWS regions, as in us-east-1")
    } else if !regions.iter().all(|region| seen.insert(region)) {
        Some("must not name a region twice")
    } else {
        None
    }
}

fn is_fallback_chain(chain: &str) -> bool {
    let links = chain.split('>').map(str::trim);
    links.clone().count() > 1 && links.clone().all(|link| !link.is_empty())
}

/// Returns whether this is the id of a guardrail, `[a-z0-9]+`, or an ARN.
pub fn is_guardrail_id(id: &str) -> bool {
    let is_bare = id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    is_bare || id.starts_with("arn:") && !id.contains(char::is_whitespace)
}

/// Returns whether this is a guardrail's version.
pub fn is_guardrail_version(version: &str) -> bool {
    version == "DRAFT" || version.parse::<u32>().is_ok_and(|version| version > 0)
}

/// Returns whether a valve has a text.
fn is_set(text: &Option<String>) -> bool {
    text.as_deref().is_some_and(|text| !text.is_empty())
}

/// Returns the rule that an endpoint breaks, if it does. An empty text is no endpoint, and breaks
/// none.
fn endpoint_rule(url: &str) -> Option<&'static str> {
    if url.is_empty() {
        return None;
    }
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let Some(url) = Url::parse(url).ok().filter(is_http) else {
        return Some("must be an http:// or https:// URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some("must hold no name or password: keys have fields of their own");
    }
    is_metadata_host(&url)
        .then_some("must not be a link-local address: clouds keep their secrets there")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid_valves(change: impl FnOnce(&mut BedrockValves)) -> Vec<String> {
        let mut valves = BedrockValves::default();
        change(&mut valves);
        valves.validate().into_iter().map(|error| error.valve).collect()
    }

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(invalid_valves(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn a_key_needs_its_secret_and_a_secret_its_key() {
        assert_eq!(
            invalid_valves(|v| v.aws_access_key_id = Some("AKID".into())),
            ["aws_secret_access_key"]
        );
        assert_eq!(invalid_valves(|v| v.aws_secret_access_key = "s".into()), ["aws_access_key_id"]);
        assert_eq!(invalid_valves(|v| v.aws_session_token = "s".into()), ["aws_session_token"]);
    }

    #[test]
    fn regions_are_names_at_least_one_and_none_twice() {
        for regions in [vec![], vec![""], vec!["US"], vec!["a/b"], vec!["us-east-1", "us-east-1"]] {
            let regions: Vec<String> = regions.into_iter().map(String::from).collect();
            assert_eq!(invalid_valves(|v| v.regions = regions.clone()), ["regions"], "{regions:?}");
        }
    }

    #[test]
    fn addresses_and_arns_are_checked_and_empty_texts_are_nothing() {
        assert_eq!(
            invalid_valves(|v| v.endpoint_url = Some("localhost:80".into())),
            ["endpoint_url"]
        );
        assert_eq!(invalid_valves(|v| v.aws_role_arn = Some("chat".into())), ["aws_role_arn"]);
        assert_eq!(
            invalid_valves(|v| {
                v.endpoint_url = Some(String::new());
                v.aws_role_arn = Some(String::new());
                v.aws_access_key_id = Some(String::new());
            }),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_form_can_show_every_valve() {
        let spec = schemars::schema_for!(BedrockValves).to_value();
        for (name, property) in spec["properties"].as_object().unwrap() {
            assert!(property["title"].is_string(), "{name} has no label");
            assert!(property["description"].is_string(), "{name} has no help text");
        }
    }
}
