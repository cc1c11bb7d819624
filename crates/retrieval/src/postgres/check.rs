//! Looks whether all that is in the database belongs together.

use super::catalogue::{self, space, table};
use super::{Parameter, Transaction};
use crate::analyser::Analysers;
use crate::audience::Viewer;
use crate::audit::{Audit, Held};
use crate::collection::Collection;
use crate::error::Result;
use crate::posting::{Extent, Row};
use tokio_postgres::types::Type;

/// What is not as it must be. Reads everything, so it takes its time.
pub(super) async fn faults(
    transaction: &Transaction<'_>,
    analysers: &Analysers,
) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for collection in catalogue::list(transaction, &Viewer::Operator).await? {
        let audit = Audit::of(&collection.name, analysers.of(collection.settings.language));
        faults.extend(of_collection(transaction, &collection, audit).await?);
    }
    Ok(faults)
}

async fn of_collection(
    transaction: &Transaction<'_>,
    collection: &Collection,
    mut audit: Audit,
) -> Result<Vec<String>> {
    let id: [Parameter<'_>; 1] = [(&collection.id, Type::INT8)];
    let documents = "SELECT d.name, d.chunks, count(c.id), coalesce(max(c.place), -1)
        FROM document d LEFT JOIN chunk c ON c.document = d.id WHERE d.collection = $1 GROUP BY d.id";
    for row in transaction.query_typed(documents, &id).await? {
        let (name, chunks, held) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // The table of vectors takes none of another length.
        audit.document(Held { name, chunks, held, last: row.try_get(3)?, uneven: 0 });
    }
    let chunks = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id WHERE d.collection = $1 ORDER BY c.id";
    for row in transaction.query_typed(chunks, &id).await? {
        audit.chunk(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    }
    for row in transaction
        .query_typed(
            "SELECT term, audience, block, entries FROM posting WHERE collection = $1",
            &id,
        )
        .await?
    {
        audit.posting(
            Row { term: row.try_get(0)?, audience: row.try_get(1)?, block: row.try_get(2)? },
            row.try_get(3)?,
        );
    }
    for row in transaction
        .query_typed("SELECT audience, chunks, terms FROM extent WHERE collection = $1", &id)
        .await?
    {
        audit.extent(row.try_get(0)?, Extent { chunks: row.try_get(1)?, terms: row.try_get(2)? });
    }
    if let Some(model) = &collection.model
        && let Some(space) = space(transaction, collection.id, &model.id).await?
    {
        strays(transaction, space, &mut audit).await?;
    }
    Ok(audit.end())
}

/// Vectors that belong to no chunk, or let others see them than the document does.
async fn strays(transaction: &Transaction<'_>, space: i64, audit: &mut Audit) -> Result<()> {
    let sql = format!(
        "SELECT count(*) FROM {} v LEFT JOIN chunk c ON c.id = v.chunk LEFT JOIN document d ON d.id = c.document
         WHERE d.audience IS DISTINCT FROM v.audience",
        table(space)
    );
    let strays: i64 = transaction.query_one(&sql, &[]).await?.try_get(0)?;
    if strays > 0 {
        audit.fault(&format!("{strays} vectors are not of its chunks"));
    }
    Ok(())
}
