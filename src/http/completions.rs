//! OpenAI's older completions: a prompt, and the text that comes after it, by any model that chats.

use super::{
    answer::{ResponseHead, ended_early, usage_object},
    api_dialect::{ApiDialect, answer_chats},
    error::HttpError,
    field_error::field_error,
    json::{Json, JsonBody},
    request_context::RequestContext,
    shape::{Shape, chat::COMPLETION},
    sse_body::FrameWriter,
};
use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{BufMut, BytesMut},
};
use pipe_sdk::{Answer, Body, Chunk, FinishReason, Message, PipeError, Role};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The largest number of texts that one request may ask for.
const MAX_TEXTS: usize = 32;

/// A request. Fields that chats have under the same name stay in `rest`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Request {
    prompt: Value,
    suffix: Option<String>,
    echo: Option<bool>,
    n: Option<Value>,
    best_of: Option<Value>,
    #[serde(flatten)]
    chat: Map<String, Value>,
}

impl JsonBody for Request {
    const LIMIT: usize = 64 << 20;
    const SHAPE: &'static Shape = &COMPLETION;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// The dialect of OpenAI's completions.
struct CompletionDialect {
    /// The text before each completion: the prompt, if it is echoed.
    echoes: Vec<String>,
    with_usage: bool,
}

/// `POST /completions`.
pub async fn complete(
    context: RequestContext,
    body: Json<Request>,
) -> Result<HttpResponse, HttpError> {
    let Json(Request { prompt, suffix, echo, n, best_of, chat }) = body;
    let n = super::chat::parse_n(n.as_ref())?;
    if super::chat::parse_number(best_of.as_ref()).is_some_and(|best| best != 1.0) {
        let rule = "`best_of` other than 1 is not supported: remove it";
        return Err(field_error("best_of", rule).into());
    }
    let prompts = parse_prompts(prompt)?;
    if prompts.len() * n > MAX_TEXTS {
        let rule = format!("asks for more than {MAX_TEXTS} texts at once: send fewer prompts");
        return Err(field_error("prompt", &rule).into());
    }
    let chat: Body = serde_json::from_value(chat.into()).map_err(|error| {
        HttpError::from(PipeError::bad_request(format!("the body cannot be read: {error}")))
    })?;
    if chat.model.is_empty() {
        return Err(field_error("model", "name a model, as `GET /models` lists them").into());
    }
    let mut bodies = Vec::new();
    let mut echoes = Vec::new();
    for prompt in prompts {
        let messages = chat_messages(&prompt, suffix.as_deref());
        for _ in 0..n {
            bodies.push(Body { messages: messages.clone(), ..chat.clone() });
            echoes.push(if echo == Some(true) { prompt.clone() } else { String::new() });
        }
    }
    let with_usage = chat.stream_options.unwrap_or_default().include_usage;
    let answer = answer_chats(context, bodies, CompletionDialect { echoes, with_usage }).await;
    answer.map_err(|error| {
        error.with_client_field(|field| field.starts_with("messages[").then(|| "prompt".to_owned()))
    })
}

fn parse_prompts(prompt: Value) -> Result<Vec<String>, PipeError> {
    let rule = "prompt: must be a text or a list of texts; tokens cannot be read here";
    let error = || PipeError::bad_field("prompt", rule);
    let text = |value: Value| match value {
        Value::String(text) if !text.is_empty() => Ok(text),
        _ => Err(error()),
    };
    match prompt {
        Value::Array(prompts) if !prompts.is_empty() => prompts.into_iter().map(text).collect(),
        prompt => Ok(vec![text(prompt)?]),
    }
}

/// Returns the chat that asks for the continuation of a prompt.
fn chat_messages(prompt: &str, suffix: Option<&str>) -> Vec<Message> {
    let Some(suffix) = suffix.filter(|suffix| !suffix.is_empty()) else {
        return vec![Message::new(Role::User, prompt)];
    };
    let rule = "You complete texts and code. The user sends what stands before a gap and what stands after it. Answer with what belongs \
                into the gap and nothing else: no explanation, no code fence, nothing of what stands around it.";
    let asked = format!("<before>{prompt}</before>\n<after>{suffix}</after>");
    vec![Message::new(Role::System, rule), Message::new(Role::User, asked)]
}

impl ApiDialect for CompletionDialect {
    const ID: &'static str = "cmpl-";
    type Writer = TextWriter;
    type Whole = Value;

