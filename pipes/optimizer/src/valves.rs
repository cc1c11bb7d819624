//! The valves of the pipe.

use crate::{
    access::AccessRules,
    approach::Approach,
    mcp::{parse_servers, parse_tokens},
    pipe_id::PIPE_ID,
    search_api::{SearchApiName, SearchClient},
    selection::{self, Plan},
};
use pipe_sdk::{Secret, ValveError, Valves, split_list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The approaches that are allowed, for whom, and the limits of a request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OptimizerValves {
    /// Lets requests name an approach, as in `moa-<model>` or `"optillm_approach": "moa"`.
    /// Off: such requests are refused.
    #[schemars(
        title = "Approaches · Enabled",
        extend("x-everyday" = true, "x-default-variables" = ["ENABLE_OPTILLM"])
    )]
    pub enabled: bool,

    /// The approach of requests that say `auto`, as in `auto-<model>`. Other requests are never
    /// changed. Example: `bon`.
    #[schemars(title = "Approaches · Approach for auto", extend("x-everyday" = true))]
    pub default_approach: String,

    /// Rules for who may use which approaches, of the form `role=approaches`, `key:name=approaches`
    /// or `user:id=approaches`, separated by semicolons, where approaches are separated by commas
    /// and `*` means all. Users whom no rule fits may use the approaches after `*=`, or all
    /// approaches if there is no `*=`. Example: `*=re2,bon; admin=*; key:ci=moa`.
    #[schemars(title = "Approaches · Who may use what", extend("x-everyday" = true))]
    pub access: Option<String>,

    /// Lets `<optillm_approach>bon</optillm_approach>` in a system or user message choose the
    /// approach. Whatever people paste can then do so, too.
    #[schemars(title = "Approaches · Tags in messages")]
    pub message_tags: bool,

    /// The models of the picker, comma-separated: an approach and the id of a model of this host.
    /// Other names can be called, too. Example: `moa-bedrock_models.us.amazon.nova-pro-v1:0,
    /// bon-openai_proxy.llama3`.
    #[schemars(title = "Models · Listed models", extend("x-everyday" = true))]
    pub listed_models: Option<String>,

    /// The model for names that hold none, as in `moa` alone: the id of a model of this host.
    /// Example: `bedrock_models.us.amazon.nova-pro-v1:0`.
    #[schemars(title = "Models · Default model", extend("x-everyday" = true, "x-models" = true))]
    pub default_model: Option<String>,

    /// The models that write the first answers of `moa` and `mars`, comma-separated ids of this
    /// host. None: the model that was asked.
    #[schemars(title = "Models · Proposers", extend("x-models" = true))]
    pub proposer_models: Option<String>,

    /// The model that rates, compares and criticises answers; the id of a model of this host. None:
    /// the model that was asked. A cheaper one saves much.
    #[schemars(title = "Models · Judge", extend("x-models" = true))]
    pub judge_model: Option<String>,

    /// The model that checks solutions in `pvg`, `mars` and `rstar`; the id of a model of this
    /// host. None: the model that was asked.
    #[schemars(title = "Models · Verifier", extend("x-models" = true))]
    pub verifier_model: Option<String>,

    /// The model that plans, summarises and sorts; the id of a model of this host. None: the model
    /// that was asked.
    #[schemars(title = "Models · Planner", extend("x-models" = true))]
    pub planner_model: Option<String>,

    /// The number of answers that are sampled. None: the usual number of the approach (bon 3, moa
    /// 3,
    /// `self_consistency` 5, `majority_voting` 8). Requests may ask for fewer or more, up to the
    /// next valve.
    #[schemars(title = "Limits · Samples", range(min = 1, max = 64))]
    pub samples: Option<usize>,

    /// The largest number of answers that a request may sample.
    #[schemars(title = "Limits · Max samples", range(min = 1, max = 64))]
    pub max_samples: usize,

    /// The largest number of calls that one request may make. When they are spent, the best answer
    /// so far is given.
    #[schemars(title = "Limits · Max calls a request", extend("x-everyday" = true), range(min = 1, max = 1000))]
    pub max_calls: u32,

    /// The largest number of tokens that all calls of a request may read and write together. None:
    /// no limit. When they are spent, the best answer so far is given.
    #[schemars(title = "Limits · Max tokens a request", extend("x-everyday" = true), range(min = 1))]
    pub max_tokens: Option<u64>,

    /// The most that all calls of a request may cost, in US dollars by the host's table of prices.
    /// None: no limit. When it is spent, the best answer so far is given.
    #[schemars(title = "Limits · Max cost a request ($)", extend("x-everyday" = true), range(min = 0.0))]
    pub max_cost: Option<f64>,

    /// The largest number of calls of a request that run at once.
    #[schemars(title = "Limits · Max concurrent calls", range(min = 1, max = 64))]
    pub max_concurrent: usize,

    /// The time until the last stage must begin to answer, in seconds. After it the best
    /// answer so far is given.
    #[schemars(title = "Timeouts · Deadline (s)", extend("x-everyday" = true), range(min = 1, max = 3600))]
    pub deadline_seconds: u64,

    /// The time-out of one call, in seconds. The last one, which is streamed, has no time-out
    /// once it has begun.
    #[schemars(title = "Timeouts · Deadline of a call (s)", range(min = 1, max = 3600))]
    pub call_seconds: u64,

    /// The length of a question, in tokens, from which the first of several similar calls is sent
    /// alone, and the others after its first token, so that they find the question in the
    /// provider's cache. 0: never.
    #[schemars(title = "Answers · Fill the cache first above tokens")]
    pub cache_above_tokens: u64,

    /// Shows progress while people wait, as reasoning and as a status line.
    #[schemars(title = "Answers · Show progress", extend("x-everyday" = true))]
    pub show_progress: bool,

    /// Lets `cot_reflection` answer with all that the model wrote, reasoning included. Off: the
    /// reasoning is sent in its own field.
    #[schemars(title = "Answers · Return full response")]
    pub return_full_response: bool,

    /// Further words that `privacy` hides, comma-separated: names of people, customers, projects.
    /// Example: `Jane Doe, Project Heron`.
    #[schemars(title = "Privacy · Words to hide")]
    pub private_words: Option<String>,

    /// Hosts whose pages `readurls` may read, comma-separated. `*` for all public hosts; none: no
    /// page is read. Example: `example.com, *.example.org`.
    #[schemars(title = "Privacy · Hosts for readurls")]
    pub readurls_hosts: Option<String>,

    /// The search API of `web_search` and `deep_research`. Questions are sent to it. Pages that it
    /// finds are read by `deep_research` where `readurls_hosts` allows it.
    #[schemars(title = "Search · API", extend("x-everyday" = true))]
    pub search_api: SearchApiName,

    /// The address of the search API. None: the usual one; a `searxng` server has none. Example:
    /// `http://127.0.0.1:8080`.
    #[schemars(title = "Search · Address")]
    pub search_url: Option<String>,

    /// The key of the search API.
    #[schemars(title = "Search · Key", extend("x-everyday" = true, "x-origin" = ["search_url", "search_api"]))]
    pub search_key: Secret,

    /// MCP servers whose tools models may call under `mcp`, of the form `name=address`,
    /// comma-separated. They are reached by streamable HTTP. Example:
    /// `docs=https://tools.example.com/mcp`.
    #[schemars(title = "Tools · MCP servers", extend("x-everyday" = true))]
    pub mcp_servers: Option<String>,

    /// The tokens of MCP servers that ask for one, of the form `name=token`, comma-separated. They
    /// are sent as `Authorization: Bearer`, each to its own server alone.
    #[schemars(title = "Tools · Tokens of MCP servers", extend("x-everyday" = true, "x-origin" = "mcp_servers"))]
    pub mcp_tokens: Secret,

    /// The tools that models may call, as `server.tool` or `server.*`, comma-separated. None: all
    /// tools of all servers. Example: `docs.search, time.*`.
    #[schemars(title = "Tools · Allowed MCP tools")]
    pub mcp_tools: Option<String>,

    /// A file of MCP servers with programs to run, as other clients of MCP have it
    /// (`{"mcpServers": {…}}`). Only the operator can set it, in `valves.toml` or by
    /// `OPTIMIZER_MCP_CONFIG`, as its programs run on the host. Example:
    /// `/etc/pipewright/mcp.json`.
    #[schemars(title = "Tools · File of MCP servers", extend("x-operator" = true))]
    pub mcp_config: Option<String>,

    /// Runs programs that models and people write, for `coc` and `executecode`. They run in a
    /// sandbox without network, files and environment, which needs Linux, `python3` and
    /// bubblewrap (`bwrap`) on the host; where it cannot be had, they are refused.
    #[schemars(title = "Approaches · Code execution")]
    pub code_execution: bool,

    /// Lets requests with `"spl_learning": true` store strategies for `spl`: texts on how to work
    /// on a kind of question, for the user who asks and nobody else. Off: what is stored is used,
    /// and nothing is added.
    #[schemars(title = "Approaches · Learning")]
    pub spl_learning: bool,
}

