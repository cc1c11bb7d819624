//! Embeddings: texts in, vectors out.

use super::{
    Error, State,
    json::{Json, JsonBody},
};
use actix_web::{HttpResponse, http::StatusCode, web};
use pipe_sdk::{ChatRef, EmbedInput, Host, PipeError};
use serde::Deserialize;
use serde_json::json;

/// What is to be embedded.
#[derive(Deserialize)]
pub struct EmbeddingsBody {
    model: String,
    input: Input,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
enum Input {
    One(String),
    Many(Vec<String>),
}

impl JsonBody for EmbeddingsBody {
    const LIMIT: usize = 16 << 20;
    const MISFIT: StatusCode = StatusCode::BAD_REQUEST;
}

/// `POST /embeddings`.
pub async fn embed(
    state: web::Data<State>,
    body: Json<EmbeddingsBody>,
) -> Result<HttpResponse, Error> {
    let Json(EmbeddingsBody { model, input }) = body;
    let texts = match input {
        Input::One(text) => vec![text],
        Input::Many(texts) => texts,
    };
    if texts.is_empty() {
        return Err(PipeError::bad_field("input", "input: send at least one text").into());
    }
    let host = Host::new(state.registry.clone(), None, ChatRef::default());
    let embedded = host.embed(&model, texts, EmbedInput::default()).await?;
    let vectors = embedded.vectors.iter().enumerate();
    let data: Vec<_> = vectors
        .map(|(index, vector)| json!({"object": "embedding", "index": index, "embedding": vector}))
        .collect();
    let tokens = embedded.prompt_tokens;
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    Ok(HttpResponse::Ok()
        .json(json!({"object": "list", "data": data, "model": model, "usage": usage})))
}
