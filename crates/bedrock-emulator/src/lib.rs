//! An emulator of Amazon Bedrock's control plane and runtime on a loopback socket.
//!
//! Point any Bedrock client at [`Emulator::endpoint`], script the responses, and read the requests
//! that it sent:
//!
//! ```
//! use bedrock_emulator::{
//!     ANY, BedrockException, Emulator, EmulatorOptions, ModelAnswer, Operation, Script,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let emulator = Emulator::start(EmulatorOptions::default())?;
//! emulator.script(ANY, Script::throttle().times(2));
//! emulator.script("us.anthropic.*", Script::answer(ModelAnswer::with_text(["Hel", "lo"])));
//! // Only in one region:
//! emulator.script_model_in("us-east-1", "amazon.*", Script::throttle().times(3));
//! let denied = BedrockException::access_denied("not here");
//! emulator.script_region("us-west-2", Script::fault(denied).always());
//!
//! // ... call a model at `emulator.endpoint()` with the keys in `DEMO_KEY`, then:
//! let requests = emulator.requests();
//! let streamed =
//!     requests.iter().filter(|r| r.operation == Some(Operation::ConverseStream)).count();
//! # assert_eq!(streamed, 0);
//! # Ok(())
//! # }
//! ```
//!
//! Each request is checked as Bedrock checks it: its signature, its model, its body against the
//! service's schema, the order of its messages, and the restrictions of the model's family. Only a
//! request that passes uses up a script. Without a script a demo answers or, with
//! [`EmulatorOptions::relay`], a real model behind an OpenAI-compatible server.

mod auth;
mod body;
mod catalogue;
mod control;
mod credential;
mod demo;
mod deployment;
mod event;
mod exception;
mod frame;
mod invoke;
mod model_answer;
mod operation;
mod playback;
mod prompt_cache;
mod received_request;
mod relay;
mod request_log;
mod response;
mod runtime;
mod script;
mod server;
mod signatures;
mod socket;
mod state;
mod tokens;
mod usage;
pub mod validate;

pub use auth::AccessKey;
pub use catalogue::{Catalogue, FoundationModel, InferenceProfile};
pub use credential::AuthKind;
pub use deployment::{ACCOUNT, Deployment, DeploymentKind};
pub use event::StreamEvent;
pub use exception::BedrockException;
pub use model_answer::ModelAnswer;
pub use operation::Operation;
pub use relay::Relay;
pub use request_log::{ExchangeOutcome, RecordedRequest};
pub use script::{ANY, InjectedFault, Script};
pub use socket::ConnectionCounts;
pub use usage::TokenUsage;

use auth::AcceptedCredentials;
use request_log::RequestLog;
use state::{EmulatorState, lock};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The id and secret of the access key in [`EmulatorOptions::default`].
pub const DEMO_KEY: (&str, &str) =
    ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

/// The bearer token in [`EmulatorOptions::default`].
pub const DEMO_BEARER_TOKEN: &str = "bedrock-api-key-demo";

/// The options of an emulator.
#[derive(Clone, Debug)]
pub struct EmulatorOptions {
    /// The address to listen on. Port 0 takes a free port.
    pub address: SocketAddr,
    /// The models, inference profiles and deployments.
    pub catalogue: Catalogue,
    /// The access keys that may sign requests.
    pub keys: Vec<AccessKey>,
    /// The bearer tokens that may call.
    pub bearer_tokens: Vec<String>,
    /// The region of requests without one, as those with a bearer token.
    pub default_region: String,
    /// `true` if a region without models serves those of the default region.
    pub serves_every_region: bool,
    /// The time that the demo takes for a word.
    pub pace: Duration,
    /// A real model that answers instead of the demo.
    pub relay: Option<Relay>,
    /// `true` if requests are kept for [`Emulator::requests`]. Memory grows with each of them.
    pub records_requests: bool,
}

