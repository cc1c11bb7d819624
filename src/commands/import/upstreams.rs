//! Servers with OpenAI's API, as entries of the pipe `openai_proxy`.

use super::Imported;
use std::collections::BTreeMap;
use url::Url;

/// The pipe whose valves are set.
const PIPE: &str = "openai_proxy";

/// The servers that were found, by name.
#[derive(Debug, Default)]
pub struct Upstreams(BTreeMap<String, Upstream>);

/// An OpenAI-compatible server of an imported configuration.
#[derive(Debug, Default)]
struct Upstream {
    address: String,
    key: Option<String>,
    models: Vec<String>,
}

/// Returns the base URL of the OpenAI-compatible API of a provider whose usual one is `usual`, for
/// an address that other programs complete by themselves.
pub fn complete_address(provider: &str, usual: &str, address: &str) -> String {
    let address = address.trim_end_matches('/');
    let Ok(url) = Url::parse(address) else { return address.to_owned() };
    let has_path = url.path() != "/";
    let origin = url.origin().ascii_serialization();
    let is_azure = url.host_str().is_some_and(|host| host.ends_with(".openai.azure.com"));
    if is_azure || provider == "azure" && !has_path {
        return format!("{origin}/openai/v1");
    }
    match Url::parse(usual) {
        Ok(usual_url) if !has_path && usual_url.origin() == url.origin() => usual.to_owned(),
        // LiteLLM calls Ollama by its own API.
        _ if provider.starts_with("ollama") && !address.ends_with("/v1") => format!("{address}/v1"),
        _ if !has_path => format!("{origin}/v1"),
        _ => address.to_owned(),
    }
}

impl Upstreams {
    /// Adds a server, or finds the one with this address and key, and returns its name.
    pub fn add(&mut self, wanted: &str, address: &str, key: Option<String>) -> String {
        let address = address.trim_end_matches('/').to_owned();
        let is_same = |upstream: &Upstream| upstream.address == address && upstream.key == key;
        if let Some((name, _)) = self.0.iter().find(|(_, upstream)| is_same(upstream)) {
            return name.clone();
        }
        let wanted = wanted.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "_");
        let mut name = wanted.clone();
        for number in 2.. {
            if !self.0.contains_key(&name) {
                break;
            }
            name = format!("{wanted}{number}");
        }
        self.0.insert(name.clone(), Upstream { address, key, models: Vec::new() });
        name
    }

    /// Lists a model of this server, and no others than those that are listed so.
    pub fn list_model(&mut self, name: &str, model: &str) {
        if let Some(upstream) = self.0.get_mut(name)
            && !upstream.models.iter().any(|known| known == model)
        {
            upstream.models.push(model.to_owned());
        }
    }

    /// Writes the valves of the servers. Items are separated by commas and words by spaces, so what
    /// holds such has to be entered by hand.
    pub fn write(self, imported: &mut Imported) {
        let (mut lines, mut keys) = (Vec::new(), Vec::new());
        for (name, Upstream { address, key, models }) in self.0 {
            let mut line = format!("{name} {address}");
            if !models.is_empty() {
                line += &format!(" models={}", models.join("|"));
            }
            if line.contains(',') {
                imported.note(format!("server `{name}`: a comma in its address or a model's name"));
                continue;
            }
            lines.push(line);
            let Some(key) = key else { continue };
            match Url::parse(&address).map(|url| url.origin().ascii_serialization()) {
                Ok(origin) => keys.push(format!("{name}@{origin}={key}")),
                Err(_) => imported.note(format!("server `{name}`: its address is no URL")),
            }
        }
        if !lines.is_empty() {
            imported.set(PIPE, "more_upstreams", lines.join(", "));
        }
        if !keys.is_empty() {
            imported.set(PIPE, "more_api_keys", keys.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::complete_address;

    #[test]
    fn addresses_are_completed_as_their_provider_needs_it() {
        for (provider, usual, given, wanted) in [
            ("azure", "", "https://r.openai.azure.com/", "https://r.openai.azure.com/openai/v1"),
            (
                "azure",
                "",
                "https://r.openai.azure.com/openai/deployments/my-4o",
                "https://r.openai.azure.com/openai/v1",
            ),
            ("azure", "", "https://gateway.example.com", "https://gateway.example.com/openai/v1"),
            ("azure", "", "https://gateway.example.com/x/v1", "https://gateway.example.com/x/v1"),
            ("hosted_vllm", "", "http://gpu:8000", "http://gpu:8000/v1"),
            ("hosted_vllm", "", "http://gpu:8000/v1/", "http://gpu:8000/v1"),
            ("openai", "https://api.openai.com/v1", "http://gpu:8000/", "http://gpu:8000/v1"),
            ("openai", "https://api.openai.com/v1", "http://gpu:8000/api", "http://gpu:8000/api"),
            (
                "groq",
                "https://api.groq.com/openai/v1",
                "https://api.groq.com",
                "https://api.groq.com/openai/v1",
            ),
            (
                "perplexity",
                "https://api.perplexity.ai",
                "https://api.perplexity.ai/",
                "https://api.perplexity.ai",
            ),
            ("ollama", "http://127.0.0.1:11434/v1", "http://o:1/x", "http://o:1/x/v1"),
        ] {
            assert_eq!(complete_address(provider, usual, given), wanted, "{provider} {given}");
        }
    }
}
