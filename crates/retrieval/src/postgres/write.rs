//! What is written to the database, each within one transaction, with the collection locked.

use super::catalogue::{self, lock, number, spaces_in, table};
use super::posting::apply;
use super::{Parameter, Transaction};
use crate::analyser::{Analyser, Terms};
use crate::chunk::searched;
use crate::collection::{Collection, Model};
use crate::document::Document;
use crate::engine::{Prepared, now};
use crate::error::{Error, Result};
use crate::posting::Edits;
use crate::vector::Vector;
use std::collections::HashMap;
use std::sync::Arc;
use tokio_postgres::Row;
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
    analyser: &Arc<Analyser>,
    collection: &Collection,
    model: Option<&Model>,
    documents: &Arc<Vec<Prepared>>,
) -> Result<()> {
    lock(transaction, collection.id).await?;
    let mut space = None;
    if let Some(model) = model {
        adopt_first(transaction, collection, model).await?;
        space = Some(catalogue::make_space(transaction, collection.id, model).await?);
    }
    let names: Vec<&str> = documents.iter().map(|prepared| prepared.document.id.as_str()).collect();
    let (gone, _) = take_out(transaction, collection.id, &names).await?;
    let mut rows = Chunks::default();
    let wanted = documents.iter().map(|prepared| prepared.chunks.len()).sum();
    let ids = chunk_ids(transaction, wanted).await?;
    let mut left = ids.iter().copied();
    let mut audiences = Vec::new();
    for prepared in documents.iter() {
        let audience = catalogue::audience(transaction, &prepared.document.audience).await?;
        audiences.push(audience);
        let document = insert(transaction, collection.id, audience, prepared).await?;
        for ((place, chunk), id) in prepared.chunks.iter().enumerate().zip(&mut left) {
            rows.push(id, document, place, chunk);
            if let Some(vector) = &chunk.vector {
                rows.vectors.push((id, audience, vector.clone()));
            }
        }
    }
    rows.insert(transaction).await?;
    if let Some(space) = space {
        insert_vectors(transaction, space, &rows.vectors).await?;
    }
    let (analyser, documents) = (Arc::clone(analyser), Arc::clone(documents));
    let edits = apart(move || {
        let mut edits = without(gone, &analyser);
        let chunks = documents.iter().zip(audiences).flat_map(|(prepared, audience)| {
            prepared.chunks.iter().map(move |chunk| (chunk, audience))
        });
        for ((chunk, audience), id) in chunks.zip(ids) {
            edits.add(audience, id, chunk.terms.iter());
        }
        edits
    });
    apply(transaction, collection.id, &edits.await?).await
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
    analyser: &Arc<Analyser>,
    collection: i64,
    document: &Document,
    reason: &str,
) -> Result<()> {
    lock(transaction, collection).await?;
    let audience = catalogue::audience(transaction, &document.audience).await?;
    show(transaction, analyser, collection, &document.id, audience).await?;
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

/// Lets this audience see a document, and nobody else, if it is there.
async fn show(
    transaction: &Transaction<'_>,
    analyser: &Arc<Analyser>,
    collection: i64,
    name: &str,
    audience: i64,
) -> Result<()> {
    let mut held = held(transaction, collection, &[name]).await?;
    held.retain(|chunk| chunk.audience != audience);
    let chunks: Vec<i64> = held.iter().map(|chunk| chunk.id).collect();
    let analyser = Arc::clone(analyser);
    let edits = apart(move || {
        let mut edits = Edits::default();
        for chunk in held {
            let terms = Terms::of(&analyser.terms(&chunk.searched));
            edits.remove(chunk.audience, chunk.id, terms.iter());
            edits.add(audience, chunk.id, terms.iter());
        }
        edits
    });
    apply(transaction, collection, &edits.await?).await?;
    for space in spaces_in(transaction, collection).await? {
        let sql = format!("UPDATE {} SET audience = $2 WHERE chunk = ANY ($1)", table(space));
        let parameters: [Parameter<'_>; 2] = [(&chunks, Type::INT8_ARRAY), (&audience, Type::INT8)];
        transaction.query_typed(&sql, &parameters).await?;
    }
    let sql = "UPDATE document SET audience = $3 WHERE collection = $1 AND name = $2";
    let parameters: [Parameter<'_>; 3] =
        [(&collection, Type::INT8), (&name, Type::TEXT), (&audience, Type::INT8)];
    transaction.query_typed(sql, &parameters).await?;
    Ok(())
}

pub(super) async fn remove(
    transaction: &Transaction<'_>,
    analyser: &Arc<Analyser>,
    collection: i64,
    ids: &[String],
) -> Result<usize> {
    lock(transaction, collection).await?;
    let names: Vec<&str> = ids.iter().map(String::as_str).collect();
    let (held, removed) = take_out(transaction, collection, &names).await?;
    let analyser = Arc::clone(analyser);
    let edits = apart(move || without(held, &analyser)).await?;
    apply(transaction, collection, &edits).await?;
    Ok(removed)
}

/// A chunk that is there.
struct Held {
    id: i64,
    audience: i64,
    searched: String,
}

async fn held(transaction: &Transaction<'_>, collection: i64, names: &[&str]) -> Result<Vec<Held>> {
    let sql = "SELECT d.audience, c.id, c.heading, c.text FROM document d JOIN chunk c ON c.document = d.id
               WHERE d.collection = $1 AND d.name = ANY ($2)";
    let which: [Parameter<'_>; 2] = [(&collection, Type::INT8), (&names, Type::TEXT_ARRAY)];
    let rows = transaction.query_typed(sql, &which).await?;
    let chunk = |row: &Row| {
        let searched = searched(row.try_get(2)?, row.try_get(3)?);
        Ok(Held { audience: row.try_get(0)?, id: row.try_get(1)?, searched })
    };
    rows.iter().map(chunk).collect()
}

/// Work that takes a processor's time, on a thread that nobody waits for with something else.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::store)
}

/// What goes from the postings with these chunks.
fn without(held: Vec<Held>, analyser: &Analyser) -> Edits {
    let mut edits = Edits::default();
    for chunk in held {
        let terms = Terms::of(&analyser.terms(&chunk.searched));
        edits.remove(chunk.audience, chunk.id, terms.iter());
    }
    edits
}

/// Deletes documents with their chunks and vectors; gives the chunks that there were, and says how many documents.
async fn take_out(
    transaction: &Transaction<'_>,
    collection: i64,
    names: &[&str],
) -> Result<(Vec<Held>, usize)> {
    let held = held(transaction, collection, names).await?;
    let chunks: Vec<i64> = held.iter().map(|chunk| chunk.id).collect();
    if !chunks.is_empty() {
        for space in spaces_in(transaction, collection).await? {
            let sql = format!("DELETE FROM {} WHERE chunk = ANY ($1)", table(space));
            transaction.query_typed(&sql, &[(&chunks, Type::INT8_ARRAY)]).await?;
        }
    }
    let sql = "DELETE FROM document WHERE collection = $1 AND name = ANY ($2) RETURNING 1";
    let which: [Parameter<'_>; 2] = [(&collection, Type::INT8), (&names, Type::TEXT_ARRAY)];
    Ok((held, transaction.query_typed(sql, &which).await?.len()))
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
