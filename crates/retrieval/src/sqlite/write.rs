//! What is written to the file, each within one transaction.

use super::{catalogue, mirror};
use crate::analyser::{Analyser, Terms};
use crate::chunk::searched;
use crate::collection::{Collection, Model};
use crate::document::Document;
use crate::engine::{Prepared, now};
use crate::error::{Error, Result};
use crate::posting::Edits;
use crate::vector::Vector;
use rusqlite::{OptionalExtension, Transaction, params};

/// The first model to come becomes the collection's; another one is refused.
pub(super) fn adopt_first(
    transaction: &Transaction<'_>,
    collection: &Collection,
    model: Option<&Model>,
) -> Result<()> {
    let Some(model) = model else { return Ok(()) };
    match catalogue::model(transaction, collection.id)? {
        Some(held) if held != *model => Err(Error::Mixed {
            collection: collection.name.clone(),
            holds: held.to_string(),
            given: model.to_string(),
        }),
        Some(_) => Ok(()),
        None => {
            let sql = "UPDATE collection SET model = ?, dimensions = ? WHERE id = ?";
            transaction.execute(sql, (&model.id, model.dimensions, collection.id))?;
            Ok(())
        }
    }
}

/// Of a large document there are more than should be held at once.
const ROWS_AT_ONCE: usize = 50_000;

pub(super) fn put(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    model: Option<&Model>,
    documents: &[Prepared],
) -> Result<()> {
    let mut edits = Edits::default();
    for prepared in documents {
        take_out(transaction, analyser, collection, &prepared.document.id, &mut edits)?;
        let audience = catalogue::audience(transaction, &prepared.document.audience)?;
        let document = insert(transaction, collection, audience, prepared)?;
        for (place, chunk) in prepared.chunks.iter().enumerate() {
            let sql = "INSERT INTO chunk (document, place, heading, text, tokens, hash) VALUES (?, ?, ?, ?, ?, ?)";
            let row = params![document, place, chunk.heading, chunk.text, chunk.tokens, chunk.hash];
            transaction.prepare_cached(sql)?.execute(row)?;
            let id = transaction.last_insert_rowid();
            if let Some((vector, model)) = chunk.vector.as_ref().zip(model) {
                insert_vector(transaction, id, &model.id, vector)?;
            }
            edits.add(audience, id, chunk.terms.iter());
            if edits.rows.len() > ROWS_AT_ONCE {
                apply(transaction, collection, &std::mem::take(&mut edits))?;
            }
        }
        mirror::changed(transaction, collection, document)?;
    }
    apply(transaction, collection, &edits)
}

fn insert(
    transaction: &Transaction<'_>,
    collection: i64,
    audience: i64,
    prepared: &Prepared,
) -> Result<i64> {
    let document = &prepared.document;
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    transaction.prepare_cached(sql)?.execute(params![
        collection,
        document.id,
        document.title,
        document.url,
        catalogue::json(&document.metadata)?,
        audience,
        prepared.fingerprint,
        prepared.chunks.len(),
        now(),
    ])?;
    Ok(transaction.last_insert_rowid())
}

pub(super) fn fail(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    document: &Document,
    reason: &str,
) -> Result<()> {
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at, failure)
               VALUES (?, ?, ?, ?, ?, ?, zeroblob(16), 0, ?, ?) ON CONFLICT DO UPDATE SET failure = excluded.failure";
    let audience = catalogue::audience(transaction, &document.audience)?;
    let Document { id, title, url, metadata, .. } = document;
    show(transaction, analyser, collection, id, audience)?;
    transaction.execute(
        sql,
        params![collection, id, title, url, catalogue::json(metadata)?, audience, now(), reason],
    )?;
    Ok(())
}

pub(super) fn remove(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    ids: &[String],
) -> Result<usize> {
    let mut edits = Edits::default();
    let mut removed = 0;
    for id in ids {
        removed += usize::from(take_out(transaction, analyser, collection, id, &mut edits)?);
    }
    apply(transaction, collection, &edits)?;
    Ok(removed)
}

/// Lets this audience see a document, and nobody else, if it is there.
fn show(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    id: &str,
    audience: i64,
) -> Result<()> {
    let Some((document, before)) = held(transaction, collection, id)? else { return Ok(()) };
    if before == audience {
        return Ok(());
    }
    let mut edits = Edits::default();
    each_chunk(transaction, analyser, document, |chunk, terms| {
        edits.remove(before, chunk, terms.iter());
        edits.add(audience, chunk, terms.iter());
    })?;
    apply(transaction, collection, &edits)?;
    transaction.execute("UPDATE document SET audience = ? WHERE id = ?", (audience, document))?;
    mirror::changed(transaction, collection, document)
}

