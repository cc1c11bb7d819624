//! The services that approaches use beside models: web pages, a search API, tools of MCP servers, a
//! sandbox, a solver.

use crate::{
    approach::Approach,
    mcp::{McpServers, ToolFilter, parse_servers, parse_tokens, read_config_file},
    sandbox,
    search_api::SearchClient,
    valves::OptimizerValves,
    z3,
};
use guarded_fetch::{AllowedHosts, FetchPolicy, Fetcher, HostPattern};
use pipe_sdk::{PipeError, Result, ValveError, split_list};
use std::{path::Path, time::Duration};

/// The services that approaches use beside models, as an admin has set them up.
pub(crate) struct Services {
    /// The client that reads pages, if any may be read.
    pub fetcher: Option<Fetcher>,
    /// The client that searches the web.
    pub search: Option<SearchClient>,
    /// The MCP servers.
    pub mcp: McpServers,
    runs_code: bool,
}

/// The maximum size of a page, in bytes.
const MAX_PAGE_BYTES: usize = 2 << 20;

impl Services {
    /// Returns the services of these valves.
    ///
    /// # Errors
    /// Returns [`PipeError::BadValves`] if one of them cannot be used.
    pub async fn new(valves: &OptimizerValves) -> Result<Self> {
        let OptimizerValves { search_api, search_url, search_key, .. } = valves;
        let search = SearchClient::new(*search_api, search_url.as_deref(), search_key.expose());
        let search = search
            .map_err(|rule| PipeError::BadValves(vec![ValveError::new("search_url", rule)]))?;
        let (fetcher, mcp) = (fetcher(valves)?, mcp_servers(valves).await?);
        Ok(Self { fetcher, search, mcp, runs_code: valves.code_execution })
    }

    /// Refuses an approach that lacks what it needs.
    ///
    /// # Errors
    /// Returns what is missing, and what an admin can do.
    pub async fn check(&self, approach: Approach) -> Result<()> {
        let missing = match approach {
            Approach::Z3 if !z3::is_installed() => {
                "the program `z3` is not installed on the host".to_owned()
            }
            Approach::ReadUrls if self.fetcher.is_none() => {
                "no page may be read: an admin can name hosts in `readurls_hosts` of the optimizer"
                    .into()
            }
            Approach::WebSearch | Approach::DeepResearch if self.search.is_none() => {
                "there is no search engine: an admin can choose one in `search_api` of the optimizer"
                    .into()
            }
            Approach::Mcp if self.mcp.is_empty() => {
                "there is no MCP server: an admin can name some in `mcp_servers` of the optimizer, the operator in `mcp_config`"
                    .into()
            }
            Approach::Coc | Approach::ExecuteCode if !self.runs_code => {
                "programs of models are not run: an admin can switch `code_execution` of the optimizer on"
                    .into()
            }
            Approach::Coc | Approach::ExecuteCode => match sandbox::check_available().await {
                Ok(()) => return Ok(()),
                Err(reason) => reason,
            },
            _ => return Ok(()),
        };
        let name = approach.name();
        let rule = format!("the approach `{name}` is not available: {missing}");
        Err(PipeError::bad_field("model", rule))
    }
}

/// Returns the MCP servers of the valves, and of the operator's file.
async fn mcp_servers(valves: &OptimizerValves) -> Result<McpServers> {
    let fault = |valve, rule: String| PipeError::BadValves(vec![ValveError::new(valve, rule)]);
    let text = Option::unwrap_or_default;
    let tokens =
        parse_tokens(text(valves.mcp_tokens.expose())).map_err(|rule| fault("mcp_tokens", rule))?;
    let mut servers = parse_servers(text(valves.mcp_servers.as_deref()), &tokens)
        .map_err(|rule| fault("mcp_servers", rule))?;
    if let Some(path) = valves.mcp_config.as_deref().filter(|path| !path.trim().is_empty()) {
        let of_operator = read_config_file(Path::new(path.trim())).await;
        for server in of_operator.map_err(|rule| fault("mcp_config", rule))? {
            // Nobody takes the place of a server of the operator's.
            servers.retain(|one| one.name != server.name);
            servers.push(server);
        }
    }
    Ok(McpServers::new(servers, ToolFilter::parse(text(valves.mcp_tools.as_deref()))))
}

/// Creates the client for pages; `None` if no host is allowed.
fn fetcher(valves: &OptimizerValves) -> Result<Option<Fetcher>> {
    let mut allowed = split_list(&valves.readurls_hosts).peekable();
    if allowed.peek().is_none() {
        return Ok(None);
    }
    let allowed_hosts = if split_list(&valves.readurls_hosts).any(|host| host == "*") {
        AllowedHosts::Any
    } else {
        let patterns = allowed.map(str::parse::<HostPattern>);
        AllowedHosts::Only(patterns.collect::<Result<_, _>>().map_err(PipeError::internal)?)
    };
    let policy = FetchPolicy {
        allowed_hosts,
        max_bytes: MAX_PAGE_BYTES,
        total_timeout: Duration::from_secs(10),
        ..FetchPolicy::default()
    };
    Ok(Some(Fetcher::new(policy)))
}
