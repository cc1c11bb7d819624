//! OpenAI's chat completions.

mod normalise;

use super::{
    answer::{self, Completion, ResponseHead},
    api_dialect::{ApiDialect, answer_chat, answer_chats},
    client_tools::ClientTools,
    error::HttpError,
    json::{self, Json, JsonBody},
    open_webui,
    openai_writer::OpenAiSseWriter,
    request_context::RequestContext,
    responses,
    shape::{Shape, chat::CHAT},
    sse_body::FrameWriter,
};
use actix_web::{HttpResponse, http::StatusCode, web::BytesMut};
use normalise::normalise;
use pipe_sdk::{Answer, Body, Chunk, PipeError};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use std::sync::Arc;

impl JsonBody for Body {
    // A chat contains its images, as base64.
    const LIMIT: usize = 64 << 20;
    const SHAPE: &'static Shape = &CHAT;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// A request for a chat completion.
#[derive(Deserialize)]
#[serde(from = "Body")]
pub enum ChatRequest {
    /// A chat.
    Chat(Box<Body>),
    /// A request in the form of the Responses API. Cursor sends those to this path, and reads
    /// completions.
    Response(Box<responses::Request>),
}

impl From<Body> for ChatRequest {
    fn from(body: Body) -> Self {
        Self::Chat(Box::new(body))
    }
}

impl JsonBody for ChatRequest {
    const LIMIT: usize = Body::LIMIT;
    const SHAPE: &'static Shape = Body::SHAPE;
    const INVALID_STATUS: StatusCode = Body::INVALID_STATUS;

    fn parse(json: &mut [u8]) -> Result<Self, HttpError> {
        match json::parse::<Body>(json) {
            Ok(body) if !body.messages.is_empty() => Ok(body.into()),
            read if !has_input_alone(json) => read.map(Self::from),
            _ => json::parse(json).map(|request| Self::Response(Box::new(request))),
        }
    }
}

/// Returns whether a body has the `input` of the Responses API in place of messages.
fn has_input_alone(json: &[u8]) -> bool {
    /// The fields that differ between a chat and a request of the Responses API.
    #[derive(Deserialize)]
    struct Fields {
        input: Option<IgnoredAny>,
        messages: Option<Vec<IgnoredAny>>,
    }
    serde_json::from_slice(json).is_ok_and(|Fields { input, messages }| {
        input.is_some() && messages.is_none_or(|messages| messages.is_empty())
    })
}

/// The dialect of OpenAI's chat completions; `with_usage` if a streamed answer ends with its usage.
struct ChatDialect {
    with_usage: bool,
    for_open_webui: bool,
    /// The number of answers.
    n: usize,
    /// The tools as the client knows them.
    tools: Arc<ClientTools>,
}

/// The largest number of answers to one request.
const MAX_CHOICES: usize = 8;

impl ApiDialect for ChatDialect {
    const ID: &'static str = "chatcmpl-";
    type Writer = ChoicesWriter;
    type Whole = Completion;

    /// Open WebUI reads every chunk as the first choice's.
    fn has_choices(&self) -> bool {
        self.n == 1 && !self.for_open_webui
    }

    fn notes(&self) -> Vec<String> {
        self.tools.notes.clone()
    }

    fn writer(&self, head: &ResponseHead) -> ChoicesWriter {
        let writer = |choice: usize| {
            let writer =
                OpenAiSseWriter::new(head, self.with_usage).for_open_webui(self.for_open_webui);
            writer.with_choice(choice).with_tools(Arc::clone(&self.tools))
        };
        ChoicesWriter { writers: (0..self.n).map(writer).collect() }
    }

