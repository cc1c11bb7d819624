//! What is written to the database, each within one transaction, with the collection locked.

use super::catalogue::{self, lock, number, spaces_in, table};
use super::{Parameter, Transaction};
use crate::analyser::Analyser;
use crate::chunk::searched;
use crate::collection::{Collection, Model};
use crate::document::Document;
use crate::engine::{Prepared, now};
use crate::error::{Error, Result};
use crate::posting::{Edit, Edits, Extent, Row};
use crate::vector::Vector;
use std::collections::HashMap;
use tokio_postgres::types::Type;

/// The first model to come becomes the collection's; another one is refused.
async fn adopt_first(
    transaction: &Transaction<'_>,
    collection: &Collection,
    model: &Model,
) -> Result<()> {
    match catalogue::model(transaction, collection.id).await? {
        Some(held) if held != *model => Err(Error::Mixed {
            collection: collection.name.clone(),
            holds: held.to_string(),
            given: model.to_string(),
        }),
        Some(_) => Ok(()),
        None => catalogue::set_model(transaction, collection.id, model).await,
    }
}

pub(super) async fn put(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: &Collection,
    model: Option<&Model>,
    documents: &[Prepared],
) -> Result<()> {
    lock(transaction, collection.id).await?;
    let mut space = None;
    if let Some(model) = model {
        adopt_first(transaction, collection, model).await?;
        space = Some(catalogue::make_space(transaction, collection.id, model).await?);
    }
    let mut edits = Edits::default();
    let names: Vec<&str> = documents.iter().map(|prepared| prepared.document.id.as_str()).collect();
    take_out(transaction, analyser, collection.id, &names, &mut edits).await?;
    let mut rows = Chunks::default();
    let mut ids =
        chunk_ids(transaction, documents.iter().map(|prepared| prepared.chunks.len()).sum())
            .await?
            .into_iter();
    for prepared in documents {
        let audience = catalogue::audience(transaction, &prepared.document.audience).await?;
        let document = insert(transaction, collection.id, audience, prepared).await?;
        for ((place, chunk), id) in prepared.chunks.iter().enumerate().zip(&mut ids) {
            rows.push(id, document, place, chunk);
            if let Some(vector) = &chunk.vector {
                rows.vectors.push((id, audience, vector.clone()));
            }
            edits.add(audience, id, &chunk.terms);
        }
    }
    rows.insert(transaction).await?;
    if let Some(space) = space {
        insert_vectors(transaction, space, &rows.vectors).await?;
    }
    apply(transaction, collection.id, &edits).await
}

/// Ascending, as postings need them.
async fn chunk_ids(transaction: &Transaction<'_>, wanted: usize) -> Result<Vec<i64>> {
    let sql = "SELECT nextval('chunk_id') FROM generate_series(1, $1)";
    let rows = transaction.query_typed(sql, &[(&number(wanted), Type::INT8)]).await?;
    let mut ids: Vec<i64> =
        rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?;
    ids.sort_unstable();
    Ok(ids)
}

/// Chunks as columns, so that one statement takes all of them.
#[derive(Default)]
struct Chunks<'a> {
    ids: Vec<i64>,
    documents: Vec<i64>,
    places: Vec<i64>,
    headings: Vec<&'a str>,
    texts: Vec<&'a str>,
    tokens: Vec<i64>,
    hashes: Vec<&'a [u8]>,
    vectors: Vec<(i64, i64, Vector)>,
}

impl<'a> Chunks<'a> {
    fn push(
        &mut self,
        id: i64,
        document: i64,
        place: usize,
        chunk: &'a crate::engine::PreparedChunk,
    ) {
        self.ids.push(id);
        self.documents.push(document);
        self.places.push(number(place));
        self.headings.push(&chunk.heading);
        self.texts.push(&chunk.text);
        self.tokens.push(number(chunk.tokens));
        self.hashes.push(&chunk.hash);
    }

    async fn insert(&self, transaction: &Transaction<'_>) -> Result<()> {
        let sql = "INSERT INTO chunk (id, document, place, heading, text, tokens, hash) SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7)";
        let parameters: [Parameter<'_>; 7] = [
            (&self.ids, Type::INT8_ARRAY),
            (&self.documents, Type::INT8_ARRAY),
            (&self.places, Type::INT8_ARRAY),
            (&self.headings, Type::TEXT_ARRAY),
            (&self.texts, Type::TEXT_ARRAY),
            (&self.tokens, Type::INT8_ARRAY),
            (&self.hashes, Type::BYTEA_ARRAY),
        ];
        transaction.query_typed(sql, &parameters).await?;
        Ok(())
    }
}

