//! A host that listens on loopback, as an AWS Lambda function: events in, requests to the host, its answers out as they come.
//!
//! The Lambda Web Adapter makes requests of events and forwards them. Here it is a part of the program in place of an extension beside
//! it: one binary is the function, and nothing has to be waited for. What is no request of a client's, as the test events of AWS's
//! console are, is answered here, and the host is not asked.

use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{
    body::Incoming,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue, SET_COOKIE},
};
use hyper_util::client::legacy::connect::HttpConnector;
use lambda_http::{
    Body, Context, Error, Request, RequestExt, Response, Service,
    request::{LambdaRequest, RequestContext},
};
use lambda_web_adapter::{Adapter, AdapterOptions, LambdaInvokeMode};
use serde_json::{Map, Value, json};
use std::{
    env,
    future::ready,
    net::Ipv4Addr,
    pin::Pin,
    task::{Context as Task, Poll},
};

/// Where Lambda says that this is a function, and where its events are to be had.
const RUNTIME: &str = "AWS_LAMBDA_RUNTIME_API";

/// Where it is said how answers go out: `response_stream` or `buffered`.
const MODE: &str = "AWS_LWA_INVOKE_MODE";

/// The header in which the adapter tells the host of the function. A request that has it does not come from its peer.
pub const CONTEXT: &str = "x-amzn-lambda-context";

/// Whether this program runs as a Lambda function.
pub fn is_function() -> bool {
    env::var_os(RUNTIME).is_some()
}

/// A function in front of a host. A clone is another handle to the same.
#[derive(Clone)]
pub struct Function {
    adapter: Adapter<HttpConnector, Body>,
    mode: LambdaInvokeMode,
    /// What is answered to what is no request.
    about: Bytes,
}

/// What is answered to an event: by the host, or here.
type Reply = Either<Incoming, Full<Bytes>>;

impl Function {
    /// A function in front of the host at this port of loopback. What is no request is answered with `about`.
    ///
    /// The adapter's own variables (`AWS_LWA_…`) hold, but that answers are streamed if none of them says otherwise.
    pub fn new(port: u16, about: &Value) -> Self {
        let mut options = AdapterOptions {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: port.to_string(),
            readiness_check_port: port.to_string(),
            ..AdapterOptions::default()
        };
        if env::var_os(MODE).is_none() {
            options.invoke_mode = LambdaInvokeMode::ResponseStream;
        }
        let (adapter, mode) = (Adapter::new(&options), options.invoke_mode);
        Self { adapter, mode, about: about.to_string().into() }
    }

    /// Takes Lambda's events, one after the other, until Lambda ends.
    ///
    /// # Errors
    /// When Lambda's runtime API cannot be reached.
    pub async fn run(self) -> Result<(), Error> {
        match self.mode {
            LambdaInvokeMode::Buffered => lambda_http::run(self).await,
            LambdaInvokeMode::ResponseStream => {
                lambda_http::run_with_streaming_response(self).await
            }
        }
    }

    /// What comes of one event, as Lambda hands over what is not streamed.
    ///
    /// # Errors
    /// When the event is no JSON, or the host cannot be reached.
    pub async fn invoke(&self, event: &[u8]) -> Result<Value, Error> {
        let event: Value = serde_json::from_slice(event)?;
        // The adapter takes Lambda's word for it.
        let is_base64 = event["isBase64Encoded"] == true;
        if is_base64 && BASE64_STANDARD.decode(event["body"].as_str().unwrap_or_default()).is_err()
        {
            return Err("body: must be base64, as isBase64Encoded says".into());
        }
        let event: LambdaRequest = serde_json::from_value(event)?;
        let request = Request::from(event).with_lambda_context(Context::default());
        let is_request = is_request(&request);
        let (head, body) = self.clone().call(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if !is_request {
            return Ok(serde_json::from_slice(&body)?);
        }
        let (body, is_base64) = match std::str::from_utf8(&body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (BASE64_STANDARD.encode(&body), true),
        };
        Ok(json!({
            "statusCode": head.status.as_u16(),
            "headers": headers(&head.headers),
            "cookies": cookies(&head.headers),
            "body": body,
            "isBase64Encoded": is_base64,
        }))
    }
}

impl Service<Request> for Function {
    type Response = Response<Reply>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Error>> {
        self.adapter.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_request(&request) {
            let answer = self.adapter.call(request);
            return Box::pin(async { Ok(answer.await?.map(Either::Left)) });
        }
        if let Some(field) = misread(&request) {
            let words = format!(
                "{field}: the event has it as HTTP requests have, but cannot be understood as one"
            );
            return Box::pin(ready(Err(words.into())));
        }
        let mut about = Response::new(Either::Right(Full::new(self.about.clone())));
        about.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Box::pin(ready(Ok(about)))
    }
}

/// Whether an event was a client's request, by way of a function URL, an API Gateway or a load balancer.
fn is_request(request: &Request) -> bool {
    !matches!(request.request_context(), RequestContext::PassThrough)
}

/// The field by which an event that was not understood says that it is a client's request.
fn misread(request: &Request) -> Option<&'static str> {
    let event: Value = serde_json::from_slice(request.body()).ok()?;
    let fields = ["requestContext", "httpMethod", "rawPath", "routeKey"];
    fields.into_iter().find(|field| event.get(field).is_some())
}

/// Each header once, as function URLs have them.
fn headers(headers: &HeaderMap) -> Map<String, Value> {
    let names = headers.keys().filter(|name| *name != SET_COOKIE);
    names.map(|name| (name.to_string(), texts(headers, name.as_str()).join(",").into())).collect()
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    texts(headers, SET_COOKIE.as_str())
}

fn texts(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
}
