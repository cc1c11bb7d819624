//! Searches collections of the index.

use crate::analyzer::{Analyzer, QueryTerm, language_term};
use crate::audience::Viewer;
use crate::chunk::searchable_text;
use crate::collection::Collection;
use crate::embedder::{Embedder, EmbeddingPurpose};
use crate::embedding::embed_texts;
use crate::error::{IndexError, Result};
use crate::fusion::{Fusion, Scores};
use crate::index::Index;
use crate::language::Language;
use crate::storage_engine::{ChunkHit, SEARCH_TIMEOUT, SearchRequest};
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout;

/// A search query.
#[derive(Clone, Debug)]
pub struct SearchQuery {
    /// The text of the question.
    pub text: String,
    /// The user on whose behalf the index is searched.
    pub viewer: Viewer,
    /// The maximum number of hits.
    pub limit: usize,
    /// The number of candidates from each of keyword and vector search, at most 1000.
    pub depth: usize,
    /// The kind of search.
    pub mode: SearchMode,
    /// The way of fusing the two rankings.
    pub fusion: Fusion,
}

impl SearchQuery {
    /// Creates a query with the default settings.
    pub fn new(text: impl Into<String>, viewer: Viewer) -> Self {
        Self {
            text: text.into(),
            viewer,
            limit: 10,
            depth: 100,
            mode: SearchMode::default(),
            fusion: Fusion::default(),
        }
    }
}

const MAX_DEPTH: usize = 1000;

/// The maximum characters of a query; the rest is ignored.
pub const MAX_QUERY_CHARS: usize = 4000;

/// The maximum number of distinct terms of a query; the rest is ignored.
pub(crate) const MAX_QUERY_TERMS: usize = 256;

/// The kinds of search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SearchMode {
    /// Keyword and vector search, fused.
    #[default]
    Hybrid,
    /// Keyword search alone: BM25.
    Keyword,
    /// Vector search alone: cosine similarity.
    Vector,
}

/// The results of a search.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SearchResults {
    /// The hits, the best first.
    pub hits: Vec<SearchHit>,
    /// The reason why some or all collections were searched by keywords alone, for an admin.
    pub words_only: Option<String>,
    /// The reason why the reranker's order was not applied.
    pub not_reranked: Option<String>,
    /// The number of the query's words that keyword search uses, without stop words; the greatest
    /// of the collections' languages.
    pub query_words: usize,
}

/// A chunk that a search has found, with its scores.
#[derive(Clone, Debug, Serialize)]
pub struct SearchHit {
    /// The collection's name.
    pub collection: String,
    /// The chunk's id; it changes when the document is replaced. It may be logged.
    pub chunk: i64,
    /// The document's id.
    pub document: String,
    /// The row id of the stored document; it changes when the document is replaced.
    #[serde(skip)]
    pub(crate) document_row: i64,
    /// The document's title.
    pub title: String,
    /// The address at which users can read the document.
    pub url: Option<String>,
    /// The metadata of the document.
    pub metadata: Map<String, Value>,
    /// The chunk's position in the document, from 0.
    pub position: i64,
    /// The title and headings above the chunk.
    pub heading: String,
    /// The text.
    pub text: String,
    /// The estimated number of tokens of the text.
    pub tokens: usize,
    /// The page on which the chunk begins, from 1, for documents with pages.
    pub page: Option<u32>,
    /// The scores.
    pub scores: Scores,
    /// The query's words that occur in the chunk in any form.
    pub matched_words: Vec<String>,
    /// `true` if the query is in another language than the chunk, which makes their cosine smaller.
    #[serde(skip)]
    pub in_other_language: bool,
}

