//! The origins of the web pages that may call the host.

use actix_web::http::header::HeaderValue;
use std::{collections::BTreeSet, str::FromStr};
use url::Url;

/// The origins of the web pages that may use models and chats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Every page.
    All,
    /// The pages of these origins; no page, if there are none.
    Some(BTreeSet<String>),
}

impl FromStr for AllowedOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let origins: Vec<_> =
            text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
        if origins == ["*"] {
            return Ok(Self::All);
        }
        origins.into_iter().map(parse_origin).collect::<Result<_, _>>().map(Self::Some)
    }
}

/// Returns the origin as browsers write it.
fn parse_origin(text: &str) -> Result<String, String> {
    let error = || {
        format!(
            "`{text}` must be `*` alone or an origin, as in https://chat.example.com or http://localhost:8080"
        )
    };
    let url = Url::parse(text).map_err(|_| error())?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let is_nobody = url.username().is_empty() && url.password().is_none();
    let origin = url.origin();
    if origin.is_tuple() && is_bare && is_nobody {
        Ok(origin.ascii_serialization())
    } else {
        Err(error())
    }
}

impl AllowedOrigins {
    /// Returns whether no page has access.
    pub fn allows_none(&self) -> bool {
        matches!(self, Self::Some(origins) if origins.is_empty())
    }

    /// Returns the value of `Access-Control-Allow-Origin` for pages of this origin; `None` if they
    /// have no access.
    pub fn allow_origin(&self, origin: Option<&HeaderValue>) -> Option<HeaderValue> {
        let origin = origin?;
        match self {
            Self::All => Some(HeaderValue::from_static("*")),
            Self::Some(origins) => {
                origin.to_str().is_ok_and(|text| origins.contains(text)).then(|| origin.clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let read = |text: &str| text.parse::<AllowedOrigins>();
        assert_eq!(read(" * "), Ok(AllowedOrigins::All));
        assert!(read("").unwrap().allows_none());
        let some = |origins: &[&str]| {
            Ok(AllowedOrigins::Some(origins.iter().map(|origin| String::from(*origin)).collect()))
        };
        assert_eq!(
            read("https://Chat.Example.com/, http://localhost:8080"),
            some(&["https://chat.example.com", "http://localhost:8080"])
        );
        for error in [
            "chat.example.com",
            "https://a.b/c",
            "*, https://a.b",
            "null",
            "https://u@a.b",
            "file:///a",
        ] {
            assert!(read(error).unwrap_err().contains("must be"), "{error}");
        }
    }
}
