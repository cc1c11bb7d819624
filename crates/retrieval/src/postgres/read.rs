//! Reads chunks, vectors and listings from PostgreSQL.

use super::collections::{
    self, find_model_vector_tables, find_vector_table, to_bigint, vector_table_name,
};
use super::{Parameter, Transaction};
use crate::audience::{IndexAudience, Viewer};
use crate::chunk::searchable_text;
use crate::document::{DocumentState, IndexedDocument};
use crate::error::{IndexError, Result};
use crate::storage_engine::{ContentHash, StoredChunk, StoredDocument, UnembeddedChunk};
use crate::vector::Vector;
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

pub(super) fn vector_from_row(row: &Row) -> Result<(i64, Vector)> {
    let numbers: Vec<f32> = row.try_get(1)?;
    Ok((row.try_get(0)?, Vector::from_normalized(&numbers)))
}

pub(super) fn chunk_from_row(row: &Row) -> Result<StoredChunk> {
    let tokens: i64 = row.try_get(3)?;
    let tokens = usize::try_from(tokens).unwrap_or_default();
    let page: Option<i64> = row.try_get(4)?;
    Ok(StoredChunk {
        position: row.try_get(0)?,
        heading: row.try_get(1)?,
        text: row.try_get(2)?,
        tokens,
        page: page.and_then(|page| u32::try_from(page).ok()),
    })
}

pub(super) async fn load_chunks(
    transaction: &Transaction<'_>,
    document: i64,
    first: i64,
    last: i64,
) -> Result<Vec<StoredChunk>> {
    let sql = "SELECT place, heading, text, tokens, page FROM chunk WHERE document = $1 AND place BETWEEN $2 AND $3 ORDER BY place";
    let rows = transaction
        .query_typed(sql, &[(&document, Type::INT8), (&first, Type::INT8), (&last, Type::INT8)])
        .await?;
    rows.iter().map(chunk_from_row).collect()
}

/// Returns SQL that is true if a document lacks vectors of its collection's model: `false` without
/// a model, true for all chunks without a vector table.
async fn lacks_vectors_sql(transaction: &Transaction<'_>, collection: i64) -> Result<String> {
    let Some(model) = collections::find_model(transaction, collection).await? else {
        return Ok("false".to_owned());
    };
    Ok(match find_vector_table(transaction, collection, &model.id).await? {
        None => "d.chunks > 0".to_owned(),
        Some(vector_table) => format!(
            "EXISTS (SELECT 1 FROM chunk k WHERE k.document = d.id AND NOT EXISTS (SELECT 1 FROM {} v WHERE v.chunk = k.id))",
            vector_table_name(vector_table)
        ),
    })
}

pub(super) async fn find_documents(
    transaction: &Transaction<'_>,
    collection: i64,
    ids: &[String],
) -> Result<HashMap<String, StoredDocument>> {
    let lacks_vectors = lacks_vectors_sql(transaction, collection).await?;
    let sql = format!(
        "SELECT d.name, d.fingerprint, d.failure IS NOT NULL, {lacks_vectors}, d.id FROM document d WHERE d.collection = $1 AND d.name = ANY ($2)"
    );
    let rows = transaction
        .query_typed(&sql, &[(&collection, Type::INT8), (&ids, Type::TEXT_ARRAY)])
        .await?;
    let documents = rows.iter().map(|row| {
        Ok((
            row.try_get(0)?,
            StoredDocument {
                fingerprint: content_hash(row, 1)?,
                failed: row.try_get(2)?,
                lacks_vectors: row.try_get(3)?,
                row: row.try_get(4)?,
            },
        ))
    });
    documents.collect()
}

fn content_hash(row: &Row, column: usize) -> Result<ContentHash> {
    ContentHash::try_from(row.try_get::<_, &[u8]>(column)?).map_err(IndexError::storage)
}

pub(super) async fn find_vectors(
    transaction: &Transaction<'_>,
    model: &str,
    hashes: &[ContentHash],
) -> Result<HashMap<ContentHash, Vector>> {
    let mut vectors: HashMap<ContentHash, Vector> = HashMap::new();
    for vector_table in find_model_vector_tables(transaction, model).await? {
        let missing: Vec<&[u8]> = hashes
            .iter()
            .filter(|hash| !vectors.contains_key(*hash))
            .map(ContentHash::as_slice)
            .collect();
        let sql = format!(
            "SELECT DISTINCT ON (c.hash) v.chunk, v.numbers::real[], c.hash FROM chunk c JOIN {} v ON v.chunk = c.id WHERE c.hash = ANY ($1)",
            vector_table_name(vector_table)
        );
        for row in transaction.query_typed(&sql, &[(&missing, Type::BYTEA_ARRAY)]).await? {
            vectors.insert(content_hash(&row, 2)?, vector_from_row(&row)?.1);
        }
    }
    Ok(vectors)
}

