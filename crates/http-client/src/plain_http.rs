//! A client for plain HTTP with a small read buffer.
//!
//! A server in the own network sends faster than the program's clients read, so each response would
//! fill a large buffer. reqwest has no setting for its size. Over TLS reqwest reads one record at a
//! time, which is small enough.

use crate::{ConnectionError, POOL_IDLE_TIMEOUT, resolver::CheckedResolver};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use reqwest::{
    Body, Request, Response,
    header::{ACCEPT, HeaderValue, USER_AGENT},
};
use std::time::Duration;

/// The size of the read buffer, in bytes. The head of a response must fit into it, as into the
/// buffer of nginx (`proxy_buffer_size`, 4 or 8 KiB).
const MAX_READ_BUFFER: usize = 8 << 10;

/// A client for plain HTTP without a proxy.
#[derive(Clone, Debug)]
pub struct PlainHttpClient(Client<HttpConnector<CheckedResolver>, Body>);

impl PlainHttpClient {
    pub fn new(connect_timeout: Duration) -> Self {
        let mut connector = HttpConnector::new_with_resolver(CheckedResolver::default());
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(connect_timeout));
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .retry_canceled_requests(false)
            .http1_max_buf_size(MAX_READ_BUFFER)
            .build(connector);
        Self(client)
    }

    pub async fn execute(&self, request: Request) -> Result<Response, ConnectionError> {
        let mut request: http::Request<Body> = request.try_into()?;
        let headers = request.headers_mut();
        headers.entry(ACCEPT).or_insert(HeaderValue::from_static("*/*"));
        headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(crate::USER_AGENT));
        let response = self.0.request(request).await?;
        Ok(response.map(Body::wrap).into())
    }
}
