//! Uploads of documents: files in a form, or texts in JSON.

use super::library;
use crate::{
    blocking,
    http::{
        bodies::{BodyLimit, Received, read_body},
        error::HttpError,
        json::{self, JsonBody},
        shape::{Shape, rag},
        state::HostState,
    },
};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use futures_util::{Stream, stream};
use multer::{Field, Multipart};
use pipe_sdk::{
    CallContext, ChatRef, Host, PipeError,
    library::{Audience, Content, Outcome, Upload},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Map, Value, json};

/// The maximum bytes of an upload.
const MAX_BYTES: usize = 128 << 20;

/// The maximum pieces of JSON of an upload.
const MAX_PIECES: usize = 1_000_000;

/// The maximum number of files and fields of a form.
const MAX_FIELDS: usize = 5000;

/// The bytes of a form that are parsed before other tasks have their turn.
const SLICE_BYTES: usize = 256 << 10;

/// A document in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextDocument {
    id: String,
    text: String,
    title: Option<String>,
    url: Option<String>,
    #[serde(default)]
    audience: Audience,
    #[serde(default)]
    metadata: Map<String, Value>,
}

/// Several documents in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TextDocuments {
    documents: Vec<TextDocument>,
}

/// A body of which only the field is parsed that tells several documents from one.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DocumentsProbe {
    documents: Option<IgnoredAny>,
}

