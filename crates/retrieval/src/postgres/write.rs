//! Writes documents, postings and vectors to PostgreSQL, with the collection locked.

use super::collections::{
    self, find_collection_vector_tables, lock_collection, to_bigint, vector_table_name,
};
use super::postings::apply_edits;
use super::{Parameter, Transaction};
use crate::analyzer::{Analyzer, TermList};
use crate::chunk::searchable_text;
use crate::collection::{Collection, EmbeddingModel};
use crate::document::Document;
use crate::error::{IndexError, Result};
use crate::posting::PostingEdits;
use crate::storage_engine::{PreparedDocument, unix_now};
use crate::vector::Vector;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Makes the first model the collection's; refuses another one.
async fn adopt_first_model(
    transaction: &Transaction<'_>,
    collection: &Collection,
    model: &EmbeddingModel,
) -> Result<()> {
    match collections::find_model(transaction, collection.id).await? {
        Some(stored) if stored != *model => Err(IndexError::ModelMismatch {
            collection: collection.name.clone(),
            stored: stored.to_string(),
            given: model.to_string(),
        }),
        Some(_) => Ok(()),
        None => collections::set_model(transaction, collection.id, model).await,
    }
}

pub(super) async fn put_documents(
    transaction: &Transaction<'_>,
    analyzer: &Arc<Analyzer>,
    collection: &Collection,
    model: Option<&EmbeddingModel>,
    documents: &Arc<Vec<PreparedDocument>>,
) -> Result<()> {
    lock_collection(transaction, collection.id).await?;
    if !replaces_current(transaction, collection.id, documents).await? {
        return Ok(());
    }
    let mut vector_table = None;
    if let Some(model) = model {
        adopt_first_model(transaction, collection, model).await?;
        vector_table =
            Some(collections::ensure_vector_table(transaction, collection.id, model).await?);
    }
    let names: Vec<&str> = documents.iter().map(|prepared| prepared.document.id.as_str()).collect();
    let (removed_chunks, _) = delete_documents(transaction, collection.id, &names).await?;
    let mut rows = ChunkColumns::default();
    let count = documents.iter().map(|prepared| prepared.chunks.len()).sum();
    let ids = allocate_chunk_ids(transaction, count).await?;
    let mut next_ids = ids.iter().copied();
    let mut audiences = Vec::new();
    for prepared in documents.iter() {
        let audience =
            collections::ensure_audience(transaction, &prepared.document.audience).await?;
        audiences.push(audience);
        let document = insert_document(transaction, collection.id, audience, prepared).await?;
        for ((position, chunk), id) in prepared.chunks.iter().enumerate().zip(&mut next_ids) {
            rows.push(id, document, position, chunk);
            if let Some(vector) = &chunk.vector {
                rows.vectors.push((id, audience, vector.clone()));
            }
        }
    }
    rows.insert(transaction).await?;
    if let Some(vector_table) = vector_table {
        insert_vectors(transaction, vector_table, &rows.vectors).await?;
    }
    let (analyzer, documents) = (Arc::clone(analyzer), Arc::clone(documents));
    let edits = run_blocking(move || {
        let mut edits = removal_edits(removed_chunks, &analyzer);
        let chunks = documents.iter().zip(audiences).flat_map(|(prepared, audience)| {
            prepared.chunks.iter().map(move |chunk| (chunk, audience))
        });
        for ((chunk, audience), id) in chunks.zip(ids) {
            edits.add(audience, id, chunk.terms.iter());
        }
        edits
    });
    apply_edits(transaction, collection.id, &edits.await?).await
}

