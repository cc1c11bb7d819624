//! Stores collections, audiences and vector tables in PostgreSQL.

use super::Transaction;
use crate::audience::{IndexAudience, Viewer};
use crate::collection::{Collection, CollectionSettings, EmbeddingModel};
use crate::error::{IndexError, Result};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Selects the columns of collections.
const COLUMNS: &str = "SELECT c.id, c.name, c.settings, c.model, c.dimensions FROM collection c";

/// The first parameter is the viewer's principals, or NULL for the operator.
const VISIBLE_TO_VIEWER: &str = "($1::text[] IS NULL OR c.audience IN (SELECT audience FROM member WHERE principal = ANY ($1)))";

/// Creates a collection.
pub(super) async fn create(
    transaction: &Transaction<'_>,
    name: &str,
    settings: &CollectionSettings,
) -> Result<Collection> {
    let audience = ensure_audience(transaction, &settings.audience).await?;
    let sql = "INSERT INTO collection (name, settings, audience) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id";
    let inserted = transaction.query_opt(sql, &[&name, &to_json(settings)?, &audience]).await?;
    let id = inserted.ok_or_else(|| IndexError::CollectionExists(name.to_owned()))?.get(0);
    Ok(Collection { id, name: name.to_owned(), settings: settings.clone(), model: None })
}

pub(super) async fn update_settings(
    transaction: &Transaction<'_>,
    collection: i64,
    settings: &CollectionSettings,
) -> Result<()> {
    let audience = ensure_audience(transaction, &settings.audience).await?;
    let sql = "UPDATE collection SET settings = $1, audience = $2 WHERE id = $3";
    transaction.execute(sql, &[&to_json(settings)?, &audience, &collection]).await?;
    Ok(())
}

/// Deletes a collection with its documents.
pub(super) async fn delete(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    lock_collection(transaction, collection).await?;
    drop_vector_tables(transaction, collection, None).await?;
    transaction.execute("DELETE FROM collection WHERE id = $1", &[&collection]).await?;
    Ok(())
}

/// Locks a collection for writing.
pub(super) async fn lock_collection(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    transaction
        .query("SELECT 1 FROM collection WHERE id = $1 FOR NO KEY UPDATE", &[&collection])
        .await?;
    Ok(())
}

/// Lists the collections that the viewer may see.
pub(super) async fn list(
    transaction: &Transaction<'_>,
    viewer: &Viewer,
) -> Result<Vec<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE_TO_VIEWER} ORDER BY c.name");
    let rows = transaction.query_typed(&sql, &[(&viewer.principals(), Type::TEXT_ARRAY)]).await?;
    rows.iter().map(collection_from_row).collect()
}

/// Returns the collection of this name, if the viewer may see it.
pub(super) async fn find(
    transaction: &Transaction<'_>,
    name: &str,
    viewer: &Viewer,
) -> Result<Option<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE_TO_VIEWER} AND c.name = $2");
    let rows = transaction
        .query_typed(&sql, &[(&viewer.principals(), Type::TEXT_ARRAY), (&name, Type::TEXT)])
        .await?;
    rows.first().map(collection_from_row).transpose()
}

fn collection_from_row(row: &Row) -> Result<Collection> {
    let settings: String = row.try_get(2)?;
    let model = row.try_get::<_, Option<String>>(3)?.zip(row.try_get::<_, Option<i64>>(4)?);
    Ok(Collection {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        settings: serde_json::from_str(&settings).map_err(IndexError::storage)?,
        model: model.map(|(id, dimensions)| EmbeddingModel {
            id,
            dimensions: usize::try_from(dimensions).unwrap_or_default(),
        }),
    })
}

pub(super) async fn find_model(
    transaction: &Transaction<'_>,
    collection: i64,
) -> Result<Option<EmbeddingModel>> {
    let sql = "SELECT model, dimensions FROM collection WHERE id = $1 AND model IS NOT NULL";
    let rows = transaction.query_typed(sql, &[(&collection, Type::INT8)]).await?;
    let model = |row: &Row| -> Result<EmbeddingModel> {
        Ok(EmbeddingModel {
            id: row.try_get(0)?,
            dimensions: usize::try_from(row.try_get::<_, i64>(1)?).unwrap_or_default(),
        })
    };
    rows.first().map(model).transpose()
}

pub(super) async fn set_model(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &EmbeddingModel,
) -> Result<()> {
    let sql = "UPDATE collection SET model = $1, dimensions = $2 WHERE id = $3";
    transaction.execute(sql, &[&model.id, &to_bigint(model.dimensions), &collection]).await?;
    Ok(())
}

