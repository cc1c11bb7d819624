//! Host names that resolve slowly, to nothing, or to another address than before, and Azure's
//! hosts: what only a scripted resolver can show.

use crate::{BaseUrl, Credentials, OpenAiError, Server};
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

/// The answer to a look-up.
#[derive(Clone)]
enum DnsAnswer {
    Unknown,
    Nothing,
    At(SocketAddr),
}

/// A resolver with a scripted answer, which counts its look-ups.
#[derive(Clone)]
struct ScriptedResolver(Arc<Mutex<(DnsAnswer, usize)>>);

impl ScriptedResolver {
    fn new(answer: DnsAnswer) -> Self {
        Self(Arc::new(Mutex::new((answer, 0))))
    }

    fn set(&self, answer: DnsAnswer) {
        self.0.lock().unwrap().0 = answer;
    }

    fn lookups(&self) -> usize {
        self.0.lock().unwrap().1
    }
}

impl Resolve for ScriptedResolver {
    fn resolve(&self, _: Name) -> Resolving {
        let mut resolver = self.0.lock().unwrap();
        resolver.1 += 1;
        match resolver.0.clone() {
            DnsAnswer::Unknown => Box::pin(async { Err("no such name".into()) }),
            DnsAnswer::Nothing => Box::pin(pending()),
            DnsAnswer::At(address) => {
                let addresses: Addrs = Box::new([address].into_iter());
                Box::pin(async { Ok(addresses) })
            }
        }
    }
}

/// Starts a server that answers each connection with this word, once.
async fn start_server(word: &'static str) -> SocketAddr {
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

fn server(resolver: &ScriptedResolver) -> Server {
    server_at("http://models.example/v1", &Credentials::default(), resolver)
}

fn server_at(base: &str, credentials: &Credentials, resolver: &ScriptedResolver) -> Server {
    let limits = Limits { connect: Duration::from_secs(1), attempts: 1, ..Limits::default() };
    let http_client = HttpClient::with_resolver(limits.connect, resolver.clone());
    let base_url: BaseUrl = base.parse().unwrap();
    let upstream = Arc::new(Upstream::new("example", limits));
    Server::new(base_url, credentials, http_client, upstream)
}

async fn answer_text(server: &Server) -> Result<String, OpenAiError> {
    let body = Body::new("m", vec![Message::new(Role::User, "hi")]);
    let answer = server.chat("m", &body, &CallContext::default()).await?;
    Ok(answer.into_chunks("m".into(), "m".into()).fold().await.unwrap().content)
}

#[tokio::test]
async fn f14_a_name_that_is_not_known_is_no_connection_and_is_looked_up_again_the_next_time() {
    let resolver = ScriptedResolver::new(DnsAnswer::Unknown);
    let server = server(&resolver);
    assert_eq!(answer_text(&server).await, Err(OpenAiError::Unreachable { timed_out: false }));
    resolver.set(DnsAnswer::At(start_server("here").await));
    assert_eq!(answer_text(&server).await.unwrap(), "here");
}

#[tokio::test]
async fn f14_a_name_that_is_looked_up_for_too_long_costs_the_time_to_connect() {
    let resolver = ScriptedResolver::new(DnsAnswer::Nothing);
    let begun = Instant::now();
    assert_eq!(
        answer_text(&server(&resolver)).await,
        Err(OpenAiError::Unreachable { timed_out: true })
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn f14_a_name_that_moves_is_followed_when_the_old_connection_is_gone() {
    let resolver = ScriptedResolver::new(DnsAnswer::At(start_server("old").await));
    let server = server(&resolver);
    assert_eq!(answer_text(&server).await.unwrap(), "old");
    resolver.set(DnsAnswer::At(start_server("new").await));
    assert_eq!(answer_text(&server).await.unwrap(), "new");
    assert_eq!(resolver.lookups(), 2);
}

#[tokio::test]
async fn a_deployment_of_azure_s_is_asked_by_its_path_its_version_and_its_own_header() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let resolver = ScriptedResolver::new(DnsAnswer::At(listener.local_addr().unwrap()));
    let credentials = Credentials { key: "sk-azure".into(), ..Credentials::default() };
    let base = "http://mine.openai.azure.com/openai/deployments/gpt/";
    let server = server_at(base, &credentials, &resolver);
    let request = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = vec![0; 4096];
        let length = stream.read(&mut bytes).await.unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let (request, answer) = tokio::join!(request, answer_text(&server));
    assert_eq!(answer, Err(OpenAiError::ConnectionLost));
    let line = "POST /openai/deployments/gpt/chat/completions?api-version=2024-10-21 HTTP/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    assert!(request.contains("\r\napi-key: sk-azure\r\n"), "{request}");
    assert!(!request.to_ascii_lowercase().contains("authorization"), "{request}");
}
