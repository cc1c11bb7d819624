//! Converts the parts of one message into blocks.

use super::{
    Target,
    body::{Block, CachePoint, GuardedContent, GuardedText, ReasoningBlock},
    inline_images::without_inline_images,
    media::{MediaBudget, PartError},
};
use pipe_sdk::{Content, Message, Part, PipeError, Result, Role, text_of_part};
use serde_json::{Map, Value};

/// The blocks of one message.
#[derive(Debug, Default)]
pub struct MessageBlocks<'a> {
    /// Reasoning in a form that the model takes back.
    pub reasoning: Vec<Block<'a>>,
    /// The content blocks, with the cache points that the client has set.
    pub blocks: Vec<Block<'a>>,
    /// A cache point without a part before it yet.
    pending_point: Option<CachePoint>,
}

/// Returns the blocks of the message at this place. Blank texts are left out.
pub fn read_message<'a>(
    message: &'a Message,
    place: usize,
    target: &Target,
    budget: &mut MediaBudget,
) -> Result<MessageBlocks<'a>> {
    let mut blocks = MessageBlocks::default();
    if message.role == Role::Assistant && target.family.signed_reasoning {
        blocks.reasoning = replayed_reasoning(message);
    }
    match &message.content {
        None => {}
        Some(Content::Text(words)) => blocks.blocks.extend(text_of_role(words, message.role)),
        Some(Content::Parts(parts)) => {
            for (at, part) in parts.iter().enumerate() {
                let field = || format!("messages[{place}].content[{at}]");
                let read = read_part(part, message.role, target, budget, &mut blocks);
                read.map_err(|error| PipeError::bad_field(field(), error))?;
            }
        }
    }
    if message.role == Role::Assistant
        && blocks.blocks.is_empty()
        && let Some(refusal) = message.rest.get("refusal").and_then(Value::as_str)
    {
        blocks.blocks.extend(text(refusal));
    }
    if let Some(point) = cache_point(&message.rest) {
        blocks.blocks.push(Block::CachePoint(point));
    }
    Ok(blocks)
}

fn read_part<'a>(
    part: &'a Part,
    role: Role,
    target: &Target,
    budget: &mut MediaBudget,
    blocks: &mut MessageBlocks<'a>,
) -> Result<(), PartError> {
    let (block, rest) = match part {
        Part::Text { text: words, rest } => (text_of_role(words, role), rest),
        Part::ImageUrl { image_url, rest } => {
            check_media_role(role)?;
            let label = rest.get("format").and_then(Value::as_str);
            let block = match left_out_image(role, target) {
                Some(note) => note,
                None => budget.image(image_url, label, target)?,
            };
            (Some(block), rest)
        }
        Part::Other(part) => (read_other_part(part, role, target, budget, blocks)?, part),
    };
    let waits = blocks.pending_point.take();
    blocks.blocks.extend(block);
    blocks.blocks.extend(budget.take_name_notes());
    let point = cache_point(rest).or(waits);
    if blocks.blocks.is_empty() {
        // A cache point on a blank text belongs to the part before it, or if there is none to the
        // part after it.
        blocks.pending_point = point;
    } else {
        blocks.blocks.extend(point.map(Block::CachePoint));
    }
    Ok(())
}

fn read_other_part<'a>(
    part: &'a Map<String, Value>,
    role: Role,
    target: &Target,
    budget: &mut MediaBudget,
    blocks: &mut MessageBlocks<'a>,
) -> Result<Option<Block<'a>>, PartError> {
    let word = |name: &str| part.get(name).and_then(Value::as_str);
    let kind = word("type").ok_or("a part needs a type, as in `text` or `image_url`")?;
    if MEDIA_TYPES.contains(&kind) {
        check_media_role(role)?;
    }
    if matches!(kind, "input_image" | "image")
        && let Some(note) = left_out_image(role, target)
    {
        return Ok(Some(note));
    }
    Ok(match kind {
        "input_text" | "output_text" => word("text").and_then(|words| text_of_role(words, role)),
        "refusal" => word("refusal").and_then(text),
        "guarded_text" => word("text").filter(|text| !text.trim().is_empty()).map(|text| {
            Block::GuardContent(GuardedContent { text: GuardedText { text: text.into() } })
        }),
        "thinking" | "redacted_thinking" => {
            blocks
                .reasoning
                .extend(anthropic_reasoning(part).filter(|_| target.family.signed_reasoning));
            None
        }
        "input_image" => {
            let url = part.get("image_url");
            let url = url.and_then(|url| url.as_str().or_else(|| url["url"].as_str()));
            Some(budget.image(url.ok_or("the image has no `image_url`")?, None, target)?)
        }
        "image" => Some(budget.anthropic_image(part, target)?),
        "file" | "input_file" => Some(budget.file(part, target)?),
        "document" => Some(budget.document(part, target)?),
        "video_url" | "input_video" | "video" => {
            let video =
                part.get("video_url").or_else(|| part.get("video")).or_else(|| part.get("url"));
            let url = video.and_then(|video| video.as_str().or_else(|| video["url"].as_str()));
            Some(budget.video(url.ok_or("the video has no `video_url.url`")?, target)?)
        }
        "input_audio" | "audio_url" => {
            let audio = part.get("input_audio").or_else(|| part.get("audio_url"));
            let audio = audio.ok_or("the audio has no `input_audio`")?;
            let data = audio["data"].as_str().or_else(|| audio["url"].as_str());
            let data = data.ok_or("the audio has no `input_audio.data`")?;
            Some(budget.audio(data, audio["format"].as_str(), target)?)
        }
        // One unknown part must not stop a conversation.
        kind => text_of_part(&Value::Object(part.clone()))
            .map(|words| Block::Text(format!("[{kind}] {words}").into())),
    })
}

