//! Image generation: each model family has a body of its own (`docs/reference/bedrock.md`,
//! "Embeddings, reranking, images"). A call of more images than a model makes at once becomes
//! several requests.

mod amazon;
mod answer;
mod chat;
mod stability;

pub use chat::chat;

use super::invoke::{ModelResponse, invoke};
use crate::{
    catalog::ModelEntry,
    sending::{CallDeps, CandidateError, try_candidates},
};
use answer::Answer;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Image, ImageCall, Images, PipeError, Result};
use serde_json::Value;
use std::sync::Arc;

/// The families of models that make pictures of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ImageFamily {
    Amazon(amazon::Model),
    Stability(stability::Model),
}

/// The largest number of concurrent requests of one call.
const MAX_CONCURRENT_REQUESTS: usize = 4;

/// The models by the prefixes of their ids. Other models of these vendors edit images, for which
/// this pipe has no operation.
const FAMILIES: &[(&str, ImageFamily)] = &[
    ("amazon.nova-canvas", ImageFamily::Amazon(amazon::NOVA_CANVAS)),
    ("amazon.titan-image-generator", ImageFamily::Amazon(amazon::TITAN)),
    ("stability.sd3", ImageFamily::Stability(stability::FROM_PICTURES)),
    ("stability.stable-image-core", ImageFamily::Stability(stability::FROM_WORDS)),
    ("stability.stable-image-ultra", ImageFamily::Stability(stability::FROM_PICTURES)),
];

/// Makes the pictures by the first of these models that can.
pub async fn images(
    call: &ImageCall,
    candidates: &[Arc<ModelEntry>],
    deps: CallDeps<'_>,
) -> Result<Images> {
    make_images(call, candidates, deps).await.map(|(_, images)| images)
}

/// Returns the images, and the model that has made them.
async fn make_images<'a>(
    call: &ImageCall,
    candidates: &'a [Arc<ModelEntry>],
    deps: CallDeps<'a>,
) -> Result<(&'a ModelEntry, Images)> {
    try_candidates(candidates, deps, |entry, deps| Box::pin(ask(call, entry, deps))).await
}

/// Sends all requests that the images of a call need to one candidate model.
async fn ask(
    call: &ImageCall,
    entry: &ModelEntry,
    deps: CallDeps<'_>,
) -> Result<Images, CandidateError> {
    let requests = requests(call, entry).map_err(CandidateError::from_rejection)?;
    let requests: Vec<_> = requests.into_iter().map(|body| send_one(body, entry, deps)).collect();
    let answers: Vec<Answer> =
        stream::iter(requests).buffered(MAX_CONCURRENT_REQUESTS).try_collect().await?;
    let (mut images, mut refusals) = (Vec::new(), Vec::new());
    for Answer { images: made, refusal } in answers {
        images.extend(made.into_iter().map(Image::from_base64));
        refusals.extend(refusal);
    }
    if images.is_empty() {
        return Err(CandidateError::from_rejection(no_image_error(&entry.id, refusals.first())));
    }
    Ok(Images { images })
}

/// Sends one request and returns its answer.
async fn send_one(
    body: Bytes,
    entry: &ModelEntry,
    deps: CallDeps<'_>,
) -> Result<Answer, CandidateError> {
    let ModelResponse { answer, .. } = Box::pin(invoke(body, entry, deps)).await?;
    Ok(answer)
}

/// Returns the bodies of the requests that together make all images of a call.
fn requests(call: &ImageCall, entry: &ModelEntry) -> Result<Vec<Bytes>> {
    let bodies = match ImageFamily::from_model_id(&entry.base) {
        Some(ImageFamily::Amazon(model)) => vec![model.request(call, &entry.id)?],
        Some(ImageFamily::Stability(model)) => model.requests(call, &entry.id)?,
        None => {
            let message = format!("`{}` makes pictures, but not in a way known here", entry.id);
            return Err(PipeError::bad_field("model", message));
        }
    };
    let written = |body: &Value| serde_json::to_vec(body).map(Bytes::from);
    bodies.iter().map(written).collect::<Result<_, _>>().map_err(PipeError::internal)
}

impl ImageFamily {
    fn from_model_id(base: &str) -> Option<Self> {
        let row = FAMILIES.iter().find(|(beginning, _)| base.starts_with(beginning));
        row.map(|(_, family)| *family)
    }
}

/// Returns the error of a model that has made nothing.
fn no_image_error(model: &str, refusal: Option<&String>) -> PipeError {
    match refusal {
        Some(reason) => {
            let reason = reason.trim_end_matches('.');
            PipeError::against_policy(format!(
                "`{model}` does not make this picture ({reason}): put it in other words"
            ))
        }
        None => PipeError::Upstream(format!("`{model}` has made no picture: try again")),
    }
}

/// Returns the error of an option that a model does not support.
fn unsupported_field(field: &str, model: &str, can: impl std::fmt::Display) -> PipeError {
    PipeError::bad_field(field, format!("{field}: `{model}` {can}"))
}

/// Refuses what no family here can do, and words that are too many for this model.
fn check_prompt(call: &ImageCall, model: &str, longest_prompt: usize) -> Result<()> {
    if call.options.transparent {
        return Err(unsupported_field("background", model, "makes no transparent pictures"));
    }
    let most = format_args!("takes {longest_prompt} characters at most");
    if call.prompt.chars().count() > longest_prompt {
        return Err(unsupported_field("prompt", model, most));
    }
    let negative = call.options.negative_prompt.as_deref().unwrap_or_default();
    if negative.chars().count() > longest_prompt {
        return Err(unsupported_field("negative_prompt", model, most));
    }
    Ok(())
}

/// Returns whether a style is one of OpenAI's, which its clients send by default. The models here
/// do not know them.
fn is_openai_style(style: &str) -> bool {
    matches!(style, "vivid" | "natural")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::IMAGE_MODELS;

    #[test]
    fn every_image_model_of_the_catalog_has_a_request_format() {
        let prefixes: Vec<_> = FAMILIES.iter().map(|(prefix, _)| *prefix).collect();
        assert_eq!(prefixes, IMAGE_MODELS);
        for (base, is_known) in [
            ("amazon.nova-canvas-v1:0", true),
            ("amazon.titan-image-generator-v2:0", true),
            ("stability.sd3-5-large-v1:0", true),
            ("stability.stable-image-core-v1:1", true),
            ("stability.stable-image-inpaint-v1:0", false),
            ("stability.stable-conservative-upscale-v1:0", false),
            ("amazon.nova-reel-v1:0", false),
        ] {
            assert_eq!(ImageFamily::from_model_id(base).is_some(), is_known, "{base}");
        }
    }
}
