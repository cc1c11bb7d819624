//! The upstreams that the valves configure.

use super::{
    ProxyValves,
    text::{is_header_value, split_items},
    upstream_keys::UpstreamKeys,
};
use openai_client::{BaseUrl, Credentials};
use pipe_sdk::{Secret, ValveError, matches_glob};
use std::time::Duration;

/// The configured upstreams, in the order in which their models are listed.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamConfigs(pub Vec<UpstreamConfig>);

/// The configuration of one upstream.
#[derive(Clone, Debug)]
pub(crate) struct UpstreamConfig {
    /// The prefix of the ids of its models.
    pub prefix: Option<String>,
    pub base_url: BaseUrl,
    pub credentials: Credentials,
    /// The time until an answer must start.
    pub timeout: Duration,
    /// The requests a minute of each user; 0: unlimited.
    pub rate_limit: u32,
    /// The patterns of the models to list; empty: all.
    pub models: Vec<String>,
    /// The model that answers in place of one that fails.
    pub fallback: Option<String>,
}

impl UpstreamConfigs {
    /// Returns the upstreams in these valves, or the errors of the valves.
    pub fn from_valves(valves: &ProxyValves) -> Result<Self, Vec<ValveError>> {
        let mut errors = Vec::new();
        let first = UpstreamConfig::from_fields(valves, &mut errors);
        let keys = valves.more_api_keys.expose().unwrap_or_default().parse::<UpstreamKeys>();
        let keys = keys.map_err(|rule| errors.push(ValveError::new("more_api_keys", rule)));
        let keys = keys.unwrap_or_default();
        let mut configs: Vec<UpstreamConfig> = first.into_iter().collect();
        for (index, line) in split_items(valves.more_upstreams.as_deref()).enumerate() {
            match UpstreamConfig::from_line(line, valves, &keys) {
                Ok(config) if configs.iter().any(|other| other.prefix == config.prefix) => {
                    let rule = format!("upstream {}: has the name of another one", index + 1);
                    errors.push(ValveError::new("more_upstreams", rule));
                }
                Ok(config) => configs.push(config),
                Err(rule) => {
                    let rule = format!("upstream {}: {rule}", index + 1);
                    errors.push(ValveError::new("more_upstreams", rule));
                }
            }
        }
        if errors.is_empty() { Ok(Self(configs)) } else { Err(errors) }
    }

    /// Returns the upstream that a model id belongs to, and the name of the model there.
    pub fn find<'a>(&self, model: &'a str) -> Option<(usize, &'a str)> {
        let split = model.split_once('/');
        let prefixed = split.and_then(|(prefix, name)| {
            let place =
                self.0.iter().position(|config| config.prefix.as_deref() == Some(prefix))?;
            Some((place, name))
        });
        prefixed
            .or_else(|| Some((self.0.iter().position(|config| config.prefix.is_none())?, model)))
    }
}

