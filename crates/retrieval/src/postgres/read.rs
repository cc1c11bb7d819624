//! What is read of the database beside the search: chunks, vectors, and what is listed.

use super::catalogue::{self, number, space, spaces_of, table};
use super::{Parameter, Transaction};
use crate::audience::{Audience, Viewer};
use crate::chunk::searched;
use crate::document::{Listed, State};
use crate::engine::{Hash, Known, Piece, Unembedded};
use crate::error::{Error, Result};
use crate::vector::Vector;
use std::collections::HashMap;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

pub(super) fn vector(row: &Row) -> Result<(i64, Vector)> {
    let numbers: Vec<f32> = row.try_get(1)?;
    Ok((row.try_get(0)?, Vector::as_is(&numbers)))
}

pub(super) fn piece(row: &Row) -> Result<Piece> {
    let tokens: i64 = row.try_get(3)?;
    let tokens = usize::try_from(tokens).unwrap_or_default();
    Ok(Piece { place: row.try_get(0)?, heading: row.try_get(1)?, text: row.try_get(2)?, tokens })
}

pub(super) async fn chunks(
    transaction: &Transaction<'_>,
    document: i64,
    first: i64,
    last: i64,
) -> Result<Vec<Piece>> {
    let sql = "SELECT place, heading, text, tokens FROM chunk WHERE document = $1 AND place BETWEEN $2 AND $3 ORDER BY place";
    let rows = transaction
        .query_typed(sql, &[(&document, Type::INT8), (&first, Type::INT8), (&last, Type::INT8)])
        .await?;
    rows.iter().map(piece).collect()
}

/// Whether a document lacks vectors of its collection's model. Without a model none is lacking; without a space, all are.
async fn waits(transaction: &Transaction<'_>, collection: i64) -> Result<String> {
    let Some(model) = catalogue::model(transaction, collection).await? else {
        return Ok("false".to_owned());
    };
    Ok(match space(transaction, collection, &model.id).await? {
        None => "d.chunks > 0".to_owned(),
        Some(space) => format!(
            "EXISTS (SELECT 1 FROM chunk k WHERE k.document = d.id AND NOT EXISTS (SELECT 1 FROM {} v WHERE v.chunk = k.id))",
            table(space)
        ),
    })
}

pub(super) async fn known(
    transaction: &Transaction<'_>,
    collection: i64,
    ids: &[String],
) -> Result<HashMap<String, Known>> {
    let waits = waits(transaction, collection).await?;
    let sql = format!(
        "SELECT d.name, d.fingerprint, d.failure IS NOT NULL, {waits} FROM document d WHERE d.collection = $1 AND d.name = ANY ($2)"
    );
    let rows = transaction
        .query_typed(&sql, &[(&collection, Type::INT8), (&ids, Type::TEXT_ARRAY)])
        .await?;
    let known = rows.iter().map(|row| {
        Ok((
            row.try_get(0)?,
            Known { fingerprint: hash(row, 1)?, failed: row.try_get(2)?, waits: row.try_get(3)? },
        ))
    });
    known.collect()
}

fn hash(row: &Row, column: usize) -> Result<Hash> {
    Hash::try_from(row.try_get::<_, &[u8]>(column)?).map_err(Error::store)
}

pub(super) async fn vectors(
    transaction: &Transaction<'_>,
    model: &str,
    hashes: &[Hash],
) -> Result<HashMap<Hash, Vector>> {
    let mut vectors: HashMap<Hash, Vector> = HashMap::new();
    for space in spaces_of(transaction, model).await? {
        let missing: Vec<&[u8]> =
            hashes.iter().filter(|hash| !vectors.contains_key(*hash)).map(Hash::as_slice).collect();
        let sql = format!(
            "SELECT DISTINCT ON (c.hash) v.chunk, v.numbers::real[], c.hash FROM chunk c JOIN {} v ON v.chunk = c.id WHERE c.hash = ANY ($1)",
            table(space)
        );
        for row in transaction.query_typed(&sql, &[(&missing, Type::BYTEA_ARRAY)]).await? {
            vectors.insert(hash(&row, 2)?, vector(&row)?.1);
        }
    }
    Ok(vectors)
}

pub(super) async fn documents(
    transaction: &Transaction<'_>,
    collection: i64,
    viewer: &Viewer,
    after: &str,
    limit: usize,
) -> Result<Vec<Listed>> {
    let waits = waits(transaction, collection).await?;
    let sql = format!(
        "SELECT d.name, d.title, d.url, a.rule, d.metadata, d.chunks, d.stored_at, d.failure, {waits}
         FROM document d JOIN audience a ON a.id = d.audience
         WHERE d.collection = $2 AND d.name > $3
           AND ($1::text[] IS NULL OR d.audience IN (SELECT audience FROM member WHERE principal = ANY ($1)))
         ORDER BY d.name LIMIT $4"
    );
    let parameters: [Parameter<'_>; 4] = [
        (&viewer.principals(), Type::TEXT_ARRAY),
        (&collection, Type::INT8),
        (&after, Type::TEXT),
        (&number(limit), Type::INT8),
    ];
    transaction.query_typed(&sql, &parameters).await?.iter().map(listed).collect()
}

fn listed(row: &Row) -> Result<Listed> {
    let chunks: i64 = row.try_get(5)?;
    let audience: Audience = serde_json::from_str(row.try_get(3)?).map_err(Error::store)?;
    Ok(Listed {
        id: row.try_get(0)?,
        title: row.try_get(1)?,
        url: row.try_get(2)?,
        audience,
        metadata: serde_json::from_str(row.try_get(4)?).map_err(Error::store)?,
        chunks: usize::try_from(chunks).unwrap_or_default(),
        stored_at: row.try_get(6)?,
        state: State::of(row.try_get(7)?, row.try_get(8)?),
    })
}

pub(super) async fn unembedded(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    after: i64,
    limit: usize,
) -> Result<Vec<Unembedded>> {
    let lacks = match space(transaction, collection, model).await? {
        None => "true".to_owned(),
        Some(space) => {
            format!("NOT EXISTS (SELECT 1 FROM {} v WHERE v.chunk = c.id)", table(space))
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
            &[(&collection, Type::INT8), (&after, Type::INT8), (&number(limit), Type::INT8)],
        )
        .await?;
    let chunk = |row: &Row| {
        let text = searched(row.try_get(2)?, row.try_get(3)?);
        Ok(Unembedded {
            document: row.try_get(0)?,
            chunk: row.try_get(1)?,
            hash: hash(row, 4)?,
            text,
        })
    };
    rows.iter().map(chunk).collect()
}
