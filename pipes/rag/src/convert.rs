//! Converts the index's types to those of the library.

use pipe_sdk::library::{Audience, DocumentStatus, DocumentSummary, Outcome, SearchHit};
use retrieval::{DocumentState, IndexAudience, IndexedDocument, PutOutcome};

pub(crate) fn to_index_audience(audience: Audience) -> IndexAudience {
    match audience {
        Audience::Everyone => IndexAudience::Everyone,
        Audience::Only { users, roles } => IndexAudience::Only { users, roles },
    }
}

pub(crate) fn from_index_audience(audience: IndexAudience) -> Audience {
    match audience {
        IndexAudience::Everyone => Audience::Everyone,
        IndexAudience::Only { users, roles } => Audience::Only { users, roles },
    }
}

pub(crate) fn to_outcome(outcome: PutOutcome) -> Outcome {
    match outcome {
        PutOutcome::Unchanged => Outcome::Unchanged,
        PutOutcome::Stored { chunks, .. } => Outcome::Stored { chunks },
    }
}

/// Converts a listed document. `has_vectors` says whether its collection is searched by the vectors
/// that it has.
pub(crate) fn to_summary(document: IndexedDocument, has_vectors: bool) -> DocumentSummary {
    let IndexedDocument { id, title, url, audience, metadata, chunk_count, stored_at, state } =
        document;
    let state = match state {
        DocumentState::Ready if has_vectors => DocumentStatus::Ready,
        DocumentState::Ready | DocumentState::WordsOnly => DocumentStatus::WordsOnly,
        DocumentState::Failed { reason } => DocumentStatus::Failed { reason },
    };
    let audience = from_index_audience(audience);
    DocumentSummary { id, title, url, audience, metadata, chunks: chunk_count, stored_at, state }
}

pub(crate) fn to_search_hit(hit: retrieval::SearchHit) -> SearchHit {
    let scores = hit.scores;
    SearchHit {
        chunk: hit.chunk,
        document: hit.document,
        title: hit.title,
        url: hit.url,
        heading: hit.heading,
        text: hit.text,
        tokens: hit.tokens,
        page: hit.page,
        score: scores.total,
        bm25_score: scores.bm25,
        words_rank: scores.bm25_rank,
        meaning: scores.cosine,
        meaning_rank: scores.cosine_rank,
        reranked: scores.rerank,
        matched: hit.matched_words,
    }
}
