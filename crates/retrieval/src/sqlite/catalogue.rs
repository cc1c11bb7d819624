//! Collections and audiences in the file.

use crate::audience::{Audience, Viewer};
use crate::collection::{Collection, Model, Settings};
use crate::error::{Error, Result};
use rusqlite::{OptionalExtension, Params, Row, Transaction, params};

const COLUMNS: &str = "SELECT c.id, c.name, c.settings, c.model, c.dimensions FROM collection c";

pub(super) fn create(
    transaction: &Transaction<'_>,
    name: &str,
    settings: &Settings,
) -> Result<Collection> {
    let audience = audience(transaction, &settings.audience)?;
    let written = json(settings)?;
    let made = transaction.execute(
        "INSERT INTO collection (name, settings, audience) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (name, written, audience),
    )?;
    if made == 0 {
        return Err(Error::Exists(name.to_owned()));
    }
    Ok(Collection {
        id: transaction.last_insert_rowid(),
        name: name.to_owned(),
        settings: settings.clone(),
        model: None,
    })
}

pub(super) fn settle(
    transaction: &Transaction<'_>,
    collection: i64,
    settings: &Settings,
) -> Result<()> {
    let audience = audience(transaction, &settings.audience)?;
    let change = "UPDATE collection SET settings = ?, audience = ? WHERE id = ?";
    transaction.execute(change, (json(settings)?, audience, collection))?;
    Ok(())
}

pub(super) fn forget(transaction: &Transaction<'_>, collection: i64) -> Result<()> {
    transaction.execute("DELETE FROM collection WHERE id = ?", [collection])?;
    Ok(())
}

pub(super) fn list(transaction: &Transaction<'_>, viewer: &Viewer) -> Result<Vec<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE} ORDER BY c.name");
    collections(transaction, &sql, [principals(viewer)?])
}

pub(super) fn find(
    transaction: &Transaction<'_>,
    name: &str,
    viewer: &Viewer,
) -> Result<Option<Collection>> {
    let sql = format!("{COLUMNS} WHERE {VISIBLE} AND c.name = ?2");
    Ok(collections(transaction, &sql, (principals(viewer)?, name))?.pop())
}

/// The first parameter is the asker's principals as JSON, or NULL for the operator.
const VISIBLE: &str = "(?1 IS NULL OR c.audience IN (SELECT audience FROM member WHERE principal IN (SELECT value FROM json_each(?1))))";

fn collections(
    transaction: &Transaction<'_>,
    sql: &str,
    params: impl Params,
) -> Result<Vec<Collection>> {
    let mut statement = transaction.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut collections = Vec::new();
    while let Some(row) = rows.next()? {
        collections.push(collection(row)?);
    }
    Ok(collections)
}

fn collection(row: &Row<'_>) -> Result<Collection> {
    let settings: String = row.get(2)?;
    let model = row.get::<_, Option<String>>(3)?.zip(row.get::<_, Option<usize>>(4)?);
    Ok(Collection {
        id: row.get(0)?,
        name: row.get(1)?,
        settings: serde_json::from_str(&settings).map_err(Error::store)?,
        model: model.map(|(id, dimensions)| Model { id, dimensions }),
    })
}

pub(super) fn model(transaction: &Transaction<'_>, collection: i64) -> Result<Option<Model>> {
    let sql = "SELECT model, dimensions FROM collection WHERE id = ? AND model IS NOT NULL";
    let row = |row: &Row<'_>| Ok(Model { id: row.get(0)?, dimensions: row.get(1)? });
    Ok(transaction.prepare_cached(sql)?.query_row([collection], row).optional()?)
}

/// The number of an audience; those with the same members share it.
pub(super) fn audience(transaction: &Transaction<'_>, audience: &Audience) -> Result<i64> {
    let rule = json(audience)?;
    let known = transaction
        .prepare_cached("SELECT id FROM audience WHERE rule = ?")?
        .query_row([&rule], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
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

/// The audiences that the asker belongs to.
pub(super) fn audiences(transaction: &Transaction<'_>, viewer: &Viewer) -> Result<Vec<i64>> {
    let sql = "SELECT id FROM audience WHERE ?1 IS NULL
               OR id IN (SELECT audience FROM member WHERE principal IN (SELECT value FROM json_each(?1))) ORDER BY id";
    let mut statement = transaction.prepare_cached(sql)?;
    let ids = statement.query_map([principals(viewer)?], |row| row.get(0))?;
    Ok(ids.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn principals(viewer: &Viewer) -> Result<Option<String>> {
    viewer.principals().map(|principals| json(&principals)).transpose()
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::store)
}