/// Returns the note in place of an image that no person has sent, for a model that takes none: a
/// tool that shows one must not stop a session.
fn left_out_image<'a>(role: Role, target: &Target) -> Option<Block<'a>> {
    let is_left_out = role != Role::User && target.inputs.image == Some(false);
    is_left_out.then(|| Block::Text("[An image was left out: you cannot see images.]".into()))
}

/// The types of parts that hold media.
const MEDIA_TYPES: [&str; 10] = [
    "input_image",
    "image",
    "file",
    "input_file",
    "document",
    "video_url",
    "input_video",
    "video",
    "input_audio",
    "audio_url",
];

/// Returns blocks in words. An assistant may have put pictures among them.
fn text_of_role(words: &str, role: Role) -> Option<Block<'_>> {
    if role != Role::Assistant {
        return text(words);
    }
    (!words.trim().is_empty()).then(|| Block::Text(without_inline_images(words)))
}

/// Returns a text as a block; `None` if it is blank, which the service refuses.
fn text(words: &str) -> Option<Block<'_>> {
    (!words.trim().is_empty()).then_some(Block::Text(words.into()))
}

/// Refuses images and files of the assistant: Bedrock accepts them from the user only, so they go
/// into the user's next turn.
fn check_media_role(role: Role) -> Result<(), PartError> {
    match role {
        Role::System | Role::Developer => Err("system messages must contain text only".into()),
        Role::User | Role::Tool | Role::Function | Role::Assistant => Ok(()),
    }
}

/// Returns the cache point that a client has asked for, as Anthropic's `cache_control`.
pub fn cache_point(rest: &Map<String, Value>) -> Option<CachePoint> {
    let control = rest.get("cache_control").filter(|control| control.is_object())?;
    Some(CachePoint::new(control["ttl"] == "1h"))
}

/// Returns the reasoning that a client sends back: in Open WebUI's shape, or in that of other
/// gateways.
fn replayed_reasoning(message: &Message) -> Vec<Block<'_>> {
    let list = |name: &str| message.rest.get(name).and_then(Value::as_array);
    let details = list("reasoning_details").into_iter().flatten().filter_map(openrouter_reasoning);
    let details: Vec<_> = details.collect();
    if !details.is_empty() {
        return details;
    }
    let blocks = list("thinking_blocks").into_iter().flatten();
    blocks.filter_map(|block| anthropic_reasoning(block.as_object()?)).collect()
}

/// Returns a block of OpenRouter's `reasoning_details`; `None` if another family has signed it, as
/// models accept their own signatures alone.
fn openrouter_reasoning(detail: &Value) -> Option<Block<'_>> {
    if detail["format"].as_str().is_some_and(|format| format != CLAUDE_REASONING_FORMAT) {
        return None;
    }
    let text = |name: &str| detail[name].as_str();
    match text("type")? {
        "reasoning.text" => signed_block(text("text").unwrap_or_default(), text("signature")),
        "reasoning.encrypted" => redacted_block(text("data")),
        _ => None,
    }
}

/// The one format of signed reasoning that comes from Bedrock.
pub const CLAUDE_REASONING_FORMAT: &str = "anthropic-claude-v1";

fn anthropic_reasoning(block: &Map<String, Value>) -> Option<Block<'_>> {
    let text = |name: &str| block.get(name).and_then(Value::as_str);
    match text("type")? {
        "thinking" => signed_block(text("thinking").unwrap_or_default(), text("signature")),
        "redacted_thinking" => redacted_block(text("data")),
        _ => None,
    }
}

/// Returns reasoning with its signature as a block; `None` without a signature, as the service
/// refuses such a block.
fn signed_block<'a>(text: &'a str, signature: Option<&'a str>) -> Option<Block<'a>> {
    let signature = signature.filter(|signature| !signature.is_empty())?;
    Some(Block::ReasoningContent(ReasoningBlock::ReasoningText { text, signature }))
}

fn redacted_block(data: Option<&str>) -> Option<Block<'_>> {
    let data = data.filter(|data| {
        super::base64::normalize(data).is_some_and(|normalized| normalized == *data)
    })?;
    Some(Block::ReasoningContent(ReasoningBlock::RedactedContent(data)))
}
