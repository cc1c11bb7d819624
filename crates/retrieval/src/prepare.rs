//! Prepares documents for storing: splits, hashes and analyzes their texts.

use crate::analyzer::{Analyzer, TermList};
use crate::chunk::{searchable_text, split_into_chunks, truncate_heading};
use crate::collection::CollectionSettings;
use crate::document::Document;
use crate::error::{IndexError, Result};
use crate::storage_engine::{ContentHash, PreparedChunk, PreparedDocument};
use sha2::{Digest, Sha256};

/// Checks the id of a document: 1 to 1024 bytes, none of them NUL.
pub fn check_document_id(id: &str) -> Result<()> {
    if id.is_empty() || id.len() > 1024 || id.contains('\0') {
        return Err(IndexError::InvalidInput(
            "a document's `id` has 1 to 1024 bytes, none of them NUL".to_owned(),
        ));
    }
    Ok(())
}

/// Checks the id, cuts the title, and replaces NULs, which PostgreSQL cannot store.
pub(crate) fn validate_document(document: Document) -> Result<Document> {
    check_document_id(&document.id)?;
    let clean = |text: String| if text.contains('\0') { text.replace('\0', " ") } else { text };
    Ok(Document {
        title: truncate_heading(&clean(document.title)).into_owned(),
        text: clean(document.text),
        url: document.url.map(clean),
        ..document
    })
}

/// The maximum bytes of a document's text.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Refuses texts that exceed [`MAX_TEXT_BYTES`].
#[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
pub(crate) fn check_text_size(document: &Document) -> Result<()> {
    let bytes = document.text.len();
    if bytes <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(IndexError::InvalidInput(format!(
        "the text has {:.1} MiB; a document may have 16 MiB at most: split it",
        (bytes as f64 / f64::from(1 << 20)).max(16.1)
    )))
}

/// Validates a document, splits it into chunks, and extracts their terms.
pub(crate) fn prepare(
    document: Document,
    fingerprint: ContentHash,
    settings: &CollectionSettings,
    analyzer: &Analyzer,
) -> Result<PreparedDocument> {
    let mut document = validate_document(document)?;
    // The chunks hold the text from here on; this frees the copy.
    let text = std::mem::take(&mut document.text);
    let chunks = if text.trim().is_empty() {
        Vec::new()
    } else {
        split_into_chunks(&document.title, &text, settings.chunk_tokens)
    };
    drop(text);
    let pages = std::mem::take(&mut document.pages);
    let mut offset = 0;
    let chunks = chunks.into_iter().map(|chunk| {
        let page = page_at(&pages, offset);
        offset += chunk.text.len();
        let searchable = searchable_text(&chunk.heading, &chunk.text);
        PreparedChunk {
            hash: hash_parts([searchable.as_bytes()]),
            terms: TermList::new(&analyzer.terms(&searchable)),
            heading: chunk.heading,
            text: chunk.text,
            tokens: chunk.tokens,
            page,
            vector: None,
        }
    });
    Ok(PreparedDocument { fingerprint, chunks: chunks.collect(), document, replaces: None })
}

/// Returns the page of the byte at this offset.
fn page_at(pages: &[(usize, u32)], offset: usize) -> Option<u32> {
    let after = pages.partition_point(|(start, _)| *start <= offset);
    pages.get(after.checked_sub(1)?).map(|(_, page)| *page)
}

/// The version of the rules by which texts are split. Documents that were stored by another version
/// are split again at their next upload, even if they are unchanged.
const CHUNKING_VERSION: u32 = 3;

/// Returns a hash that changes with any field of the document, and with the settings that affect
/// its chunks.
pub(crate) fn fingerprint(document: &Document, settings: &CollectionSettings) -> ContentHash {
    let Document { id: _, title, text, url, audience, metadata, pages } = document;
    let rest = serde_json::json!([
        title,
        url,
        audience,
        metadata,
        settings.language,
        settings.chunk_tokens,
        pages,
        CHUNKING_VERSION
    ]);
    hash_parts([rest.to_string().as_bytes(), text.as_bytes()])
}

fn hash_parts<const N: usize>(parts: [&[u8]; N]) -> ContentHash {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut hash = ContentHash::default();
    hash.copy_from_slice(&digest.finalize()[..16]);
    hash
}
