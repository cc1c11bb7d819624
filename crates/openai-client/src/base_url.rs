//! The base URL of a server's API, and what it says about the vendor.

use http_client::is_metadata_host;
use std::str::FromStr;
use url::{Host, Url};

/// The base URL of a server's API, as in `https://api.openai.com/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    url: Url,
    vendor: Vendor,
}

/// The vendor of a server, as far as requests differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vendor {
    /// OpenAI.
    OpenAi,
    /// Microsoft Azure, which has OpenAI's API with headers of its own.
    Azure,
    /// Any other vendor, or a server in the own network.
    Other,
}

/// The suffixes of Azure's hosts.
const AZURE_HOSTS: [&str; 3] =
    [".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"];

/// The version of Azure's API for deployments, unless the URL has one
/// (<https://learn.microsoft.com/azure/ai-foundry/openai/reference>).
const AZURE_VERSION: &str = "2024-10-21";

impl FromStr for BaseUrl {
    /// The rule that the text breaks, as in "must …".
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const RULE: &str = "must be an http:// or https:// URL, as in https://api.openai.com/v1";
        let mut url = Url::parse(text.trim()).map_err(|_| RULE)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(RULE);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("must hold no name or password: the key has a field of its own");
        }
        if is_metadata_host(&url) {
            return Err("must not be a link-local address: clouds keep their secrets there");
        }
        let path = url.path().trim_end_matches('/');
        // People copy the URL of a route.
        let path = path.strip_suffix("/chat/completions").unwrap_or(path).to_owned();
        url.set_path(&path);
        url.set_fragment(None);
        let vendor = Vendor::from_url(&url);
        if vendor == Vendor::Azure {
            complete_azure(&mut url);
        }
        Ok(Self { url, vendor })
    }
}

impl BaseUrl {
    /// Returns scheme, host and port: what a key is bound to.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// Returns whether the server answers nothing without a key.
    pub fn needs_key(&self) -> bool {
        self.vendor != Vendor::Other
    }

    /// Returns the name of the one model of an Azure deployment.
    pub fn deployment(&self) -> Option<&str> {
        let (_, name) = self.url.path().split_once("/deployments/")?;
        name.split('/').next().filter(|_| self.vendor == Vendor::Azure)
    }

    /// Returns the vendor of the server, as far as its address shows it.
    pub(crate) fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// Returns the URL of a path under the base URL.
    pub(crate) fn join(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{path}", self.url.path().trim_end_matches('/')));
        url
    }

    /// Returns whether the server is on this machine or in the own network, as far as its address
    /// shows it: a private address, a name without dots, or one of `.local` and `.internal`.
    pub fn is_local(&self) -> bool {
        match self.url.host() {
            Some(Host::Ipv4(address)) => address.is_loopback() || address.is_private(),
            Some(Host::Ipv6(address)) => address.is_loopback() || address.is_unique_local(),
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let ends = |end: &str| name.ends_with(end);
                !name.contains('.') || [".local", ".internal", ".localhost"].into_iter().any(ends)
            }
            None => false,
        }
    }

    /// Returns the host, which errors must not show.
    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

impl Vendor {
    fn from_url(url: &Url) -> Self {
        match url.host_str() {
            Some(host) if host == "api.openai.com" || host.ends_with(".api.openai.com") => {
                Self::OpenAi
            }
            Some(host) if AZURE_HOSTS.iter().any(|end| host.ends_with(end)) => Self::Azure,
            _ => Self::Other,
        }
    }

    /// Returns whether the vendor refuses fields that are not in OpenAI's API.
    pub(crate) fn is_strict(self) -> bool {
        self != Self::Other
    }
}

/// Adds the path and the API version that Azure needs.
fn complete_azure(url: &mut Url) {
    if url.path().trim_end_matches('/').is_empty() {
        url.set_path("/openai/v1");
    }
    let is_versioned = url.query_pairs().any(|(name, _)| name == "api-version");
    if url.path().contains("/deployments/") && !is_versioned {
        url.query_pairs_mut().append_pair("api-version", AZURE_VERSION);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_its_place_under_the_base() {
        for (base, models) in [
            ("https://api.openai.com/v1", "https://api.openai.com/v1/models"),
            ("https://api.openai.com/v1/", "https://api.openai.com/v1/models"),
            (" http://127.0.0.1:11434/v1//", "http://127.0.0.1:11434/v1/models"),
            ("http://tei", "http://tei/models"),
            ("https://a.example/v1/chat/completions", "https://a.example/v1/models"),
            ("https://a.example/v1?x=1#y", "https://a.example/v1/models?x=1"),
            ("https://a.openai.azure.com/", "https://a.openai.azure.com/openai/v1/models"),
            (
                "https://a.openai.azure.com/openai/deployments/gpt",
                "https://a.openai.azure.com/openai/deployments/gpt/models?api-version=2024-10-21",
            ),
            (
                "https://a.openai.azure.com/openai/deployments/gpt?api-version=2025-01-01",
                "https://a.openai.azure.com/openai/deployments/gpt/models?api-version=2025-01-01",
            ),
        ] {
            let address: BaseUrl = base.parse().unwrap();
            assert_eq!(address.join("models").as_str(), models);
        }
    }

    #[test]
    fn what_is_no_address_of_an_api_is_refused() {
        for base in [
            "",
            "api.openai.com/v1",
            "ftp://a.example",
            "http://",
            "https://me:secret@a.example/v1",
            "http://169.254.169.254/latest",
            "http://0xa9fea9fe/",
            "http://[::ffff:169.254.169.254]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://metadata.google.internal/",
        ] {
            assert!(base.parse::<BaseUrl>().is_err(), "{base}");
        }
    }

    #[test]
    fn a_deployment_of_azure_is_a_model_by_itself() {
        let deployment =
            |base: &str| base.parse::<BaseUrl>().unwrap().deployment().map(String::from);
        let azure = "https://a.openai.azure.com/openai/deployments/gpt-4o";
        assert_eq!(deployment(azure).as_deref(), Some("gpt-4o"));
        assert_eq!(deployment("https://a.openai.azure.com"), None);
        assert_eq!(deployment("https://a.example/deployments/x"), None);
    }
}
