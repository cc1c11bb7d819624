//! The local endpoint that the valves name: a model of this host, or a server.

use openai_client::BaseUrl;
use std::str::FromStr;

/// The local endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LocalEndpoint {
    /// The id of a model of this host.
    Model(String),
    /// A server, with the APIs that it may have, in the order in which they are tried.
    Server(Vec<ServerApi>),
}

/// An API of a server, and its base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServerApi {
    /// OpenAI's API.
    OpenAi(BaseUrl),
    /// A bare `/generate` route, which answers in one piece.
    Generate(BaseUrl),
}

impl FromStr for LocalEndpoint {
    /// The rule that the text breaks.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "must be an http:// or https:// URL, or the id of a model of this host";
        let text = text.trim();
        if text.contains("://") {
            return parse_apis(text).map(Self::Server);
        }
        let (pipe, _) = text.split_once('.').unwrap_or((text, ""));
        let is_id_byte = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_number = pipe.bytes().all(|byte| byte.is_ascii_digit());
        let is_id = pipe.bytes().all(is_id_byte) && !is_number;
        if !is_id || text.contains(char::is_whitespace) {
            return Err(RULE);
        }
        Ok(Self::Model(text.into()))
    }
}

/// Returns the APIs that a URL may mean: without a path, both.
fn parse_apis(text: &str) -> Result<Vec<ServerApi>, &'static str> {
    let text = text.trim_end_matches('/');
    if let Some(base_url) = text.strip_suffix("/generate") {
        return Ok(vec![ServerApi::Generate(base_url.parse()?)]);
    }
    let has_path = text.split_once("://").is_some_and(|(_, rest)| rest.contains('/'));
    if has_path {
        return Ok(vec![ServerApi::OpenAi(text.parse()?)]);
    }
    let openai = ServerApi::OpenAi(format!("{text}/v1").parse()?);
    Ok(vec![openai, ServerApi::Generate(text.parse()?)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_means_one_api_or_both() {
        for (text, are_generate) in [
            ("http://localhost:5000", vec![false, true]),
            ("http://localhost:5000/", vec![false, true]),
            ("http://localhost:11434/v1", vec![false]),
            ("https://gpu.example/api/v1/chat/completions", vec![false]),
            ("http://localhost:5000/generate", vec![true]),
            ("http://localhost:5000/api/generate/", vec![true]),
        ] {
            let Ok(LocalEndpoint::Server(apis)) = text.parse() else { panic!("{text}") };
            let found: Vec<_> =
                apis.iter().map(|api| matches!(api, ServerApi::Generate(_))).collect();
            assert_eq!(found, are_generate, "{text}");
        }
    }

    #[test]
    fn what_is_neither_a_url_nor_an_id_is_refused() {
        for (text, is_valid) in [
            ("http://localhost:5000", true),
            ("openai_proxy.llama3.2", true),
            ("bedrock_models.amazon.nova-lite-v1:0", true),
            ("relay", true),
            ("localhost:5000", false),
            ("127.0.0.1:5000", false),
            ("ftp://localhost", false),
            ("http://169.254.169.254/v1", false),
            ("a model", false),
            ("", false),
        ] {
            assert_eq!(text.parse::<LocalEndpoint>().is_ok(), is_valid, "{text}");
        }
    }
}