/// Deletes a document with its chunks and vectors, and notes what must go from the postings; says if there was one.
fn take_out(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    id: &str,
    edits: &mut Edits,
) -> Result<bool> {
    let Some((document, audience)) = held(transaction, collection, id)? else { return Ok(false) };
    each_chunk(transaction, analyser, document, |chunk, terms| {
        edits.remove(audience, chunk, terms.iter());
    })?;
    transaction.prepare_cached("DELETE FROM document WHERE id = ?")?.execute([document])?;
    mirror::changed(transaction, collection, document)?;
    Ok(true)
}

/// The numbers of a document and of its audience.
fn held(transaction: &Transaction<'_>, collection: i64, id: &str) -> Result<Option<(i64, i64)>> {
    let sql = "SELECT id, audience FROM document WHERE collection = ? AND name = ?";
    let mut find = transaction.prepare_cached(sql)?;
    Ok(find.query_row((collection, id), |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The chunks of a document, each with its terms.
fn each_chunk(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    document: i64,
    mut note: impl FnMut(i64, &Terms),
) -> Result<()> {
    let mut statement =
        transaction.prepare_cached("SELECT id, heading, text FROM chunk WHERE document = ?")?;
    let mut rows = statement.query([document])?;
    while let Some(row) = rows.next()? {
        let (heading, text): (String, String) = (row.get(1)?, row.get(2)?);
        note(row.get(0)?, &Terms::of(&analyser.terms(&searched(&heading, &text))));
    }
    Ok(())
}

fn apply(transaction: &Transaction<'_>, collection: i64, edits: &Edits) -> Result<()> {
    let mut read = transaction.prepare_cached("SELECT entries FROM posting WHERE collection = ? AND term = ? AND audience = ? AND block = ?")?;
    let mut write = transaction.prepare_cached("INSERT OR REPLACE INTO posting (collection, term, audience, block, entries) VALUES (?, ?, ?, ?, ?)")?;
    let mut delete = transaction.prepare_cached(
        "DELETE FROM posting WHERE collection = ? AND term = ? AND audience = ? AND block = ?",
    )?;
    for (row, edit) in &edits.rows {
        let key = (collection, &row.term, row.audience, row.block);
        let held: Option<Vec<u8>> = read.query_row(key, |row| row.get(0)).optional()?;
        let entries = edit.apply(&held.unwrap_or_default());
        if entries.is_empty() {
            delete.execute(key)?;
        } else {
            write.execute((collection, &row.term, row.audience, row.block, entries))?;
        }
    }
    let mut extend = transaction.prepare_cached(
        "INSERT INTO extent (collection, audience, chunks, terms) VALUES (?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET chunks = chunks + excluded.chunks, terms = terms + excluded.terms",
    )?;
    for (audience, extent) in &edits.extents {
        extend.execute((collection, audience, extent.chunks, extent.terms))?;
    }
    Ok(())
}

/// Adds vectors to chunks that are still there.
pub(super) fn embed(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    vectors: &[(i64, Vector)],
) -> Result<()> {
    let mut find = transaction.prepare_cached("SELECT document FROM chunk WHERE id = ?")?;
    let mut last = None;
    for (chunk, vector) in vectors {
        let document: Option<i64> = find.query_row([chunk], |row| row.get(0)).optional()?;
        let Some(document) = document else { continue };
        insert_vector(transaction, *chunk, model, vector)?;
        if last.replace(document) != Some(document) {
            mirror::changed(transaction, collection, document)?;
        }
    }
    Ok(())
}

fn insert_vector(
    transaction: &Transaction<'_>,
    chunk: i64,
    model: &str,
    vector: &Vector,
) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO vector (chunk, model, numbers) VALUES (?, ?, ?)";
    transaction.prepare_cached(sql)?.execute((chunk, model, vector.to_bytes()))?;
    Ok(())
}

/// The last step of re-embedding: from now on, questions are asked by the new vectors.
pub(super) fn adopt(transaction: &Transaction<'_>, collection: i64, model: &Model) -> Result<bool> {
    if !super::read::unembedded(transaction, collection, &model.id, 0, 1)?.is_empty() {
        return Ok(false);
    }
    let sql = "UPDATE collection SET model = ?, dimensions = ? WHERE id = ?";
    transaction.execute(sql, (&model.id, model.dimensions, collection))?;
    let others = "DELETE FROM vector WHERE model <> ? AND chunk IN
                  (SELECT c.id FROM chunk c JOIN document d ON d.id = c.document WHERE d.collection = ?)";
    transaction.execute(others, (&model.id, collection))?;
    Ok(true)
}