impl Index {
    /// Searches collections together. Documents that the viewer may not see are not read, and do
    /// not influence the scores of the others.
    ///
    /// The search uses the first [`MAX_QUERY_CHARS`] characters and 256 distinct terms of the
    /// query. It is cancelled after 10 s, without the time of the embedder.
    pub async fn search(
        &self,
        names: &[&str],
        query: &SearchQuery,
        embedder: Option<&dyn Embedder>,
    ) -> Result<SearchResults> {
        let text = truncate_query(&query.text);
        let mut collections = Vec::new();
        for name in names {
            collections.push(self.get_collection(name, &query.viewer).await?);
        }
        let embedder = embedder.filter(|_| query.mode != SearchMode::Keyword);
        let (embedder, words_only) = select_embedder(&collections, embedder, query.mode);
        let least_cosine = embedder.map_or(-1.0, Embedder::least_cosine);
        let (vector, words_only) = match embedder {
            None => (None, words_only),
            Some(embedder) => {
                match embed_texts(embedder, vec![text.clone()], EmbeddingPurpose::Query).await {
                    Ok(vectors) => (
                        vectors
                            .into_iter()
                            .next()
                            .map(|vector| (embedder.model().to_owned(), vector)),
                        words_only,
                    ),
                    // Hybrid search works without a model, vector search does not.
                    Err(error) if query.mode == SearchMode::Hybrid => {
                        (None, Some(format!("It was searched by words alone: {error}.")))
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let mode = query.mode;
        let mut readers = HashMap::new();
        for collection in &collections {
            let languages = self.find_languages(collection, &query.viewer).await?;
            let analyzer = self.analyzers.get(collection.settings.language);
            let name = collection.name.clone();
            readers.insert(collection.id, CollectionReader { name, analyzer, languages });
        }
        let readers = Arc::new(readers);
        // Analyzing a long text takes processor time, so it runs on the blocking pool.
        let query_text = text.clone();
        let query_readers = Arc::clone(&readers);
        let analysed = tokio::task::spawn_blocking(move || {
            let terms = |(id, reader): (&i64, &CollectionReader)| match mode {
                SearchMode::Vector => (*id, Vec::new()),
                SearchMode::Hybrid | SearchMode::Keyword => (*id, reader.query_terms(&query_text)),
            };
            query_readers.iter().map(terms).collect()
        });
        let collection_terms: Vec<(i64, Vec<QueryTerm>)> =
            analysed.await.map_err(IndexError::storage)?;
        let request = SearchRequest {
            viewer: query.viewer.clone(),
            collections: collection_terms,
            vector,
            depth: query.depth.clamp(1, MAX_DEPTH),
            limit: query.limit,
            fusion: query.fusion,
            least_cosine,
            deadline: Instant::now() + SEARCH_TIMEOUT,
        };
        let used_vectors = request.vector.is_some();
        let timeout_error = |_| IndexError::Timeout(SEARCH_TIMEOUT.as_secs());
        let found =
            timeout(SEARCH_TIMEOUT, self.engine.search(request)).await.map_err(timeout_error)??;
        let hits = tokio::task::spawn_blocking(move || {
            let mut words: HashMap<Language, QueryWords> = HashMap::new();
            let mut asked: HashMap<i64, Option<Language>> = HashMap::new();
            let hits = found.into_iter().filter_map(|found| {
                let reader = readers.get(&found.collection)?;
                let searchable = searchable_text(&found.chunk.heading, &found.chunk.text);
                let language = reader.language_of(&searchable);
                let words = words.entry(language).or_insert_with(|| {
                    QueryWords::new(&text, Arc::clone(&reader.analyzer), language)
                });
                let matched_words = words.find_in(&searchable);
                let asked = asked
                    .entry(found.collection)
                    .or_insert_with(|| reader.analyzer.question_language(&text, &reader.languages));
                let in_other_language = asked.is_some_and(|asked| asked != language);
                let hit = build_hit(found, &reader.name, matched_words);
                Some(SearchHit { in_other_language, ..hit })
            });
            let hits: Vec<SearchHit> = hits.collect();
            (hits, words.values().map(QueryWords::significant).max().unwrap_or_default())
        });
        let (hits, query_words) = hits.await.map_err(IndexError::storage)?;
        let words_only =
            words_only.or_else(|| used_vectors.then(|| missing_vectors_note(&hits)).flatten());
        Ok(SearchResults { hits, words_only, not_reranked: None, query_words })
    }
}

/// A reader of the texts of a collection.
struct CollectionReader {
    name: String,
    analyzer: Arc<Analyzer>,
    /// The languages of the chunks that the viewer may see.
    languages: Vec<Language>,
}

impl CollectionReader {
    fn query_terms(&self, query: &str) -> Vec<QueryTerm> {
        first_terms(self.analyzer.query_terms(query, &self.languages))
    }

    /// Returns the language of a chunk.
    fn language_of(&self, text: &str) -> Language {
        match self.languages.as_slice() {
            [language] => *language,
            languages => Language::detect_among(text, languages).unwrap_or(Language::Other),
        }
    }
}

impl Index {
    /// Returns the languages of a collection's chunks, as far as the viewer may see them.
    async fn find_languages(
        &self,
        collection: &Collection,
        viewer: &Viewer,
    ) -> Result<Vec<Language>> {
        let language = collection.settings.language;
        if language != Language::Auto {
            return Ok(vec![language]);
        }
        let terms = Language::all_detected().map(language_term).collect();
        let found = self.engine.find_terms(collection.id, viewer.clone(), terms).await?;
        Ok(Language::all_detected()
            .filter(|language| found.contains(&language_term(*language)))
            .collect())
    }
}

/// Cuts a query to [`MAX_QUERY_CHARS`].
fn truncate_query(text: &str) -> String {
    text.chars().take(MAX_QUERY_CHARS).collect()
}

/// Returns the terms of a query without the words after the first [`MAX_QUERY_TERMS`] distinct
/// terms, unless they occur among these.
fn first_terms(terms: Vec<QueryTerm>) -> Vec<QueryTerm> {
    let mut seen: HashSet<String> = HashSet::new();
    let is_early = |term: &QueryTerm| {
        let is_early = term.iter().all(|term| seen.contains(term))
            || seen.len() + term.len() <= MAX_QUERY_TERMS;
        if is_early {
            seen.extend(term.iter().cloned());
        }
        is_early
    };
    terms.into_iter().filter(is_early).collect()
}

/// Returns the embedder if it fits any of the collections, and the reason why it does not fit all.
fn select_embedder<'a>(
    collections: &[Collection],
    embedder: Option<&'a dyn Embedder>,
    mode: SearchMode,
) -> (Option<&'a dyn Embedder>, Option<String>) {
    let Some(embedder) = embedder else {
        let note = "There is no embedding model, so it was searched by words alone.";
        return (None, (mode != SearchMode::Keyword).then(|| note.to_owned()));
    };
    let has_model_vectors = |collection: &&Collection| {
        collection.model.as_ref().is_some_and(|model| model.id == embedder.model())
    };
    let note = collections.iter().find(|collection| !has_model_vectors(collection)).map(|collection| {
        let stored = collection.model.as_ref().map_or("no vectors".to_owned(), |model| format!("vectors of `{}`", model.id));
        let (name, model) = (&collection.name, embedder.model());
        format!("`{name}` holds {stored}, and the embedding model is `{model}`: it was searched by words alone until it is re-embedded.")
    });
    (collections.iter().any(|collection| has_model_vectors(&collection)).then_some(embedder), note)
}

/// Returns a note if vector search was used and a hit has no vector yet.
fn missing_vectors_note(hits: &[SearchHit]) -> Option<String> {
    let without = hits.iter().find(|hit| hit.scores.cosine.is_none())?;
    Some(format!(
        "Some of `{}` waits for its vectors: until it has them, it is searched by words alone.",
        without.collection
    ))
}

fn build_hit(hit: ChunkHit, collection: &str, matched_words: Vec<String>) -> SearchHit {
    SearchHit {
        collection: collection.to_owned(),
        chunk: hit.chunk_id,
        document: hit.id,
        document_row: hit.document,
        title: hit.title,
        url: hit.url,
        metadata: hit.metadata,
        position: hit.chunk.position,
        matched_words,
        in_other_language: false,
        heading: hit.chunk.heading,
        text: hit.chunk.text,
        tokens: hit.chunk.tokens,
        page: hit.chunk.page,
        scores: hit.scores,
    }
}

/// The words of a query, each with its terms in a language.
struct QueryWords {
    analyzer: Arc<Analyzer>,
    language: Language,
    words: Vec<(String, Vec<String>)>,
}

impl QueryWords {
    fn new(query: &str, analyzer: Arc<Analyzer>, language: Language) -> Self {
        let mut words: Vec<(String, Vec<String>)> = Vec::new();
        let mut seen = HashSet::new();
        for word in query.split_whitespace() {
            let word = word.trim_matches(|char: char| !char.is_alphanumeric());
            if words.len() < MAX_QUERY_TERMS && seen.insert(word) {
                words.push((word.to_owned(), analyzer.terms_in(word, language)));
            }
        }
        Self { analyzer, language, words }
    }

    /// Returns the number of words that have terms.
    fn significant(&self) -> usize {
        self.words.iter().filter(|(_, terms)| !terms.is_empty()).count()
    }

    /// Returns the words whose terms occur in the text.
    fn find_in(&self, text: &str) -> Vec<String> {
        let terms = self.analyzer.terms_in(text, self.language);
        let text_terms: HashSet<String> = terms.into_iter().collect();
        let matching = self
            .words
            .iter()
            .filter(|(_, terms)| terms.iter().any(|term| text_terms.contains(term)));
        matching.map(|(word, _)| word.clone()).collect()
    }
}