/// Returns the id of an audience, inserting it if needed; equal audiences share one row.
pub(super) async fn ensure_audience(
    transaction: &Transaction<'_>,
    audience: &IndexAudience,
) -> Result<i64> {
    let rule = to_json(audience)?;
    let hash = Sha256::digest(&rule);
    let find = "SELECT id FROM audience WHERE hash = $1";
    if let Some(existing) =
        transaction.query_typed(find, &[(&hash.as_slice(), Type::BYTEA)]).await?.first()
    {
        return Ok(existing.try_get(0)?);
    }
    // If another host is inserting it, this waits for that transaction.
    let sql = "INSERT INTO audience (hash, rule) VALUES ($1, $2)
               ON CONFLICT (hash) DO UPDATE SET rule = excluded.rule RETURNING id";
    let id: i64 = transaction.query_one(sql, &[&hash.as_slice(), &rule]).await?.try_get(0)?;
    let members = "INSERT INTO member (principal, audience) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING";
    transaction.execute(members, &[&audience.principals(), &id]).await?;
    Ok(id)
}

/// Returns the audiences to which the viewer belongs.
pub(super) async fn find_audiences(
    transaction: &Transaction<'_>,
    viewer: &Viewer,
) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM audience WHERE $1::text[] IS NULL
               OR id IN (SELECT audience FROM member WHERE principal = ANY ($1)) ORDER BY id";
    let rows = transaction.query_typed(sql, &[(&viewer.principals(), Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Returns the name of a vector table.
pub(super) fn vector_table_name(id: i64) -> String {
    format!("vector_{id}")
}

/// Returns the vector table of a collection and model.
pub(super) async fn find_vector_table(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
) -> Result<Option<i64>> {
    let sql = "SELECT id FROM space WHERE collection = $1 AND model = $2";
    let rows =
        transaction.query_typed(sql, &[(&collection, Type::INT8), (&model, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Returns the vector tables of a model in all collections.
pub(super) async fn find_model_vector_tables(
    transaction: &Transaction<'_>,
    model: &str,
) -> Result<Vec<i64>> {
    let rows = transaction
        .query_typed("SELECT id FROM space WHERE model = $1 ORDER BY id", &[(&model, Type::TEXT)])
        .await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Returns the vector tables of a collection.
pub(super) async fn find_collection_vector_tables(
    transaction: &Transaction<'_>,
    collection: i64,
) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM space WHERE collection = $1 ORDER BY id";
    let rows = transaction.query_typed(sql, &[(&collection, Type::INT8)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Returns the vector table of a collection and model, creating it if needed. The collection must
/// be locked.
pub(super) async fn ensure_vector_table(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &EmbeddingModel,
) -> Result<i64> {
    if let Some(vector_table) = find_vector_table(transaction, collection, &model.id).await? {
        return Ok(vector_table);
    }
    let sql = "INSERT INTO space (collection, model, dimensions) VALUES ($1, $2, $3) RETURNING id";
    let vector_table: i64 = transaction
        .query_one(sql, &[&collection, &model.id, &to_bigint(model.dimensions)])
        .await?
        .try_get(0)?;
    let (table, dimensions) = (vector_table_name(vector_table), model.dimensions);
    transaction
        .batch_execute(&format!(
            "CREATE TABLE pipewright_index.{table} (chunk BIGINT PRIMARY KEY, audience BIGINT NOT NULL, numbers halfvec({dimensions}) NOT NULL);
             CREATE INDEX {table}_audience ON {table} (audience)"
        ))
        .await?;
    if dimensions <= MAX_HNSW_DIMENSIONS {
        transaction
            .batch_execute(&format!(
                "CREATE INDEX {table}_near ON {table} USING hnsw (numbers halfvec_cosine_ops)"
            ))
            .await?;
    }
    Ok(vector_table)
}

/// pgvector's HNSW index takes no longer vectors; they are compared one by one.
const MAX_HNSW_DIMENSIONS: usize = 4000;

/// Drops the vector tables of a collection, except that of `keep_model`.
pub(super) async fn drop_vector_tables(
    transaction: &Transaction<'_>,
    collection: i64,
    keep_model: Option<&str>,
) -> Result<()> {
    let sql = "DELETE FROM space WHERE collection = $1 AND model IS DISTINCT FROM $2 RETURNING id";
    for row in transaction
        .query_typed(sql, &[(&collection, Type::INT8), (&keep_model, Type::TEXT)])
        .await?
    {
        transaction
            .batch_execute(&format!("DROP TABLE {}", vector_table_name(row.try_get(0)?)))
            .await?;
    }
    Ok(())
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(IndexError::storage)
}

/// Converts a count to the database's BIGINT.
pub(super) fn to_bigint(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
