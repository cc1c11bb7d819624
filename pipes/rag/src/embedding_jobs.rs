//! Background jobs over collections: they embed new chunks, and split documents again.

use crate::{
    document_store::DocumentStore,
    searcher::{Searcher, to_pipe_error},
};
use pipe_sdk::{Host, Result};
use retrieval::{Embedder, IndexError, Viewer};
use std::collections::BTreeSet;

/// Lets the embedding model follow what is available.
pub(crate) async fn refresh_embeddings(store: &DocumentStore, host: &Host) {
    let all = match store.index().await {
        Ok(index) => index.list_collections(&Viewer::Operator).await.map_err(to_pipe_error),
        Err(error) => Err(error),
    };
    // Without the index nothing is embedded, so the choice can wait.
    if let Ok(all) = all {
        let all: Vec<_> = all.iter().collect();
        store.searcher.embeddings.refresh(host, &all).await;
    }
}

/// Embeds new chunks, and cuts collections whose chunk size has changed. What fails is tried
/// again in the next pass.
pub(crate) async fn update_collections(store: &DocumentStore, host: &Host) -> Result<()> {
    let Searcher { embeddings, query_cache, .. } = &store.searcher;
    let embedder = embeddings.embedder(host, query_cache);
    let embedder = embedder.as_ref().map(|embedder| embedder as &dyn Embedder);
    store.jobs.set_model(embedder.map(|embedder| embedder.model().to_owned()));
    for name in take_pending(store).await? {
        let problem = match update_collection(store, &name, embedder).await {
            Ok(()) | Err(IndexError::CollectionNotFound(_)) => None,
            Err(error) => {
                store.jobs.mark_pending(&name);
                Some(format!("words alone are searched as yet: {error}"))
            }
        };
        store.jobs.set_problem(name, problem);
    }
    Ok(())
}

/// Embeds a collection, then cuts it again if its chunk size has changed. Meanwhile searches use
/// what was there before.
async fn update_collection(
    store: &DocumentStore,
    name: &str,
    embedder: Option<&dyn Embedder>,
) -> Result<(), IndexError> {
    let index = store.index().await.map_err(|error| IndexError::Storage(error.into()))?;
    index.follow_chunk_size(name, store.default_chunk_tokens()).await?;
    if let Some(embedder) = embedder {
        let texts = index.embed_collection(name, embedder).await?;
        if texts > 0 {
            let model = embedder.model();
            tracing::info!(collection = name, model, texts, "Texts were embedded.");
        }
    }
    let documents = index.rechunk_collection(name, embedder).await?;
    if documents > 0 {
        tracing::info!(collection = name, documents, "Documents were split again.");
    }
    Ok(())
}

/// Returns the collections to look at.
async fn take_pending(store: &DocumentStore) -> Result<BTreeSet<String>> {
    if let Some(pending) = store.jobs.take_pending() {
        return Ok(pending);
    }
    let all = store.index().await?.list_collections(&Viewer::Operator).await;
    Ok(all.map_err(to_pipe_error)?.into_iter().map(|collection| collection.name).collect())
}
