//! Collections, audiences and spaces of vectors in the database.

use super::Transaction;
use crate::audience::{Audience, Viewer};
use crate::collection::{Collection, Model, Settings};
use crate::error::{Error, Result};
use sha2::{Digest, Sha256};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

const COLUMNS: &str = "SELECT c.id, c.name, c.settings, c.model, c.dimensions FROM collection c";

/// The first parameter is the asker's principals, or NULL for the operator.
const VISIBLE: &str = "($1::text[] IS NULL OR c.audience IN (SELECT audience FROM member WHERE principal = ANY ($1)))";

pub(super) async fn create(
    transaction: &Transaction<'_>,
    name: &str,
    settings: &Settings,
) -> Result<Collection> {
    let audience = audience(transaction, &settings.audience).await?;
    let sql = "INSERT INTO collection (name, settings, audience) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id";
    let made = transaction.query_opt(sql, &[&name, &json(settings)?, &audience]).await?;
    let id = made.ok_or_else(|| Error::Exists(name.to_owned()))?.get(0);
    Ok(Collection { id, name: name.to_owned(), settings: settings.clone(), model: None })
}

pub(super) async fn settle(
    transaction: &Transaction<'_>,
    collection: i64,
    settings: &Settings,
) -> Result<()> {
    let audience = audience(transaction, &settings.audience).await?;
    let sql = "UPDATE collection SET settings = $1, audience = $2 WHERE id = $3";
    transaction.execute(sql, &[&json(settings)?, &audience, &collection]).await?;
    Ok(())
}

pub(super) async fn forget(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    lock(transaction, collection).await?;
    drop_spaces(transaction, collection, None).await?;
    transaction.execute("DELETE FROM collection WHERE id = $1", &[&collection]).await?;
    Ok(())
}

/// Only one at a time writes to a collection.
pub(super) async fn lock(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    transaction
        .query("SELECT 1 FROM collection WHERE id = $1 FOR NO KEY UPDATE", &[&collection])
        .await?;
    Ok(())
}

pub(super) async fn list(
    transaction: &Transaction<'_>,
    viewer: &Viewer,
) -> Result<Vec<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE} ORDER BY c.name");
    let rows = transaction.query_typed(&sql, &[(&viewer.principals(), Type::TEXT_ARRAY)]).await?;
    rows.iter().map(collection).collect()
}

pub(super) async fn find(
    transaction: &Transaction<'_>,
    name: &str,
    viewer: &Viewer,
) -> Result<Option<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE} AND c.name = $2");
    let rows = transaction
        .query_typed(&sql, &[(&viewer.principals(), Type::TEXT_ARRAY), (&name, Type::TEXT)])
        .await?;
    rows.first().map(collection).transpose()
}

fn collection(row: &Row) -> Result<Collection> {
    let settings: String = row.try_get(2)?;
    let model = row.try_get::<_, Option<String>>(3)?.zip(row.try_get::<_, Option<i64>>(4)?);
    Ok(Collection {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        settings: serde_json::from_str(&settings).map_err(Error::store)?,
        model: model.map(|(id, dimensions)| Model {
            id,
            dimensions: usize::try_from(dimensions).unwrap_or_default(),
        }),
    })
}

pub(super) async fn model(transaction: &Transaction<'_>, collection: i64) -> Result<Option<Model>> {
    let sql = "SELECT model, dimensions FROM collection WHERE id = $1 AND model IS NOT NULL";
    let rows = transaction.query_typed(sql, &[(&collection, Type::INT8)]).await?;
    let model = |row: &Row| -> Result<Model> {
        Ok(Model {
            id: row.try_get(0)?,
            dimensions: usize::try_from(row.try_get::<_, i64>(1)?).unwrap_or_default(),
        })
    };
    rows.first().map(model).transpose()
}

pub(super) async fn set_model(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &Model,
) -> Result<()> {
    let sql = "UPDATE collection SET model = $1, dimensions = $2 WHERE id = $3";
    transaction.execute(sql, &[&model.id, &number(model.dimensions), &collection]).await?;
    Ok(())
}

