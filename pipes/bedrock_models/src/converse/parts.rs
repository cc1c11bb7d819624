//! What one message says, block by block.

use super::{
    Target,
    body::{Block, CachePoint, Guarded, GuardedText, Reasoning},
    media::{Gallery, ValveError},
    pictures::without_pictures,
};
use pipe_sdk::{Content, Message, Part, PipeError, Result, Role};
use serde_json::{Map, Value};

/// The blocks of one message.
#[derive(Debug, Default)]
pub struct Said<'a> {
    /// What the model has thought, in a form that it takes back.
    pub reasoning: Vec<Block<'a>>,
    /// What is said, with the cache points that the client has set.
    pub blocks: Vec<Block<'a>>,
    /// A cache point that nothing stands before yet.
    waiting: Option<CachePoint>,
}

/// What this message, which stands at this place, says. Blank texts are left out.
pub fn said<'a>(
    message: &'a Message,
    place: usize,
    target: &Target,
    gallery: &mut Gallery,
) -> Result<Said<'a>> {
    let mut said = Said::default();
    if message.role == Role::Assistant && target.family.signed {
        said.reasoning = replayed(message);
    }
    match &message.content {
        None => {}
        Some(Content::Text(words)) => said.blocks.extend(spoken(words, message.role)),
        Some(Content::Parts(parts)) => {
            for (at, part) in parts.iter().enumerate() {
                let field = || format!("messages[{place}].content[{at}]");
                let read = one(part, message.role, target, gallery, &mut said);
                read.map_err(|fault| PipeError::bad_field(field(), fault))?;
            }
        }
    }
    if message.role == Role::Assistant
        && said.blocks.is_empty()
        && let Some(refusal) = message.rest.get("refusal").and_then(Value::as_str)
    {
        said.blocks.extend(text(refusal));
    }
    if let Some(point) = marked(&message.rest) {
        said.blocks.push(Block::CachePoint(point));
    }
    Ok(said)
}

fn one<'a>(
    part: &'a Part,
    role: Role,
    target: &Target,
    gallery: &mut Gallery,
    said: &mut Said<'a>,
) -> Result<(), ValveError> {
    let (block, rest) = match part {
        Part::Text { text: words, rest } => (spoken(words, role), rest),
        Part::ImageUrl { image_url, rest } => {
            seen(role)?;
            let label = rest.get("format").and_then(Value::as_str);
            (Some(gallery.image(image_url, label, target)?), rest)
        }
        Part::Other(part) => (other(part, role, target, gallery, said)?, part),
    };
    let waits = said.waiting.take();
    said.blocks.extend(block);
    said.blocks.extend(gallery.names_told());
    let point = marked(rest).or(waits);
    if said.blocks.is_empty() {
        // A mark on a blank text is about what stands before it, or else about what comes after.
        said.waiting = point;
    } else {
        said.blocks.extend(point.map(Block::CachePoint));
    }
    Ok(())
}

fn other<'a>(
    part: &'a Map<String, Value>,
    role: Role,
    target: &Target,
    gallery: &mut Gallery,
    said: &mut Said<'a>,
) -> Result<Option<Block<'a>>, ValveError> {
    let word = |name: &str| part.get(name).and_then(Value::as_str);
    let kind = word("type").ok_or("a part needs a type, as in `text` or `image_url`")?;
    if !matches!(kind, "input_text" | "output_text" | "refusal" | "thinking" | "redacted_thinking")
    {
        seen(role)?;
    }
    Ok(match kind {
        "input_text" | "output_text" => word("text").and_then(|words| spoken(words, role)),
        "refusal" => word("refusal").and_then(text),
        "guarded_text" => word("text")
            .filter(|text| !text.trim().is_empty())
            .map(|text| Block::GuardContent(Guarded { text: GuardedText { text: text.into() } })),
        "thinking" | "redacted_thinking" => {
            said.reasoning.extend(thought(part).filter(|_| target.family.signed));
            None
        }
        "input_image" => {
            let url = part.get("image_url");
            let url = url.and_then(|url| url.as_str().or_else(|| url["url"].as_str()));
            Some(gallery.image(url.ok_or("the image has no `image_url`")?, None, target)?)
        }
        "image" => Some(gallery.sourced_image(part, target)?),
        "file" | "input_file" => Some(gallery.file(part, target)?),
        "document" => Some(gallery.document(part, target)?),
        "video_url" | "input_video" | "video" => {
            let video =
                part.get("video_url").or_else(|| part.get("video")).or_else(|| part.get("url"));
            let url = video.and_then(|video| video.as_str().or_else(|| video["url"].as_str()));
            Some(gallery.video(url.ok_or("the video has no `video_url.url`")?, target)?)
        }
        "input_audio" | "audio_url" => {
            let audio = part.get("input_audio").or_else(|| part.get("audio_url"));
            let audio = audio.ok_or("the audio has no `input_audio`")?;
            let data = audio["data"].as_str().or_else(|| audio["url"].as_str());
            let data = data.ok_or("the audio has no `input_audio.data`")?;
            Some(gallery.audio(data, audio["format"].as_str(), target)?)
        }
        kind => {
            return Err(format!(
                "parts of type `{kind}` are not taken: send text, images, files, audio or video"
            )
            .into());
        }
    })
}

