//! A closed-loop load: so many connections, each with one chat at a time.

use crate::timestamp::{TimestampScanner, now_micros};
use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use std::{cell::RefCell, rc::Rc, time::Duration};
use tokio::{
    net::TcpStream,
    task::{JoinSet, spawn_local},
    time::{Instant, sleep, timeout},
};

/// The requests of a run, and their number.
pub struct LoadOptions {
    /// The address of the chat route.
    pub url: Uri,
    /// The headers of each request.
    pub headers: HeaderMap,
    /// The body of each request.
    pub body: Bytes,
    /// The number of connections.
    pub connections: u32,
    /// The number of requests. Zero: until the time is over.
    pub requests: u64,
    /// The time in which requests are begun.
    pub duration: Duration,
    /// The time over which connections begin.
    pub ramp: Duration,
    /// The number of timestamps in a whole answer.
    pub expected_tokens: usize,
    /// The longest time for a request.
    pub timeout: Duration,
    /// The address that is asked for the next token after each token.
    pub step_url: Option<Uri>,
}

/// The result of a run. All times are in microseconds.
#[derive(Default)]
pub struct LoadResult {
    /// Whole answers.
    pub answers: u64,
    /// Requests that failed, and answers that were not whole.
    pub failures: u64,
    /// The first failure.
    pub first_failure: Option<String>,
    /// The tokens of all answers.
    pub tokens: u64,
    /// The bytes of all answers.
    pub bytes: u64,
    /// The times to the first token.
    pub first_tokens: Vec<u64>,
    /// The times that tokens were on their way from the upstream.
    pub token_delays: Vec<u64>,
    /// The times from a request to the end of its answer.
    pub totals: Vec<u64>,
}

/// The load of one run, and its result.
struct Load {
    options: LoadOptions,
    started: RefCell<u64>,
    result: RefCell<LoadResult>,
}

/// Sends the load, in a [`tokio::task::LocalSet`], and returns what was measured.
pub async fn run(options: LoadOptions) -> LoadResult {
    let connections = options.connections;
    let ramp = options.ramp;
    let load = Rc::new(Load { options, started: 0.into(), result: RefCell::default() });
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for index in 0..connections {
        let load = Rc::clone(&load);
        tasks.spawn_local(async move {
            sleep(ramp * index / connections).await;
            load.keep_asking(begin).await;
        });
    }
    tasks.join_all().await;
    load.result.take()
}

impl Load {
    /// Sends requests over one connection, one after the other, until the run is over.
    async fn keep_asking(&self, begin: Instant) {
        let mut connection = None;
        let mut steps = None;
        while self.takes_next(begin) {
            let asked = timeout(self.options.timeout, self.ask(&mut connection, &mut steps)).await;
            let failure = match asked {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => "timed out".to_owned(),
            };
            connection = None;
            let mut result = self.result.borrow_mut();
            result.failures += 1;
            result.first_failure.get_or_insert(failure);
        }
    }

    /// Returns whether another request is to be sent, and counts it.
    fn takes_next(&self, begin: Instant) -> bool {
        let mut started = self.started.borrow_mut();
        let is_over = match self.options.requests {
            0 => begin.elapsed() >= self.options.duration,
            requests => *started >= requests,
        };
        *started += 1;
        !is_over
    }

    /// Sends one request, and records the times of its answer.
    async fn ask(
        &self,
        connection: &mut Option<SendRequest<Full<Bytes>>>,
        steps: &mut Option<SendRequest<Full<Bytes>>>,
    ) -> anyhow::Result<()> {
        let options = &self.options;
        let sender = open(connection, &options.url).await?;
        let asked_at = now_micros();
        let mut request = new_request(Method::POST, &options.url, options.body.clone())?;
        request.headers_mut().extend(options.headers.clone());
        let response = sender.send_request(request).await.context("no response")?;
        let status = response.status();
        let mut body = response.into_body();
        if status != StatusCode::OK {
            let text = body.collect().await?.to_bytes();
            bail!("{status}: {}", String::from_utf8_lossy(&text[..text.len().min(300)]));
        }
        let mut scanner = TimestampScanner::default();
        let mut tokens = 0;
        while let Some(frame) = body.frame().await {
            let frame = frame.context("the answer broke off")?;
            let Some(data) = frame.data_ref() else { continue };
            let arrived_at = now_micros();
            let found = scanner.scan(data);
            if let Some(url) = &options.step_url {
                for _ in &found {
                    step(steps, url).await?;
                }
            }
            self.record(asked_at, arrived_at, tokens, &found, data.len());
            tokens += found.len();
        }
        ensure!(tokens == options.expected_tokens, "the answer had {tokens} tokens");
        let mut result = self.result.borrow_mut();
        result.answers += 1;
        result.totals.push(now_micros().saturating_sub(asked_at));
        Ok(())
    }

    /// Records the times of tokens that arrived together.
    fn record(&self, asked_at: u64, arrived_at: u64, before: usize, sent_at: &[u64], bytes: usize) {
        let mut result = self.result.borrow_mut();
        result.bytes += bytes as u64;
        result.tokens += sent_at.len() as u64;
        if before == 0 && !sent_at.is_empty() {
            result.first_tokens.push(arrived_at.saturating_sub(asked_at));
        }
        result.token_delays.extend(sent_at.iter().map(|sent| arrived_at.saturating_sub(*sent)));
    }
}

/// Asks the mock upstream for the next token.
async fn step(connection: &mut Option<SendRequest<Full<Bytes>>>, url: &Uri) -> anyhow::Result<()> {
    let sender = open(connection, url).await?;
    let request = new_request(Method::POST, url, Bytes::new())?;
    let response = sender.send_request(request).await.context("no step")?;
    response.into_body().collect().await?;
    Ok(())
}

fn new_request(method: Method, url: &Uri, body: Bytes) -> anyhow::Result<Request<Full<Bytes>>> {
    let host = url.authority().context("an address without a host")?.as_str();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder().method(method).uri(path).header(header::HOST, host);
    let request = request.header(header::CONTENT_TYPE, "application/json");
    Ok(request.body(Full::new(body))?)
}

/// Returns the open connection, or opens one.
async fn open<'a>(
    connection: &'a mut Option<SendRequest<Full<Bytes>>>,
    url: &Uri,
) -> anyhow::Result<&'a mut SendRequest<Full<Bytes>>> {
    let is_open = match connection {
        Some(sender) => sender.ready().await.is_ok(),
        None => false,
    };
    if !is_open {
        let host = url.authority().context("an address without a host")?.as_str();
        let stream = TcpStream::connect(host).await.with_context(|| format!("no {host}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        // Its errors come back from `send_request`.
        spawn_local(async move { _ = driver.await });
        *connection = Some(sender);
    }
    connection.as_mut().context("no connection")
}
