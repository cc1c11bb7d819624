//! A connection to one MCP server.

use super::{
    config::{McpServer, McpTransport},
    http::McpHttpClient,
    process::ServerProcess,
    reason::{describe_call, describe_start},
    tool_result::{limit_text, result_text},
};
use http_client::HttpClient;
use rmcp::{
    RoleClient, ServiceError, ServiceExt,
    model::{
        CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation, JsonObject,
        PaginatedRequestParams, Tool,
    },
    service::RunningService,
    transport::{
        StreamableHttpClientTransport, async_rw::AsyncRwTransport,
        streamable_http_client::StreamableHttpClientTransportConfig,
    },
};
use std::time::Duration;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::timeout,
};

/// An open connection. Dropping it ends the session, and kills a process.
pub(super) struct Session {
    /// The name of the server.
    pub name: String,
    service: RunningService<RoleClient, ClientConfig>,
    /// The process of the server, with its permit.
    _process: Option<(ServerProcess, SemaphorePermit<'static>)>,
}

/// The time in which a server must be ready, programs that are fetched first included.
const READY_TIMEOUT: Duration = Duration::from_secs(30);

/// The time-out of one call of a tool.
const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// The maximum number of pages of a list of tools.
const MAX_PAGES: usize = 10;

/// The maximum size of a message of a process, in bytes.
const MAX_LINE_BYTES: usize = 8 << 20;

/// The number of processes at once, for all requests.
static PROCESSES: Semaphore = Semaphore::const_new(32);

impl Session {
    /// Connects to a server, and lists its tools.
    ///
    /// # Errors
    /// Returns the reason.
    pub async fn open(server: &McpServer, http: &HttpClient) -> Result<(Self, Vec<Tool>), String> {
        let ready = async {
            let session = Self::connect(server, http).await?;
            let tools = session.list_tools().await?;
            Ok((session, tools))
        };
        let late = || Err(format!("it was not ready within {} s", READY_TIMEOUT.as_secs()));
        timeout(READY_TIMEOUT, ready).await.unwrap_or_else(|_| late())
    }

    async fn connect(server: &McpServer, http: &HttpClient) -> Result<Self, String> {
        let client = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("pipewright", env!("CARGO_PKG_VERSION")),
        );
        let (service, process) = match &server.transport {
            McpTransport::Http { url, headers } => {
                let config = StreamableHttpClientTransportConfig::with_uri(url.as_str())
                    .reinit_on_expired_session(false);
                let http = McpHttpClient { http: http.clone(), headers: headers.clone() };
                let transport = StreamableHttpClientTransport::with_client(http, config);
                (client.serve(transport).await, None)
            }
            McpTransport::Process { command, args, env } => {
                let closed = |_| "no program is run any more".to_owned();
                let permit = PROCESSES.acquire().await.map_err(closed)?;
                let (process, output, input) = ServerProcess::start(command, args, env)?;
                let transport = AsyncRwTransport::<RoleClient, _, _>::new(output, input)
                    .with_max_line_length(MAX_LINE_BYTES);
                (client.serve(transport).await, Some((process, permit)))
            }
        };
        let service = service.map_err(|error| describe_start(&error))?;
        Ok(Self { name: server.name.clone(), service, _process: process })
    }

    async fn list_tools(&self) -> Result<Vec<Tool>, String> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let page = PaginatedRequestParams::default().with_cursor(cursor);
            let page = self.service.list_tools(Some(page)).await;
            let page = page.map_err(|error| describe_call(&error))?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(tools)
    }

    /// Calls a tool, and returns the text of its result.
    ///
    /// # Errors
    /// Returns the error of the tool or the reason why it could not be called, for the model.
    pub async fn call(&self, tool: &str, arguments: JsonObject) -> Result<String, String> {
        let call = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = timeout(CALL_TIMEOUT, self.service.call_tool(call)).await;
        let late = |_| format!("The tool gave no result within {} s.", CALL_TIMEOUT.as_secs());
        match result.map_err(late)? {
            Ok(result) if result.is_error == Some(true) => Err(result_text(&result)),
            Ok(result) => Ok(result_text(&result)),
            // The server's own words: the model can mend its arguments by them.
            Err(ServiceError::McpError(error)) => Err(limit_text(error.message.into_owned())),
            Err(error) => Err(format!("The tool could not be called: {}.", describe_call(&error))),
        }
    }
}