/// What is said in words. An assistant may have put pictures among them.
fn spoken(words: &str, role: Role) -> Option<Block<'_>> {
    if role != Role::Assistant {
        return text(words);
    }
    (!words.trim().is_empty()).then(|| Block::Text(without_pictures(words)))
}

fn text(words: &str) -> Option<Block<'_>> {
    (!words.trim().is_empty()).then_some(Block::Text(words.into()))
}

/// Bedrock takes pictures and files from the user only; what the assistant showed goes into the user's next turn.
fn seen(role: Role) -> Result<(), ValveError> {
    match role {
        Role::System | Role::Developer => Err("instructions are taken as text only".into()),
        Role::User | Role::Tool | Role::Function | Role::Assistant => Ok(()),
    }
}

/// The cache point that a client has asked for, as Anthropic's `cache_control`.
pub fn marked(rest: &Map<String, Value>) -> Option<CachePoint> {
    let control = rest.get("cache_control").filter(|control| control.is_object())?;
    Some(CachePoint::new(control["ttl"] == "1h"))
}

/// The reasoning that a client sends back: in Open WebUI's shape, or in that of other gateways.
fn replayed(message: &Message) -> Vec<Block<'_>> {
    let list = |name: &str| message.rest.get(name).and_then(Value::as_array);
    let details = list("reasoning_details").into_iter().flatten().filter_map(detailed);
    let details: Vec<_> = details.collect();
    if !details.is_empty() {
        return details;
    }
    let blocks = list("thinking_blocks").into_iter().flatten();
    blocks.filter_map(|block| thought(block.as_object()?)).collect()
}

/// What another family has signed says nothing to this one.
fn detailed(detail: &Value) -> Option<Block<'_>> {
    if detail["format"].as_str().is_some_and(|format| format != SIGNED) {
        return None;
    }
    let text = |name: &str| detail[name].as_str();
    match text("type")? {
        "reasoning.text" => signed(text("text").unwrap_or_default(), text("signature")),
        "reasoning.encrypted" => redacted(text("data")),
        _ => None,
    }
}

/// The one format of signed reasoning that comes from Bedrock.
pub const SIGNED: &str = "anthropic-claude-v1";

fn thought(block: &Map<String, Value>) -> Option<Block<'_>> {
    let text = |name: &str| block.get(name).and_then(Value::as_str);
    match text("type")? {
        "thinking" => signed(text("thinking").unwrap_or_default(), text("signature")),
        "redacted_thinking" => redacted(text("data")),
        _ => None,
    }
}

/// Unsigned reasoning is not taken back, and it is no text either.
fn signed<'a>(text: &'a str, signature: Option<&'a str>) -> Option<Block<'a>> {
    let signature = signature.filter(|signature| !signature.is_empty())?;
    Some(Block::ReasoningContent(Reasoning::ReasoningText { text, signature }))
}

fn redacted(data: Option<&str>) -> Option<Block<'_>> {
    let data = data.filter(|data| super::base64::tidy(data).is_some_and(|tidy| tidy == *data))?;
    Some(Block::ReasoningContent(Reasoning::RedactedContent(data)))
}