    fn response_object(
        &self,
        head: &ResponseHead,
        answers: Vec<Answer>,
    ) -> Result<Completion, PipeError> {
        let mut answers = answers.into_iter();
        let first = answers.next().ok_or_else(answer::ended_early)?;
        let mut completion = Completion::new(head, first, &self.tools)?;
        for answer in answers {
            completion.add_choice(answer, &self.tools)?;
        }
        Ok(completion)
    }
}

/// `POST /chat/completions`.
pub async fn complete(
    context: RequestContext,
    body: Json<ChatRequest>,
) -> Result<HttpResponse, HttpError> {
    match body.0 {
        ChatRequest::Chat(body) => complete_chat(context, *body).await,
        ChatRequest::Response(request) => complete_response(context, *request).await,
    }
}

/// Answers a request in the form of the Responses API with a completion.
async fn complete_response(
    context: RequestContext,
    request: responses::Request,
) -> Result<HttpResponse, HttpError> {
    let with_usage = request.includes_usage();
    let converted = context.compute(|| request.into_chat()).await?;
    let responses::ConvertedRequest { chat, options, field_paths } = converted;
    let dialect = ChatDialect { with_usage, for_open_webui: false, n: 1, tools: options.tools };
    let answer = answer_chat(context, chat, dialect).await;
    answer.map_err(|error| error.with_client_field(|field| field_paths.original_field(field)))
}

async fn complete_chat(context: RequestContext, mut body: Body) -> Result<HttpResponse, HttpError> {
    check_body(&body)?;
    let n = parse_n(body.rest.shift_remove("n").as_ref())?;
    let normalised = normalise(&mut body);
    let with_usage = body.stream_options.unwrap_or_default().include_usage;
    let for_open_webui = open_webui::is_open_webui(context.headers());
    let tools = Arc::new(normalised.tools.clone());
    let dialect = ChatDialect { with_usage, for_open_webui, n, tools };
    let answer = answer_chats(context, vec![body; n], dialect).await;
    answer.map_err(|error| error.with_client_field(|field| normalised.original_field(field)))
}

/// Returns the number that a field holds, or spells.
pub fn parse_number(value: Option<&Value>) -> Option<f64> {
    let value = value?;
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Returns the number of answers that the request asks for.
pub fn parse_n(n: Option<&Value>) -> Result<usize, HttpError> {
    let Some(n) = n.filter(|n| !n.is_null() && **n != "") else { return Ok(1) };
    let wanted = parse_number(Some(n)).unwrap_or_default();
    (1..=MAX_CHOICES).find(|most| *most as f64 == wanted).ok_or_else(|| {
        let rule = format!("n: must be a whole number from 1 to {MAX_CHOICES}");
        PipeError::bad_field("n", rule).into()
    })
}

/// Writes the frames of one answer, or of several.
pub struct ChoicesWriter {
    writers: Vec<OpenAiSseWriter>,
}

impl FrameWriter for ChoicesWriter {
    fn buffer(&mut self) -> &mut BytesMut {
        self.writers[0].buffer()
    }

    fn chunk(&mut self, chunk: &Chunk) {
        self.chunk_of(0, chunk);
    }

    fn chunk_of(&mut self, choice: usize, chunk: &Chunk) {
        let Some(writer) = self.writers.get_mut(choice) else { return };
        writer.chunk(chunk);
        if choice > 0 {
            let written = writer.buffer().split();
            self.buffer().extend_from_slice(&written);
        }
    }

    fn has_finished(&self) -> bool {
        self.writers.iter().all(OpenAiSseWriter::has_finished)
    }

    fn write_keepalive(&mut self) {
        self.writers[0].write_keepalive();
    }

    fn done(&mut self) {
        self.writers[0].done();
    }

    fn error(&mut self, error: &HttpError) {
        self.writers[0].error(error);
    }
}

fn check_body(body: &Body) -> Result<(), HttpError> {
    let missing = |field: &str, what: &str| {
        HttpError::from(PipeError::bad_field(field, format!("{field}: {what}")))
    };
    match body {
        Body { model, .. } if model.is_empty() => {
            Err(missing("model", "name a model, as `GET /models` lists them"))
        }
        Body { messages, .. } if messages.is_empty() => {
            Err(missing("messages", "send at least one message"))
        }
        _ => Ok(()),
    }
}