impl UpstreamConfig {
    /// Returns whether the valves list a model of this name.
    pub fn includes(&self, name: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|glob| matches_glob(glob, name))
    }

    /// Returns the models that are served whatever the upstream lists: those that the valves name
    /// without `*`, and the model of an Azure deployment.
    pub fn named_models(&self) -> Vec<&str> {
        let names = self.models.iter().map(String::as_str).filter(|name| !name.contains('*'));
        let deployment = self.base_url.deployment().filter(|_| self.models.is_empty());
        names.chain(deployment).collect()
    }

    /// Returns the name for people.
    pub fn name(&self) -> &str {
        self.prefix.as_deref().unwrap_or("OpenAI proxy")
    }

    /// Returns the id within the pipe of a model of the upstream.
    pub fn model_id(&self, model: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{model}"),
            None => model.to_owned(),
        }
    }

    fn from_fields(valves: &ProxyValves, errors: &mut Vec<ValveError>) -> Option<Self> {
        let mut error = |valve: &str, rule: &str| errors.push(ValveError::new(valve, rule));
        let prefix =
            non_blank(&valves.name_prefix).map(|prefix| prefix.trim_end_matches('/').to_owned());
        if prefix.as_deref().is_some_and(|prefix| !is_name(prefix)) {
            error("name_prefix", NAME_RULE);
        }
        let organization = non_blank(&valves.organization).map(str::to_owned);
        if !organization.as_deref().is_none_or(is_header_value) {
            error("organization", HEADER_RULE);
        }
        if !valves.api_key.expose().is_none_or(is_header_value) {
            error("api_key", HEADER_RULE);
        }
        let base_url =
            non_blank(&valves.api_base)?.parse().map_err(|rule| error("api_base", rule)).ok()?;
        Some(Self {
            prefix,
            base_url,
            credentials: Credentials { key: valves.api_key.clone(), organization },
            timeout: Duration::from_secs(valves.timeout),
            rate_limit: valves.rate_limit,
            models: split_patterns(valves.models.as_deref().unwrap_or_default(), ','),
            fallback: non_blank(&valves.fallback_model).map(str::to_owned),
        })
    }

    /// Parses an item such as `groq https://api.groq.com/openai/v1 models=llama*|qwen* timeout=60`.
    fn from_line(line: &str, valves: &ProxyValves, keys: &UpstreamKeys) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (Some(name), Some(address)) = (words.next(), words.next()) else {
            return Err(
                "must be a name and a base URL, as in `ollama http://127.0.0.1:11434/v1`".into()
            );
        };
        if !is_name(name) {
            return Err(format!("its name {NAME_RULE}"));
        }
        let base_url: BaseUrl = address.parse().map_err(|rule| format!("its address {rule}"))?;
        let key = keys.find(name, &base_url).map_or_else(Secret::default, Secret::from);
        let mut config = Self {
            prefix: Some(name.into()),
            base_url,
            credentials: Credentials { key, organization: None },
            timeout: Duration::from_secs(valves.timeout),
            rate_limit: valves.rate_limit,
            models: Vec::new(),
            fallback: non_blank(&valves.fallback_model).map(str::to_owned),
        };
        for word in words {
            let (setting, value) =
                word.split_once('=').ok_or("settings are written as `timeout=60`")?;
            config.apply_setting(setting, value)?;
        }
        Ok(config)
    }

    /// Applies a setting such as `timeout=60`.
    fn apply_setting(&mut self, setting: &str, value: &str) -> Result<(), String> {
        match setting {
            "models" => self.models = split_patterns(value, '|'),
            "fallback_model" => self.fallback = Some(value.into()),
            "organization" if is_header_value(value) => {
                self.credentials.organization = Some(value.into());
            }
            "organization" => return Err(format!("organization {HEADER_RULE}")),
            "timeout" => {
                let seconds = value.parse().ok().filter(|seconds| (5..=120).contains(seconds));
                let seconds = seconds.ok_or("timeout must be a number from 5 to 120")?;
                self.timeout = Duration::from_secs(seconds);
            }
            "rate_limit" => {
                let most = value.parse().ok().filter(|most| *most <= 100_000);
                self.rate_limit = most.ok_or("rate_limit must be a number from 0 to 100000")?;
            }
            "key" | "api_key" => {
                return Err("keys belong into more_api_keys, as in `host=key`".into());
            }
            _ => {
                return Err(
                    "settings are models, timeout, organization, rate_limit and fallback_model"
                        .into(),
                );
            }
        }
        Ok(())
    }
}

const NAME_RULE: &str = "must be made of letters, digits, `_` and `-`";
const HEADER_RULE: &str = "must be plain text without line breaks";

fn split_patterns(text: &str, comma: char) -> Vec<String> {
    let patterns = text.split(comma).map(str::trim).filter(|glob| !glob.is_empty());
    patterns.map(str::to_owned).collect()
}

