//! The upstreams that the valves name, each with its settings.

use crate::{keys::Keys, valves::ProxyValves};
use http::HeaderValue;
use openai_client::{Address, Credentials};
use pipe_sdk::{Secret, ValveError};
use std::time::Duration;

/// The upstreams, in the order in which they are listed.
#[derive(Clone, Debug)]
pub(crate) struct Ways(pub Vec<Way>);

/// One upstream, as the valves have it.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// What stands before the names of its models, if anything does.
    pub prefix: Option<String>,
    pub address: Address,
    pub credentials: Credentials,
    /// How long an answer may take to begin.
    pub timeout: Duration,
    /// How many questions a minute a person may ask; 0: any number.
    pub rate_limit: u32,
    /// Which models are listed; none: all.
    pub models: Vec<String>,
    /// Who answers in place of a model of its that fails.
    pub fallback: Option<String>,
}

impl Ways {
    /// What these valves name, or what in them cannot be so.
    pub fn of(valves: &ProxyValves) -> Result<Self, Vec<ValveError>> {
        let mut faults = Vec::new();
        let first = Way::first(valves, &mut faults);
        let keys = valves.more_api_keys.expose().unwrap_or_default().parse::<Keys>();
        let keys = keys.map_err(|rule| faults.push(ValveError::new("more_api_keys", rule)));
        let keys = keys.unwrap_or_default();
        let mut ways: Vec<Way> = first.into_iter().collect();
        for (place, line) in lines(valves.more_upstreams.as_deref()).enumerate() {
            match Way::further(line, valves, &keys) {
                Ok(way) if ways.iter().any(|other| other.prefix == way.prefix) => {
                    let rule = format!("upstream {}: has the name of another one", place + 1);
                    faults.push(ValveError::new("more_upstreams", rule));
                }
                Ok(way) => ways.push(way),
                Err(rule) => {
                    let rule = format!("upstream {}: {rule}", place + 1);
                    faults.push(ValveError::new("more_upstreams", rule));
                }
            }
        }
        if faults.is_empty() { Ok(Self(ways)) } else { Err(faults) }
    }

    /// The upstream whose models are named like this one, and its name there.
    pub fn named<'a>(&self, model: &'a str) -> Option<(usize, &'a str)> {
        let split = model.split_once('/');
        let prefixed = split.and_then(|(prefix, name)| {
            let place = self.0.iter().position(|way| way.prefix.as_deref() == Some(prefix))?;
            Some((place, name))
        });
        prefixed.or_else(|| Some((self.0.iter().position(|way| way.prefix.is_none())?, model)))
    }
}

impl Way {
    /// What people call it.
    pub fn name(&self) -> &str {
        self.prefix.as_deref().unwrap_or("OpenAI proxy")
    }

    /// The id of a model of its within the pipe.
    pub fn id(&self, model: &str) -> String {
        match &self.prefix {
            Some(prefix) => format!("{prefix}/{model}"),
            None => model.to_owned(),
        }
    }

    fn first(valves: &ProxyValves, faults: &mut Vec<ValveError>) -> Option<Self> {
        let mut fault = |valve: &str, rule: &str| faults.push(ValveError::new(valve, rule));
        let prefix = set(&valves.name_prefix).map(|prefix| prefix.trim_end_matches('/').to_owned());
        if prefix.as_deref().is_some_and(|prefix| !is_name(prefix)) {
            fault("name_prefix", NAME_RULE);
        }
        let organization = set(&valves.organization).map(str::to_owned);
        if !organization.as_deref().is_none_or(fits_a_header) {
            fault("organization", HEADER_RULE);
        }
        if !valves.api_key.expose().is_none_or(fits_a_header) {
            fault("api_key", HEADER_RULE);
        }
        let address =
            set(&valves.api_base)?.parse().map_err(|rule| fault("api_base", rule)).ok()?;
        Some(Self {
            prefix,
            address,
            credentials: Credentials { key: valves.api_key.clone(), organization },
            timeout: Duration::from_secs(valves.timeout),
            rate_limit: valves.rate_limit,
            models: globs(valves.models.as_deref().unwrap_or_default(), ','),
            fallback: set(&valves.fallback_model).map(str::to_owned),
        })
    }

