//! The upstreams as they are talked to.

use crate::{
    quota::Quota,
    valves::ProxyValves,
    ways::{Way, Ways},
};
use http_client::{HttpClient, HttpVersion};
use openai_client::Server;
use pipe_sdk::{PipeError, Result};
use resilience::Upstream;
use std::sync::Arc;

/// All upstreams, in their order.
pub(crate) struct Upstreams {
    ways: Ways,
    connected: Vec<Connected>,
    http_client: HttpClient,
}

/// One upstream, and how it is talked to.
pub(crate) struct Connected {
    pub way: Way,
    pub server: Server,
    pub quota: Arc<Quota>,
}

impl Upstreams {
    /// Those of these valves. What is known of the calm of others, and what people have asked of them, is kept where they are the same.
    pub fn new(valves: &ProxyValves, before: Option<&Self>) -> Result<Self> {
        let ways = Ways::of(valves).map_err(PipeError::BadValves)?;
        let connect = valves.connect_timeout();
        let http_client = match before {
            Some(before) => before.http_client.with_connect_timeout(connect),
            None => HttpClient::new(connect, HttpVersion::Http2Preferred),
        };
        let connected = ways.0.iter().map(|way| {
            let limits = valves.limits(way.timeout);
            let known = before.and_then(|before| before.same(way));
            let calm =
                known.map(|known| known.server.calm()).filter(|calm| *calm.limits() == limits);
            let calm = calm.cloned().unwrap_or_else(|| Arc::new(Upstream::new(way.name(), limits)));
            let quota = known.map(|known| &known.quota);
            let quota = quota.filter(|quota| quota.most() == way.rate_limit as usize).cloned();
            let quota = quota.unwrap_or_else(|| Arc::new(Quota::new(way.rate_limit)));
            let server =
                Server::new(way.address.clone(), &way.credentials, http_client.clone(), calm);
            Connected { way: way.clone(), server, quota }
        });
        Ok(Self { connected: connected.collect(), ways, http_client })
    }

    pub fn ways(&self) -> &Ways {
        &self.ways
    }

    pub fn connected(&self) -> &[Connected] {
        &self.connected
    }

    /// The upstream of this name, if it is at the same address.
    fn same(&self, way: &Way) -> Option<&Connected> {
        let is_same =
            |one: &&Connected| one.way.prefix == way.prefix && one.way.address == way.address;
        self.connected.iter().find(is_same)
    }
}

impl Connected {
    /// Whether both are listed alike: the same place, asked by the same key.
    pub fn lists_as(&self, other: &Self) -> bool {
        let (own, others) = (&self.way, &other.way);
        let keys = [own, others].map(|way| way.credentials.key.expose());
        own.address == others.address && keys[0] == keys[1]
    }
}
