//! Embeddings: returns a vector for each text.

mod input;

use super::{
    error::HttpError,
    json::{Json, JsonBody},
    json_response,
    request_context::RequestContext,
    shape::{
        MAX_INTEGER,
        Shape::{self, Any, Object, Text, Whole},
        USER,
    },
    unary,
};
use actix_web::{
    HttpResponse,
    http::{StatusCode, header::HeaderMap},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use pipe_sdk::{Demand, EmbedCall, EmbedInput, Embeddings, PipeError, Truncate};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The body of a request for embeddings.
#[derive(Deserialize)]
pub struct EmbeddingsBody {
    model: String,
    #[serde(default)]
    input: Value,
    dimensions: Option<u32>,
    #[serde(default)]
    encoding_format: Option<EncodingFormat>,
    input_type: Option<EmbedInput>,
    truncate: Option<Truncation>,
    user: Option<Value>,
}

/// The handling of texts that are too long: a word, as Cohere has it, or whether they are cut at
/// all.
#[derive(Deserialize)]
#[serde(untagged, expecting = "truncate must be NONE, START, END, true or false")]
enum Truncation {
    Word(Truncate),
    Flag(bool),
}

impl From<Truncation> for Truncate {
    fn from(cut: Truncation) -> Self {
        match cut {
            Truncation::Word(truncate) => truncate,
            Truncation::Flag(true) => Self::End,
            Truncation::Flag(false) => Self::None,
        }
    }
}

/// The encoding of a vector's numbers.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum EncodingFormat {
    #[default]
    Float,
    Base64,
}

/// The body of a response to `POST /embeddings`.
#[derive(Serialize)]
struct EmbeddingList {
    object: &'static str,
    data: Vec<EmbeddingObject>,
    model: String,
    usage: unary::Usage,
}

/// A vector, and the index of its text.
#[derive(Serialize)]
struct EmbeddingObject {
    object: &'static str,
    index: usize,
    embedding: EncodedVector,
}

/// A vector in the format that the client wants.
#[derive(Serialize)]
#[serde(untagged)]
enum EncodedVector {
    Float(Vec<f32>),
    Base64(String),
}

impl JsonBody for EmbeddingsBody {
    const LIMIT: usize = 16 << 20;
    // The type of the first item of `input` decides the type of all.
    const SHAPE: &'static Shape = &Object(
        &[
            ("model", &Text),
            ("input", &Any),
            ("dimensions", &Whole(1.0, MAX_INTEGER)),
            ("encoding_format", &Text),
            ("input_type", &Text),
            ("truncate", &Any),
            ("user", &USER),
        ],
        &[("", "model"), ("", "input")],
    );
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// The approximate size of a number of a vector in JSON, in bytes.
const NUMBER_BYTES: usize = 12;

/// The number of dimensions that is assumed if the request does not name it.
const DIMENSIONS: u32 = 1024;

/// The largest number of numbers that a vector of today's models has.
const MAX_DIMENSIONS: u32 = 4096;

/// The header that names the purpose of the vectors, for clients whose bodies cannot.
const INPUT_TYPE_HEADER: &str = "x-pipewright-input-type";

/// `POST /embeddings`.
pub async fn embed(
    context: RequestContext,
    body: Json<EmbeddingsBody>,
) -> Result<HttpResponse, HttpError> {
    let Json(body) = body;
    let EmbeddingsBody { model, input, dimensions, encoding_format, input_type, truncate, user } =
        body;
    let purpose = match input_type {
        Some(purpose) => Some(purpose),
        None => input_type_header(context.headers())?,
    };
    let input = input::parse_texts(input).await?;
    let (texts, truncate) = (input.len(), truncate.map(Truncate::from));
    let call = EmbedCall { purpose, dimensions, truncate, ..EmbedCall::new(&model, input) };
    let model_call = unary::admit_model(&context, user, &model, Demand::embedding(&call)).await?;
    // The vectors are charged before they are paid for.
    let mut share = context.share();
    let dimensions = dimensions.unwrap_or(DIMENSIONS).min(MAX_DIMENSIONS);
    share.grow(texts * dimensions as usize * NUMBER_BYTES)?;
    let Embeddings { vectors, prompt_tokens } = context.or_shutdown(model_call.embed(call)).await?;
    let usage = unary::record_prompt_tokens(&context.request_log, prompt_tokens);
    let format = encoding_format.unwrap_or_default();
    let numbers: usize = vectors.iter().map(Vec::len).sum();
    let item = |(index, vector)| EmbeddingObject {
        object: "embedding",
        index,
        embedding: format.encode(vector),
    };
    let data = vectors.into_iter().enumerate().map(item).collect();
    let list = EmbeddingList { object: "list", data, model, usage };
    let bytes = numbers * NUMBER_BYTES;
    Ok(json_response::respond(HttpResponse::Ok(), share.caller(), bytes, list).await?)
}

fn input_type_header(headers: &HeaderMap) -> Result<Option<EmbedInput>, PipeError> {
    let Some(purpose) = headers.get(INPUT_TYPE_HEADER) else { return Ok(None) };
    let purpose = purpose.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    serde_json::from_value(purpose.into()).map(Some).map_err(|_| {
        let kinds = "`search_document`, `search_query`, `classification` or `clustering`";
        PipeError::bad_field(INPUT_TYPE_HEADER, format!("{INPUT_TYPE_HEADER}: must be {kinds}"))
    })
}

impl EncodingFormat {
    /// Encodes a vector.
    fn encode(self, vector: Vec<f32>) -> EncodedVector {
        match self {
            Self::Float => EncodedVector::Float(vector),
            Self::Base64 => {
                let bytes: Vec<u8> = vector.into_iter().flat_map(f32::to_le_bytes).collect();
                EncodedVector::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}
