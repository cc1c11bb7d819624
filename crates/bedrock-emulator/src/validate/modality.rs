//! Images, documents, videos and audio: the models and messages that accept them.

use super::block::{self, Block};
use super::family::{FAMILIES, is_claude};
use super::unsupported;
use crate::body::list;
use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use serde_json::Value;

/// The content blocks that hold media.
const KINDS: [&str; 4] = ["image", "document", "video", "audio"];

/// Checks that the model accepts every medium in its position.
pub(super) fn check_modalities(
    model: &FoundationModel,
    body: &Value,
) -> Result<(), BedrockException> {
    block::all_blocks(body).try_for_each(|block| {
        check_block(model, block)?;
        let result = block.member("toolResult").map_or(&[][..], |result| list(&result["content"]));
        result
            .iter()
            .enumerate()
            .try_for_each(|(at, part)| check_result_part(model, block, at, part))
    })
}

/// Returns whether a model accepts media of this kind.
fn accepts(model: &FoundationModel, kind: &str) -> bool {
    match kind {
        "image" => model.has_capability('V'),
        "document" => model.has_capability('P'),
        "video" => model.accepts_input("VIDEO"),
        _ => model.accepts_input("SPEECH"),
    }
}

fn check_block(model: &FoundationModel, block: Block<'_>) -> Result<(), BedrockException> {
    let Some(kind) = kind_of(block.value) else { return Ok(()) };
    if block.role != "user" {
        let path = block.path();
        return Err(BedrockException::validation(format!(
            "The {kind} field at {path} is only supported in user messages."
        )));
    }
    if !accepts(model, kind) {
        return Err(unsupported(kind));
    }
    check_citations(model, &block.path(), block.value)
}

fn check_result_part(
    model: &FoundationModel,
    block: Block<'_>,
    at: usize,
    part: &Value,
) -> Result<(), BedrockException> {
    let Some(kind) = kind_of(part) else { return Ok(()) };
    let path = format!("{}.toolResult.content.{at}", block.path());
    if !accepts(model, kind) || !FAMILIES.media_in_results.has(model) {
        return Err(unsupported(&format!("{path}.{kind}")));
    }
    check_citations(model, &path, part)
}

fn kind_of(part: &Value) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| part.get(kind).is_some())
}

/// Checks that a document with citations supports them.
fn check_citations(
    model: &FoundationModel,
    path: &str,
    part: &Value,
) -> Result<(), BedrockException> {
    let document = &part["document"];
    if document["citations"]["enabled"] != true {
        return Ok(());
    }
    if !is_claude(model) {
        return Err(unsupported(&format!("{path}.document.citations")));
    }
    match document["format"].as_str() {
        None | Some("pdf" | "txt") => Ok(()),
        Some(format) => Err(BedrockException::validation(format!(
            "The document at {path}.document cannot be cited: citations need the format pdf or txt, not {format}."
        ))),
    }
}