async fn insert_vectors(
    transaction: &Transaction<'_>,
    space: i64,
    vectors: &[(i64, i64, Vector)],
) -> Result<()> {
    let chunks: Vec<i64> = vectors.iter().map(|(chunk, _, _)| *chunk).collect();
    let audiences: Vec<i64> = vectors.iter().map(|(_, audience, _)| *audience).collect();
    let numbers: Vec<String> =
        vectors.iter().map(|(_, _, vector)| format!("{:?}", vector.numbers())).collect();
    let sql = format!(
        "INSERT INTO {} (chunk, audience, numbers) SELECT chunk, audience, numbers::halfvec
         FROM unnest($1, $2, $3) AS given (chunk, audience, numbers) ON CONFLICT DO NOTHING",
        table(space)
    );
    let parameters: [Parameter<'_>; 3] =
        [(&chunks, Type::INT8_ARRAY), (&audiences, Type::INT8_ARRAY), (&numbers, Type::TEXT_ARRAY)];
    transaction.query_typed(&sql, &parameters).await?;
    Ok(())
}

async fn insert(
    transaction: &Transaction<'_>,
    collection: i64,
    audience: i64,
    prepared: &Prepared,
) -> Result<i64> {
    let document = &prepared.document;
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id";
    let (metadata, fingerprint) =
        (catalogue::json(&document.metadata)?, prepared.fingerprint.as_slice());
    let parameters: [Parameter<'_>; 9] = [
        (&collection, Type::INT8),
        (&document.id, Type::TEXT),
        (&document.title, Type::TEXT),
        (&document.url, Type::TEXT),
        (&metadata, Type::TEXT),
        (&audience, Type::INT8),
        (&fingerprint, Type::BYTEA),
        (&number(prepared.chunks.len()), Type::INT8),
        (&now(), Type::INT8),
    ];
    let rows = transaction.query_typed(sql, &parameters).await?;
    rows.first()
        .map_or_else(|| Err(Error::store("a document was not inserted")), |row| Ok(row.try_get(0)?))
}

pub(super) async fn fail(
    transaction: &Transaction<'_>,
    collection: i64,
    document: &Document,
    reason: &str,
) -> Result<()> {
    let audience = catalogue::audience(transaction, &document.audience).await?;
    let sql = "INSERT INTO document (collection, name, title, url, metadata, audience, fingerprint, chunks, stored_at, failure)
               VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8, $9) ON CONFLICT (collection, name) DO UPDATE SET failure = excluded.failure";
    let Document { id, title, url, metadata, .. } = document;
    let metadata = catalogue::json(metadata)?;
    let nothing = &[0_u8; 16][..];
    transaction
        .execute(
            sql,
            &[&collection, id, title, url, &metadata, &audience, &nothing, &now(), &reason],
        )
        .await?;
    Ok(())
}

pub(super) async fn remove(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    ids: &[String],
) -> Result<usize> {
    lock(transaction, collection).await?;
    let mut edits = Edits::default();
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let removed = take_out(transaction, analyser, collection, &names, &mut edits).await?;
    apply(transaction, collection, &edits).await?;
    Ok(removed)
}