/// The number of an audience; those with the same members share it.
pub(super) async fn audience(transaction: &Transaction<'_>, audience: &Audience) -> Result<i64> {
    let rule = json(audience)?;
    let hash = Sha256::digest(&rule);
    let find = "SELECT id FROM audience WHERE hash = $1";
    if let Some(known) =
        transaction.query_typed(find, &[(&hash.as_slice(), Type::BYTEA)]).await?.first()
    {
        return Ok(known.try_get(0)?);
    }
    // Another host may be making it; then this waits for it.
    let sql = "INSERT INTO audience (hash, rule) VALUES ($1, $2)
               ON CONFLICT (hash) DO UPDATE SET rule = excluded.rule RETURNING id";
    let id: i64 = transaction.query_one(sql, &[&hash.as_slice(), &rule]).await?.try_get(0)?;
    let members = "INSERT INTO member (principal, audience) SELECT unnest($1::text[]), $2 ON CONFLICT DO NOTHING";
    transaction.execute(members, &[&audience.principals(), &id]).await?;
    Ok(id)
}

/// The audiences that the asker belongs to.
pub(super) async fn audiences(transaction: &Transaction<'_>, viewer: &Viewer) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM audience WHERE $1::text[] IS NULL
               OR id IN (SELECT audience FROM member WHERE principal = ANY ($1)) ORDER BY id";
    let rows = transaction.query_typed(sql, &[(&viewer.principals(), Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Where vectors are; its table's name.
pub(super) fn table(space: i64) -> String {
    format!("vector_{space}")
}

/// The space of a collection's vectors of a model.
pub(super) async fn space(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
) -> Result<Option<i64>> {
    let sql = "SELECT id FROM space WHERE collection = $1 AND model = $2";
    let rows =
        transaction.query_typed(sql, &[(&collection, Type::INT8), (&model, Type::TEXT)]).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Every space of vectors of a model, whatever the collection.
pub(super) async fn spaces_of(transaction: &Transaction<'_>, model: &str) -> Result<Vec<i64>> {
    let rows = transaction
        .query_typed("SELECT id FROM space WHERE model = $1 ORDER BY id", &[(&model, Type::TEXT)])
        .await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// Every space of a collection.
pub(super) async fn spaces_in(transaction: &Transaction<'_>, collection: i64) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM space WHERE collection = $1 ORDER BY id";
    let rows = transaction.query_typed(sql, &[(&collection, Type::INT8)]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?)
}

/// The space of a collection's vectors of a model, made if there is none. The collection is locked.
pub(super) async fn make_space(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &Model,
) -> Result<i64> {
    if let Some(space) = space(transaction, collection, &model.id).await? {
        return Ok(space);
    }
    let sql = "INSERT INTO space (collection, model, dimensions) VALUES ($1, $2, $3) RETURNING id";
    let space: i64 = transaction
        .query_one(sql, &[&collection, &model.id, &number(model.dimensions)])
        .await?
        .try_get(0)?;
    let (table, dimensions) = (table(space), model.dimensions);
    transaction
        .batch_execute(&format!(
            "CREATE TABLE pipewright_index.{table} (chunk BIGINT PRIMARY KEY, audience BIGINT NOT NULL, numbers halfvec({dimensions}) NOT NULL);
             CREATE INDEX {table}_audience ON {table} (audience)"
        ))
        .await?;
    if dimensions <= LONGEST_IN_A_GRAPH {
        transaction
            .batch_execute(&format!(
                "CREATE INDEX {table}_near ON {table} USING hnsw (numbers halfvec_cosine_ops)"
            ))
            .await?;
    }
    Ok(space)
}

/// Longer vectors are compared one by one.
const LONGEST_IN_A_GRAPH: usize = 4000;

/// Drops the vectors of all models of a collection, but for one.
pub(super) async fn drop_spaces(
    transaction: &Transaction<'_>,
    collection: i64,
    but: Option<&str>,
) -> Result<()> {
    let sql = "DELETE FROM space WHERE collection = $1 AND model IS DISTINCT FROM $2 RETURNING id";
    for row in
        transaction.query_typed(sql, &[(&collection, Type::INT8), (&but, Type::TEXT)]).await?
    {
        transaction.batch_execute(&format!("DROP TABLE {}", table(row.try_get(0)?))).await?;
    }
    Ok(())
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::store)
}

/// As the database counts.
pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