impl Default for OptimizerValves {
    fn default() -> Self {
        Self {
            enabled: true,
            default_approach: "none".into(),
            default_model: None,
            listed_models: None,
            proposer_models: None,
            judge_model: None,
            verifier_model: None,
            planner_model: None,
            samples: None,
            max_samples: 16,
            max_calls: 64,
            max_tokens: None,
            max_cost: None,
            max_concurrent: 16,
            deadline_seconds: 300,
            call_seconds: 120,
            cache_above_tokens: 0,
            access: None,
            message_tags: false,
            show_progress: true,
            return_full_response: false,
            private_words: None,
            readurls_hosts: None,
            search_api: SearchApiName::None,
            search_url: None,
            search_key: Secret::default(),
            mcp_servers: None,
            mcp_tokens: Secret::default(),
            mcp_tools: None,
            mcp_config: None,
            code_execution: false,
            spl_learning: false,
        }
    }
}

impl OptimizerValves {
    /// Returns the approach that `auto` means.
    pub(crate) fn auto(&self) -> Approach {
        match selection::parse_plan(&self.default_approach, Approach::None) {
            Ok(Plan::Sequence(approaches)) => approaches.first().copied().unwrap_or(Approach::None),
            Ok(Plan::Parallel(_)) | Err(_) => Approach::None,
        }
    }
}

