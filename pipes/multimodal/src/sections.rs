//! Sections: a chat is split into what each model reads of it.

use crate::{
    attachments::{self, Attachment, AttachmentKind},
    loader::LoadedImages,
    section_kind::SectionKind,
    valves::MultimodalValves,
};
use pipe_sdk::{Body, Content, Host, Message, Part, PipeError, Role};
use serde_json::Map;
use std::mem;

/// A part of the answer: the calls of the model that reads one kind of input.
pub(crate) struct Section {
    pub kind: SectionKind,
    /// The requests, or the reason why there are none.
    pub calls: Result<Vec<Body>, PipeError>,
}

/// The longest question that goes beside images, files and audio, in characters.
const MAX_QUESTION_CHARS: usize = 16_000;

/// Splits a chat. Images, and what else another model reads, become short texts in its messages,
/// as in `[Image 1]`. Without a fusion model, the model for text gets all that is left of it.
pub(crate) fn split(
    body: &mut Body,
    attachments: &[Attachment],
    images: LoadedImages,
    valves: &MultimodalValves,
    host: &Host,
) -> Vec<Section> {
    let question = body.last_user_text().unwrap_or_default();
    let question: String = question.trim().chars().take(MAX_QUESTION_CHARS).collect();
    let mut media = vec![image_section(body, images, &question, valves)];
    let others = [
        (AttachmentKind::File, SectionKind::Files, &valves.file_model, "file", "file_model"),
        (AttachmentKind::Audio, SectionKind::Audio, &valves.audio_model, "audio", "audio_model"),
    ];
    for (kind, section, model, input, valve) in others {
        let mut places = attachments.iter().filter(|at| at.kind == kind).peekable();
        if places.peek().is_none() {
            continue;
        }
        let text_model = valves.text_model.as_deref().unwrap_or_default();
        let is_read = || host.find_model(text_model).and_then(|card| card.can_read(input));
        let calls = match model {
            Some(model) => Ok(model),
            // The model for text gets them in their places.
            None if is_read() != Some(false) => continue,
            None => Err(PipeError::bad_request(format!(
                "no model here reads {}: have an admin set `{valve}`",
                section.word()
            ))),
        };
        let parts: Vec<_> = places
            .enumerate()
            .filter_map(|(index, place)| take_part(body, section, index + 1, place))
            .collect();
        let calls = calls.map(|model| vec![media_call(body, model, section, &question, parts)]);
        media.push(Some(Section { kind: section, calls }));
    }
    attachments::join_texts(&mut body.messages, attachments);
    let mut sections: Vec<_> = media.into_iter().flatten().collect();
    if sections.is_empty() || !question.is_empty() {
        sections.insert(0, text_section(body, valves));
    }
    sections
}

fn image_section(
    body: &mut Body,
    images: LoadedImages,
    question: &str,
    valves: &MultimodalValves,
) -> Option<Section> {
    let mut parts = Vec::new();
    for (index, (place, picture)) in images.0.into_iter().enumerate() {
        let number = index + 1;
        let text = match picture {
            Some(picture) => {
                let image = Part::ImageUrl { image_url: picture.data_url, rest: Map::new() };
                parts.push((format!("Image {number}:"), image));
                format!("[Image {number}]")
            }
            None => format!("[Image {number}: not shown]"),
        };
        replace_part(&mut body.messages, &place, text);
    }
    if parts.is_empty() {
        return None;
    }
    let model = valves.image_model.as_deref().unwrap_or_default();
    let mut calls = Vec::new();
    while !parts.is_empty() {
        let rest = parts.split_off(valves.max_images_per_call.min(parts.len()));
        let group = mem::replace(&mut parts, rest);
        calls.push(media_call(body, model, SectionKind::Images, question, group));
    }
    Some(Section { kind: SectionKind::Images, calls: Ok(calls) })
}

/// Returns the chat for the model for text. Tools and formats are for the model that writes the
/// answer.
fn text_section(body: &mut Body, valves: &MultimodalValves) -> Section {
    let has_fusion = valves.fusion_model.is_some();
    let mut call = if has_fusion { body.clone() } else { mem::take(body) };
    call.model = valves.text_model.clone().unwrap_or_default();
    if has_fusion {
        call.rest.shift_remove("response_format");
        if call.messages.iter().any(|message| !message.tool_calls.is_empty()) {
            // A model must know the tools to read their calls.
            call.tool_choice = Some("none".into());
        } else {
            call.tools.clear();
            call.tool_choice = None;
        }
    }
    Section { kind: SectionKind::Text, calls: Ok(vec![call]) }
}

/// Returns a request that shows these parts to a model, each under its name.
fn media_call(
    body: &Body,
    model: &str,
    kind: SectionKind,
    question: &str,
    parts: Vec<(String, Part)>,
) -> Body {
    let task = kind.task();
    let prompt = if question.is_empty() {
        format!("{task} Say what they hold, each by its number.")
    } else {
        format!(
            "{task} Say what in them matters for the message below, each by its number, and answer \
             the message as far as they answer it. Write in the language of the message.\n\n\
             Message: {question}"
        )
    };
    let parts = parts.into_iter().flat_map(|(name, part)| [Part::from_text(name), part]);
    let content = [Part::from_text(prompt)].into_iter().chain(parts).collect();
    let message =
        Message { content: Some(Content::Parts(content)), ..Message::new(Role::User, "") };
    Body {
        stream: body.stream,
        temperature: body.temperature,
        top_p: body.top_p,
        max_tokens: body.max_tokens,
        max_completion_tokens: body.max_completion_tokens,
        ..Body::new(model, vec![message])
    }
}

/// Takes a part out of a chat, and leaves its name there.
fn take_part(
    body: &mut Body,
    kind: SectionKind,
    number: usize,
    place: &Attachment,
) -> Option<(String, Part)> {
    let name = format!("{} {number}", kind.item());
    let part = replace_part(&mut body.messages, place, format!("[{name}]"))?;
    Some((format!("{name}:"), part))
}

/// Replaces an attachment by a text, and returns it.
pub(crate) fn replace_part(
    messages: &mut [Message],
    place: &Attachment,
    text: String,
) -> Option<Part> {
    match &mut messages.get_mut(place.message)?.content {
        Some(Content::Parts(parts)) => {
            Some(mem::replace(parts.get_mut(place.part)?, Part::from_text(text)))
        }
        Some(Content::Text(_)) | None => None,
    }
}
