//! A client for plain HTTP, which reads ahead no more than a little: servers on one's own network send faster than clients read.
//!
//! reqwest has no setting for it. Over TLS it reads a record at a time, which is little enough.

use crate::IDLE;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use reqwest::{
    Body, Request, Response,
    header::{ACCEPT, HeaderValue, USER_AGENT},
};
use std::{error::Error, io, time::Duration};

/// How much of an answer is read before it is asked for; the head of an answer must fit too.
const READ_AHEAD: usize = 16 << 10;

/// Why a server gave no answer.
#[derive(Debug)]
pub struct ConnectionError {
    is_connect: bool,
    is_timeout: bool,
}

impl ConnectionError {
    /// Whether there was no connection to the server.
    pub fn is_connect(&self) -> bool {
        self.is_connect
    }

    /// Whether it took too long.
    pub fn is_timeout(&self) -> bool {
        self.is_timeout
    }
}

impl From<reqwest::Error> for ConnectionError {
    fn from(error: reqwest::Error) -> Self {
        Self { is_connect: error.is_connect(), is_timeout: error.is_timeout() }
    }
}

impl From<hyper_util::client::legacy::Error> for ConnectionError {
    fn from(error: hyper_util::client::legacy::Error) -> Self {
        Self { is_connect: error.is_connect(), is_timeout: is_timeout(&error) }
    }
}

/// Whether a time-out is among the causes.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let io = error.downcast_ref::<io::Error>();
        if io.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[derive(Clone, Debug)]
pub struct PlainClient(Client<HttpConnector, Body>);

impl PlainClient {
    pub fn new(connect_timeout: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(connect_timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .http1_max_buf_size(READ_AHEAD)
            .build(connector);
        Self(client)
    }

    pub async fn execute(&self, request: Request) -> Result<Response, ConnectionError> {
        let mut request: http::Request<Body> = request.try_into()?;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(crate::AGENT));
        let response = self.0.request(request).await?;
        Ok(response.map(Body::wrap).into())
    }
}