impl Valves for OptimizerValves {
    fn validate(&self) -> Vec<ValveError> {
        let mut faults = Vec::new();
        let mut fault = |valve: &str, rule: String| faults.push(ValveError::new(valve, rule));
        match selection::parse_plan(&self.default_approach, Approach::None) {
            Ok(Plan::Sequence(approaches)) if approaches.len() == 1 => {}
            Ok(_) => fault("default_approach", "must be one approach".into()),
            Err(error) => fault("default_approach", format!("must be an approach: {error}")),
        }
        for name in split_list(&self.listed_models) {
            let selected = selection::parse_selection(name, self.auto(), |_| false);
            match selected {
                Ok(selected) if selected.model.is_empty() => {
                    fault("listed_models", format!("`{name}` holds no model"));
                }
                Ok(selected) if selected.plan == Plan::Sequence(vec![Approach::None]) => {
                    fault("listed_models", format!("`{name}` holds no approach"));
                }
                Ok(_) => {}
                Err(error) => fault("listed_models", error.to_string()),
            }
        }
        if let Err(rule) = AccessRules::parse(self.access.as_deref().unwrap_or_default()) {
            fault("access", rule);
        }
        let models = [
            ("default_model", &self.default_model),
            ("proposer_models", &self.proposer_models),
            ("judge_model", &self.judge_model),
            ("verifier_model", &self.verifier_model),
            ("planner_model", &self.planner_model),
        ];
        for (valve, text) in models {
            let is_own = |id: &str| {
                id.split_once('.').is_some_and(|(pipe, _)| pipe == PIPE_ID)
                    || selection::is_selection(id)
            };
            if split_list(text).any(is_own) {
                fault(valve, "must be a model of another pipe".into());
            }
        }
        let search = SearchClient::new(self.search_api, self.search_url.as_deref(), None);
        if let Err(rule) = search {
            fault("search_url", rule);
        }
        if matches!(self.search_api, SearchApiName::Brave | SearchApiName::Tavily)
            && !self.search_key.is_set()
        {
            fault("search_key", "must be set for this search API".into());
        }
        match parse_tokens(self.mcp_tokens.expose().unwrap_or_default()) {
            Ok(tokens) => {
                let servers = self.mcp_servers.as_deref().unwrap_or_default();
                if let Err(rule) = parse_servers(servers, &tokens) {
                    fault("mcp_servers", rule);
                }
            }
            Err(rule) => fault("mcp_tokens", rule),
        }
        let file = self.mcp_config.as_deref().unwrap_or_default().trim();
        if !file.is_empty() && !std::path::Path::new(file).is_absolute() {
            fault("mcp_config", "must be the whole path of a file".into());
        }
        for host in split_list(&self.readurls_hosts).filter(|host| *host != "*") {
            if host.parse::<guarded_fetch::HostPattern>().is_err() {
                fault("readurls_hosts", format!("`{host}` is not a host"));
            }
        }
        faults
    }
}
