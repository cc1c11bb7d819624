//! A chat with an image model: the last message of the user is the description of the image.

use super::make_images;
use crate::{
    catalog::ModelEntry, model_id::with_pipe_id, request::image_from_data_url, sending::CallDeps,
    valves::ImageAnswers,
};
use pipe_sdk::{
    Call, Chunk, ChunkStream, Content, FinishReason, Image, ImageCall, ImageOptions, Images,
    Message, Part, PipeError, Result, Role,
};
use std::sync::Arc;

/// The prefix of Open WebUI's background prompts, which ask for titles, tags and the like
/// (`docs/reference/open-webui.md`, "Background tasks").
const TASK_PREFIX: &str = "### Task:";

/// The text above a picture that may be meant as a change of an earlier one.
const EARLIER_PICTURE_NOTE: &str =
    "*An earlier picture was not looked at: attach it to begin from it.*\n\n";

/// The largest number of the prompt's characters in the caption of an image.
const MAX_CAPTION_CHARS: usize = 120;

/// Answers this chat with pictures, by the first of these models that can.
pub async fn chat(
    call: &Call,
    candidates: &[Arc<ModelEntry>],
    deps: CallDeps<'_>,
) -> Result<ChunkStream> {
    let image_call = image_call(call)?;
    let caption = caption(&image_call.prompt);
    let (entry, Images { images }) = make_images(&image_call, candidates, deps).await?;
    let to_chunk = |image: Image| match deps.valves.image_answers {
        ImageAnswers::Files => Chunk::Picture(image.with_alt_text(&caption)),
        ImageAnswers::Markdown => Chunk::Content(image.with_alt_text(&caption).markdown()),
    };
    let mut chunks = vec![Chunk::Model(with_pipe_id(&entry.id)), Chunk::Role];
    if image_call.source.is_none() && has_earlier_picture(&call.body.messages) {
        chunks.push(Chunk::Content(EARLIER_PICTURE_NOTE.into()));
    }
    chunks.extend(images.into_iter().map(to_chunk));
    chunks.push(Chunk::Finish(FinishReason::Stop));
    Ok(ChunkStream::from_chunks(chunks))
}

/// Returns the pictures that this chat asks for.
fn image_call(call: &Call) -> Result<ImageCall> {
    let mut messages = call.body.messages.iter().enumerate().rev();
    let prompt_message = messages.find(|(_, message)| message.role == Role::User);
    let no_prompt = || PipeError::bad_field("messages", "messages: say what is to be seen");
    let (place, message) = prompt_message.ok_or_else(no_prompt)?;
    let prompt = message.text().trim().to_owned();
    if call.chat.task.is_some() || prompt.starts_with(TASK_PREFIX) {
        // Each of them would cost a picture that nobody sees.
        let message = "model: it makes pictures, not titles or tags: name another model for such tasks in Open WebUI";
        return Err(PipeError::bad_field("model", message));
    }
    if prompt.is_empty() {
        return Err(no_prompt());
    }
    let options = ImageOptions::from_fields(&call.body.rest)?;
    let source = source(message, place)?;
    Ok(ImageCall { options, source, ..ImageCall::new(&call.model, prompt) })
}

/// Returns whether there is an image before the last message of the user: each answer of these
/// models is one, and a user may have attached one.
fn has_earlier_picture(messages: &[Message]) -> bool {
    let last = messages.iter().rposition(|message| message.role == Role::User);
    let earlier = messages.get(..last.unwrap_or_default()).unwrap_or_default();
    earlier.iter().any(|message| match (&message.role, &message.content) {
        (Role::Assistant, _) => true,
        (_, Some(Content::Parts(parts))) => {
            parts.iter().any(|part| matches!(part, Part::ImageUrl { .. }))
        }
        _ => false,
    })
}

/// Returns the image to begin from: the last one of the message at this index.
fn source(message: &Message, place: usize) -> Result<Option<Image>> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(None) };
    let url = |(at, part): (usize, &'_ Part)| match part {
        Part::ImageUrl { image_url, .. } => Some((at, image_url.clone())),
        Part::Text { .. } | Part::Other(_) => None,
    };
    let Some((at, url)) = parts.iter().enumerate().rev().find_map(url) else { return Ok(None) };
    let base64 = image_from_data_url(&url)
        .map_err(|error| PipeError::bad_field(format!("messages[{place}].content[{at}]"), error))?;
    Ok(Some(Image::from_base64(base64)))
}

/// Returns the beginning of the prompt on one line.
fn caption(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut caption: String = line.chars().take(MAX_CAPTION_CHARS).collect();
    if caption.len() < line.len() {
        caption.push('…');
    }
    caption
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caption_is_one_short_line() {
        assert_eq!(caption("a red\n  fox"), "a red fox");
        assert_eq!(caption(&"é".repeat(200)).chars().count(), MAX_CAPTION_CHARS + 1);
    }
}