impl JsonBody for TextDocument {
    const LIMIT: usize = MAX_BYTES;
    const PIECES: usize = MAX_PIECES;
    const SHAPE: &'static Shape = &rag::DOCUMENT;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

impl JsonBody for TextDocuments {
    const LIMIT: usize = MAX_BYTES;
    const PIECES: usize = MAX_PIECES;
    const SHAPE: &'static Shape = &rag::DOCUMENTS;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// The fields for the next file of a form.
#[derive(Default)]
struct FileFields {
    id: Option<String>,
    title: Option<String>,
    url: Option<String>,
}

/// `POST /rag/{collection}/documents`, with `?wait=true` until the meaning finds them too.
pub async fn upload_documents(
    state: web::Data<HostState>,
    collection: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, HttpError> {
    let library = library(&state)?;
    json::check_encoding(request.headers())?;
    let kind = request.content_type().to_ascii_lowercase();
    let waits = request.query_string().split('&').any(|pair| matches!(pair, "wait" | "wait=true"));
    let pieces = match kind.as_str() {
        "application/json" => Some(MAX_PIECES),
        "multipart/form-data" => None,
        _ => {
            return Err(HttpError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send files as `multipart/form-data`, or text as JSON",
            ));
        }
    };
    let (length, limit) =
        (json::declared_length(request.headers()), BodyLimit { bytes: MAX_BYTES, pieces });
    let sender = state.identify_sender(&request);
    let caller = sender.caller;
    let payload = payload.into_inner();
    let body = read_body(&state.memory_budget, sender, payload, length, limit).await?;
    // The share of the budget for bodies is held until the documents are stored.
    let Received { bytes: mut body, share: _share } = body;
    let uploads = match pieces {
        Some(_) => blocking::compute(caller, body.len(), move || parse_texts(&mut body)).await??,
        None => parse_files(request.headers(), body.into()).await?,
    };
    if uploads.is_empty() {
        return Err(PipeError::bad_field("file", "file: send at least one document").into());
    }
    let results = library.put_documents(collection.into_inner(), uploads).await?;
    state.background_jobs.wake();
    if waits {
        library.run_background_jobs(background_host(&state)).await;
    }
    let all_failed = results.iter().all(|result| matches!(result.outcome, Outcome::Failed { .. }));
    let status = if all_failed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(HttpResponse::build(status).json(json!({"documents": results})))
}

/// Returns the host for background work, which belongs to no user.
fn background_host(state: &HostState) -> Host {
    Host::new(state.registry.clone(), CallContext::default(), ChatRef::default())
}

fn parse_texts(body: &mut [u8]) -> Result<Vec<Upload>, HttpError> {
    let texts = match serde_json::from_slice::<DocumentsProbe>(body).unwrap_or_default().documents {
        Some(_) => json::parse::<TextDocuments>(body)?.documents,
        None => vec![json::parse::<TextDocument>(body)?],
    };
    let own = |key: &&String| key.starts_with("pipewright.");
    if let Some(key) = texts.iter().flat_map(|text| text.metadata.keys()).find(own) {
        let message = format!("metadata.{key}: names that begin so are the host's own");
        return Err(PipeError::bad_field("metadata", message).into());
    }
    Ok(texts.into_iter().map(TextDocument::into_upload).collect())
}

impl TextDocument {
    fn into_upload(self) -> Upload {
        let Self { id, text, title, url, audience, metadata } = self;
        Upload { id, title, url, audience, metadata, content: Content::Text(text) }
    }
}

impl FileFields {
    fn into_upload(self, name: String, bytes: Vec<u8>, audience: Audience) -> Upload {
        let Self { id, title, url } = self;
        let id = id.unwrap_or_else(|| name.clone());
        let content = Content::File { name, bytes };
        Upload { id, title, url, audience, metadata: Map::new(), content }
    }
}

fn parse_audience(text: &str) -> Result<Audience, PipeError> {
    serde_json::from_str(text).map_err(|_| {
        let message =
            "audience: must be `\"everyone\"`, or `{\"only\": {\"users\": […], \"roles\": […]}}`";
        PipeError::bad_field("audience", message)
    })
}

/// Parses a form. Every part with a file name is a file; `id`, `title` and `url` before it apply to
/// it, `audience` to it and all that follow.
async fn parse_files(headers: &HeaderMap, body: web::Bytes) -> Result<Vec<Upload>, HttpError> {
    let broken = |_| PipeError::bad_request("the form is broken: send `multipart/form-data`");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default()).map_err(broken)?;
    let mut form = Multipart::new(yielding_slices(body), boundary);
    let (mut uploads, mut fields_of_file, mut audience_of_files) =
        (Vec::new(), FileFields::default(), Audience::Everyone);
    // A field that no file follows would be lost, and an audience with it.
    let mut last = None;
    let mut fields = 0;
    while let Some(field) = form.next_field().await.map_err(broken)? {
        fields += 1;
        if fields > MAX_FIELDS {
            let message = format!("the form has too many parts: send {MAX_FIELDS} at most");
            return Err(PipeError::bad_request(message).into());
        }
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file) = file_name(&field) {
            let bytes = field.bytes().await.map_err(broken)?.to_vec();
            uploads.push(std::mem::take(&mut fields_of_file).into_upload(
                file,
                bytes,
                audience_of_files.clone(),
            ));
            last = None;
            continue;
        }
        let text = field.text().await.map_err(broken)?;
        match name.as_str() {
            "id" => fields_of_file.id = Some(text),
            "title" => fields_of_file.title = Some(text),
            "url" => fields_of_file.url = Some(text),
            "audience" => audience_of_files = parse_audience(&text)?,
            _ => {
                let message = format!(
                    "{name}: is not known here: send `id`, `title`, `url`, `audience`, and files with a file name"
                );
                return Err(PipeError::bad_field(name, message).into());
            }
        }
        last = Some(name);
    }
    match last.filter(|_| !uploads.is_empty()) {
        Some(name) => {
            let message = format!("{name}: comes after the last file: put it before the file");
            Err(PipeError::bad_field(name, message).into())
        }
        None => Ok(uploads),
    }
}

/// Returns the body in slices, between which other tasks have their turn.
fn yielding_slices(
    body: web::Bytes,
) -> impl Stream<Item = Result<web::Bytes, std::convert::Infallible>> + Send {
    stream::unfold(body, |mut body| async {
        tokio::task::yield_now().await;
        let slice = body.split_to(body.len().min(SLICE_BYTES));
        (!slice.is_empty()).then_some((Ok(slice), body))
    })
}

/// Returns the name of a file; a part without one is a field.
fn file_name(field: &Field<'_>) -> Option<String> {
    field.file_name().filter(|name| !name.is_empty()).map(str::to_owned)
}
