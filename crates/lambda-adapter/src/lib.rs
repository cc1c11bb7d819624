//! Runs an HTTP server on loopback as an AWS Lambda function: each event becomes a request to the
//! server, and the server's response is streamed back.
//!
//! The [Lambda Web Adapter] turns events into requests and forwards them. AWS ships it as an
//! extension, a process beside the function; here it is linked into the program, so one binary is
//! the function and nothing has to wait for another process to start. An event that is not an HTTP
//! request (as the test events of AWS's console) is answered here and not forwarded.
//!
//! [Lambda Web Adapter]: https://github.com/awslabs/aws-lambda-web-adapter
//!
//! ```no_run
//! use lambda_adapter::{LambdaFunction, is_lambda_function};
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), lambda_http::Error> {
//! if is_lambda_function() {
//!     let usage_note = json!({"error": "send an HTTP request"});
//!     LambdaFunction::new(9099, &usage_note).run().await?;
//! }
//! # Ok(())
//! # }
//! ```

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

/// The variable with the address of Lambda's runtime API. Lambda sets it for every function.
const RUNTIME_API_VARIABLE: &str = "AWS_LAMBDA_RUNTIME_API";

/// The adapter's variable for the invoke mode: `response_stream` or `buffered`.
const INVOKE_MODE_VARIABLE: &str = "AWS_LWA_INVOKE_MODE";

/// The header in which the adapter sends Lambda's context to the server. The client of a request
/// with this header is not the peer of the connection.
pub const CONTEXT_HEADER: &str = "x-amzn-lambda-context";

/// Returns whether this program runs as a Lambda function.
pub fn is_lambda_function() -> bool {
    env::var_os(RUNTIME_API_VARIABLE).is_some()
}

/// A Lambda function that forwards requests to a server on loopback. Its clones share connections.
#[derive(Clone)]
pub struct LambdaFunction {
    adapter: Adapter<HttpConnector, Body>,
    mode: LambdaInvokeMode,
    /// The JSON response to events that are not HTTP requests.
    usage_note: Bytes,
}

/// The body of a response: from the server, or written here.
type ResponseBody = Either<Incoming, Full<Bytes>>;

impl LambdaFunction {
    /// Creates a function that forwards requests to the server at this port of loopback, and
    /// answers all other events with `usage_note`.
    ///
    /// The adapter's own variables (`AWS_LWA_…`) are used. Unlike in the adapter, responses are
    /// streamed if `AWS_LWA_INVOKE_MODE` is not set.
    pub fn new(port: u16, usage_note: &Value) -> Self {
        let mut options = AdapterOptions {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: port.to_string(),
            readiness_check_port: port.to_string(),
            ..AdapterOptions::default()
        };
        if env::var_os(INVOKE_MODE_VARIABLE).is_none() {
            options.invoke_mode = LambdaInvokeMode::ResponseStream;
        }
        let (adapter, mode) = (Adapter::new(&options), options.invoke_mode);
        Self { adapter, mode, usage_note: usage_note.to_string().into() }
    }

    /// Handles Lambda's events, one after the other, until Lambda stops the function.
    ///
    /// # Errors
    /// Returns an error if Lambda's runtime API cannot be reached.
    pub async fn run(self) -> Result<(), Error> {
        match self.mode {
            LambdaInvokeMode::Buffered => lambda_http::run(self).await,
            LambdaInvokeMode::ResponseStream => {
                lambda_http::run_with_streaming_response(self).await
            }
        }
    }

    /// Handles one event, and returns the response as JSON, as in the invoke mode `buffered`.
    ///
    /// # Errors
    /// Returns an error if the event is not valid JSON, or the server cannot be reached.
    pub async fn invoke(&self, event: &[u8]) -> Result<Value, Error> {
        let event: Value = serde_json::from_slice(event)?;
        // The adapter does not check the base64: Lambda always sends it valid.
        let is_base64 = event["isBase64Encoded"] == true;
        if is_base64 && BASE64_STANDARD.decode(event["body"].as_str().unwrap_or_default()).is_err()
        {
            return Err("body: must be base64, because isBase64Encoded is true".into());
        }
        let event: LambdaRequest = serde_json::from_value(event)?;
        let request = Request::from(event).with_lambda_context(Context::default());
        let is_http_request = is_http_request(&request);
        let (head, body) = self.clone().call(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        if !is_http_request {
            return Ok(serde_json::from_slice(&body)?);
        }
        let (body, is_base64) = match std::str::from_utf8(&body) {
            Ok(text) => (text.to_owned(), false),
            Err(_) => (BASE64_STANDARD.encode(&body), true),
        };
        Ok(json!({
            "statusCode": head.status.as_u16(),
            "headers": join_headers(&head.headers),
            "cookies": header_values(&head.headers, SET_COOKIE.as_str()),
            "body": body,
            "isBase64Encoded": is_base64,
        }))
    }
}

impl Service<Request> for LambdaFunction {
    type Response = Response<ResponseBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), Error>> {
        self.adapter.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if is_http_request(&request) {
            let response = self.adapter.call(request);
            return Box::pin(async { Ok(response.await?.map(Either::Left)) });
        }
        if let Some(field) = find_http_field(&request) {
            let message = format!(
                "{field}: the event has this field of an HTTP request, but cannot be parsed as one"
            );
            return Box::pin(ready(Err(message.into())));
        }
        let mut response = Response::new(Either::Right(Full::new(self.usage_note.clone())));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Box::pin(ready(Ok(response)))
    }
}

/// Returns whether an event is an HTTP request, from a function URL, API Gateway or a load
/// balancer.
fn is_http_request(request: &Request) -> bool {
    !matches!(request.request_context(), RequestContext::PassThrough)
}

/// Returns the field that only an HTTP request has, of an event that was not recognised as one.
fn find_http_field(request: &Request) -> Option<&'static str> {
    let event: Value = serde_json::from_slice(request.body()).ok()?;
    let fields = ["requestContext", "httpMethod", "rawPath", "routeKey"];
    fields.into_iter().find(|field| event.get(field).is_some())
}

/// Joins the values of each header except `Set-Cookie` with commas, as function URLs do.
fn join_headers(headers: &HeaderMap) -> Map<String, Value> {
    let names = headers.keys().filter(|name| *name != SET_COOKIE);
    names
        .map(|name| (name.to_string(), header_values(headers, name.as_str()).join(",").into()))
        .collect()
}

fn header_values(headers: &HeaderMap, name: &str) -> Vec<String> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.get_all(name).iter().map(text).collect()
}
