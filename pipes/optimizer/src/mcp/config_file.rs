//! The operator's file of MCP servers, in the form that clients of MCP share:
//! `{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}`.

use super::config::{McpServer, McpTransport, check_name, parse_url};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// The maximum size of the file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The file.
#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<String, ServerEntry>,
}

/// A server in the file: a program, or an address.
#[derive(Deserialize)]
struct ServerEntry {
    #[serde(default, alias = "transport", rename = "type")]
    kind: Option<String>,
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    disabled: bool,
}

/// Reads the servers in a file. `${NAME}` in values stands for a variable of the environment.
///
/// # Errors
/// Returns a rule for the valve that names the file. It holds no values of the file.
pub(crate) async fn read_config_file(path: &Path) -> Result<Vec<McpServer>, String> {
    let unreadable = |error: std::io::Error| format!("names a file that cannot be read: {error}");
    let metadata = tokio::fs::metadata(path).await.map_err(unreadable)?;
    if !metadata.is_file() || metadata.len() > MAX_FILE_BYTES {
        return Err("must name a file of at most 1 MiB".into());
    }
    let text = tokio::fs::read_to_string(path).await.map_err(unreadable)?;
    parse_config(&text, |name| std::env::var(name).ok())
}

/// Parses the text of the file.
fn parse_config(
    text: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Vec<McpServer>, String> {
    let file: ConfigFile = serde_json::from_str(text)
        .map_err(|error| format!("names a file that is not understood in line {}", error.line()))?;
    let entries = file.servers.into_iter().filter(|(_, entry)| !entry.disabled);
    let servers = entries.map(|(name, entry)| {
        let transport = entry
            .into_transport(&|text: &str| expand(text, &variable))
            .map_err(|rule| format!("names a file whose server `{name}` {rule}"))?;
        check_name(&name)?;
        Ok(McpServer { name, transport })
    });
    servers.collect()
}

impl ServerEntry {
    fn into_transport(
        self,
        expand: &dyn Fn(&str) -> Result<String, String>,
    ) -> Result<McpTransport, String> {
        if self.kind.as_deref() == Some("sse") {
            return Err("has the transport `sse`: give its address for streamable HTTP".into());
        }
        match (self.command, self.url) {
            (Some(command), None) => {
                let args = self.args.iter().map(|one| expand(one)).collect::<Result<_, _>>()?;
                let env = self.env.iter().map(|(name, value)| Ok((name.clone(), expand(value)?)));
                let env = env.collect::<Result<_, String>>()?;
                Ok(McpTransport::Process { command: expand(&command)?, args, env })
            }
            (None, Some(url)) => {
                let mut headers = HeaderMap::new();
                for (name, value) in &self.headers {
                    let wrong = || format!("has a wrong header `{name}`");
                    let header = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
                    let value = HeaderValue::try_from(expand(value)?).map_err(|_| wrong())?;
                    headers.insert(header, value);
                }
                Ok(McpTransport::Http { url: parse_url(&expand(&url)?)?, headers })
            }
            _ => Err("must have either a `command` or a `url`".into()),
        }
    }
}

/// Returns a text with the values of its variables.
fn expand(text: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut parts = text.split("${");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or("has a variable without `}`")?;
        let (name, default) = name.split_once(":-").map_or((name, None), |(a, b)| (a, Some(b)));
        let value = variable(name).or_else(|| default.map(str::to_owned));
        expanded += &value.ok_or_else(|| format!("needs the variable {name}, which is not set"))?;
        expanded += rest;
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<McpServer>, String> {
        parse_config(text, |name| (name == "TOKEN").then(|| "s3cret".into()))
    }

    #[test]
    fn programs_and_addresses_get_values_of_the_environment() {
        let servers = parse(
            r#"{"mcpServers": {
                "docs": {"type": "http", "url": "https://d.example/mcp",
                         "headers": {"Authorization": "Bearer ${TOKEN}"}},
                "off": {"command": "x", "disabled": true},
                "time": {"command": "uvx", "args": ["a", "${MODE:-b}"], "env": {"KEY": "${TOKEN}"}}
            }}"#,
        )
        .unwrap();
        assert_eq!(servers.len(), 2);
        let McpTransport::Http { url, headers } = &servers[0].transport else { panic!() };
        assert_eq!(
            (url.as_str(), &headers["authorization"]),
            ("https://d.example/mcp", &HeaderValue::from_static("Bearer s3cret"))
        );
        let McpTransport::Process { command, args, env } = &servers[1].transport else { panic!() };
        assert_eq!((command.as_str(), args.join(" ").as_str()), ("uvx", "a b"));
        assert_eq!(env, &[("KEY".to_owned(), "s3cret".to_owned())]);
    }

    #[test]
    fn faults_name_their_server_and_show_no_value() {
        for (text, part) in [
            ("{", "line 1"),
            (r#"{"mcpServers": {"a": {"args": ["${TOKEN}"]}}}"#, "`a` must have either"),
            (r#"{"mcpServers": {"a": {"command": "${NOT_SET}"}}}"#, "NOT_SET, which is not set"),
            (r#"{"mcpServers": {"a": {"type": "sse", "url": "http://a.example"}}}"#, "sse"),
            (r#"{"mcpServers": {"a": {"url": "s3cret"}}}"#, "`a` must have an address"),
            (r#"{"mcpServers": {"a b": {"command": "x"}}}"#, "names of at most"),
        ] {
            let rule = parse(text).err().unwrap();
            assert!(rule.contains(part) && !rule.contains("s3cret"), "{rule}");
        }
    }
}
