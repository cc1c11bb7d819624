//! Embeds chunks, when a document is stored or later for a whole collection.

use crate::chunk::searchable_text;
use crate::collection::{Collection, EmbeddingModel};
use crate::embedder::{Embedder, EmbeddingPurpose, InferenceError};
use crate::error::{IndexError, Result};
use crate::storage_engine::{ContentHash, PreparedDocument, StorageEngine, UnembeddedChunk};
use crate::vector::Vector;
use std::collections::HashSet;

/// Sets the vectors of the chunks: reuses those of texts that were embedded before, and embeds
/// the others if there is an embedder. Returns the model of the vectors, and the number of
/// embedded texts of each document.
pub(crate) async fn attach_vectors(
    engine: &dyn StorageEngine,
    collection: &Collection,
    documents: &mut [PreparedDocument],
    embedder: Option<&dyn Embedder>,
) -> Result<(Option<EmbeddingModel>, Vec<usize>)> {
    let mut embedded = vec![0; documents.len()];
    let stored_model = collection.model.as_ref().map(|model| model.id.as_str());
    let Some(id) = embedder.map(Embedder::model).or(stored_model) else {
        return Ok((None, embedded));
    };
    let hashes = documents
        .iter()
        .flat_map(|document| document.chunks.iter().map(|chunk| chunk.hash))
        .collect();
    let mut vectors = engine.find_vectors(id.to_owned(), hashes).await?;
    if let Some(embedder) = embedder {
        let mut missing = Vec::new();
        let mut seen: HashSet<ContentHash> = vectors.keys().copied().collect();
        for (document, embedded) in documents.iter().zip(&mut embedded) {
            for chunk in document.chunks.iter().filter(|chunk| seen.insert(chunk.hash)) {
                *embedded += 1;
                missing.push((chunk.hash, searchable_text(&chunk.heading, &chunk.text)));
            }
        }
        vectors.extend(embed_by_hash(embedder, missing).await?);
    }
    let mut model = None;
    for chunk in documents.iter_mut().flat_map(|document| &mut document.chunks) {
        chunk.vector = vectors.get(&chunk.hash).cloned();
        let Some(vector) = &chunk.vector else { continue };
        let model_used = EmbeddingModel { id: id.to_owned(), dimensions: vector.dimensions() };
        if let Some(stored_model) =
            collection.model.as_ref().filter(|stored_model| **stored_model != model_used)
        {
            return Err(model_mismatch_error(
                &collection.name,
                stored_model,
                &model_used.to_string(),
            ));
        }
        model = Some(model_used);
    }
    Ok((model, embedded))
}

/// Embeds every chunk of a collection that has no vector of this embedder's model, then makes
/// that model the collection's. Returns the number of embedded texts.
pub(crate) async fn embed_collection(
    engine: &dyn StorageEngine,
    collection: Collection,
    embedder: &dyn Embedder,
) -> Result<usize> {
    let id = embedder.model().to_owned();
    let (mut embedded, mut after) = (0, 0);
    let mut dimensions =
        collection.model.as_ref().filter(|model| model.id == id).map(|model| model.dimensions);
    loop {
        let batch =
            engine.find_unembedded(collection.id, id.clone(), after, DOCUMENTS_PER_BATCH).await?;
        if let Some(last) = batch.last() {
            after = last.document;
            let (vectors, count) = embed_chunks(engine, &batch, embedder).await?;
            embedded += count;
            let new_dimensions = vectors.first().map(|(_, vector)| vector.dimensions());
            if dimensions.is_some() && dimensions != new_dimensions {
                return Err(uneven_vectors_error(embedder));
            }
            dimensions = new_dimensions;
            engine.add_vectors(collection.id, id.clone(), vectors).await?;
            continue;
        }
        // Every chunk has a vector already; ask the model for the length of one.
        let dimensions = match dimensions {
            Some(dimensions) => dimensions,
            None => {
                embed_texts(embedder, vec![collection.name.clone()], EmbeddingPurpose::Document)
                    .await?
                    .first()
                    .map_or(0, Vector::dimensions)
            }
        };
        // Other calls may have added documents meanwhile.
        if engine.adopt_model(collection.id, EmbeddingModel { id: id.clone(), dimensions }).await? {
            return Ok(embedded);
        }
        after = 0;
    }
}

