//! Pictures, documents, videos and sounds: which models take them, and where.

use super::block::{self, Block};
use super::family::{FAMILIES, is_claude};
use super::unsupported;
use crate::body::list;
use crate::catalogue::Model;
use crate::fault::Fault;
use serde_json::Value;

const KINDS: [&str; 4] = ["image", "document", "video", "audio"];

/// Whether every medium stands where this model takes it.
pub(super) fn all(model: &Model, body: &Value) -> Result<(), Fault> {
    block::all(body).try_for_each(|block| {
        of_block(model, block)?;
        let result = block.member("toolResult").map_or(&[][..], |result| list(&result["content"]));
        result.iter().enumerate().try_for_each(|(at, part)| of_result(model, block, at, part))
    })
}

fn takes(model: &Model, kind: &str) -> bool {
    match kind {
        "image" => model.can('V'),
        "document" => model.can('P'),
        "video" => model.reads("VIDEO"),
        _ => model.reads("SPEECH"),
    }
}

fn of_block(model: &Model, block: Block<'_>) -> Result<(), Fault> {
    let Some(kind) = kind_of(block.value) else { return Ok(()) };
    if block.role != "user" {
        let path = block.path();
        return Err(Fault::validation(format!(
            "The {kind} field at {path} is only supported in user messages."
        )));
    }
    if !takes(model, kind) {
        return Err(unsupported(kind));
    }
    citations(model, &block.path(), block.value)
}

fn of_result(model: &Model, block: Block<'_>, at: usize, part: &Value) -> Result<(), Fault> {
    let Some(kind) = kind_of(part) else { return Ok(()) };
    let path = format!("{}.toolResult.content.{at}", block.path());
    if !takes(model, kind) || !FAMILIES.media_in_results.has(model) {
        return Err(unsupported(&format!("{path}.{kind}")));
    }
    citations(model, &path, part)
}

fn kind_of(part: &Value) -> Option<&'static str> {
    KINDS.into_iter().find(|kind| part.get(kind).is_some())
}

/// Whether a document that is to be cited can be.
fn citations(model: &Model, path: &str, part: &Value) -> Result<(), Fault> {
    let document = &part["document"];
    if document["citations"]["enabled"] != true {
        return Ok(());
    }
    if !is_claude(model) {
        return Err(unsupported(&format!("{path}.document.citations")));
    }
    match document["format"].as_str() {
        None | Some("pdf" | "txt") => Ok(()),
        Some(format) => Err(Fault::validation(format!(
            "The document at {path}.document cannot be cited: citations need the format pdf or txt, not {format}."
        ))),
    }
}