    /// A line such as `groq https://api.groq.com/openai/v1 models=llama*|qwen* timeout=60`.
    fn further(line: &str, valves: &ProxyValves, keys: &Keys) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let (Some(name), Some(address)) = (words.next(), words.next()) else {
            return Err(
                "must be a name and a base URL, as in `ollama http://127.0.0.1:11434/v1`".into()
            );
        };
        if !is_name(name) {
            return Err(format!("its name {NAME_RULE}"));
        }
        let address: Address = address.parse().map_err(|rule| format!("its address {rule}"))?;
        let key = keys.of(name, &address).map_or_else(Secret::default, Secret::from);
        let mut way = Self {
            prefix: Some(name.into()),
            address,
            credentials: Credentials { key, organization: None },
            timeout: Duration::from_secs(valves.timeout),
            rate_limit: valves.rate_limit,
            models: Vec::new(),
            fallback: set(&valves.fallback_model).map(str::to_owned),
        };
        for word in words {
            let (setting, value) =
                word.split_once('=').ok_or("settings are written as `timeout=60`")?;
            way.set(setting, value)?;
        }
        Ok(way)
    }

    fn set(&mut self, setting: &str, value: &str) -> Result<(), String> {
        match setting {
            "models" => self.models = globs(value, '|'),
            "fallback_model" => self.fallback = Some(value.into()),
            "organization" if fits_a_header(value) => {
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

/// The items of a text that holds several; in a file they may stand in lines of their own.
pub(crate) fn lines(text: Option<&str>) -> impl Iterator<Item = &str> {
    let items = text.unwrap_or_default().split([',', '\n']);
    items.map(str::trim).filter(|item| !item.is_empty())
}

fn globs(text: &str, comma: char) -> Vec<String> {
    let globs = text.split(comma).map(str::trim).filter(|glob| !glob.is_empty());
    globs.map(str::to_owned).collect()
}

fn set(text: &Option<String>) -> Option<&str> {
    text.as_deref().map(str::trim).filter(|text| !text.is_empty())
}

fn is_name(name: &str) -> bool {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !name.is_empty() && name.bytes().all(named)
}

pub(crate) fn fits_a_header(text: &str) -> bool {
    HeaderValue::try_from(text).is_ok_and(|value| value.to_str().is_ok())
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
        let Ways(ways) = Ways::of(&valves(more, "api.groq.com=gsk")).unwrap();
        let names: Vec<_> = ways.iter().map(Way::name).collect();
        assert_eq!(names, ["OpenAI proxy", "groq", "ollama"]);
        let keys: Vec<_> = ways.iter().map(|way| way.credentials.key.expose()).collect();
        assert_eq!(keys, [Some("sk-1"), Some("gsk"), None]);
        let groq = &ways[1];
        assert_eq!((groq.timeout.as_secs(), groq.rate_limit), (60, 0));
        assert_eq!((groq.models.len(), groq.fallback.as_deref()), (2, Some("x")));
        assert_eq!(groq.credentials.organization.as_deref(), Some("o"));
        assert_eq!((ways[2].timeout.as_secs(), ways[2].rate_limit), (30, 0));
    }

    #[test]
    fn a_model_is_looked_for_where_its_name_points() {
        let ways = Ways::of(&valves("groq https://api.groq.com/openai/v1", "")).unwrap();
        assert_eq!(ways.named("groq/meta/llama"), Some((1, "meta/llama")));
        assert_eq!(ways.named("meta/llama"), Some((0, "meta/llama")));
        assert_eq!(ways.0[1].id("meta/llama"), "groq/meta/llama");
    }

    #[test]
    fn what_cannot_be_so_is_said_without_the_value() {
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
            let faults = Ways::of(&valves(more, "")).unwrap_err();
            let said = ValveError::join(&faults);
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
        let faults = Ways::of(&bad).unwrap_err();
        let names: Vec<_> = faults.iter().map(|fault| fault.valve.as_str()).collect();
        assert_eq!(names, ["name_prefix", "organization", "api_key", "api_base", "more_api_keys"]);
        assert!(!ValveError::join(&faults).contains("hunter"));
    }

    #[test]
    fn without_an_upstream_there_is_nothing() {
        assert!(Ways::of(&ProxyValves::default()).unwrap().0.is_empty());
    }
}
