//! Amazon Bedrock's control and runtime wire protocol on a loopback socket.
//!
//! Point any Bedrock client at [`Emulator::endpoint`], script what it is to meet, and look at what it sent:
//!
//! ```
//! use bedrock_emulator::{ANY, Answer, Emulator, Fault, Operation, Options, Script};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let emulator = Emulator::start(Options::default())?;
//! emulator.script(ANY, Script::throttle().times(2));
//! emulator.script("us.anthropic.*", Script::answer(Answer::says(["Hel", "lo"])));
//! emulator.script_model_in("us-east-1", "amazon.*", Script::throttle().times(3)); // as usual in other regions
//! emulator.script_region("us-west-2", Script::fault(Fault::access_denied("not here")).always());
//!
//! // ... call a model at `emulator.endpoint()` with the keys in `DEMO_KEY`, then:
//! let streamed = emulator.requests().iter().filter(|r| r.operation == Some(Operation::ConverseStream)).count();
//! # assert_eq!(streamed, 0);
//! # Ok(())
//! # }
//! ```
//!
//! Each request is checked as Bedrock would check it: its signature, its model, its body against the service's schema,
//! the order of its turns, and what the model's family forbids. Only a request that passes takes a script. Without a
//! script a demo answers, or, with [`Options::relay`], a real model behind an OpenAI-compatible server.

mod account;
mod answer;
mod auth;
mod body;
mod call;
mod catalogue;
mod control;
mod credential;
mod demo;
mod deployment;
mod event;
mod fault;
mod frame;
mod invoke;
mod operation;
mod play;
mod prompt_cache;
mod record;
mod relay;
mod reply;
mod runtime;
mod script;
mod server;
mod signatures;
mod socket;
mod tokens;
mod usage;
pub mod validate;

pub use answer::Answer;
pub use auth::AccessKey;
pub use catalogue::{ACCOUNT, Catalogue, Model, Profile};
pub use credential::AuthKind;
pub use deployment::{Deployment, Kind};
pub use event::Event;
pub use fault::Fault;
pub use operation::Operation;
pub use record::{Ending, Recorded};
pub use relay::Relay;
pub use script::{ANY, Mishap, Script};
pub use socket::Connections;
pub use usage::Usage;

use account::{Account, locked};
use auth::Keyring;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// The id and secret of the one key [`Options::default`] knows.
pub const DEMO_KEY: (&str, &str) =
    ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");

/// The bearer token [`Options::default`] knows.
pub const DEMO_BEARER_TOKEN: &str = "bedrock-api-key-demo";

/// How an emulator is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen. Port 0 takes a free one.
    pub address: SocketAddr,
    /// The models, profiles and deployments there are.
    pub catalogue: Catalogue,
    /// The keys that may sign.
    pub keys: Vec<AccessKey>,
    /// The bearer tokens that may call.
    pub bearer_tokens: Vec<String>,
    /// The region of calls that name none, which bearer calls do not.
    pub default_region: String,
    /// How long the demo takes for a word.
    pub pace: Duration,
    /// A real model to answer in the demo's place.
    pub relay: Option<Relay>,
}

impl Default for Options {
    /// For tests: a free port, the built-in catalogue, the demo key and token, no waiting.
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
            pace: Duration::ZERO,
            relay: None,
        }
    }
}

impl Options {
    /// For people: as the default, and answering at a pace they can watch.
    pub fn demo() -> Self {
        Self { pace: Duration::from_millis(20), ..Self::default() }
    }
}

/// A running emulator. Dropped, it closes its port and all connections.
pub struct Emulator {
    address: SocketAddr,
    account: Arc<Account>,
    // Held for its end: dropping the set ends the server.
    _server: JoinSet<()>,
}

impl Emulator {
    /// Binds and begins to serve, on the Tokio runtime this is called in.
    pub fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(options.address)?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let account = Arc::new(options.open_account());
        let mut server = JoinSet::new();
        server.spawn(server::serve(listener, Arc::clone(&account)));
        Ok(Self { address, account, _server: server })
    }

    /// The URL to point a client at.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Queues a script for calls to models that fit the pattern (`*` for anything), by the name the caller gives or by
    /// the base id behind it.
    pub fn script(&self, model: &str, script: Script) {
        self.script_model_in(ANY, model, script);
    }

    /// Queues a script for calls to models that fit the pattern, in regions that fit theirs: the same model answers
    /// elsewhere.
    pub fn script_model_in(&self, region: &str, model: &str, script: Script) {
        locked(&self.account.models).add(region, model, script);
    }

    /// Queues a script for control-plane calls to regions that fit the pattern: its delay, its fault, its hanging. The
    /// lists themselves cannot be scripted, nor cut short.
    pub fn script_region(&self, region: &str, script: Script) {
        locked(&self.account.regions).add(region, ANY, script);
    }

    /// Queues a script for one operation of the control plane in regions that fit the pattern: the account may be allowed one list and
    /// not another.
    pub fn script_list(&self, region: &str, operation: Operation, script: Script) {
        locked(&self.account.regions).add(region, &format!("{operation:?}"), script);
    }

    /// Forgets all scripts not yet played.
    pub fn clear_scripts(&self) {
        *locked(&self.account.models) = Default::default();
        *locked(&self.account.regions) = Default::default();
    }

    /// From now on all credentials have expired; or no longer.
    pub fn expire_credentials(&self, expired: bool) {
        locked(&self.account.keyring).expired = expired;
    }

    /// The catalogue it serves.
    pub fn catalogue(&self) -> &Catalogue {
        &self.account.catalogue
    }

    /// All requests so far, in the order they came in.
    pub fn requests(&self) -> Vec<Recorded> {
        self.account.journal.requests()
    }

    /// Waits until there have been this many requests, and gives them all.
    pub async fn wait_for_requests(&self, count: usize) -> Vec<Recorded> {
        self.account.journal.count(count).await
    }

    /// Waits until the exchange of this request (from 0) has ended, and tells how.
    pub async fn closed(&self, request: usize) -> Ending {
        self.account.journal.ending(request).await
    }

    /// How many connections there have been, and how many there are.
    pub fn connections(&self) -> Connections {
        self.account.census.count()
    }
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}

impl Options {
    fn open_account(self) -> Account {
        let keyring =
            Keyring { keys: self.keys, bearer_tokens: self.bearer_tokens, expired: false };
        Account {
            catalogue: self.catalogue,
            default_region: self.default_region,
            pace: self.pace,
            relay: self.relay,
            journal: Default::default(),
            census: Default::default(),
            keyring: keyring.into(),
            models: Default::default(),
            regions: Default::default(),
            prompts: Default::default(),
            signatures: Default::default(),
        }
    }
}
