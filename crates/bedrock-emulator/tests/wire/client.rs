//! A small client that signs as the AWS SDK does, and shows the wire as it is.

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder, read_message_from};
use aws_smithy_types::event_stream::Message;
use bedrock_emulator::{DEMO_KEY, Emulator};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use std::time::SystemTime;

pub const LITE: &str = "amazon.nova-lite-v1:0";

/// A call not yet sent.
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub body: Vec<u8>,
    pub region: &'static str,
    pub secret: &'static str,
    pub time: SystemTime,
    pub headers: Vec<(&'static str, &'static str)>,
}

impl Ask {
    pub fn new(method: Method, path: &str, body: &Value) -> Self {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let (path, time) = (path.replace(':', "%3A"), SystemTime::now());
        Self {
            method,
            path,
            body,
            region: "us-east-1",
            secret: DEMO_KEY.1,
            time,
            headers: Vec::new(),
        }
    }

    pub fn converse(model: &str) -> Self {
        Self::new(Method::POST, &format!("/model/{model}/converse"), &hello())
    }

    pub fn stream(model: &str) -> Self {
        Self::new(Method::POST, &format!("/model/{model}/converse-stream"), &hello())
    }

    pub async fn send(self, emulator: &Emulator) -> Result<Response<Incoming>, Error> {
        // A client of its own, so that each call has a connection of its own.
        Client::builder(TokioExecutor::new())
            .build_http()
            .request(self.request(&emulator.endpoint()))
            .await
    }

    pub async fn json(self, emulator: &Emulator) -> (u16, Value) {
        let response = self.send(emulator).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn request(self, endpoint: &str) -> Request<Full<Bytes>> {
        let identity = Credentials::new(DEMO_KEY.0, self.secret, None, None, "test").into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name("bedrock")
            .time(self.time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let uri = format!("{endpoint}{}", self.path);
        let signable = SignableRequest::new(
            self.method.as_str(),
            &uri,
            self.headers.iter().copied(),
            SignableBody::Bytes(&self.body),
        );
        let (instructions, _) = sign(signable.unwrap(), &params).unwrap().into_parts();
        let request = Request::builder().method(self.method).uri(&uri);
        let request = self
            .headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(Full::from(self.body)).unwrap();
        instructions.apply_to_request_http1x(&mut request);
        request
    }
}

pub fn hello() -> Value {
    json!({ "messages": [{ "role": "user", "content": [{ "text": "hi" }] }] })
}

/// The next chunk of a body; `None` at its end.
pub async fn chunk(body: &mut Incoming) -> Option<Result<Bytes, hyper::Error>> {
    Some(body.frame().await?.map(|frame| frame.into_data().unwrap()))
}

/// The names of all frames, and how the reading ended.
pub async fn frames(mut body: Incoming) -> (Vec<String>, String) {
    let (mut decoder, mut names) = (MessageFrameDecoder::new(), Vec::new());
    while let Some(chunk) = chunk(&mut body).await {
        let mut bytes = match chunk {
            Ok(bytes) => bytes,
            Err(error) => return (names, format!("broken off: {error}")),
        };
        match decoder.decode_frame(&mut bytes) {
            Ok(DecodedFrame::Complete(message)) if bytes.is_empty() => names.push(name(&message)),
            Ok(_) => return (names, "not one frame in one chunk".to_owned()),
            Err(error) => return (names, error.to_string()),
        }
    }
    (names, "end".to_owned())
}

/// Reads the payloads of all frames.
pub async fn payloads(body: Incoming) -> Vec<Value> {
    let mut bytes = body.collect().await.unwrap().to_bytes();
    let mut payloads = Vec::new();
    while !bytes.is_empty() {
        let message = read_message_from(&mut bytes).unwrap();
        payloads.push(serde_json::from_slice(message.payload()).unwrap());
    }
    payloads
}

fn name(message: &Message) -> String {
    message.headers()[0].value().as_string().unwrap().as_str().to_owned()
}
