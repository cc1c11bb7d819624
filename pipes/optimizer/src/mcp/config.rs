//! The MCP servers in valves: names, addresses and tokens.

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use std::collections::HashMap;

/// An MCP server.
pub(crate) struct McpServer {
    /// The name, which begins the names of its tools.
    pub name: String,
    pub transport: McpTransport,
}

/// The way to reach a server.
pub(crate) enum McpTransport {
    /// Streamable HTTP.
    Http { url: Url, headers: HeaderMap },
    /// A program of this machine, which is spoken to on its standard input and output.
    Process { command: String, args: Vec<String>, env: Vec<(String, String)> },
}

/// The longest name of a server, in bytes.
const MAX_NAME_BYTES: usize = 32;

/// Parses servers of the form `name=address`, comma-separated, and gives them their tokens.
///
/// # Errors
/// Returns the rule that the text breaks.
pub(crate) fn parse_servers(
    text: &str,
    tokens: &HashMap<String, HeaderValue>,
) -> Result<Vec<McpServer>, String> {
    let mut servers: Vec<McpServer> = Vec::new();
    for entry in split_entries(text) {
        let (name, address) = entry
            .split_once('=')
            .ok_or("must be servers of the form `name=address`, comma-separated")?;
        let name = check_name(name.trim())?;
        if servers.iter().any(|server| server.name == name) {
            return Err(format!("`{name}` stands there twice"));
        }
        let url = parse_url(address.trim()).map_err(|rule| format!("`{name}` {rule}"))?;
        let mut headers = HeaderMap::new();
        if let Some(token) = tokens.get(name) {
            headers.insert(AUTHORIZATION, token.clone());
        }
        servers.push(McpServer {
            name: name.to_owned(),
            transport: McpTransport::Http { url, headers },
        });
    }
    if let Some(name) = tokens.keys().find(|name| !servers.iter().any(|one| one.name == **name)) {
        return Err(format!("must hold `{name}`, which has a token"));
    }
    Ok(servers)
}

/// Parses tokens of the form `name=token`, comma-separated, to the header that carries each.
///
/// # Errors
/// Returns the rule that the text breaks, without a token.
pub(crate) fn parse_tokens(text: &str) -> Result<HashMap<String, HeaderValue>, String> {
    let rule = "must be tokens of the form `name=token`, comma-separated";
    let mut tokens = HashMap::new();
    for entry in split_entries(text) {
        let (name, token) = entry.split_once('=').ok_or(rule)?;
        let name = check_name(name.trim()).map_err(|_| rule)?;
        let header = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
        let mut header = header.map_err(|_| rule)?;
        header.set_sensitive(true);
        tokens.insert(name.to_owned(), header);
    }
    Ok(tokens)
}

/// Returns the entries of a comma-separated text.
pub(super) fn split_entries(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Returns the name if it can begin the names of tools.
pub(super) fn check_name(name: &str) -> Result<&str, String> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.chars().all(is_fine) {
        return Err(format!(
            "must hold names of at most {MAX_NAME_BYTES} letters, digits, `_` and `-`"
        ));
    }
    Ok(name)
}

/// Parses the address of a server.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).ok().filter(|url| url.has_host());
    url.filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| "must have an address such as `https://tools.example.com/mcp`".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(text: &str, tokens: &str) -> Result<Vec<McpServer>, String> {
        parse_servers(text, &parse_tokens(tokens)?)
    }

    #[test]
    fn servers_are_named_and_get_their_own_token_alone() {
        let parsed =
            servers("a=https://a.example/mcp?x=1, b=http://10.0.0.1:8080/", "b=t=1").unwrap();
        let described: Vec<_> = parsed
            .iter()
            .map(|server| match &server.transport {
                McpTransport::Http { url, headers } => {
                    (server.name.as_str(), url.as_str(), headers.contains_key(AUTHORIZATION))
                }
                McpTransport::Process { command, .. } => (server.name.as_str(), &**command, false),
            })
            .collect();
        assert_eq!(
            described,
            [("a", "https://a.example/mcp?x=1", false), ("b", "http://10.0.0.1:8080/", true)]
        );
        let McpTransport::Http { headers, .. } = &parsed[1].transport else { panic!() };
        assert_eq!(headers[AUTHORIZATION], "Bearer t=1");
    }

    #[test]
    fn what_is_no_server_is_refused_without_its_token() {
        for (text, tokens) in [
            ("https://a.example", ""),
            ("a=/usr/bin/env", ""),
            ("a=stdio:cat", ""),
            ("a=file:///etc/passwd", ""),
            ("a b=https://a.example", ""),
            ("a=https://a.example, a=https://b.example", ""),
            ("a=https://a.example", "secret-token"),
            ("a=https://a.example", "b=secret-token"),
        ] {
            let rule = servers(text, tokens).err().unwrap();
            assert!(!rule.contains("secret-token"), "{rule}");
        }
        assert!(servers("", "").unwrap().is_empty());
    }
}
