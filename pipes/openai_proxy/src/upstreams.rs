//! The clients of the configured upstreams.

use crate::valves::{ProxyValves, UpstreamConfig, UpstreamConfigs};
use http_client::{HttpClient, HttpVersion};
use openai_client::Server;
use pipe_sdk::{PipeError, Result};
use resilience::Upstream;
use std::sync::Arc;

/// The clients of all configured upstreams, in the order of the configuration.
pub(crate) struct Upstreams {
    configs: UpstreamConfigs,
    connected: Vec<ConnectedUpstream>,
    http_client: HttpClient,
}

/// An upstream with its client.
pub(crate) struct ConnectedUpstream {
    pub config: UpstreamConfig,
    pub server: Server,
}

impl Upstreams {
    /// Creates the clients that these valves configure. Connections are kept, and the breaker state
    /// of upstreams whose address and limits stay the same.
    pub fn new(valves: &ProxyValves, previous: Option<&Self>) -> Result<Self> {
        let configs = UpstreamConfigs::from_valves(valves).map_err(PipeError::BadValves)?;
        let connect_timeout = valves.connect_timeout();
        let http_client = match previous {
            Some(previous) => previous.http_client.with_connect_timeout(connect_timeout),
            None => HttpClient::new(connect_timeout, HttpVersion::Http2Preferred),
        };
        let connected = configs.0.iter().map(|config| {
            let limits = valves.limits(config.timeout);
            let known = previous.and_then(|previous| previous.find_same(config));
            let known = known.map(|known| known.server.upstream());
            let upstream = known.filter(|upstream| *upstream.limits() == limits).cloned();
            let upstream =
                upstream.unwrap_or_else(|| Arc::new(Upstream::new(config.name(), limits)));
            let (base_url, http_client) = (config.base_url.clone(), http_client.clone());
            let server = Server::new(base_url, &config.credentials, http_client, upstream)
                .with_stream_above_max_tokens(valves.stream_above_max_tokens);
            ConnectedUpstream { config: config.clone(), server }
        });
        Ok(Self { connected: connected.collect(), configs, http_client })
    }

    /// Returns the configurations.
    pub fn configs(&self) -> &UpstreamConfigs {
        &self.configs
    }

    /// Returns the upstreams, each with its client.
    pub fn connected(&self) -> &[ConnectedUpstream] {
        &self.connected
    }

    /// Returns the upstream with the same name at the same address.
    fn find_same(&self, config: &UpstreamConfig) -> Option<&ConnectedUpstream> {
        self.connected.iter().find(|known| {
            known.config.prefix == config.prefix && known.config.base_url == config.base_url
        })
    }
}

impl ConnectedUpstream {
    /// Returns whether both list the same models: they have the same address and key.
    pub fn lists_same_models(&self, other: &Self) -> bool {
        let [own_key, other_key] =
            [&self.config, &other.config].map(|config| config.credentials.key.expose());
        self.config.base_url == other.config.base_url && own_key == other_key
    }
}