/// Deletes documents with their chunks and vectors, and notes what must go from the postings; says how many there were.
async fn take_out(
    transaction: &Transaction<'_>,
    analyser: &Analyser,
    collection: i64,
    names: &[&str],
    edits: &mut Edits,
) -> Result<usize> {
    let sql = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id
               WHERE d.collection = $1 AND d.name = ANY ($2)";
    let which: [Parameter<'_>; 2] = [(&collection, Type::INT8), (&names, Type::TEXT_ARRAY)];
    let mut chunks: Vec<i64> = Vec::new();
    for row in transaction.query_typed(sql, &which).await? {
        let chunk = row.try_get(1)?;
        chunks.push(chunk);
        edits.remove(
            row.try_get(0)?,
            chunk,
            &analyser.terms(&searched(row.try_get(2)?, row.try_get(3)?)),
        );
    }
    if !chunks.is_empty() {
        for space in spaces_in(transaction, collection).await? {
            let sql = format!("DELETE FROM {} WHERE chunk = ANY ($1)", table(space));
            transaction.query_typed(&sql, &[(&chunks, Type::INT8_ARRAY)]).await?;
        }
    }
    Ok(transaction
        .query_typed(
            "DELETE FROM document WHERE collection = $1 AND name = ANY ($2) RETURNING 1",
            &which,
        )
        .await?
        .len())
}

async fn apply(transaction: &Transaction<'_>, collection: i64, edits: &Edits) -> Result<()> {
    let held = held(transaction, collection, edits).await?;
    let applied = |(row, edit): (&Row, &Edit)| {
        (row.clone(), edit.apply(held.get(row).map(Vec::as_slice).unwrap_or_default()))
    };
    let (gone, kept): (Vec<_>, Vec<_>) =
        edits.rows.iter().map(applied).partition(|(_, entries)| entries.is_empty());
    let (terms, audiences, blocks) = columns(gone.iter().map(|(row, _)| row));
    let sql = "DELETE FROM posting p USING unnest($2, $3, $4) AS gone (term, audience, block)
               WHERE p.collection = $1 AND p.term = gone.term AND p.audience = gone.audience AND p.block = gone.block";
    let parameters: [Parameter<'_>; 4] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
    ];
    transaction.query_typed(sql, &parameters).await?;
    let (terms, audiences, blocks) = columns(kept.iter().map(|(row, _)| row));
    let entries: Vec<&[u8]> = kept.iter().map(|(_, entries)| entries.as_slice()).collect();
    let sql = "INSERT INTO posting (collection, term, audience, block, entries)
               SELECT $1, term, audience, block, entries FROM unnest($2, $3, $4, $5) AS kept (term, audience, block, entries)
               ON CONFLICT (collection, term, audience, block) DO UPDATE SET entries = excluded.entries";
    let parameters: [Parameter<'_>; 5] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
        (&entries, Type::BYTEA_ARRAY),
    ];
    transaction.query_typed(sql, &parameters).await?;
    for (audience, Extent { chunks, terms }) in &edits.extents {
        let sql = "INSERT INTO extent (collection, audience, chunks, terms) VALUES ($1, $2, $3, $4) ON CONFLICT (collection, audience)
                   DO UPDATE SET chunks = extent.chunks + excluded.chunks, terms = extent.terms + excluded.terms";
        let parameters: [Parameter<'_>; 4] = [
            (&collection, Type::INT8),
            (audience, Type::INT8),
            (chunks, Type::INT8),
            (terms, Type::INT8),
        ];
        transaction.query_typed(sql, &parameters).await?;
    }
    Ok(())
}

/// The rows that are to be edited, as they are.
async fn held(
    transaction: &Transaction<'_>,
    collection: i64,
    edits: &Edits,
) -> Result<HashMap<Row, Vec<u8>>> {
    let (terms, audiences, blocks) = columns(edits.rows.keys());
    let sql = "SELECT p.term, p.audience, p.block, p.entries FROM unnest($2, $3, $4) AS wanted (term, audience, block)
               JOIN posting p ON p.collection = $1 AND p.term = wanted.term AND p.audience = wanted.audience AND p.block = wanted.block";
    let parameters: [Parameter<'_>; 4] = [
        (&collection, Type::INT8),
        (&terms, Type::TEXT_ARRAY),
        (&audiences, Type::INT8_ARRAY),
        (&blocks, Type::INT8_ARRAY),
    ];
    let rows = transaction.query_typed(sql, &parameters).await?;
    let held = rows.iter().map(|row| {
        Ok((
            Row { term: row.try_get(0)?, audience: row.try_get(1)?, block: row.try_get(2)? },
            row.try_get(3)?,
        ))
    });
    held.collect()
}

fn columns<'a>(rows: impl Iterator<Item = &'a Row>) -> (Vec<&'a str>, Vec<i64>, Vec<i64>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        columns.0.push(row.term.as_str());
        columns.1.push(row.audience);
        columns.2.push(row.block);
    }
    columns
}

/// Adds vectors to chunks that are still there.
pub(super) async fn embed(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &str,
    vectors: &[(i64, Vector)],
) -> Result<()> {
    let Some((_, first)) = vectors.first() else { return Ok(()) };
    lock(transaction, collection).await?;
    let model = Model { id: model.to_owned(), dimensions: first.dimensions() };
    let space = catalogue::make_space(transaction, collection, &model).await?;
    let chunks: Vec<i64> = vectors.iter().map(|(chunk, _)| *chunk).collect();
    let sql = "SELECT c.id, d.audience FROM chunk c JOIN document d ON d.id = c.document WHERE c.id = ANY ($1)";
    let mut audiences: HashMap<i64, i64> = HashMap::new();
    for row in transaction.query_typed(sql, &[(&chunks, Type::INT8_ARRAY)]).await? {
        audiences.insert(row.try_get(0)?, row.try_get(1)?);
    }
    let there = vectors
        .iter()
        .filter_map(|(chunk, vector)| Some((*chunk, *audiences.get(chunk)?, vector.clone())));
    insert_vectors(transaction, space, &there.collect::<Vec<_>>()).await
}

/// The last step of re-embedding: from now on, questions are asked by the new vectors.
pub(super) async fn adopt(
    transaction: &Transaction<'_>,
    collection: i64,
    model: &Model,
) -> Result<bool> {
    lock(transaction, collection).await?;
    if !super::read::unembedded(transaction, collection, &model.id, 0, 1).await?.is_empty() {
        return Ok(false);
    }
    catalogue::set_model(transaction, collection, model).await?;
    catalogue::drop_spaces(transaction, collection, Some(&model.id)).await?;
    Ok(true)
}