pub(super) async fn list_documents(
    transaction: &Transaction<'_>,
    collection: i64,
    viewer: &Viewer,
    after: &str,
    limit: usize,
) -> Result<Vec<IndexedDocument>> {
    let lacks_vectors = lacks_vectors_sql(transaction, collection).await?;
    let sql = format!(
        "SELECT d.name, d.title, d.url, a.rule, d.metadata, d.chunks, d.stored_at, d.failure, {lacks_vectors}
         FROM document d JOIN audience a ON a.id = d.audience
         WHERE d.collection = $2 AND d.name > $3
           AND ($1::text[] IS NULL OR d.audience IN (SELECT audience FROM member WHERE principal = ANY ($1)))
         ORDER BY d.name LIMIT $4"
    );
    let parameters: [Parameter<'_>; 4] = [
        (&viewer.principals(), Type::TEXT_ARRAY),
        (&collection, Type::INT8),
        (&after, Type::TEXT),
        (&to_bigint(limit), Type::INT8),
    ];
    transaction.query_typed(&sql, &parameters).await?.iter().map(document_from_row).collect()
}

pub(super) async fn load_document(
    transaction: &Transaction<'_>,
    collection: i64,
    id: &str,
) -> Result<Option<IndexedDocument>> {
    let lacks_vectors = lacks_vectors_sql(transaction, collection).await?;
    let sql = format!(
        "SELECT d.name, d.title, d.url, a.rule, d.metadata, d.chunks, d.stored_at, d.failure, {lacks_vectors}
         FROM document d JOIN audience a ON a.id = d.audience WHERE d.collection = $1 AND d.name = $2"
    );
    let parameters: [Parameter<'_>; 2] = [(&collection, Type::INT8), (&id, Type::TEXT)];
    let rows = transaction.query_typed(&sql, &parameters).await?;
    rows.first().map(document_from_row).transpose()
}

fn document_from_row(row: &Row) -> Result<IndexedDocument> {
    let chunks: i64 = row.try_get(5)?;
    let audience: IndexAudience =
        serde_json::from_str(row.try_get(3)?).map_err(IndexError::storage)?;
    Ok(IndexedDocument {
        id: row.try_get(0)?,
        title: row.try_get(1)?,
        url: row.try_get(2)?,
        audience,
        metadata: serde_json::from_str(row.try_get(4)?).map_err(IndexError::storage)?,
        chunk_count: usize::try_from(chunks).unwrap_or_default(),
        stored_at: row.try_get(6)?,
        state: DocumentState::new(row.try_get(7)?, row.try_get(8)?),
    })
}

pub(super) async fn find_unembedded(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<UnembeddedChunk>> {
    let lacks = match find_vector_table(transaction, collection, model).await? {
        None => "true".to_owned(),
        Some(vector_table) => {
            format!(
                "NOT EXISTS (SELECT 1 FROM {} v WHERE v.chunk = c.id)",
                vector_table_name(vector_table)
            )
        }
    };
    let sql = format!(
        "SELECT c.document, c.id, c.heading, c.text, c.hash FROM chunk c WHERE {lacks} AND c.document IN
             (SELECT d.id FROM document d WHERE d.collection = $1 AND d.id > $2
              AND EXISTS (SELECT 1 FROM chunk c WHERE c.document = d.id AND {lacks}) ORDER BY d.id LIMIT $3)
         ORDER BY c.document, c.place"
    );
    let rows = transaction
        .query_typed(
            &sql,
            &[(&collection, Type::INT8), (&after, Type::INT8), (&to_bigint(limit), Type::INT8)],
        )
        .await?;
    let chunk_from_row = |row: &Row| {
        let text = searchable_text(row.try_get(2)?, row.try_get(3)?);
        Ok(UnembeddedChunk {
            document: row.try_get(0)?,
            chunk: row.try_get(1)?,
            hash: content_hash(row, 4)?,
            text,
        })
    };
    rows.iter().map(chunk_from_row).collect()
}