impl Default for EmulatorOptions {
    /// Returns options for tests: a free port, the built-in catalogue, the demo key and token, no
    /// delays.
    fn default() -> Self {
        let (id, secret) = DEMO_KEY;
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            catalogue: Catalogue::default(),
            keys: vec![AccessKey {
                id: id.to_owned(),
                secret: secret.to_owned(),
                session_token: None,
            }],
            bearer_tokens: vec![DEMO_BEARER_TOKEN.to_owned()],
            default_region: "us-east-1".to_owned(),
            serves_every_region: false,
            pace: Duration::ZERO,
            relay: None,
            records_requests: true,
        }
    }
}

impl EmulatorOptions {
    /// Returns the default options with a pace at which a person can watch the answer, with models
    /// in every region, and without a log of requests.
    pub fn demo() -> Self {
        Self {
            pace: Duration::from_millis(20),
            serves_every_region: true,
            records_requests: false,
            ..Self::default()
        }
    }
}

/// A running emulator. Dropping it closes its port and all connections.
pub struct Emulator {
    address: SocketAddr,
    state: Arc<EmulatorState>,
    // Dropping the set ends the server.
    _server: JoinSet<()>,
}

impl Emulator {
    /// Binds the address and starts to serve, on the current Tokio runtime.
    pub fn start(options: EmulatorOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let state = Arc::new(options.open_state());
        let mut server = JoinSet::new();
        server.spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, _server: server })
    }

    /// Returns the endpoint URL for clients.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Queues a script for requests to models that match the pattern (`*` matches any text). The
    /// pattern is compared with the name in the request and with the base id of the model.
    pub fn script(&self, model: &str, script: Script) {
        self.script_model_in(ANY, model, script);
    }

    /// Queues a script for requests to models that match the pattern, only in regions that match
    /// theirs.
    pub fn script_model_in(&self, region: &str, model: &str, script: Script) {
        lock(&self.state.models).add(region, model, script);
    }

    /// Queues a script for control-plane requests to regions that match the pattern. It can delay,
    /// fail or hang a request; the content of the lists cannot be scripted.
    pub fn script_region(&self, region: &str, script: Script) {
        lock(&self.state.regions).add(region, ANY, script);
    }

    /// Queues a script for one operation of the control plane in regions that match the pattern,
    /// for example to deny the account one list and allow the others.
    pub fn script_list(&self, region: &str, operation: Operation, script: Script) {
        lock(&self.state.regions).add(region, &format!("{operation:?}"), script);
    }

    /// Removes all scripts.
    pub fn clear_scripts(&self) {
        *lock(&self.state.models) = Default::default();
        *lock(&self.state.regions) = Default::default();
    }

    /// Makes all credentials expired, or valid again.
    pub fn expire_credentials(&self, expired: bool) {
        lock(&self.state.credentials).expired = expired;
    }

    /// Returns the catalogue of this emulator.
    pub fn catalogue(&self) -> &Catalogue {
        &self.state.catalogue
    }

    /// Returns all requests so far, in order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.state.request_log.requests()
    }

    /// Waits until this many requests have arrived, and returns them all.
    pub async fn wait_for_requests(&self, count: usize) -> Vec<RecordedRequest> {
        self.state.request_log.wait_for_requests(count).await
    }

    /// Waits until the response to this request (counted from 0) has ended, and returns its
    /// outcome.
    pub async fn wait_for_outcome(&self, request: usize) -> ExchangeOutcome {
        self.state.request_log.wait_for_outcome(request).await
    }

    /// Returns the numbers of accepted and of open connections.
    pub fn connection_counts(&self) -> ConnectionCounts {
        self.state.connection_counters.read()
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl EmulatorOptions {
    fn open_state(self) -> EmulatorState {
        let credentials = AcceptedCredentials {
            keys: self.keys,
            bearer_tokens: self.bearer_tokens,
            expired: false,
        };
        EmulatorState {
            catalogue: self.catalogue,
            default_region: self.default_region,
            serves_every_region: self.serves_every_region,
            pace: self.pace,
            relay: self.relay,
            request_log: RequestLog::new(self.records_requests),
            connection_counters: Default::default(),
            credentials: credentials.into(),
            models: Default::default(),
            regions: Default::default(),
            prompts: Default::default(),
            signatures: Default::default(),
        }
    }
}
