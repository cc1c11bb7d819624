//! Looks whether all that is in the file belongs together.

use super::{Store, catalogue};
use crate::audience::Viewer;
use crate::chunk::searched;
use crate::collection::Collection;
use crate::error::Result;
use crate::posting::Edits;
use rusqlite::Transaction;
use std::collections::BTreeMap;

/// What is not as it must be. Builds the postings once more from the texts, so it takes its time.
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
        torn(transaction, &collection, &mut faults)?;
        postings(transaction, store, &collection, &mut faults)?;
    }
    Ok(faults)
}

/// Documents that lack some of their chunks, or have vectors of another length.
fn torn(
    transaction: &Transaction<'_>,
    collection: &Collection,
    faults: &mut Vec<String>,
) -> Result<()> {
    let sql = "SELECT d.name, d.chunks, count(c.id), coalesce(max(c.place), -1),
                      count((SELECT 1 FROM vector v WHERE v.chunk = c.id AND v.model = k.model AND length(v.numbers) <> 2 * k.dimensions))
               FROM document d JOIN collection k ON k.id = d.collection LEFT JOIN chunk c ON c.document = d.id
               WHERE k.id = ? GROUP BY d.id";
    let mut statement = transaction.prepare(sql)?;
    let mut rows = statement.query([collection.id])?;
    while let Some(row) = rows.next()? {
        let (name, chunks, held, last, uneven): (String, i64, i64, i64, i64) =
            (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?);
        if held != chunks || last != chunks - 1 {
            faults.push(format!(
                "`{}`: document `{name}` has {held} of {chunks} chunks",
                collection.name
            ));
        }
        if uneven > 0 {
            faults.push(format!("`{}`: document `{name}` has {uneven} vectors that are not of the collection's length", collection.name));
        }
    }
    Ok(())
}

fn postings(
    transaction: &Transaction<'_>,
    store: &Store,
    collection: &Collection,
    faults: &mut Vec<String>,
) -> Result<()> {
    let mut expected = Edits::default();
    let analyser = store.analyser(collection.settings.language);
    let mut statement = transaction.prepare(
        "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id WHERE d.collection = ? ORDER BY c.id",
    )?;
    let mut rows = statement.query([collection.id])?;
    while let Some(row) = rows.next()? {
        let (heading, text): (String, String) = (row.get(2)?, row.get(3)?);
        expected.add(row.get(0)?, row.get(1)?, &analyser.terms(&searched(&heading, &text)));
    }
    let mut held = BTreeMap::new();
    let mut statement = transaction
        .prepare("SELECT term, audience, block, entries FROM posting WHERE collection = ?")?;
    let mut rows = statement.query([collection.id])?;
    while let Some(row) = rows.next()? {
        let key: (String, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        held.insert(key, row.get::<_, Vec<u8>>(3)?);
    }
    let same = expected.rows.iter().all(|(row, edit)| {
        held.remove(&(row.term.clone(), row.audience, row.block))
            .is_some_and(|entries| entries == edit.apply(&[]))
    });
    if !same || !held.is_empty() {
        faults.push(format!("`{}`: the postings are not those of the texts", collection.name));
    }
    let mut statement =
        transaction.prepare("SELECT audience, chunks, terms FROM extent WHERE collection = ?")?;
    let mut rows = statement.query([collection.id])?;
    while let Some(row) = rows.next()? {
        let extent = expected.extents.remove(&row.get(0)?).unwrap_or_default();
        if (extent.chunks, extent.terms) != (row.get(1)?, row.get(2)?) {
            faults.push(format!("`{}`: its extent is not that of its texts", collection.name));
        }
    }
    faults.extend(
        (!expected.extents.is_empty()).then(|| format!("`{}`: it has no extent", collection.name)),
    );
    Ok(())
}
