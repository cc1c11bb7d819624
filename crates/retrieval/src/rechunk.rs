//! Splits the stored documents of a collection again, after its chunk size has changed.

use crate::audience::Viewer;
use crate::collection::{Collection, CollectionSettings};
use crate::document::{Document, DocumentState, IndexedDocument};
use crate::embedder::Embedder;
use crate::embedding::attach_vectors;
use crate::error::{IndexError, Result};
use crate::index::Index;
use crate::prepare::{fingerprint, prepare};

/// The number of documents in one page of the listing.
const DOCUMENTS_PER_PAGE: usize = 200;

impl Index {
    /// Splits stored documents again if the chunk size of a collection has changed since they were
    /// stored, and returns their number. Each document is replaced in one transaction, with its
    /// vectors if this embedder has the collection's model; until then, searches find its old
    /// chunks. A document that is stored meanwhile is left alone. After a crash, the next call
    /// continues.
    pub async fn rechunk_collection(
        &self,
        name: &str,
        embedder: Option<&dyn Embedder>,
    ) -> Result<usize> {
        let collection = self.get_collection(name, &Viewer::Operator).await?;
        if !collection.settings.needs_rechunk {
            return Ok(0);
        }
        let has_model = |embedder: &&dyn Embedder| {
            collection.model.as_ref().is_some_and(|model| model.id == embedder.model())
        };
        let embedder = embedder.filter(has_model);
        let (mut rechunked, mut after) = (0, String::new());
        loop {
            let page = self.engine.list_documents(
                collection.id,
                Viewer::Operator,
                after,
                DOCUMENTS_PER_PAGE,
            );
            let page = page.await?;
            let Some(last) = page.last() else { break };
            after = last.id.clone();
            for listed in page.into_iter().filter(|listed| listed.chunk_count > 0) {
                rechunked +=
                    usize::from(self.rechunk_document(&collection, listed, embedder).await?);
            }
        }
        self.finish_rechunk(&collection).await?;
        Ok(rechunked)
    }

    /// Splits one document again; returns false if it has the right chunks already.
    async fn rechunk_document(
        &self,
        collection: &Collection,
        listed: IndexedDocument,
        embedder: Option<&dyn Embedder>,
    ) -> Result<bool> {
        let ids = vec![listed.id.clone()];
        let stored = self.engine.find_documents(collection.id, ids).await?.remove(&listed.id);
        let Some(stored) = stored else { return Ok(false) };
        let chunks = self.engine.load_chunks(stored.row, 0, i64::MAX).await?;
        let (mut text, mut pages) = (String::new(), Vec::new());
        for chunk in chunks {
            let is_next = |page: &u32| pages.last().is_none_or(|(_, last)| last < page);
            pages.extend(chunk.page.filter(is_next).map(|page| (text.len(), page)));
            text.push_str(&chunk.text);
        }
        let IndexedDocument { id, title, url, audience, metadata, state, .. } = listed;
        let document = Document { id, title, text, url, audience, metadata, pages };
        let settings = collection.settings.clone();
        let new_fingerprint = fingerprint(&document, &settings);
        if new_fingerprint == stored.fingerprint {
            return Ok(false);
        }
        let failed = Document { text: String::new(), ..document.clone() };
        let analyzer = self.analyzers.get(settings.language);
        let split = move || prepare(document, new_fingerprint, &settings, &analyzer);
        // Splitting and hashing take processor time, so they run on the blocking pool.
        let mut prepared =
            tokio::task::spawn_blocking(split).await.map_err(IndexError::storage)??;
        prepared.replaces = Some(stored.row);
        let mut prepared = vec![prepared];
        let (model, _) = attach_vectors(&*self.engine, collection, &mut prepared, embedder).await?;
        self.engine.put_documents(collection.clone(), model, prepared).await?;
        if let DocumentState::Failed { reason } = state {
            self.engine.record_failure(collection.clone(), failed, reason).await?;
        }
        Ok(true)
    }

    /// Records that no document waits any more, unless the size was changed again meanwhile.
    async fn finish_rechunk(&self, collection: &Collection) -> Result<()> {
        let current = self.get_collection(&collection.name, &Viewer::Operator).await?;
        if current.id != collection.id
            || current.settings.chunk_tokens != collection.settings.chunk_tokens
        {
            return Ok(());
        }
        let settings = CollectionSettings { needs_rechunk: false, ..current.settings };
        self.engine.update_settings(current.id, settings).await
    }
}
