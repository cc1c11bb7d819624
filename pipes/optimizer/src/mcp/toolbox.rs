//! The tools of all MCP servers, for one request.

use super::{
    config::{McpServer, split_entries},
    session::Session,
};
use futures_util::future::join_all;
use http_client::HttpClient;
use pipe_sdk::{FunctionTool, Tool};
use rmcp::model::JsonObject;
use serde_json::value::to_raw_value;
use tool_schema::sanitize_name;

/// The open connections of a request, and the tools that may be called over them.
pub(crate) struct Toolbox {
    sessions: Vec<Session>,
    tools: Vec<McpTool>,
    /// The servers that could not be used, with the reasons.
    pub failures: Vec<String>,
}

/// A tool of a server.
struct McpTool {
    /// The index of the session.
    session: usize,
    /// The name that the server knows.
    name: String,
    /// The definition for models, with the name of the server before that of the tool.
    definition: Tool,
}

/// The result of a tool call.
pub(crate) struct ToolRun {
    /// The text for the model.
    pub text: String,
    pub is_error: bool,
}

/// The tools that may be called.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolFilter(Option<Vec<String>>);

/// The maximum number of tools that a model is given.
const MAX_TOOLS: usize = 128;

/// The longest description of a tool, in bytes.
const MAX_DESCRIPTION_BYTES: usize = 4 << 10;

/// The largest schema of a tool's arguments, in bytes.
const MAX_SCHEMA_BYTES: usize = 64 << 10;

impl ToolFilter {
    /// Parses `server.tool` and `server.*`, comma-separated; without them, all tools are accepted.
    pub fn parse(text: &str) -> Self {
        let entries: Vec<_> = split_entries(text).map(str::to_owned).collect();
        Self((!entries.is_empty()).then_some(entries))
    }

    fn accepts(&self, server: &str, tool: &str) -> bool {
        let Some(entries) = &self.0 else { return true };
        entries.iter().any(|entry| {
            entry == "*"
                || entry
                    .split_once('.')
                    .is_some_and(|(name, rest)| name == server && (rest == "*" || rest == tool))
        })
    }
}

impl Toolbox {
    /// Connects to all servers at once. Those that cannot be used are left out.
    pub(super) async fn connect(
        servers: &[McpServer],
        filter: &ToolFilter,
        http: &HttpClient,
    ) -> Result<Self, String> {
        let opened = join_all(servers.iter().map(|server| Session::open(server, http))).await;
        let mut toolbox = Self { sessions: Vec::new(), tools: Vec::new(), failures: Vec::new() };
        for (server, opened) in servers.iter().zip(opened) {
            match opened {
                Ok((session, tools)) => {
                    let tools =
                        tools.into_iter().filter(|tool| filter.accepts(&server.name, &tool.name));
                    toolbox.add(session, tools);
                }
                Err(reason) => toolbox.failures.push(format!("`{}`: {reason}", server.name)),
            }
        }
        if toolbox.sessions.is_empty() {
            return Err(format!("no MCP server can be used: {}", toolbox.failures.join("; ")));
        }
        if toolbox.tools.is_empty() {
            return Err("the MCP servers have no tool that may be called".into());
        }
        Ok(toolbox)
    }

    fn add(&mut self, session: Session, tools: impl Iterator<Item = rmcp::model::Tool>) {
        let index = self.sessions.len();
        for tool in tools {
            let definition = define(&session.name, &tool);
            let is_known = |name| self.tools.iter().any(|known| known.sent_name() == name);
            match definition {
                Some(definition)
                    if self.tools.len() < MAX_TOOLS && !is_known(function_name(&definition)) =>
                {
                    let name = tool.name.into_owned();
                    self.tools.push(McpTool { session: index, name, definition });
                }
                _ => self
                    .failures
                    .push(format!("the tool `{}` of `{}` is left out", tool.name, session.name)),
            }
        }
        self.sessions.push(session);
    }

    /// Returns the tools for a model, without those whose names are taken.
    pub fn definitions(&self, is_taken: impl Fn(&str) -> bool) -> Vec<Tool> {
        let free = self.tools.iter().filter(|tool| !is_taken(tool.sent_name()));
        free.map(|tool| tool.definition.clone()).collect()
    }

    /// Returns the name of a tool for people, as in `time.convert`.
    pub fn display_name(&self, name: &str) -> String {
        let tool = self.tools.iter().find(|tool| tool.sent_name() == name);
        let session = tool.and_then(|tool| Some((tool, self.sessions.get(tool.session)?)));
        session.map_or_else(
            || "an unknown tool".into(),
            |(tool, session)| format!("{}.{}", session.name, tool.name),
        )
    }

    /// Calls a tool by the name that the model was given.
    pub async fn call(&self, name: &str, arguments: JsonObject) -> ToolRun {
        let tool = self.tools.iter().find(|tool| tool.sent_name() == name);
        let session = tool.and_then(|tool| Some((tool, self.sessions.get(tool.session)?)));
        let result = match session {
            Some((tool, session)) => session.call(&tool.name, arguments).await,
            None => Err("There is no tool of this name.".into()),
        };
        match result {
            Ok(text) => ToolRun { text, is_error: false },
            Err(reason) => ToolRun { text: format!("Error: {reason}"), is_error: true },
        }
    }
}

impl McpTool {
    fn sent_name(&self) -> &str {
        function_name(&self.definition)
    }
}

fn function_name(tool: &Tool) -> &str {
    tool.function.as_ref().map_or("", |function| &function.name)
}

/// Returns the definition of a tool for models; `None` if its schema is too large.
fn define(server: &str, tool: &rmcp::model::Tool) -> Option<Tool> {
    let parameters = to_raw_value(tool.input_schema.as_ref()).ok()?;
    if parameters.get().len() > MAX_SCHEMA_BYTES {
        return None;
    }
    let description = tool.description.as_deref().or(tool.title.as_deref()).map(|text| {
        let end = text.floor_char_boundary(MAX_DESCRIPTION_BYTES);
        text.get(..end).unwrap_or_default().to_owned()
    });
    let name = sanitize_name(&format!("{server}_{}", tool.name));
    let function = FunctionTool { name, description, parameters: Some(parameters), strict: None };
    Some(Tool { kind: "function".into(), function: Some(function), rest: Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_tools_or_all_of_a_server() {
        let filter = ToolFilter::parse("time.now, files.*");
        for (server, tool, accepted) in [
            ("time", "now", true),
            ("time", "set", false),
            ("files", "read", true),
            ("other", "now", false),
        ] {
            assert_eq!(filter.accepts(server, tool), accepted, "{server}.{tool}");
        }
        assert!(ToolFilter::parse("").accepts("a", "b"));
        assert!(ToolFilter::parse("*").accepts("a", "b"));
        assert!(!ToolFilter::parse("nonsense").accepts("a", "b"));
    }

    #[test]
    fn names_fit_what_services_accept() {
        let tool = |name: &str| {
            let tool = serde_json::json!({"name": name, "inputSchema": {"type": "object"}});
            serde_json::from_value(tool).unwrap()
        };
        let name = |tool: &rmcp::model::Tool| function_name(&define("a", tool).unwrap()).to_owned();
        assert_eq!(name(&tool("now")), "a_now");
        let odd = name(&tool("files/read.all"));
        assert!(odd.starts_with("a_files_read_all") && odd.len() <= 64, "{odd}");
        assert_ne!(odd, name(&tool("files.read/all")));
    }
}