/// Returns a text that is not blank.
fn non_blank(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn is_name(name: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valves(more: &str, keys: &str) -> ProxyValves {
        ProxyValves {
            api_base: Some("https://api.openai.com/v1/".into()),
            api_key: Secret::from("sk-1"),
            more_upstreams: Some(more.into()),
            more_api_keys: Secret::from(keys),
            ..ProxyValves::default()
        }
    }

    #[test]
    fn one_upstream_has_fields_and_further_ones_have_lines() {
        let more = "groq https://api.groq.com/openai/v1 models=llama*|qwen* timeout=60 rate_limit=0 fallback_model=x organization=o\n ollama http://127.0.0.1:11434/v1,";
        let UpstreamConfigs(configs) =
            UpstreamConfigs::from_valves(&valves(more, "api.groq.com=gsk")).unwrap();
        let names: Vec<_> = configs.iter().map(UpstreamConfig::name).collect();
        assert_eq!(names, ["OpenAI proxy", "groq", "ollama"]);
        let keys: Vec<_> = configs.iter().map(|config| config.credentials.key.expose()).collect();
        assert_eq!(keys, [Some("sk-1"), Some("gsk"), None]);
        let groq = &configs[1];
        assert_eq!((groq.timeout.as_secs(), groq.rate_limit), (60, 0));
        assert_eq!((groq.models.len(), groq.fallback.as_deref()), (2, Some("x")));
        assert_eq!(groq.credentials.organization.as_deref(), Some("o"));
        assert_eq!((configs[2].timeout.as_secs(), configs[2].rate_limit), (30, 0));
    }

    #[test]
    fn a_model_is_looked_for_where_its_name_points() {
        let configs =
            UpstreamConfigs::from_valves(&valves("groq https://api.groq.com/openai/v1", ""))
                .unwrap();
        assert_eq!(configs.find("groq/meta/llama"), Some((1, "meta/llama")));
        assert_eq!(configs.find("meta/llama"), Some((0, "meta/llama")));
        assert_eq!(configs.0[1].model_id("meta/llama"), "groq/meta/llama");
    }

    #[test]
    fn an_invalid_value_is_reported_without_the_value() {
        for (more, rule) in [
            ("groq", "a name and a base URL"),
            ("hunter.2 https://a.example", "its name must be made of letters"),
            ("a hunter2", "its address must be an http:// or https:// URL"),
            ("a https://a.example timeout=1", "timeout must be a number from 5 to 120"),
            ("a https://a.example hunter2", "settings are written as"),
            ("a https://a.example hunter2=1", "settings are models"),
            ("a https://a.example key=hunter2", "keys belong into more_api_keys"),
            ("a https://a.example, a https://b.example", "upstream 2: has the name of another one"),
        ] {
            let errors = UpstreamConfigs::from_valves(&valves(more, "")).unwrap_err();
            let said = ValveError::join(&errors);
            assert!(said.starts_with("more_upstreams: upstream") && said.contains(rule), "{said}");
            assert!(!said.contains("hunter"), "{said}");
        }
    }

    #[test]
    fn the_fields_of_the_first_upstream_have_their_rules() {
        let bad = ProxyValves {
            api_base: Some("hunter2".into()),
            api_key: Secret::from("hunter2\n"),
            organization: Some("ü\u{7}".into()),
            name_prefix: Some("a b".into()),
            more_api_keys: Secret::from("hunter2"),
            ..ProxyValves::default()
        };
        let errors = UpstreamConfigs::from_valves(&bad).unwrap_err();
        let names: Vec<_> = errors.iter().map(|error| error.valve.as_str()).collect();
        assert_eq!(names, ["name_prefix", "organization", "api_key", "api_base", "more_api_keys"]);
        assert!(!ValveError::join(&errors).contains("hunter"));
    }

    #[test]
    fn without_an_upstream_there_is_nothing() {
        assert!(UpstreamConfigs::from_valves(&ProxyValves::default()).unwrap().0.is_empty());
    }
}
