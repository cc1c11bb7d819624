//! Asks the index a question.

use crate::analyser::Analyser;
use crate::audience::Viewer;
use crate::chunk::searched;
use crate::collection::Collection;
use crate::embedder::{Embedder, Purpose};
use crate::embedding::embed;
use crate::engine::{Found, Wanted};
use crate::error::{Error, Result};
use crate::fusion::{Fusion, Scores};
use crate::index::Index;
use crate::language::Language;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A question to the index.
#[derive(Clone, Debug)]
pub struct Question {
    /// In words.
    pub text: String,
    /// Who asks.
    pub viewer: Viewer,
    /// How many chunks are wanted.
    pub limit: usize,
    /// How many chunks of each leg are weighed against each other, 1000 at most.
    pub depth: usize,
    /// By what it is searched.
    pub by: By,
    /// How the two legs are made one.
    pub fusion: Fusion,
}

impl Question {
    /// A question by somebody, with the defaults that were measured.
    pub fn new(text: impl Into<String>, viewer: Viewer) -> Self {
        Self {
            text: text.into(),
            viewer,
            limit: 10,
            depth: 100,
            by: By::default(),
            fusion: Fusion::default(),
        }
    }
}

const DEEPEST: usize = 1000;

/// The longest question, in characters; the rest is not looked at.
pub const LONGEST_QUESTION: usize = 4000;

/// So many different terms of a question are looked for, the first ones.
pub(crate) const MOST_TERMS: usize = 256;

/// How long a search may take.
pub(crate) const SEARCH_LIMIT: Duration = Duration::from_secs(10);

/// The legs of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Words and meaning.
    #[default]
    Both,
    /// Words alone: BM25.
    Words,
    /// Meaning alone: the cosine of vectors.
    Meaning,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The chunks, the best first.
    pub hits: Vec<Hit>,
    /// Why some or all of it was searched by words alone, in words for the admin.
    pub words_only: Option<String>,
    /// Why the reranker that was asked did not put them in order.
    pub not_reranked: Option<String>,
}

/// A chunk that was found, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Hit {
    /// The collection's name.
    pub collection: String,
    /// The chunk's number; another one once the document is replaced. Logs may show it.
    pub chunk: i64,
    /// The document's id.
    pub document: String,
    /// The number of what was stored under that id; another one once it is replaced.
    #[serde(skip)]
    pub(crate) version: i64,
    /// The document's title.
    pub title: String,
    /// Where the document can be read.
    pub url: Option<String>,
    /// What else belongs to the document.
    pub metadata: Map<String, Value>,
    /// The chunk's place in the document, from 0.
    pub place: i64,
    /// The title and headings that it stands under.
    pub heading: String,
    /// Its text.
    pub text: String,
    /// About how many tokens it has.
    pub tokens: usize,
    /// What it got from each leg.
    pub scores: Scores,
    /// The question's words that it has, in whatever form.
    pub matched: Vec<String>,
}

impl Index {
    /// Searches collections together. What the asker may not see is not looked at, and does not show in the scores of the rest.
    ///
    /// Of the question, [`LONGEST_QUESTION`] characters and 256 different terms are looked at; a search that takes longer than 10 s, the
    /// embedder apart, is ended.
    pub async fn search(
        &self,
        names: &[&str],
        question: &Question,
        embedder: Option<&dyn Embedder>,
    ) -> Result<Answer> {
        let text = bounded(&question.text);
        let mut collections = Vec::new();
        for name in names {
            collections.push(self.collection(name, &question.viewer).await?);
        }
        let embedder = embedder.filter(|_| question.by != By::Words);
        let (embedder, words_only) = usable(&collections, embedder, question.by);
        let (vector, words_only) = match embedder {
            None => (None, words_only),
            Some(embedder) => match embed(embedder, vec![text.clone()], Purpose::Query).await {
                Ok(vectors) => (
                    vectors.into_iter().next().map(|vector| (embedder.model().to_owned(), vector)),
                    words_only,
                ),
                // Words find without a model; meaning does not.
                Err(error) if question.by == By::Both => {
                    (None, Some(format!("It was searched by words alone: {error}.")))
                }
                Err(error) => return Err(error),
            },
        };
        let by = question.by;
        let languages: Vec<_> = collections
            .iter()
            .map(|one| (one.id, self.analysers.of(one.settings.language)))
            .collect();
        // Others are served meanwhile.
        let of_question = text.clone();
        let analysed = tokio::task::spawn_blocking(move || {
            let terms = |analyser: &Analyser| match by {
                By::Meaning => Vec::new(),
                By::Both | By::Words => first_terms(analyser.terms(&of_question)),
            };
            languages.iter().map(|(id, analyser)| (*id, terms(analyser))).collect()
        });
        let within: Vec<(i64, Vec<String>)> = analysed.await.map_err(Error::store)?;
        let wanted = Wanted {
            viewer: question.viewer.clone(),
            within,
            vector,
            depth: question.depth.clamp(1, DEEPEST),
            limit: question.limit,
            fusion: question.fusion,
            until: Instant::now() + SEARCH_LIMIT,
        };
        let asked = wanted.vector.is_some();
        let late = |_| Error::Late(SEARCH_LIMIT.as_secs());
        let found = timeout(SEARCH_LIMIT, self.engine.search(wanted)).await.map_err(late)??;
        let languages: HashMap<i64, (String, Language, Arc<Analyser>)> = collections
            .iter()
            .map(|one| {
                let language = one.settings.language;
                (one.id, (one.name.clone(), language, self.analysers.of(language)))
            })
            .collect();
        let hits = tokio::task::spawn_blocking(move || {
            let mut words: HashMap<Language, Words> = HashMap::new();
            let hits = found.into_iter().filter_map(|found| {
                let (name, language, analyser) = languages.get(&found.collection)?;
                let words = words
                    .entry(*language)
                    .or_insert_with(|| Words::of(&text, Arc::clone(analyser)));
                Some(hit(found, name, words))
            });
            hits.collect()
        });
        let hits: Vec<Hit> = hits.await.map_err(Error::store)?;
        let words_only = words_only.or_else(|| asked.then(|| waiting(&hits)).flatten());
        Ok(Answer { hits, words_only, not_reranked: None })
    }
}

