//! Documents on their way in: files in a form, or text in JSON.

use super::library;
use crate::http::{Error, State, json};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{self, HeaderMap},
    },
    web,
};
use futures_util::stream;
use multer::{Field, Multipart};
use pipe_sdk::{
    ChatRef, Host, PipeError, Trail,
    library::{Audience, Content, Outcome, Upload},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

/// How much may come in at once.
const LIMIT: usize = 128 << 20;

/// A text that is sent in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    id: String,
    text: String,
    #[serde(flatten)]
    about: About,
}

/// What may be said of a document, beside what it says itself.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct About {
    title: Option<String>,
    url: Option<String>,
    audience: Audience,
    metadata: Map<String, Value>,
}

/// One text, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    Several { documents: Vec<Text> },
    One(Text),
}

/// `POST /rag/{collection}/documents`, with `?wait=true` until the meaning finds them too.
pub async fn put(
    state: web::Data<State>,
    collection: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Error> {
    let library = library(&state)?;
    let kind = request.content_type().to_ascii_lowercase();
    let waits = request.query_string().split('&').any(|pair| matches!(pair, "wait" | "wait=true"));
    let body = json::read(payload.into_inner(), LIMIT).await?;
    let uploads = match kind.as_str() {
        "application/json" => texts(&body)?,
        "multipart/form-data" => files(request.headers(), body.freeze()).await?,
        _ => {
            return Err(Error::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send files as `multipart/form-data`, or text as JSON",
            ));
        }
    };
    if uploads.is_empty() {
        return Err(PipeError::bad_field("file", "file: send at least one document").into());
    }
    let filed = library.put(collection.into_inner(), uploads).await?;
    state.tender.wake();
    if waits {
        library.tend(tending(&state)).await;
    }
    let all_failed = filed.iter().all(|filed| matches!(filed.outcome, Outcome::Failed { .. }));
    let status = if all_failed { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    Ok(HttpResponse::build(status).json(json!({"documents": filed})))
}

/// The way to models for what nobody in particular asks for.
fn tending(state: &State) -> Host {
    Host::new(state.registry.clone(), Trail::default(), ChatRef::default())
}

fn texts(body: &[u8]) -> Result<Vec<Upload>, Error> {
    let texts = match parsed::<Texts>(body, "body")? {
        Texts::Several { documents } => documents,
        Texts::One(text) => vec![text],
    };
    let upload = |Text { id, text, about }| about.upload(id, Content::Text(text));
    Ok(texts.into_iter().map(upload).collect())
}

fn parsed<T: DeserializeOwned>(json: &[u8], field: &str) -> Result<T, PipeError> {
    serde_json::from_slice(json).map_err(|error| {
        let message = match field {
            "body" => "send `{\"id\": …, \"text\": …}`, if need be with `title`, `url`, `audience` and `metadata`; or several in `documents`",
            _ if error.is_data() => "must be `\"everyone\"`, or `{\"only\": {\"users\": […], \"roles\": […]}}`",
            _ => "is not valid JSON",
        };
        PipeError::bad_field(field, format!("{field}: {message}"))
    })
}

impl About {
    fn upload(self, id: String, content: Content) -> Upload {
        let Self { title, url, audience, metadata } = self;
        Upload { id, title, url, audience, metadata, content }
    }
}

/// Every part with a file name is a file; `id`, `title`, `url` and `audience` before it tell about it.
async fn files(headers: &HeaderMap, body: web::Bytes) -> Result<Vec<Upload>, Error> {
    let broken = |_| PipeError::bad_request("the form is broken: send `multipart/form-data`");
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default()).map_err(broken)?;
    let body = stream::iter([Ok::<_, std::convert::Infallible>(body)]);
    let mut form = Multipart::new(body, boundary);
    let (mut uploads, mut about, mut id) = (Vec::new(), About::default(), None);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        let name = field.name().unwrap_or_default().to_owned();
        if let Some(file) = file_name(&field) {
            let bytes = field.bytes().await.map_err(broken)?.to_vec();
            let content = Content::File { name: file.clone(), bytes };
            let about = std::mem::take(&mut about);
            uploads.push(about.upload(id.take().unwrap_or(file), content));
            continue;
        }
        let text = field.text().await.map_err(broken)?;
        match name.as_str() {
            "id" => id = Some(text),
            "title" => about.title = Some(text),
            "url" => about.url = Some(text),
            "audience" => about.audience = parsed(text.as_bytes(), "audience")?,
            _ => {
                let message = format!(
                    "{name}: is not known here: send `id`, `title`, `url`, `audience`, and files with a file name"
                );
                return Err(PipeError::bad_field(name, message).into());
            }
        }
    }
    Ok(uploads)
}

/// The name of a file; a part without one is a field.
fn file_name(field: &Field<'_>) -> Option<String> {
    field.file_name().filter(|name| !name.is_empty()).map(str::to_owned)
}
