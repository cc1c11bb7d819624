//! Hosts that answer by script, hosts that nobody may reach, and names that lead where a test wants.

use futures_util::future::BoxFuture;
use guarded_fetch::{Fetcher, Resolver, Rules};
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

/// Stands for the public internet: on loopback, and opened by a rule.
pub const OPEN: &str = "127.0.0.2";

/// Nobody listens here, at no port.
pub const DESERTED: &str = "127.0.0.3";

/// The rules by which [`OPEN`] may be reached, at this port.
pub fn rules(port: u16) -> Rules {
    Rules {
        also: vec![format!("{OPEN}/32").parse().unwrap()],
        plain_http: true,
        ports: vec![port],
        ..Rules::default()
    }
}

/// A client that goes to hosts at this port alone, and asks these names.
pub fn fetcher(port: u16, names: Names) -> Fetcher {
    Fetcher::with_resolver(rules(port), names)
}

/// A port on loopback's private address that nobody may connect to.
pub struct Trap(TcpListener);

impl Trap {
    pub fn set() -> Self {
        Self::at("127.0.0.1:0").unwrap()
    }

    pub fn at(address: &str) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// Whether somebody connected. The kernel completes connections by itself, so nothing has to be waited for.
    pub fn is_sprung(&self) -> bool {
        self.0.accept().is_ok()
    }
}

/// A trap, and the same port at [`OPEN`].
pub fn trap_and_open() -> (Trap, TcpListener) {
    loop {
        let trap = Trap::set();
        if let Ok(open) = TcpListener::bind((OPEN, trap.port())) {
            return (trap, open);
        }
    }
}

/// What a host does after its answer.
#[derive(Clone, Copy, PartialEq)]
pub enum Then {
    Close,
    /// Says nothing more, and from then on the test's time passes by itself.
    Stall,
}

/// A host at [`OPEN`] that answers each path with its bytes.
pub struct Site {
    pub port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Site {
    /// A host that closes after each answer.
    pub fn with<'a, A: AsRef<[u8]>>(answers: impl IntoIterator<Item = (&'a str, A)>) -> Self {
        Self::that(Then::Close, answers)
    }

    /// A host that does this after each answer.
    pub fn that<'a, A: AsRef<[u8]>>(
        then: Then,
        answers: impl IntoIterator<Item = (&'a str, A)>,
    ) -> Self {
        Self::on(TcpListener::bind((OPEN, 0)).unwrap(), then, answers)
    }

    pub fn on<P: Into<String>, A: AsRef<[u8]>>(
        listener: TcpListener,
        then: Then,
        answers: impl IntoIterator<Item = (P, A)>,
    ) -> Self {
        let port = listener.local_addr().unwrap().port();
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let answers: HashMap<String, Vec<u8>> = answers
            .into_iter()
            .map(|(path, answer)| (path.into(), answer.as_ref().to_vec()))
            .collect();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let mut serving = JoinSet::new();
        let requests = Arc::clone(&asked);
        serving.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that leaves in the middle is what some tests are about.
                drop(serve(stream, then, &answers, &requests).await);
            }
        });
        Self { port, asked, _serving: serving }
    }

    pub fn link(&self, path: &str) -> String {
        format!("http://{OPEN}:{}{path}", self.port)
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub fn fetcher(&self) -> Fetcher {
        fetcher(self.port, Names::default())
    }
}

async fn serve(
    mut stream: TcpStream,
    then: Then,
    answers: &HashMap<String, Vec<u8>>,
    asked: &Mutex<Vec<String>>,
) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(head);
    stream.write_all(answers.get(&path).unwrap_or_else(|| panic!("asked for {path}"))).await?;
    if then == Then::Stall {
        tokio::time::pause();
        std::future::pending::<()>().await;
    }
    stream.shutdown().await
}

/// An answer with this body and these further header lines.
pub fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n").as_bytes(), body]
        .concat()
}

/// An answer that points elsewhere.
pub fn moved(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

/// Names and their addresses, one answer after the other; the last one stays.
#[derive(Clone, Default)]
pub struct Names(Arc<Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>>, Arc<Mutex<usize>>);

impl Names {
    /// The same name with further answers.
    pub fn and(self, name: &str, answers: &[&[&str]]) -> Self {
        let parsed = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect();
        self.0.lock().unwrap().insert(name.to_owned(), answers.iter().map(parsed).collect());
        self
    }

    /// How often they were asked.
    pub fn asked(&self) -> usize {
        *self.1.lock().unwrap()
    }
}

impl Resolver for Names {
    fn addresses<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        *self.1.lock().unwrap() += 1;
        let mut names = self.0.lock().unwrap();
        let answer = names.get_mut(name).map(|answers| match answers.len() {
            1 => answers.front().cloned().unwrap(),
            _ => answers.pop_front().unwrap(),
        });
        Box::pin(async { answer.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }
}