    fn writer(&self, head: &ResponseHead) -> TextWriter {
        let ResponseHead { id, created, model, .. } = head;
        let head =
            json!({"id": id, "object": "text_completion", "created": created, "model": model});
        TextWriter {
            buffer: BytesMut::new(),
            head,
            echoes: self.echoes.iter().cloned().map(Some).collect(),
            finished: vec![false; self.echoes.len()],
            with_usage: self.with_usage,
        }
    }

    fn response_object(
        &self,
        head: &ResponseHead,
        answers: Vec<Answer>,
    ) -> Result<Value, PipeError> {
        let ResponseHead { id, created, model, .. } = head;
        let usage = answers.first().and_then(|answer| answer.usage);
        let mut choices = Vec::new();
        for (index, (answer, echo)) in answers.into_iter().zip(&self.echoes).enumerate() {
            let finish = answer.finish.ok_or_else(ended_early)?;
            let text = format!("{echo}{}", answer.text_with_images());
            choices.push(choice_object(index, &text, Some(finish)));
        }
        let mut body = json!({
            "id": id, "object": "text_completion", "created": created, "model": model, "choices": choices,
        });
        if let Some(usage) = usage {
            body["usage"] = usage_object(&usage);
        }
        Ok(body)
    }
}

fn choice_object(index: usize, text: &str, finish: Option<FinishReason>) -> Value {
    // Nothing is called here.
    let finish = finish.map(|finish| match finish {
        FinishReason::ToolCalls => FinishReason::Stop,
        finish => finish,
    });
    json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish})
}

/// Writes the events of streamed texts.
pub struct TextWriter {
    buffer: BytesMut,
    head: Value,
    /// The text that is still to be written before each completion.
    echoes: Vec<Option<String>>,
    finished: Vec<bool>,
    with_usage: bool,
}

impl TextWriter {
    fn write_choice(&mut self, index: usize, text: &str, finish: Option<FinishReason>) {
        let echo = self.echoes.get_mut(index).and_then(Option::take).unwrap_or_default();
        let mut event = self.head.clone();
        event["choices"] = json!([choice_object(index, &(echo + text), finish)]);
        self.write_event(&event);
    }

    fn write_event(&mut self, event: &Value) {
        self.buffer.extend_from_slice(b"data: ");
        // Writing into memory cannot fail.
        _ = serde_json::to_writer((&mut self.buffer).writer(), event);
        self.buffer.extend_from_slice(b"\n\n");
    }
}

impl FrameWriter for TextWriter {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn chunk(&mut self, chunk: &Chunk) {
        self.chunk_of(0, chunk);
    }

    fn chunk_of(&mut self, choice: usize, chunk: &Chunk) {
        match chunk {
            Chunk::Content(text) if !text.is_empty() => self.write_choice(choice, text, None),
            Chunk::Picture(picture) => self.write_choice(choice, &picture.markdown(), None),
            Chunk::Finish(reason) => {
                if let Some(finished) = self.finished.get_mut(choice) {
                    *finished = true;
                }
                self.write_choice(choice, "", Some(*reason));
            }
            Chunk::Usage(usage) if self.with_usage => {
                let mut event = self.head.clone();
                event["choices"] = json!([]);
                event["usage"] = usage_object(usage);
                self.write_event(&event);
            }
            _ => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.finished.iter().all(|finished| *finished)
    }

    fn write_keepalive(&mut self) {
        self.buffer.extend_from_slice(b": \n\n");
    }

    fn done(&mut self) {
        self.buffer.extend_from_slice(b"data: [DONE]\n\n");
    }

    fn error(&mut self, error: &HttpError) {
        self.write_event(&json!({"error": error.object()}));
        self.done();
    }
}
