//! Pictures behind links: fetched by the one guarded client, if an admin allows their hosts, and put into the chat as data.

use crate::valves::{BedrockValves, listed};
use futures_util::{StreamExt, TryStreamExt, stream};
use guarded_fetch::{Fetcher, HostPattern, Hosts, Rules};
use pipe_sdk::{Body, Content, Part, PipeError, Result};

/// The way to pictures behind links; `None` if no host is allowed.
pub struct Links(Option<Fetcher>);

/// How many pictures of one chat are fetched at once.
const AT_ONCE: usize = 4;

/// A picture in the chat: its message, its part, its link.
type Place = (usize, usize, String);

impl Links {
    /// The links that these valves allow.
    pub fn new(valves: &BedrockValves) -> Result<Self> {
        let mut allowed = listed(&valves.image_hosts).peekable();
        if allowed.peek().is_none() {
            return Ok(Self(None));
        }
        let hosts = if listed(&valves.image_hosts).any(|host| host == "*") {
            Hosts::Any
        } else {
            let patterns = allowed.map(str::parse::<HostPattern>);
            Hosts::Only(patterns.collect::<Result<_, _>>().map_err(PipeError::internal)?)
        };
        Ok(Self(Some(Fetcher::new(Rules { hosts, ..Rules::default() }))))
    }

    /// Puts what is behind the links of this chat in their place.
    pub async fn resolve(&self, body: &mut Body) -> Result<()> {
        let Some(fetcher) = &self.0 else { return Ok(()) };
        let places = places(body);
        if places.is_empty() {
            return Ok(());
        }
        let fetched = stream::iter(places).map(|(message, part, link)| async move {
            let field = || format!("messages[{message}].content[{part}]");
            let fetched = fetcher.fetch(&link).await;
            let fetched =
                fetched.map_err(|refusal| PipeError::bad_field(field(), refusal.to_string()))?;
            let data = aws_smithy_types::base64::encode(&fetched.bytes);
            // What kind of picture it is, its bytes will say.
            Ok::<_, PipeError>((message, part, format!("data:image/*;base64,{data}")))
        });
        let fetched: Vec<Place> = fetched.buffered(AT_ONCE).try_collect().await?;
        for (message, part, url) in fetched {
            if let Some(Content::Parts(parts)) = &mut body.messages[message].content
                && let Some(Part::ImageUrl { image_url, .. }) = parts.get_mut(part)
            {
                *image_url = url;
            }
        }
        Ok(())
    }
}

fn places(body: &Body) -> Vec<Place> {
    let mut places = Vec::new();
    for (message, said) in body.messages.iter().enumerate() {
        let Some(Content::Parts(parts)) = &said.content else { continue };
        for (part, what) in parts.iter().enumerate() {
            if let Part::ImageUrl { image_url, .. } = what
                && is_link(image_url)
            {
                places.push((message, part, image_url.trim().to_owned()));
            }
        }
    }
    places
}

fn is_link(url: &str) -> bool {
    let scheme = url.trim().split_once("://").map_or("", |(scheme, _)| scheme);
    scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
}
