//! Checks that the rows of the database are consistent.

use super::collections::{self, find_vector_table, vector_table_name};
use super::{Parameter, Transaction};
use crate::analyzer::AnalyzerCache;
use crate::audience::Viewer;
use crate::collection::Collection;
use crate::error::Result;
use crate::integrity::{DocumentCounts, IntegrityCheck};
use crate::posting::{CorpusStats, PostingKey};
use tokio_postgres::types::Type;

/// Returns a description of each inconsistency. Reads all tables.
pub(super) async fn find_inconsistencies(
    transaction: &Transaction<'_>,
    analyzers: &AnalyzerCache,
) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    for collection in collections::list(transaction, &Viewer::Operator).await? {
        let check =
            IntegrityCheck::new(&collection.name, analyzers.get(collection.settings.language));
        problems.extend(check_collection(transaction, &collection, check).await?);
    }
    Ok(problems)
}

async fn check_collection(
    transaction: &Transaction<'_>,
    collection: &Collection,
    mut check: IntegrityCheck,
) -> Result<Vec<String>> {
    let id: [Parameter<'_>; 1] = [(&collection.id, Type::INT8)];
    let documents = "SELECT d.name, d.chunks, count(c.id), coalesce(max(c.place), -1)
        FROM document d LEFT JOIN chunk c ON c.document = d.id WHERE d.collection = $1 GROUP BY d.id";
    for row in transaction.query_typed(documents, &id).await? {
        let (name, expected_chunks, stored_chunks) =
            (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        // The vector table's type enforces the length.
        check.add_document(DocumentCounts {
            name,
            expected_chunks,
            stored_chunks,
            last_position: row.try_get(3)?,
            mismatched_vectors: 0,
        });
    }
    let chunks = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id WHERE d.collection = $1 ORDER BY c.id";
    for row in transaction.query_typed(chunks, &id).await? {
        check.add_chunk(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
    }
    for row in transaction
        .query_typed(
            "SELECT term, audience, block, entries FROM posting WHERE collection = $1",
            &id,
        )
        .await?
    {
        check.add_posting(
            PostingKey { term: row.try_get(0)?, audience: row.try_get(1)?, block: row.try_get(2)? },
            row.try_get(3)?,
        );
    }
    for row in transaction
        .query_typed("SELECT audience, chunks, terms FROM extent WHERE collection = $1", &id)
        .await?
    {
        check.add_stats(
            row.try_get(0)?,
            CorpusStats { chunk_count: row.try_get(1)?, terms: row.try_get(2)? },
        );
    }
    if let Some(model) = &collection.model
        && let Some(vector_table) = find_vector_table(transaction, collection.id, &model.id).await?
    {
        report_orphan_vectors(transaction, vector_table, &mut check).await?;
    }
    Ok(check.finish())
}

/// Reports vectors that belong to no chunk, or whose audience is not that of the document.
async fn report_orphan_vectors(
    transaction: &Transaction<'_>,
    vector_table: i64,
    check: &mut IntegrityCheck,
) -> Result<()> {
    let sql = format!(
        "SELECT count(*) FROM {} v LEFT JOIN chunk c ON c.id = v.chunk LEFT JOIN document d ON d.id = c.document
         WHERE d.audience IS DISTINCT FROM v.audience",
        vector_table_name(vector_table)
    );
    let orphans: i64 = transaction.query_one(&sql, &[]).await?.try_get(0)?;
    if orphans > 0 {
        check.report(&format!("{orphans} vectors are not of its chunks"));
    }
    Ok(())
}
