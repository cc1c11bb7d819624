//! Scripted hosts, ports that must get no connection, and a resolver with scripted addresses.

use futures_util::future::BoxFuture;
use guarded_fetch::{FetchPolicy, Fetcher, Resolver};
use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, TcpListener},
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

/// A loopback address that stands for the public internet. The policy of the tests allows it.
pub const PUBLIC_IP: &str = "127.0.0.2";

/// A loopback address on which nothing listens.
pub const UNUSED_IP: &str = "127.0.0.3";

/// Returns a policy that allows [`PUBLIC_IP`] at this port.
pub fn policy(port: u16) -> FetchPolicy {
    FetchPolicy {
        allowed_networks: vec![format!("{PUBLIC_IP}/32").parse().unwrap()],
        allows_plain_http: true,
        allowed_ports: vec![port],
        ..FetchPolicy::default()
    }
}

/// Returns a client with that policy and this resolver.
pub fn fetcher(port: u16, resolver: FakeResolver) -> Fetcher {
    Fetcher::with_resolver(policy(port), resolver)
}

/// A port on a private address of loopback that must get no connection.
pub struct Trap(TcpListener);

impl Trap {
    pub fn new() -> Self {
        Self::bind("127.0.0.1:0").unwrap()
    }

    pub fn bind(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Returns whether a client connected. The kernel completes connections by itself, so the test
    /// need not wait.
    pub fn has_connection(&self) -> bool {
        self.0.accept().is_ok()
    }
}

/// Binds a trap, and the same port at [`PUBLIC_IP`].
pub fn bind_trap_and_public() -> (Trap, TcpListener) {
    loop {
        let trap = Trap::new();
        if let Ok(open) = TcpListener::bind((PUBLIC_IP, trap.port())) {
            return (trap, open);
        }
    }
}

/// The behaviour of a host after its response.
#[derive(Clone, Copy, PartialEq)]
pub enum AfterResponse {
    Close,
    /// Sends nothing more, and pauses tokio's clock so that time-outs elapse at once.
    Stall,
}

/// A host at [`PUBLIC_IP`] with a scripted response for each path.
pub struct Site {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Site {
    /// Starts a host that closes the connection after each response.
    pub fn with<'a, A: AsRef<[u8]>>(responses: impl IntoIterator<Item = (&'a str, A)>) -> Self {
        Self::with_end(AfterResponse::Close, responses)
    }

    /// Starts a host with this behaviour after each response.
    pub fn with_end<'a, A: AsRef<[u8]>>(
        then: AfterResponse,
        responses: impl IntoIterator<Item = (&'a str, A)>,
    ) -> Self {
        Self::on_listener(TcpListener::bind((PUBLIC_IP, 0)).unwrap(), then, responses)
    }

    pub fn on_listener<P: Into<String>, A: AsRef<[u8]>>(
        listener: TcpListener,
        then: AfterResponse,
        responses: impl IntoIterator<Item = (P, A)>,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let responses: HashMap<String, Vec<u8>> = responses
            .into_iter()
            .map(|(path, answer)| (path.into(), answer.as_ref().to_vec()))
            .collect();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let recorded = Arc::clone(&requests);
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // An error is fine: in some tests the client closes the connection early.
                drop(serve(stream, then, &responses, &recorded).await);
            }
        });
        Self { port, requests, _serving: serving }
    }

    pub fn link(&self, path: &str) -> String {
        format!("http://{PUBLIC_IP}:{}{path}", self.port)
    }

    /// Returns the heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub fn fetcher(&self) -> Fetcher {
        fetcher(self.port, FakeResolver::default())
    }
}

async fn serve(
    mut stream: TcpStream,
    then: AfterResponse,
    responses: &HashMap<String, Vec<u8>>,
    requests: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    requests.lock().unwrap().push(head);
    stream
        .write_all(responses.get(&path).unwrap_or_else(|| panic!("no response for {path}")))
        .await?;
    if then == AfterResponse::Stall {
        tokio::time::pause();
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

/// Returns a response with this body and these further header lines.
pub fn ok_response(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n").as_bytes(), body]
        .concat()
}

/// Returns a response that redirects.
pub fn redirect_to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// A resolver with scripted answers for each name. The last answer repeats.
#[derive(Clone, Default)]
pub struct FakeResolver {
    addresses: Arc<Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>>,
    lookups: Arc<Mutex<usize>>,
}

impl FakeResolver {
    /// Adds a name with its answers.
    pub fn with_name(self, name: &str, responses: &[&[&str]]) -> Self {
        let parsed = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        self.addresses
            .lock()
            .unwrap()
            .insert(name.to_owned(), responses.iter().map(parsed).collect());
        self
    }

    /// Returns the number of look-ups.
    pub fn lookup_count(&self) -> usize {
        *self.lookups.lock().unwrap()
    }
}

impl Resolver for FakeResolver {
    fn look_up<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        *self.lookups.lock().unwrap() += 1;
        let mut names = self.addresses.lock().unwrap();
        let answer = names.get_mut(name).map(|answers| match answers.len() {
            1 => answers.front().cloned().unwrap(),
            _ => answers.pop_front().unwrap(),
        });
        Box::pin(async { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}
