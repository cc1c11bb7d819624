//! A document is made ready to be stored: cut, hashed, its terms taken.

use crate::analyser::{Analyser, Terms};
use crate::chunk::{bounded, chunks, searched};
use crate::collection::Settings;
use crate::document::Document;
use crate::engine::{Hash, Prepared, PreparedChunk};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};

/// With an id that can be stored, and without NULs: not every engine can store one, and it means nothing.
pub(crate) fn named(document: Document) -> Result<Document> {
    if document.id.is_empty() || document.id.len() > 1024 || document.id.contains('\0') {
        return Err(Error::Refused(
            "a document's `id` has 1 to 1024 bytes, none of them NUL".to_owned(),
        ));
    }
    let clean = |text: String| if text.contains('\0') { text.replace('\0', " ") } else { text };
    Ok(Document {
        title: bounded(&clean(document.title)).into_owned(),
        text: clean(document.text),
        url: document.url.map(clean),
        ..document
    })
}

/// So many bytes of text a document may have.
const LARGEST: usize = 16 << 20;

/// Refuses what would take more memory and time than one document should.
#[expect(clippy::cast_precision_loss, reason = "is told to a tenth")]
pub(crate) fn measured(document: &Document) -> Result<()> {
    let bytes = document.text.len();
    if bytes <= LARGEST {
        return Ok(());
    }
    Err(Error::Refused(format!(
        "the text has {:.1} MiB; a document may have 16 MiB at most: split it",
        (bytes as f64 / f64::from(1 << 20)).max(16.1)
    )))
}

pub(crate) fn prepare(
    document: Document,
    fingerprint: Hash,
    settings: &Settings,
    analyser: &Analyser,
) -> Result<Prepared> {
    let mut document = named(document)?;
    // From here on it is in the chunks, and is not held twice.
    let text = std::mem::take(&mut document.text);
    let cut = if text.trim().is_empty() {
        Vec::new()
    } else {
        chunks(&document.title, &text, settings.chunk_tokens)
    };
    drop(text);
    let chunks = cut.into_iter().map(|chunk| {
        let searched = searched(&chunk.heading, &chunk.text);
        PreparedChunk {
            hash: hash([searched.as_bytes()]),
            terms: Terms::of(&analyser.terms(&searched)),
            heading: chunk.heading,
            text: chunk.text,
            tokens: chunk.tokens,
            vector: None,
        }
    });
    Ok(Prepared { fingerprint, chunks: chunks.collect(), document })
}

/// Differs when anything of the document does, or the way it is cut.
pub(crate) fn fingerprint(document: &Document, settings: &Settings) -> Hash {
    let Document { id: _, title, text, url, audience, metadata } = document;
    let rest = serde_json::json!([
        title,
        url,
        audience,
        metadata,
        settings.language,
        settings.chunk_tokens
    ]);
    hash([rest.to_string().as_bytes(), text.as_bytes()])
}

fn hash<const N: usize>(parts: [&[u8]; N]) -> Hash {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    let mut hash = Hash::default();
    hash.copy_from_slice(&digest.finalize()[..16]);
    hash
}
