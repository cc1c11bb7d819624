//! A mock upstream that answers at once, with as many tokens as the name of the model says.

mod answer_shape;
mod wire_format;

pub use answer_shape::AnswerShape;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Method, Request, Response, StatusCode, header};

use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    body::{Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use std::{convert::Infallible, io, rc::Rc};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::spawn_local,
    time::{Instant, sleep_until},
};
use wire_format::WireFormat;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A mock of an OpenAI-compatible server and of Bedrock.
pub struct MockUpstream {
    models: Vec<String>,
    /// Lets one more token of an answer go that waits for steps.
    steps: std::sync::Arc<Semaphore>,
}

#[derive(Deserialize)]
struct ChatRequest {
    model: String,
    #[serde(default)]
    stream: bool,
}

impl MockUpstream {
    /// Returns a mock that lists these models. It answers for any other one, too.
    pub fn new(models: Vec<String>) -> Self {
        Self { models, steps: Semaphore::new(0).into() }
    }

    /// Serves on the thread of the caller, in a [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// A connection that cannot be accepted.
    pub async fn serve(self, listener: TcpListener) -> io::Result<()> {
        let upstream = Rc::new(self);
        loop {
            let (stream, _) = listener.accept().await?;
            spawn_local(Rc::clone(&upstream).serve_connection(stream));
        }
    }

    async fn serve_connection(self: Rc<Self>, stream: TcpStream) {
        _ = stream.set_nodelay(true);
        let service = service_fn(|request| self.answer(request));
        // A client that leaves is none of our errors.
        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    }

    /// Answers a request by its path.
    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path();
        Ok(if path.ends_with("/chat/completions") {
            match serde_json::from_slice::<ChatRequest>(&body) {
                Ok(chat) => self.answer_chat(WireFormat::OpenAi, &chat.model, chat.stream).await,
                Err(error) => json(StatusCode::BAD_REQUEST, error.to_string()),
            }
        } else if let Some((model, operation)) =
            path.strip_prefix("/model/").and_then(|rest| rest.rsplit_once('/'))
        {
            let is_streamed = operation == "converse-stream";
            self.answer_chat(WireFormat::Bedrock, model, is_streamed).await
        } else if path == "/step" {
            self.steps.add_permits(1);
            json(StatusCode::OK, "{}".to_owned())
        } else if path.ends_with("/foundation-models") {
            json(StatusCode::OK, wire_format::bedrock_models(&self.models))
        } else if path.ends_with("/models") {
            json(StatusCode::OK, wire_format::openai_models(&self.models))
        } else if parts.method == Method::GET {
            // Lists of other kinds are empty.
            json(StatusCode::OK, "{}".to_owned())
        } else {
            json(StatusCode::NOT_FOUND, "{}".to_owned())
        })
    }

    async fn answer_chat(
        &self,
        format: WireFormat,
        model: &str,
        is_streamed: bool,
    ) -> Response<Body> {
        let shape = AnswerShape::from_model_name(model);
        let start = Instant::now() + shape.first_wait;
        if is_streamed {
            return self.stream_chat(format, model.to_owned(), shape, start);
        }
        sleep_until(start).await;
        json(StatusCode::OK, format.whole_answer(model, shape.tokens))
    }

    fn stream_chat(
        &self,
        format: WireFormat,
        model: String,
        shape: AnswerShape,
        start: Instant,
    ) -> Response<Body> {
        let steps = std::sync::Arc::clone(&self.steps);
        let frames = stream::unfold(0, move |index| {
            let (steps, model) = (std::sync::Arc::clone(&steps), model.clone());
            async move {
                if index > shape.tokens {
                    return None;
                }
                if shape.is_burst() {
                    let mut all = format.begin(&model);
                    for _ in 0..shape.tokens {
                        format.write_token(&mut all, &model);
                    }
                    format.write_end(&mut all, &model, shape.tokens);
                    return Some((all, shape.tokens + 1));
                }
                if shape.waits_for_steps && index > 0 {
                    steps.acquire().await.ok()?.forget();
                }
                sleep_until(start + shape.gap * index).await;
                let mut frame = if index == 0 { format.begin(&model) } else { Vec::new() };
                if index < shape.tokens {
                    format.write_token(&mut frame, &model);
                } else {
                    format.write_end(&mut frame, &model, shape.tokens);
                }
                Some((frame, index + 1))
            }
        });
        let body = StreamBody::new(frames.map(|frame| Ok(Frame::data(Bytes::from(frame)))));
        respond(StatusCode::OK, format.stream_type(), UnsyncBoxBody::new(body))
    }
}

/// Returns a response of JSON.
fn json(status: StatusCode, text: String) -> Response<Body> {
    respond(status, "application/json", UnsyncBoxBody::new(Full::from(text)))
}

/// Returns a response.
fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
