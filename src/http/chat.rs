//! Chats: one way in for streamed and plain answers.

use super::{
    Error, State,
    answer::{self, Head},
    frames, identity,
    json::{Json, JsonBody},
    record::Record,
};
use crate::drain::Stage;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use futures_util::{StreamExt, stream};
use pipe_sdk::{Body, Chunk, ChunkStream, Host, PipeError};
use serde_json::Value;
use std::sync::Arc;

impl JsonBody for Body {
    // Chats carry their images inside.
    const LIMIT: usize = 64 << 20;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

/// `POST /chat/completions`.
pub async fn complete(
    state: web::Data<State>,
    request: HttpRequest,
    record: web::ReqData<Arc<Record>>,
    body: Json<Body>,
) -> Result<HttpResponse, Error> {
    let Json(mut body) = body;
    check(&body)?;
    if state.drain.stage() > Stage::Serving {
        return Err(answer::leaving().into());
    }
    let (user, chat) = identity::take(&mut body, request.headers());
    let head = Head::new(&body.model);
    let (streamed, with_usage) =
        (body.stream, body.stream_options.unwrap_or_default().include_usage);
    if state.registry.resolve(&body.model).is_some() {
        record.outcome().model = Some(body.model.clone());
    }
    let hints = identity::hints(request.headers());
    let host = Host::new(state.registry.clone(), user, chat).wishing(hints);
    let record = record.into_inner();
    let answer = async {
        let (answerer, chunks) = begun(host.pipe(body).await?).await?;
        record.outcome().first_chunk = Some(record.elapsed());
        let head = Head { answerer, ..head };
        if streamed {
            return Ok(frames::streamed(
                &head,
                with_usage,
                chunks,
                &state.drain,
                Arc::clone(&record),
            ));
        }
        let answer = chunks.fold().await?;
        record.outcome().usage = answer.usage;
        answer::plain(&head, answer)
    };
    tokio::select! {
        answer = answer => answer.map_err(|error: PipeError| {
            record.outcome().error = Some(error.to_string());
            error.into()
        }),
        () = state.drain.cut() => Err(answer::leaving().into()),
    }
}

fn is_several(n: &Value) -> bool {
    let number = n.as_f64().or_else(|| n.as_str()?.trim().parse().ok());
    number.is_some_and(|number| number != 1.0)
}

fn check(body: &Body) -> Result<(), Error> {
    let missing = |field: &str, what: &str| {
        Error::from(PipeError::bad_field(field, format!("{field}: {what}")))
    };
    match body {
        Body { model, .. } if model.is_empty() => {
            Err(missing("model", "name a model, as `GET /models` lists them"))
        }
        Body { messages, .. } if messages.is_empty() => {
            Err(missing("messages", "send at least one message"))
        }
        Body { rest, .. } if rest.get("n").is_some_and(is_several) => {
            Err(missing("n", "one answer is given to a request: send it again for another"))
        }
        _ => Ok(()),
    }
}

/// Who answers, and the same stream when its first chunk is there: until then, an error is the answer's status.
async fn begun(mut chunks: ChunkStream) -> Result<(Option<String>, ChunkStream), PipeError> {
    let mut answerer = None;
    loop {
        match chunks.next().await.transpose()? {
            Some(Chunk::Model(id)) => answerer = Some(id),
            Some(first) => {
                let chunks = ChunkStream::new(stream::iter([Ok(first)]).chain(chunks));
                return Ok((answerer, chunks));
            }
            None => return Err(answer::ended_early()),
        }
    }
}
