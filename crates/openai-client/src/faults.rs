//! Names that are looked up slowly, not at all, otherwise than before, or that decide how one is asked: what only a resolver of one's own
//! can show.

use crate::{Address, Credentials, Server, Trouble};
use futures_util::future::pending;
use http_client::HttpClient;
use pipe_sdk::{Body, CallContext, Message, Role};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use resilience::{Limits, Upstream};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// What a name is answered with.
#[derive(Clone)]
enum Answer {
    Unknown,
    Nothing,
    At(SocketAddr),
}

/// A resolver that answers as it was told, and counts how often it was asked.
#[derive(Clone)]
struct Told(Arc<Mutex<(Answer, usize)>>);

impl Told {
    fn new(answer: Answer) -> Self {
        Self(Arc::new(Mutex::new((answer, 0))))
    }

    fn tell(&self, answer: Answer) {
        self.0.lock().unwrap().0 = answer;
    }

    fn asked(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Resolve for Told {
    fn resolve(&self, _: Name) -> Resolving {
        let mut told = self.0.lock().unwrap();
        told.1 += 1;
        match told.0.clone() {
            Answer::Unknown => Box::pin(async { Err("no such name".into()) }),
            Answer::Nothing => Box::pin(pending()),
            Answer::At(address) => {
                let addresses: Addrs = Box::new([address].into_iter());
                Box::pin(async { Ok(addresses) })
            }
        }
    }
}

/// A server that says who it is, once to a connection.
async fn serving(word: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            _ = stream.read(&mut [0; 4096]).await.unwrap();
            let body = format!(
                r#"{{"choices":[{{"message":{{"content":"{word}"}},"finish_reason":"stop"}}]}}"#
            );
            let length = body.len();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    address
}

fn server(told: &Told) -> Server {
    server_at("http://models.example/v1", &Credentials::default(), told)
}

fn server_at(base: &str, credentials: &Credentials, told: &Told) -> Server {
    let limits = Limits { connect: Duration::from_secs(1), attempts: 1, ..Limits::default() };
    let http_client = HttpClient::with_resolver(limits.connect, told.clone());
    let address: Address = base.parse().unwrap();
    let calm = Arc::new(Upstream::new("example", limits));
    Server::new(address, credentials, http_client, calm)
}

async fn said(server: &Server) -> Result<String, Trouble> {
    use futures_util::{StreamExt, TryStreamExt};
    let body = Body::new("m", vec![Message::new(Role::User, "hi")]);
    let chunks: Vec<_> =
        server.chat("m", &body, &CallContext::default()).await?.try_collect().await?;
    let chunks = pipe_sdk::ChunkStream::new(futures_util::stream::iter(chunks).map(Ok));
    Ok(chunks.fold().await.unwrap().content)
}

#[tokio::test]
async fn f14_a_name_that_is_not_known_is_no_connection_and_is_looked_up_again_the_next_time() {
    let told = Told::new(Answer::Unknown);
    let server = server(&told);
    assert_eq!(said(&server).await, Err(Trouble::Unreachable { late: false }));
    told.tell(Answer::At(serving("here").await));
    assert_eq!(said(&server).await.unwrap(), "here");
}

#[tokio::test]
async fn f14_a_name_that_is_looked_up_for_too_long_costs_the_time_to_connect() {
    let told = Told::new(Answer::Nothing);
    let begun = Instant::now();
    assert_eq!(said(&server(&told)).await, Err(Trouble::Unreachable { late: true }));
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn f14_a_name_that_moves_is_followed_when_the_old_connection_is_gone() {
    let told = Told::new(Answer::At(serving("old").await));
    let server = server(&told);
    assert_eq!(said(&server).await.unwrap(), "old");
    told.tell(Answer::At(serving("new").await));
    assert_eq!(said(&server).await.unwrap(), "new");
    assert_eq!(told.asked(), 2);
}

#[tokio::test]
async fn a_deployment_of_azure_s_is_asked_by_its_path_its_version_and_its_own_header() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let told = Told::new(Answer::At(listener.local_addr().unwrap()));
    let credentials = Credentials { key: "sk-azure".into(), ..Credentials::default() };
    let base = "http://mine.openai.azure.com/openai/deployments/gpt/";
    let server = server_at(base, &credentials, &told);
    let heard = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let (heard, said) = tokio::join!(heard, said(&server));
    assert_eq!(said, Err(Trouble::Broken));
    let line = "POST /openai/deployments/gpt/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n";
    assert!(heard.starts_with(line), "{heard}");
    assert!(heard.contains("\r\napi-key: sk-azure\r\n"), "{heard}");
    assert!(!heard.to_ascii_lowercase().contains("authorization"), "{heard}");
}
