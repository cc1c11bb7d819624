//! Image generation, in OpenAI's shape.

use super::{
    clock::unix_seconds,
    error::HttpError,
    json::{Json, JsonBody},
    json_response,
    request_context::RequestContext,
    shape::{
        COUNT,
        Shape::{self, Flag, Object, Text, Whole, Word},
        USER,
    },
    unary,
};
use actix_web::{HttpResponse, http::StatusCode};
use pipe_sdk::{Demand, Image, ImageCall, ImageFormat, ImageOptions, Images, PipeError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The body of a request for images.
#[derive(Deserialize)]
pub struct ImagesBody {
    #[serde(default)]
    model: String,
    #[serde(default)]
    prompt: String,
    #[serde(default)]
    response_format: Option<ImageResponseFormat>,
    user: Option<Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// The form in which an image is returned.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ImageResponseFormat {
    /// Base64, the only format of OpenAI's newer models.
    #[default]
    B64Json,
    /// A `data:` URL that holds the image. Images are not stored, so no other URL could lead to
    /// them.
    Url,
}

/// The body of a response to `POST /images/generations`.
#[derive(Serialize)]
struct ImageList {
    created: u64,
    data: Vec<ImageObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_format: Option<ImageFormat>,
}

/// An image in the format that the client wants.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ImageObject {
    B64Json(String),
    Url(String),
}

impl JsonBody for ImagesBody {
    const LIMIT: usize = 1 << 20;
    // `ImageOptions` reads and refuses the options of pictures: chats have those fields too.
    const SHAPE: &'static Shape = &Object(
        &[
            ("model", &Text),
            ("prompt", &Text),
            ("response_format", &Text),
            ("stream", &Flag),
            ("partial_images", &COUNT),
            ("output_compression", &Whole(0.0, 100.0)),
            ("moderation", &Word(&["auto", "low"])),
            ("user", &USER),
        ],
        &[("", "model"), ("", "prompt")],
    );
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

/// The approximate size of an image, in bytes.
const IMAGE_BYTES: usize = 3 << 20;

/// The largest number of images that are charged before they are made; models make ten at most.
const MAX_CHARGED_IMAGES: u32 = 10;

/// `POST /images/generations`.
pub async fn generate(
    context: RequestContext,
    body: Json<ImagesBody>,
) -> Result<HttpResponse, HttpError> {
    let Json(ImagesBody { model, prompt, response_format, user, rest }) = body;
    check(&prompt, &rest)?;
    let options = ImageOptions::from_fields(&rest)?;
    let count = options.n.unwrap_or(1).clamp(1, MAX_CHARGED_IMAGES) as usize;
    let call = ImageCall { options, ..ImageCall::new(&model, prompt) };
    let model_call = unary::admit_model(&context, user, &model, Demand::image(&call)).await?;
    let mut share = context.share();
    share.grow(count * IMAGE_BYTES)?;
    let Images { images } = context.or_shutdown(model_call.images(call)).await?;
    let delivery = response_format.unwrap_or_default();
    let output_format = images.first().map(|image| image.format);
    let bytes = images.iter().map(|image| image.base64.len()).sum();
    let data = images.into_iter().map(|image| delivery.encode(image)).collect();
    let list = ImageList { created: unix_seconds(), data, output_format };
    Ok(json_response::respond(HttpResponse::Ok(), share.caller(), bytes, list).await?)
}

/// Refuses requests without a prompt, and fields that are not supported.
fn check(prompt: &str, rest: &Map<String, Value>) -> Result<()> {
    if prompt.trim().is_empty() {
        return Err(PipeError::bad_field("prompt", "prompt: say what is to be seen"));
    }
    if rest.get("stream").is_some_and(|stream| *stream == true) {
        let message = "stream: images are not streamed: remove it";
        return Err(PipeError::bad_field("stream", message));
    }
    Ok(())
}

impl ImageResponseFormat {
    /// Returns an image in this format.
    fn encode(self, image: Image) -> ImageObject {
        match self {
            Self::B64Json => ImageObject::B64Json(image.base64),
            Self::Url => ImageObject::Url(image.data_url()),
        }
    }
}
