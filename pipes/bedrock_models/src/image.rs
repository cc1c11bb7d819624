//! Words become pictures: each family is asked in its own words (`docs/reference/bedrock.md`, "Embeddings, reranking, images"), as often as it takes for all that were wished.

mod amazon;
mod answer;
mod chat;
mod stability;

pub use chat::chat;

use crate::{
    attempts::{Means, Unanswered},
    catalogue::Entry,
    fallback,
    invoke::{Invoked, invoke},
};
use answer::Answer;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use pipe_sdk::{Image, ImageCall, Images, PipeError, Result};
use serde_json::Value;

/// The families of models that make pictures of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Amazon(amazon::Model),
    Stability(stability::Model),
}

/// How many requests of one call are under way at once.
const AT_ONCE: usize = 4;

/// The models by how their ids begin. Others by the same makers mend pictures, which nobody can ask for here.
const FAMILIES: &[(&str, Family)] = &[
    ("amazon.nova-canvas", Family::Amazon(amazon::NOVA_CANVAS)),
    ("amazon.titan-image-generator", Family::Amazon(amazon::TITAN)),
    ("stability.sd3", Family::Stability(stability::FROM_PICTURES)),
    ("stability.stable-image-core", Family::Stability(stability::FROM_WORDS)),
    ("stability.stable-image-ultra", Family::Stability(stability::FROM_PICTURES)),
];

/// Whether the model with this base id makes pictures of words.
pub fn paints(base: &str) -> bool {
    Family::of(base).is_some()
}

/// Makes the pictures by the first of these models that can.
pub async fn images(call: &ImageCall, entries: &[Entry], means: Means<'_>) -> Result<Images> {
    painted(call, entries, means).await.map(|(_, images)| images)
}

/// Who has made the pictures, and the pictures.
async fn painted<'a>(
    call: &ImageCall,
    entries: &'a [Entry],
    means: Means<'a>,
) -> Result<(&'a Entry, Images)> {
    fallback::first(entries, means, |entry, means| Box::pin(ask(call, entry, means))).await
}

async fn ask(call: &ImageCall, entry: &Entry, means: Means<'_>) -> Result<Images, Unanswered> {
    let requests = requests(call, entry).map_err(Unanswered::at_once)?;
    let requests: Vec<_> = requests.into_iter().map(|body| part(body, entry, means)).collect();
    let answers: Vec<Answer> = stream::iter(requests).buffered(AT_ONCE).try_collect().await?;
    let (mut images, mut refusals) = (Vec::new(), Vec::new());
    for Answer { images: made, refusal } in answers {
        images.extend(made.into_iter().map(Image::from_base64));
        refusals.extend(refusal);
    }
    if images.is_empty() {
        return Err(Unanswered::at_once(unmade(&entry.id, refusals.first())));
    }
    Ok(Images { images })
}

/// What comes of one request.
async fn part(body: Bytes, entry: &Entry, means: Means<'_>) -> Result<Answer, Unanswered> {
    let Invoked { answer, .. } = Box::pin(invoke(body, entry, means)).await?;
    Ok(answer)
}

/// The bodies that together ask for all that is wished.
fn requests(call: &ImageCall, entry: &Entry) -> Result<Vec<Bytes>> {
    let bodies = match Family::of(&entry.base) {
        Some(Family::Amazon(model)) => vec![model.request(call, &entry.id)?],
        Some(Family::Stability(model)) => model.requests(call, &entry.id)?,
        None => {
            let message = format!("`{}` makes pictures, but not in a way known here", entry.id);
            return Err(PipeError::bad_field("model", message));
        }
    };
    let written = |body: &Value| serde_json::to_vec(body).map(Bytes::from);
    bodies.iter().map(written).collect::<Result<_, _>>().map_err(PipeError::internal)
}

impl Family {
    fn of(base: &str) -> Option<Self> {
        let row = FAMILIES.iter().find(|(beginning, _)| base.starts_with(beginning));
        row.map(|(_, family)| *family)
    }
}

/// The error of a model that has made nothing.
fn unmade(model: &str, refusal: Option<&String>) -> PipeError {
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

/// The error of a wish that a model cannot fulfil.
fn beyond(field: &str, model: &str, can: impl std::fmt::Display) -> PipeError {
    PipeError::bad_field(field, format!("{field}: `{model}` {can}"))
}

/// Refuses what no family here can do, and words that are too many for this model.
fn check(call: &ImageCall, model: &str, longest_prompt: usize) -> Result<()> {
    if call.options.transparent {
        return Err(beyond("background", model, "makes no transparent pictures"));
    }
    let most = format_args!("takes {longest_prompt} characters at most");
    if call.prompt.chars().count() > longest_prompt {
        return Err(beyond("prompt", model, most));
    }
    let negative = call.options.negative_prompt.as_deref().unwrap_or_default();
    if negative.chars().count() > longest_prompt {
        return Err(beyond("negative_prompt", model, most));
    }
    Ok(())
}

/// OpenAI's own words for styles, which its clients send unasked. They mean nothing to the models here.
fn is_openai_style(style: &str) -> bool {
    matches!(style, "vivid" | "natural")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mends_pictures_does_not_paint() {
        for (base, does) in [
            ("amazon.nova-canvas-v1:0", true),
            ("amazon.titan-image-generator-v2:0", true),
            ("stability.sd3-5-large-v1:0", true),
            ("stability.stable-image-core-v1:1", true),
            ("stability.stable-image-inpaint-v1:0", false),
            ("stability.stable-conservative-upscale-v1:0", false),
            ("amazon.nova-reel-v1:0", false),
        ] {
            assert_eq!(paints(base), does, "{base}");
        }
    }
}