/// The beginning of a question, as much as is looked at.
fn bounded(text: &str) -> String {
    text.chars().take(LONGEST_QUESTION).collect()
}

/// The terms of a question, up to so many different ones.
fn first_terms(terms: Vec<String>) -> Vec<String> {
    let mut seen = HashSet::new();
    let is_early = |term: &String| {
        seen.contains(term) || (seen.len() < MOST_TERMS && seen.insert(term.clone()))
    };
    terms.into_iter().filter(is_early).collect()
}

/// The embedder if any of the collections can be asked by its vectors, and why not all of them can.
fn usable<'a>(
    collections: &[Collection],
    embedder: Option<&'a dyn Embedder>,
    by: By,
) -> (Option<&'a dyn Embedder>, Option<String>) {
    let Some(embedder) = embedder else {
        let why = "There is no embedding model, so it was searched by words alone.";
        return (None, (by != By::Words).then(|| why.to_owned()));
    };
    let fits = |collection: &&Collection| {
        collection.model.as_ref().is_some_and(|model| model.id == embedder.model())
    };
    let why = collections.iter().find(|collection| !fits(collection)).map(|collection| {
        let held = collection.model.as_ref().map_or("no vectors".to_owned(), |model| format!("vectors of `{}`", model.id));
        let (name, model) = (&collection.name, embedder.model());
        format!("`{name}` holds {held}, and the embedding model is `{model}`: it was searched by words alone until it is re-embedded.")
    });
    (collections.iter().any(|collection| fits(&collection)).then_some(embedder), why)
}

/// What is to be said where meaning was asked, and some of what was found has none yet.
fn waiting(hits: &[Hit]) -> Option<String> {
    let without = hits.iter().find(|hit| hit.scores.meaning.is_none())?;
    Some(format!(
        "Some of `{}` waits for its vectors: until it has them, it is searched by words alone.",
        without.collection
    ))
}

fn hit(found: Found, collection: &str, words: &Words) -> Hit {
    Hit {
        collection: collection.to_owned(),
        chunk: found.chunk,
        document: found.id,
        version: found.document,
        title: found.title,
        url: found.url,
        metadata: found.metadata,
        place: found.piece.place,
        matched: words.within(&searched(&found.piece.heading, &found.piece.text)),
        heading: found.piece.heading,
        text: found.piece.text,
        tokens: found.piece.tokens,
        scores: found.scores,
    }
}

/// The words of a question, each with its terms.
struct Words {
    analyser: Arc<Analyser>,
    words: Vec<(String, Vec<String>)>,
}

impl Words {
    fn of(question: &str, analyser: Arc<Analyser>) -> Self {
        let mut words: Vec<(String, Vec<String>)> = Vec::new();
        let mut seen = HashSet::new();
        for word in question.split_whitespace() {
            let word = word.trim_matches(|char: char| !char.is_alphanumeric());
            if words.len() < MOST_TERMS && seen.insert(word) {
                words.push((word.to_owned(), analyser.terms(word)));
            }
        }
        Self { analyser, words }
    }

    /// Those whose terms are in the text.
    fn within(&self, text: &str) -> Vec<String> {
        let held: HashSet<String> = self.analyser.terms(text).into_iter().collect();
        let there =
            self.words.iter().filter(|(_, terms)| terms.iter().any(|term| held.contains(term)));
        there.map(|(word, _)| word.clone()).collect()
    }
}
