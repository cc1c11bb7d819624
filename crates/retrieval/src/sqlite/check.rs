//! Looks whether all that is in the file belongs together.

use super::{Store, catalogue};
use crate::audience::Viewer;
use crate::audit::{Audit, Held};
use crate::collection::Collection;
use crate::error::Result;
use crate::posting::{self, Extent};
use rusqlite::{Params, Row, Transaction};

/// What is not as it must be. Reads everything, so it takes its time.
pub(super) fn faults(transaction: &Transaction<'_>, store: &Store) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    transaction.pragma_query(None, "integrity_check", |row| {
        let told: String = row.get(0)?;
        faults.extend((told != "ok").then_some(told));
        Ok(())
    })?;
    transaction.pragma_query(None, "foreign_key_check", |row| {
        faults.push(format!("a row of `{}` belongs to nothing", row.get::<_, String>(0)?));
        Ok(())
    })?;
    for collection in catalogue::list(transaction, &Viewer::Operator)? {
        faults.extend(of_collection(transaction, store, &collection)?);
    }
    Ok(faults)
}

fn of_collection(
    transaction: &Transaction<'_>,
    store: &Store,
    collection: &Collection,
) -> Result<Vec<String>> {
    let mut audit = Audit::of(&collection.name, store.analysers.of(collection.settings.language));
    let documents = "SELECT d.name, d.chunks, count(c.id), coalesce(max(c.place), -1),
            count((SELECT 1 FROM vector v WHERE v.chunk = c.id AND v.model = k.model AND length(v.numbers) <> 2 * k.dimensions))
        FROM document d JOIN collection k ON k.id = d.collection LEFT JOIN chunk c ON c.document = d.id WHERE k.id = ? GROUP BY d.id";
    each(transaction, documents, [collection.id], |row| {
        let (name, chunks, held) = (row.get(0)?, row.get(1)?, row.get(2)?);
        audit.document(Held { name, chunks, held, last: row.get(3)?, uneven: row.get(4)? });
        Ok(())
    })?;
    let chunks = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id WHERE d.collection = ? ORDER BY c.id";
    each(transaction, chunks, [collection.id], |row| {
        let (heading, text): (String, String) = (row.get(2)?, row.get(3)?);
        audit.chunk(row.get(0)?, row.get(1)?, &heading, &text);
        Ok(())
    })?;
    each(
        transaction,
        "SELECT term, audience, block, entries FROM posting WHERE collection = ?",
        [collection.id],
        |row| {
            audit.posting(
                posting::Row { term: row.get(0)?, audience: row.get(1)?, block: row.get(2)? },
                row.get(3)?,
            );
            Ok(())
        },
    )?;
    each(
        transaction,
        "SELECT audience, chunks, terms FROM extent WHERE collection = ?",
        [collection.id],
        |row| {
            audit.extent(row.get(0)?, Extent { chunks: row.get(1)?, terms: row.get(2)? });
            Ok(())
        },
    )?;
    Ok(audit.end())
}

fn each(
    transaction: &Transaction<'_>,
    sql: &str,
    params: impl Params,
    mut row: impl FnMut(&Row<'_>) -> Result<()>,
) -> Result<()> {
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(one) = rows.next()? {
        row(one)?;
    }
    Ok(())
}