/// Returns false if a document may replace only a version that is no longer stored.
async fn replaces_current(
    transaction: &Transaction<'_>,
    collection: i64,
    documents: &[PreparedDocument],
) -> Result<bool> {
    for PreparedDocument { document, replaces, .. } in documents {
        let Some(expected) = replaces else { continue };
        let sql = "SELECT 1 FROM document WHERE collection = $1 AND name = $2 AND id = $3";
        let parameters: [Parameter<'_>; 3] =
            [(&collection, Type::INT8), (&document.id, Type::TEXT), (expected, Type::INT8)];
        if transaction.query_typed(sql, &parameters).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Allocates chunk ids, in the ascending order that postings need.
async fn allocate_chunk_ids(transaction: &Transaction<'_>, count: usize) -> Result<Vec<i64>> {
    let sql = "SELECT nextval('chunk_id') FROM generate_series(1, $1)";
    let rows = transaction.query_typed(sql, &[(&to_bigint(count), Type::INT8)]).await?;
    let mut ids: Vec<i64> =
        rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?;
    ids.sort_unstable();
    Ok(ids)
}

/// The columns of new chunks, so that one statement inserts all of them.
#[derive(Default)]
struct ChunkColumns<'a> {
    ids: Vec<i64>,
    documents: Vec<i64>,
    positions: Vec<i64>,
    headings: Vec<&'a str>,
    texts: Vec<&'a str>,
    tokens: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    pages: Vec<Option<i64>>,
    vectors: Vec<(i64, i64, Vector)>,
}

impl<'a> ChunkColumns<'a> {
    /// Adds a chunk.
    fn push(
        &mut self,
        id: i64,
        document: i64,
        position: usize,
        chunk: &'a crate::storage_engine::PreparedChunk,
    ) {
        self.ids.push(id);
        self.documents.push(document);
        self.positions.push(to_bigint(position));
        self.headings.push(&chunk.heading);
        self.texts.push(&chunk.text);
        self.tokens.push(to_bigint(chunk.tokens));
        self.hashes.push(&chunk.hash);
        self.pages.push(chunk.page.map(i64::from));
    }

    /// Inserts all chunks by one statement.
    async fn insert(&self, transaction: &Transaction<'_>) -> Result<()> {
        let sql = "INSERT INTO chunk (id, document, place, heading, text, tokens, hash, page) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8)";
        let parameters: [Parameter<'_>; 8] = [
            (&self.ids, Type::INT8_ARRAY),
            (&self.documents, Type::INT8_ARRAY),
            (&self.positions, Type::INT8_ARRAY),
            (&self.headings, Type::TEXT_ARRAY),
            (&self.texts, Type::TEXT_ARRAY),
            (&self.tokens, Type::INT8_ARRAY),
            (&self.hashes, Type::BYTEA_ARRAY),
            (&self.pages, Type::INT8_ARRAY),
        ];
        transaction.query_typed(sql, &parameters).await?;
        Ok(())
    }
}

async fn insert_vectors(
    transaction: &Transaction<'_>,
    vector_table: i64,
    vectors: &[(i64, i64, Vector)],
) -> Result<()> {
    let chunks: Vec<i64> = vectors.iter().map(|(chunk, _, _)| *chunk).collect();
    let audiences: Vec<i64> = vectors.iter().map(|(_, audience, _)| *audience).collect();
    let numbers: Vec<String> =
        vectors.iter().map(|(_, _, vector)| format!("{:?}", vector.numbers())).collect();
    let sql = format!(
        "INSERT INTO {} (chunk, audience, numbers) SELECT chunk, audience, numbers::halfvec
         FROM unnest($1, $2, $3) AS given (chunk, audience, numbers) ON CONFLICT DO NOTHING",
        vector_table_name(vector_table)
    );
    let parameters: [Parameter<'_>; 3] =
        [(&chunks, Type::INT8_ARRAY), (&audiences, Type::INT8_ARRAY), (&numbers, Type::TEXT_ARRAY)];
    transaction.query_typed(&sql, &parameters).await?;
    Ok(())
}

async fn insert_document(
    transaction: &Transaction<'_>,
    collection: i64,
    audience: i64,
    prepared: &PreparedDocument,
) -> Result<i64> {
    let document = &prepared.document;
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
    let (metadata, fingerprint) =
        (collections::to_json(&document.metadata)?, prepared.fingerprint.as_slice());
    let parameters: [Parameter<'_>; 9] = [
        (&collection, Type::INT8),
        (&document.id, Type::TEXT),
        (&document.title, Type::TEXT),
        (&document.url, Type::TEXT),
        (&metadata, Type::TEXT),
        (&audience, Type::INT8),
        (&fingerprint, Type::BYTEA),
        (&to_bigint(prepared.chunks.len()), Type::INT8),
        (&unix_now(), Type::INT8),
    ];
    let rows = transaction.query_typed(sql, &parameters).await?;
    rows.first().map_or_else(
        || Err(IndexError::storage("a document was not inserted")),
        |row| Ok(row.try_get(0)?),
    )
}

pub(super) async fn record_failure(
    transaction: &Transaction<'_>,
    analyzer: &Arc<Analyzer>,
    collection: i64,
    document: &Document,
    reason: &str,
) -> Result<()> {
    lock_collection(transaction, collection).await?;
    let audience = collections::ensure_audience(transaction, &document.audience).await?;
    set_audience(transaction, analyzer, collection, &document.id, audience).await?;
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at, failure)
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (collection, name) DO UPDATE SET failure = excluded.failure,
               metadata = CASE excluded.metadata WHEN '{}' THEN document.metadata ELSE excluded.metadata END";
    let Document { id, title, url, metadata, .. } = document;
    let metadata = collections::to_json(metadata)?;
    let no_fingerprint = &[0_u8; 16][..];
    transaction
        .execute(
            sql,
            &[
                &collection,
                id,
                title,
                url,
                &metadata,
                &audience,
                &no_fingerprint,
                &unix_now(),
                &reason,
            ],
        )
        .await?;
    Ok(())
}

/// Changes the audience of a document, if it exists.
async fn set_audience(
    transaction: &Transaction<'_>,
    analyzer: &Arc<Analyzer>,
    collection: i64,
    name: &str,
    audience: i64,
) -> Result<()> {
    let mut chunks = load_document_chunks(transaction, collection, &[name]).await?;
    chunks.retain(|chunk| chunk.audience != audience);
    let chunk_ids: Vec<i64> = chunks.iter().map(|chunk| chunk.id).collect();
    let analyzer = Arc::clone(analyzer);
    let edits = run_blocking(move || {
        let mut edits = PostingEdits::default();
        for chunk in chunks {
            let terms = TermList::new(&analyzer.terms(&chunk.text));
            edits.remove(chunk.audience, chunk.id, terms.iter());
            edits.add(audience, chunk.id, terms.iter());
        }
        edits
    });
    apply_edits(transaction, collection, &edits.await?).await?;
    for vector_table in find_collection_vector_tables(transaction, collection).await? {
        let sql = format!(
            "UPDATE {} SET audience = $2 WHERE chunk = ANY ($1)",
            vector_table_name(vector_table)
        );
        let parameters: [Parameter<'_>; 2] =
            [(&chunk_ids, Type::INT8_ARRAY), (&audience, Type::INT8)];
        transaction.query_typed(&sql, &parameters).await?;
    }
    let sql = "UPDATE document SET audience = $3 WHERE collection = $1 AND name = $2";
    let parameters: [Parameter<'_>; 3] =
        [(&collection, Type::INT8), (&name, Type::TEXT), (&audience, Type::INT8)];
    transaction.query_typed(sql, &parameters).await?;
    Ok(())
}

pub(super) async fn remove_documents(
    transaction: &Transaction<'_>,
    analyzer: &Arc<Analyzer>,
    collection: i64,
    ids: &[String],
) -> Result<usize> {
    lock_collection(transaction, collection).await?;
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (chunks, removed) = delete_documents(transaction, collection, &names).await?;
    let analyzer = Arc::clone(analyzer);
    let edits = run_blocking(move || removal_edits(chunks, &analyzer)).await?;
    apply_edits(transaction, collection, &edits).await?;
    Ok(removed)
}

/// A stored chunk with the text that was indexed.
struct IndexedChunk {
    id: i64,
    audience: i64,
    text: String,
}

async fn load_document_chunks(
    transaction: &Transaction<'_>,
    collection: i64,
    names: &[&str],
) -> Result<Vec<IndexedChunk>> {
    let sql = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id
               WHERE d.collection = $1 AND d.name = ANY ($2)";
    let parameters: [Parameter<'_>; 2] = [(&collection, Type::INT8), (&names, Type::TEXT_ARRAY)];
    let rows = transaction.query_typed(sql, &parameters).await?;
    let chunk_from_row = |row: &Row| {
        let text = searchable_text(row.try_get(2)?, row.try_get(3)?);
        Ok(IndexedChunk { audience: row.try_get(0)?, id: row.try_get(1)?, text })
    };
    rows.iter().map(chunk_from_row).collect()
}

/// Runs work that takes processor time on the blocking pool.
async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(IndexError::storage)
}

/// Returns the edits that remove these chunks from the postings.
fn removal_edits(chunks: Vec<IndexedChunk>, analyzer: &Analyzer) -> PostingEdits {
    let mut edits = PostingEdits::default();
    for chunk in chunks {
        let terms = TermList::new(&analyzer.terms(&chunk.text));
        edits.remove(chunk.audience, chunk.id, terms.iter());
    }
    edits
}

/// Deletes documents with their chunks and vectors; returns the deleted chunks and the number of
/// documents.
async fn delete_documents(
    transaction: &Transaction<'_>,
    collection: i64,
    names: &[&str],
) -> Result<(Vec<IndexedChunk>, usize)> {
    let chunks = load_document_chunks(transaction, collection, names).await?;
    let chunk_ids: Vec<i64> = chunks.iter().map(|chunk| chunk.id).collect();
    if !chunks.is_empty() {
        for vector_table in find_collection_vector_tables(transaction, collection).await? {
            let sql =
                format!("DELETE FROM {} WHERE chunk = ANY ($1)", vector_table_name(vector_table));
            transaction.query_typed(&sql, &[(&chunk_ids, Type::INT8_ARRAY)]).await?;
        }
    }
    let sql = "DELETE FROM document WHERE collection = $1 AND name = ANY ($2) RETURNING 1";
    let parameters: [Parameter<'_>; 2] = [(&collection, Type::INT8), (&names, Type::TEXT_ARRAY)];
    Ok((chunks, transaction.query_typed(sql, &parameters).await?.len()))
}

/// Adds vectors to chunks that still exist.
pub(super) async fn add_vectors(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    vectors: &[(i64, Vector)],
) -> Result<()> {
    let Some((_, first)) = vectors.first() else { return Ok(()) };
    lock_collection(transaction, collection).await?;
    let model = EmbeddingModel { id: model.to_owned(), dimensions: first.dimensions() };
    let vector_table = collections::ensure_vector_table(transaction, collection, &model).await?;
    let chunks: Vec<i64> = vectors.iter().map(|(chunk, _)| *chunk).collect();
    let sql = "SELECT c.id, d.audience FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ANY ($1)";
    let mut audiences: HashMap<i64, i64> = HashMap::new();
    for row in transaction.query_typed(sql, &[(&chunks, Type::INT8_ARRAY)]).await? {
        audiences.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let existing = vectors
        .iter()
        .filter_map(|(chunk, vector)| Some((*chunk, *audiences.get(chunk)?, vector.clone())));
    insert_vectors(transaction, vector_table, &existing.collect::<Vec<_>>()).await
}

/// Sets the collection's embedding model, as the last step of embedding the collection again.
/// Searches use the new vectors from then on.
pub(super) async fn adopt_model(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &EmbeddingModel,
) -> Result<bool> {
    lock_collection(transaction, collection).await?;
    if !super::read::find_unembedded(transaction, collection, &model.id, 0, 1).await?.is_empty() {
        return Ok(false);
    }
    collections::set_model(transaction, collection, model).await?;
    collections::drop_vector_tables(transaction, collection, Some(&model.id)).await?;
    Ok(true)
}
