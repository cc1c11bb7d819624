//! Tools of MCP servers (<https://modelcontextprotocol.io/specification>), for models that call
//! them.
//!
//! An admin names servers that are reached by streamable HTTP. Servers that are programs of this
//! machine stand in a file that only the operator names, because whoever names a program runs it.
//! Each request has connections and processes of its own, which end with it: nothing that a server
//! remembers of one request reaches another.

mod config;
mod config_file;
mod http;
mod process;
mod reason;
mod session;
#[cfg(test)]
mod tests;
mod tool_result;
mod toolbox;

pub(crate) use config::{McpServer, parse_servers, parse_tokens};
pub(crate) use config_file::read_config_file;
pub(crate) use toolbox::{ToolFilter, Toolbox};

use http_client::{HttpClient, HttpVersion};
use std::time::Duration;

/// The MCP servers that an admin and the operator have set up.
pub(crate) struct McpServers {
    servers: Vec<McpServer>,
    filter: ToolFilter,
    http: HttpClient,
}

/// The time-out of a connection to a server by HTTP.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl McpServers {
    /// Returns these servers, whose tools may be called if the filter accepts them.
    pub fn new(servers: Vec<McpServer>, filter: ToolFilter) -> Self {
        let http = HttpClient::new(CONNECT_TIMEOUT, HttpVersion::Http2Preferred);
        Self { servers, filter, http }
    }

    /// Returns whether there is no server.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Connects to all servers, and lists their tools.
    ///
    /// # Errors
    /// Returns the reason if no server can be used, or none has a tool that may be called.
    pub async fn connect(&self) -> Result<Toolbox, String> {
        Toolbox::connect(&self.servers, &self.filter, &self.http).await
    }
}
