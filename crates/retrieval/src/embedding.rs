//! Chunks get their vectors: when a document comes, or later for a whole collection.

use crate::audience::Viewer;
use crate::chunk::searched;
use crate::collection::{Collection, Model};
use crate::embedder::{EmbedError, Embedder, Purpose};
use crate::engine::{Hash, Prepared, Unembedded};
use crate::error::{Error, Result};
use crate::index::{Index, mixed};
use crate::vector::Vector;
use std::collections::HashSet;

impl Index {
    /// Gives every chunk its vector, if its text was embedded before or there is an embedder; tells whose vectors they are, and how
    /// many texts of each document were embedded.
    pub(crate) async fn give_vectors(
        &self,
        collection: &Collection,
        documents: &mut [Prepared],
        embedder: Option<&dyn Embedder>,
    ) -> Result<(Option<Model>, Vec<usize>)> {
        let mut embedded = vec![0; documents.len()];
        let held = collection.model.as_ref().map(|model| model.id.as_str());
        let Some(id) = embedder.map(Embedder::model).or(held) else { return Ok((None, embedded)) };
        let hashes = documents
            .iter()
            .flat_map(|document| document.chunks.iter().map(|chunk| chunk.hash))
            .collect();
        let mut vectors = self.engine.vectors(id.to_owned(), hashes).await?;
        if let Some(embedder) = embedder {
            let mut wanted = Vec::new();
            let mut asked: HashSet<Hash> = vectors.keys().copied().collect();
            for (document, embedded) in documents.iter().zip(&mut embedded) {
                for chunk in document.chunks.iter().filter(|chunk| asked.insert(chunk.hash)) {
                    *embedded += 1;
                    wanted.push((chunk.hash, searched(&chunk.heading, &chunk.text)));
                }
            }
            vectors.extend(embed_documents(embedder, wanted).await?);
        }
        let mut model = None;
        for chunk in documents.iter_mut().flat_map(|document| &mut document.chunks) {
            chunk.vector = vectors.get(&chunk.hash).cloned();
            let Some(vector) = &chunk.vector else { continue };
            let made = Model { id: id.to_owned(), dimensions: vector.dimensions() };
            if let Some(held) = collection.model.as_ref().filter(|held| **held != made) {
                return Err(mixed(&collection.name, held, &made.to_string()));
            }
            model = Some(made);
        }
        Ok((model, embedded))
    }

    /// Gives every chunk of a collection a vector of this embedder's model, and then makes that model the collection's; tells how many
    /// texts were embedded. Until then, questions are answered by the vectors that are there. Each batch is kept: called again after
    /// a crash, it goes on where it was.
    pub async fn embed(&self, name: &str, embedder: &dyn Embedder) -> Result<usize> {
        let collection = self.collection(name, &Viewer::Operator).await?;
        let id = embedder.model().to_owned();
        let (mut embedded, mut after) = (0, 0);
        let mut dimensions =
            collection.model.filter(|model| model.id == id).map(|model| model.dimensions);
        loop {
            let batch =
                self.engine.unembedded(collection.id, id.clone(), after, DOCUMENTS_AT_ONCE).await?;
            if let Some(last) = batch.last() {
                after = last.document;
                let (vectors, some) = self.vectors_of(&batch, embedder).await?;
                embedded += some;
                let made = vectors.first().map(|(_, vector)| vector.dimensions());
                if dimensions.is_some() && dimensions != made {
                    return Err(uneven(embedder));
                }
                dimensions = made;
                self.engine.embed(collection.id, id.clone(), vectors).await?;
                continue;
            }
            // Nothing was left to embed: how long its vectors are is asked of the model itself.
            let dimensions = match dimensions {
                Some(dimensions) => dimensions,
                None => embed(embedder, vec![name.to_owned()], Purpose::Document)
                    .await?
                    .first()
                    .map_or(0, Vector::dimensions),
            };
            // Documents may have come in meanwhile.
            if self.engine.adopt(collection.id, Model { id: id.clone(), dimensions }).await? {
                return Ok(embedded);
            }
            after = 0;
        }
    }

    /// A vector for each of these chunks, and how many texts had to be embedded for it.
    async fn vectors_of(
        &self,
        chunks: &[Unembedded],
        embedder: &dyn Embedder,
    ) -> Result<(Vec<(i64, Vector)>, usize)> {
        let hashes = chunks.iter().map(|chunk| chunk.hash).collect();
        let mut vectors = self.engine.vectors(embedder.model().to_owned(), hashes).await?;
        let mut asked: HashSet<Hash> = vectors.keys().copied().collect();
        let wanted: Vec<(Hash, String)> = chunks
            .iter()
            .filter(|chunk| asked.insert(chunk.hash))
            .map(|chunk| (chunk.hash, chunk.text.clone()))
            .collect();
        let embedded = wanted.len();
        vectors.extend(embed_documents(embedder, wanted).await?);
        Ok((
            chunks
                .iter()
                .filter_map(|chunk| Some((chunk.chunk, vectors.get(&chunk.hash)?.clone())))
                .collect(),
            embedded,
        ))
    }
}

const DOCUMENTS_AT_ONCE: usize = 16;

/// More at once than models behind APIs commonly take would fail, fewer would fill batches badly.
const TEXTS_AT_ONCE: usize = 96;

async fn embed_documents(
    embedder: &dyn Embedder,
    wanted: Vec<(Hash, String)>,
) -> Result<Vec<(Hash, Vector)>> {
    let mut embedded: Vec<(Hash, Vector)> = Vec::with_capacity(wanted.len());
    for some in wanted.chunks(TEXTS_AT_ONCE) {
        let (hashes, texts): (Vec<Hash>, Vec<String>) = some.iter().cloned().unzip();
        embedded.extend(hashes.into_iter().zip(embed(embedder, texts, Purpose::Document).await?));
        if embedded
            .last()
            .zip(embedded.first())
            .is_some_and(|((_, last), (_, first))| last.dimensions() != first.dimensions())
        {
            return Err(uneven(embedder));
        }
    }
    Ok(embedded)
}

/// Vectors of these texts, one each and all of one length.
pub(crate) async fn embed(
    embedder: &dyn Embedder,
    texts: Vec<String>,
    purpose: Purpose,
) -> Result<Vec<Vector>> {
    let wanted = texts.len();
    let vectors: Option<Vec<Vector>> =
        embedder.embed(texts, purpose).await?.iter().map(|numbers| Vector::of(numbers)).collect();
    let even = |vectors: &Vec<Vector>| {
        vectors.len() == wanted
            && vectors.iter().all(|vector| vector.dimensions() == vectors[0].dimensions())
    };
    vectors.filter(even).ok_or_else(|| uneven(embedder))
}

fn uneven(embedder: &dyn Embedder) -> Error {
    Error::Embed(EmbedError(format!(
        "`{}` did not give one vector of one length for each text",
        embedder.model()
    )))
}
