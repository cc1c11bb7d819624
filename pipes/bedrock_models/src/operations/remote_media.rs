//! Fetches the images and files that a chat links to, if an admin allows their hosts, by
//! `guarded-fetch`, and puts them into the chat as data.

use crate::valves::BedrockValves;
use futures_util::{StreamExt, TryStreamExt, stream};
use guarded_fetch::{AllowedHosts, FetchPolicy, Fetcher, HostPattern};
use pipe_sdk::{Body, Content, Part, PipeError, Result, split_list};
use serde_json::Value;

/// The way to pictures and files behind links; `None` if no host is allowed.
pub struct RemoteMedia(Option<Fetcher>);

/// The largest number of links in a chat.
const MAX_LINKS: usize = 20;

/// The largest number of concurrent fetches of one chat.
const MAX_CONCURRENT_FETCHES: usize = 4;

/// A picture or a file in the chat: its message, its part, its link.
type PartUrl = (usize, usize, String);

impl RemoteMedia {
    /// Returns the links that these valves allow.
    pub fn new(valves: &BedrockValves) -> Result<Self> {
        let mut allowed = split_list(&valves.image_hosts).peekable();
        if allowed.peek().is_none() {
            return Ok(Self(None));
        }
        let hosts = if split_list(&valves.image_hosts).any(|host| host == "*") {
            AllowedHosts::Any
        } else {
            let patterns = allowed.map(str::parse::<HostPattern>);
            AllowedHosts::Only(patterns.collect::<Result<_, _>>().map_err(PipeError::internal)?)
        };
        Ok(Self(Some(Fetcher::new(FetchPolicy { allowed_hosts: hosts, ..FetchPolicy::default() }))))
    }

    /// Replaces the links of this chat by the files behind them.
    pub async fn fetch_all(&self, body: &mut Body) -> Result<()> {
        let Some(fetcher) = &self.0 else { return Ok(()) };
        let links = find_links(body);
        if links.is_empty() {
            return Ok(());
        }
        if let Some((message, part, _)) = links.get(MAX_LINKS) {
            let field = format!("messages[{message}].content[{part}]");
            return Err(PipeError::bad_field(
                field,
                format!("a chat may hold {MAX_LINKS} links at most"),
            ));
        }
        let fetched = stream::iter(links).map(|(message, part, link)| async move {
            let field = || format!("messages[{message}].content[{part}]");
            let fetched = fetcher.fetch(&link).await;
            let fetched =
                fetched.map_err(|refusal| PipeError::bad_field(field(), refusal.to_string()))?;
            let data = aws_smithy_types::base64::encode(&fetched.bytes);
            let kind = fetched.content_type.unwrap_or_else(|| "application/octet-stream".into());
            let kind = kind.split(';').next().unwrap_or_default();
            Ok::<_, PipeError>((message, part, format!("data:{kind};base64,{data}")))
        });
        let fetched: Vec<PartUrl> = fetched.buffered(MAX_CONCURRENT_FETCHES).try_collect().await?;
        for (message, part, data) in fetched {
            if let Some(Content::Parts(parts)) = &mut body.messages[message].content
                && let Some(url) = parts.get_mut(part).and_then(url_of)
            {
                *url = data;
            }
        }
        Ok(())
    }
}

fn find_links(body: &mut Body) -> Vec<PartUrl> {
    let mut links = Vec::new();
    for (message, content) in body.messages.iter_mut().enumerate() {
        let Some(Content::Parts(parts)) = &mut content.content else { continue };
        for (part, value) in parts.iter_mut().enumerate() {
            if let Some(url) = url_of(value).filter(|url| is_link(url)) {
                links.push((message, part, url.trim().to_owned()));
            }
        }
    }
    links
}

/// Returns the URL of a part, in each of the shapes in which clients send images and files.
fn url_of(part: &mut Part) -> Option<&mut String> {
    let rest = match part {
        Part::Text { .. } => return None,
        Part::ImageUrl { image_url, .. } => return Some(image_url),
        Part::Other(rest) => rest,
    };
    let url = match rest.get("type").and_then(Value::as_str)? {
        "input_image" => rest.get_mut("image_url")?,
        "image" | "document" => rest.get_mut("source")?.get_mut("url")?,
        "file" if rest.contains_key("file") => rest.get_mut("file")?.get_mut("file_url")?,
        "file" | "input_file" => rest.get_mut("file_url")?,
        _ => return None,
    };
    let url = if url.is_object() { url.get_mut("url")? } else { url };
    if let Value::String(url) = url { Some(url) } else { None }
}

fn is_link(url: &str) -> bool {
    let scheme = url.trim().split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}