/// Returns a vector for each of these chunks, and the number of texts that were embedded for
/// them.
async fn embed_chunks(
    engine: &dyn StorageEngine,
    chunks: &[UnembeddedChunk],
    embedder: &dyn Embedder,
) -> Result<(Vec<(i64, Vector)>, usize)> {
    let hashes = chunks.iter().map(|chunk| chunk.hash).collect();
    let mut vectors = engine.find_vectors(embedder.model().to_owned(), hashes).await?;
    let mut seen: HashSet<ContentHash> = vectors.keys().copied().collect();
    let missing: Vec<(ContentHash, String)> = chunks
        .iter()
        .filter(|chunk| seen.insert(chunk.hash))
        .map(|chunk| (chunk.hash, chunk.text.clone()))
        .collect();
    let embedded = missing.len();
    vectors.extend(embed_by_hash(embedder, missing).await?);
    Ok((
        chunks
            .iter()
            .filter_map(|chunk| Some((chunk.chunk, vectors.get(&chunk.hash)?.clone())))
            .collect(),
        embedded,
    ))
}

const DOCUMENTS_PER_BATCH: usize = 16;

/// Embedding APIs commonly accept about this many texts in a request.
const TEXTS_PER_REQUEST: usize = 96;

async fn embed_by_hash(
    embedder: &dyn Embedder,
    texts: Vec<(ContentHash, String)>,
) -> Result<Vec<(ContentHash, Vector)>> {
    let mut embedded: Vec<(ContentHash, Vector)> = Vec::with_capacity(texts.len());
    for batch in texts.chunks(TEXTS_PER_REQUEST) {
        let (hashes, texts): (Vec<ContentHash>, Vec<String>) = batch.iter().cloned().unzip();
        embedded.extend(
            hashes.into_iter().zip(embed_texts(embedder, texts, EmbeddingPurpose::Document).await?),
        );
        if embedded
            .last()
            .zip(embedded.first())
            .is_some_and(|((_, last), (_, first))| last.dimensions() != first.dimensions())
        {
            return Err(uneven_vectors_error(embedder));
        }
    }
    Ok(embedded)
}

/// Embeds texts; checks that there is one vector for each and that all have one length.
pub(crate) async fn embed_texts(
    embedder: &dyn Embedder,
    texts: Vec<String>,
    purpose: EmbeddingPurpose,
) -> Result<Vec<Vector>> {
    let count = texts.len();
    let vectors: Option<Vec<Vector>> = embedder
        .embed(texts, purpose)
        .await?
        .iter()
        .map(|numbers| Vector::normalized(numbers))
        .collect();
    let are_even = |vectors: &Vec<Vector>| {
        vectors.len() == count
            && vectors.iter().all(|vector| vector.dimensions() == vectors[0].dimensions())
    };
    vectors.filter(are_even).ok_or_else(|| uneven_vectors_error(embedder))
}

fn uneven_vectors_error(embedder: &dyn Embedder) -> IndexError {
    IndexError::Embedding(InferenceError(format!(
        "`{}` did not give one vector of one length for each text",
        embedder.model()
    )))
}

/// Returns the error of an embedder whose model is not that of the stored vectors.
pub(crate) fn model_mismatch_error(name: &str, stored: &EmbeddingModel, given: &str) -> IndexError {
    IndexError::ModelMismatch {
        collection: name.to_owned(),
        stored: stored.to_string(),
        given: given.to_owned(),
    }
}
