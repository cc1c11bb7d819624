//! A runtime, the Bedrock that it talks to, and requests for it.

use aws_credential_types::{
    Credentials,
    provider::{
        self, ProvideCredentials, SharedCredentialsProvider, error::CredentialsError, future,
    },
};
use bedrock_emulator::{DEMO_KEY, Emulator, EmulatorOptions};
use bedrock_runtime::{
    Attempt, Endpoints, Identity, Operation, Request, Response, Runtime, SendError, ServiceError,
};
use bytes::Bytes;
use http::HeaderMap;
use http_client::{HttpClient, HttpVersion};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};
use tokio::sync::Barrier;

pub const LITE: &str = "amazon.nova-lite-v1:0";

pub fn bedrock() -> Emulator {
    Emulator::start(EmulatorOptions::default()).unwrap()
}

pub fn keys(secret: &str) -> Credentials {
    Credentials::new(DEMO_KEY.0, secret, None, None, "test")
}

pub fn demo_keys() -> Identity {
    Identity::from_credentials(SharedCredentialsProvider::new(keys(DEMO_KEY.1)))
}

pub fn runtime_as(bedrock: &Emulator, identity: Identity) -> Runtime {
    runtime_at(bedrock.endpoint(), identity)
}

pub fn runtime_at(endpoint: String, identity: Identity) -> Runtime {
    let http_client = HttpClient::new(Duration::from_secs(5), HttpVersion::Http1Only);
    Runtime::new(http_client, Endpoints::Fixed(endpoint), identity)
}

pub fn runtime(bedrock: &Emulator) -> Runtime {
    runtime_as(bedrock, demo_keys())
}

/// Returns a request with this body, which is none of Bedrock's business if it is refused anyway.
pub fn request<'a>(operation: Operation<'a>, body: &'static str) -> Request<'a> {
    Request {
        region: "us-east-1",
        operation,
        body: Bytes::from_static(body.as_bytes()),
        headers: HeaderMap::new(),
        attempt: Attempt { number: 1, max: 3 },
    }
}

/// A chat of one question.
pub const HELLO: &str = r#"{"messages":[{"role":"user","content":[{"text":"Hello"}]}]}"#;

pub fn hello() -> Request<'static> {
    request(Operation::ConverseStream(LITE), HELLO)
}

/// Returns the error of a request that AWS refused.
pub fn refused(result: Result<Response, SendError>) -> ServiceError {
    match result {
        Err(SendError::Service(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// A source of credentials that counts how often it is asked, and hands out other ones each time.
#[derive(Debug)]
pub struct Counting {
    asked: AtomicUsize,
    hand_out: fn(usize) -> provider::Result,
    /// Everybody who asks waits here first.
    gate: Option<Barrier>,
}

impl Counting {
    pub fn new(hand_out: fn(usize) -> provider::Result) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), hand_out, gate: None })
    }

    pub fn gated(hand_out: fn(usize) -> provider::Result) -> Arc<Self> {
        Arc::new(Self { asked: AtomicUsize::new(0), hand_out, gate: Some(Barrier::new(2)) })
    }

    /// Lets one who asks go on.
    pub async fn open(&self) {
        self.gate.as_ref().unwrap().wait().await;
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }

    pub fn identity(self: &Arc<Self>) -> Identity {
        let provider: Arc<dyn ProvideCredentials> = Arc::clone(self) as _;
        Identity::from_credentials(SharedCredentialsProvider::from(provider))
    }

    async fn ask(&self) -> provider::Result {
        let before = self.asked.fetch_add(1, Relaxed);
        if let Some(gate) = &self.gate {
            gate.wait().await;
        }
        (self.hand_out)(before)
    }
}

impl ProvideCredentials for Counting {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.ask())
    }
}

/// Returns the right keys, for so many seconds.
pub fn for_seconds(seconds: u64) -> Credentials {
    let end = SystemTime::now() + Duration::from_secs(seconds);
    Credentials::new(DEMO_KEY.0, DEMO_KEY.1, None, Some(end), "test")
}

pub fn lost() -> CredentialsError {
    CredentialsError::provider_error("the role cannot be assumed")
}
