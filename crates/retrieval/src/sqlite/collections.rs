//! Stores collections and audiences in SQLite.

use crate::audience::{IndexAudience, Viewer};
use crate::collection::{Collection, CollectionSettings, EmbeddingModel};
use crate::error::{IndexError, Result};
use rusqlite::{OptionalExtension, Params, Row, Transaction, params};

/// Selects the columns of collections.
const COLUMNS: &str = "SELECT c.id, c.name, c.settings, c.model, c.dimensions FROM collection c";

/// Creates a collection.
pub(super) fn create(
    transaction: &Transaction<'_>,
    name: &str,
    settings: &CollectionSettings,
) -> Result<Collection> {
    let audience = ensure_audience(transaction, &settings.audience)?;
    let settings_json = to_json(settings)?;
    let inserted = transaction.execute(
        "INSERT INTO collection (name, settings, audience) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (name, settings_json, audience),
    )?;
    if inserted == 0 {
        return Err(IndexError::CollectionExists(name.to_owned()));
    }
    Ok(Collection {
        id: transaction.last_insert_rowid(),
        name: name.to_owned(),
        settings: settings.clone(),
        model: None,
    })
}

pub(super) fn update_settings(
    transaction: &Transaction<'_>,
    collection: i64,
    settings: &CollectionSettings,
) -> Result<()> {
    let audience = ensure_audience(transaction, &settings.audience)?;
    let sql = "UPDATE collection SET settings = ?, audience = ? WHERE id = ?";
    transaction.execute(sql, (to_json(settings)?, audience, collection))?;
    Ok(())
}

/// Deletes a collection with its documents.
pub(super) fn delete(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    transaction.execute("DELETE FROM collection WHERE id = ?", [collection])?;
    Ok(())
}

/// Lists the collections that the viewer may see.
pub(super) fn list(transaction: &Transaction<'_>, viewer: &Viewer) -> Result<Vec<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE_TO_VIEWER} ORDER BY c.name");
    query_collections(transaction, &sql, [principals_json(viewer)?])
}

/// Returns the collection of this name, if the viewer may see it.
pub(super) fn find(
    transaction: &Transaction<'_>,
    name: &str,
    viewer: &Viewer,
) -> Result<Option<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE_TO_VIEWER} AND c.name = ?2");
    Ok(query_collections(transaction, &sql, (principals_json(viewer)?, name))?.pop())
}

/// The first parameter is the viewer's principals as JSON, or NULL for the operator.
const VISIBLE_TO_VIEWER: &str = "(?1 IS NULL OR c.audience IN (SELECT audience FROM member WHERE principal IN (SELECT value FROM json_each(?1))))";

fn query_collections(
    transaction: &Transaction<'_>,
    sql: &str,
    params: impl Params,
) -> Result<Vec<Collection>> {
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut collections = Vec::new();
    while let Some(row) = rows.next()? {
        collections.push(collection_from_row(row)?);
    }
    Ok(collections)
}

fn collection_from_row(row: &Row<'_>) -> Result<Collection> {
    let settings: String = row.get(2)?;
    let model = row.get::<_, Option<String>>(3)?.zip(row.get::<_, Option<usize>>(4)?);
    Ok(Collection {
        id: row.get(0)?,
        name: row.get(1)?,
        settings: serde_json::from_str(&settings).map_err(IndexError::storage)?,
        model: model.map(|(id, dimensions)| EmbeddingModel { id, dimensions }),
    })
}

pub(super) fn find_model(
    transaction: &Transaction<'_>,
    collection: i64,
) -> Result<Option<EmbeddingModel>> {
    let sql = "SELECT model, dimensions FROM collection WHERE id = ? AND model IS NOT NULL";
    let row = |row: &Row<'_>| Ok(EmbeddingModel { id: row.get(0)?, dimensions: row.get(1)? });
    Ok(transaction.prepare_cached(sql)?.query_row([collection], row).optional()?)
}

/// Returns the id of an audience, inserting it if needed; equal audiences share one row.
pub(super) fn ensure_audience(
    transaction: &Transaction<'_>,
    audience: &IndexAudience,
) -> Result<i64> {
    let rule = to_json(audience)?;
    let existing = transaction
        .prepare_cached("SELECT id FROM audience WHERE rule = ?")?
        .query_row([&rule], |row| row.get(0))
        .optional()?;
    if let Some(id) = existing {
        return Ok(id);
    }
    transaction.execute("INSERT INTO audience (rule) VALUES (?)", [rule])?;
    let id = transaction.last_insert_rowid();
    for principal in audience.principals() {
        transaction.execute(
            "INSERT INTO member (principal, audience) VALUES (?, ?)",
            params![principal, id],
        )?;
    }
    Ok(id)
}

/// Returns the audiences to which the viewer belongs.
pub(super) fn find_audiences(transaction: &Transaction<'_>, viewer: &Viewer) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM audience WHERE ?1 IS NULL
               OR id IN (SELECT audience FROM member WHERE principal IN (SELECT value FROM json_each(?1))) ORDER BY id";
    let mut statement = transaction.prepare_cached(sql)?;
    let ids = statement.query_map([principals_json(viewer)?], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn principals_json(viewer: &Viewer) -> Result<Option<String>> {
    viewer.principals().map(|principals| to_json(&principals)).transpose()
}

pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(IndexError::storage)
}
