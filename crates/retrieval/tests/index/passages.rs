//! Tests of passages and reranking.

use crate::support::{create_with, document, fake_embedder, search};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, future::pending};
use retrieval::{Document, Index, InferenceError, Reranker};
use std::time::Duration;

on_every_engine!(
    a_hit_comes_with_the_text_around_it,
    hits_and_passages_have_the_page_of_the_chunk,
    hits_that_meet_become_one_passage_in_the_order_of_the_text,
    the_best_document_comes_first,
    a_document_that_was_replaced_is_not_mixed_with_its_successor,
    a_reranker_puts_hits_in_its_order,
    a_reranker_that_fails_or_lingers_leaves_the_order_as_it_was,
);

/// Returns a document of ten sections of about 70 tokens, each a chunk with one of the words.
fn book(words: [&str; 10]) -> Document {
    let section = |word: &str| {
        format!(
            "# The part\n{}It is about {word}.\n",
            "Some words that say little of anything go here. ".repeat(6)
        )
    };
    document("book", &words.map(section).concat())
}

const WORDS: [&str; 10] =
    ["zero", "apple", "bear", "cloud", "door", "eagle", "fox", "goat", "horse", "iron"];

async fn a_hit_comes_with_the_text_around_it(index: Index) {
    create_with(&index, "docs", vec![book(WORDS)], None).await;
    let hits = search(&index, "docs", "door", None).await.hits;
    assert_eq!((hits.len(), hits[0].position), (1, 4));
    let passages = index.build_passages(&hits, 220).await.unwrap();
    assert_eq!((passages.len(), passages[0].first, passages[0].last), (1, 3, 5));
    for word in ["cloud", "door", "eagle"] {
        assert!(passages[0].text.contains(word), "{}", passages[0].text);
    }
    assert!((150..=220).contains(&passages[0].tokens), "{}", passages[0].tokens);
    let alone = index.build_passages(&hits, 0).await.unwrap();
    assert_eq!(alone[0].text, hits[0].text);
}

async fn hits_and_passages_have_the_page_of_the_chunk(index: Index) {
    let book = book(WORDS);
    let page_of = |word: &str, page| (book.text.find(&format!("about {word}")).unwrap(), page);
    // The pages begin in the middle of a chunk, which belongs to the page before.
    let pages = vec![(0, 1), page_of("cloud", 2), page_of("horse", 7)];
    let document = Document { pages, ..book.clone() };
    create_with(&index, "docs", vec![document, self::document("plain", "A kite.")], None).await;
    for (word, page) in [("cloud", 1), ("door", 2), ("horse", 2), ("iron", 7)] {
        let hits = search(&index, "docs", word, None).await.hits;
        assert_eq!(hits[0].page, Some(page), "{word}");
        let passages = index.build_passages(&hits, 220).await.unwrap();
        assert_eq!(passages[0].page, Some(page), "{word}");
    }
    assert_eq!(search(&index, "docs", "kite", None).await.hits[0].page, None);
}

async fn hits_that_meet_become_one_passage_in_the_order_of_the_text(index: Index) {
    create_with(&index, "docs", vec![book(WORDS)], None).await;
    let hits = search(&index, "docs", "iron door apple bear", None).await.hits;
    let passages = index.build_passages(&hits, 0).await.unwrap();
    let places: Vec<_> = passages.iter().map(|passage| (passage.first, passage.last)).collect();
    assert_eq!(places, [(1, 2), (4, 4), (9, 9)]);
    let whole = index.build_passages(&hits, 10_000).await.unwrap();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].text, book(WORDS).text);
}

async fn the_best_document_comes_first(index: Index) {
    let other = document("other", "The fox and the goat, the goat and the fox.");
    create_with(&index, "docs", vec![book(WORDS), other], None).await;
    let hits = search(&index, "docs", "fox goat", None).await.hits;
    let passages = index.build_passages(&hits, 0).await.unwrap();
    let documents: Vec<_> = passages.iter().map(|passage| passage.document.as_str()).collect();
    assert_eq!(documents, ["other", "book"]);
    assert!(passages[0].score > passages[1].score);
}

async fn a_document_that_was_replaced_is_not_mixed_with_its_successor(index: Index) {
    create_with(&index, "docs", vec![book(WORDS)], None).await;
    let hits = search(&index, "docs", "door", None).await.hits;
    index
        .put_documents(
            "docs",
            vec![book(WORDS.map(|word| if word == "door" { "window" } else { word }))],
            None,
        )
        .await
        .unwrap();
    let passages = index.build_passages(&hits, 1000).await.unwrap();
    assert_eq!(passages[0].text, hits[0].text);
}

/// A reranker that prefers short texts, or fails, or never answers.
enum FakeReranker {
    Succeeds,
    Fails,
    Hangs,
}

impl Reranker for FakeReranker {
    fn rerank(
        &self,
        _: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, InferenceError>> {
        async move {
            match self {
                Self::Succeeds => Ok(texts.iter().map(|text| 1.0 / (text.len() as f32)).collect()),
                Self::Fails => Err(InferenceError("it is out of reach".to_owned())),
                Self::Hangs => pending().await,
            }
        }
        .boxed()
    }
}

async fn a_reranker_puts_hits_in_its_order(index: Index) {
    let documents = vec![
        document("long", "Car, car, car, car."),
        document("short", "Car."),
        document("longest", "A car, and much else beside it."),
    ];
    create_with(&index, "docs", documents, Some(&fake_embedder())).await;
    let answer = search(&index, "docs", "car car", Some(&fake_embedder())).await;
    let answer = answer.rerank("car car", &FakeReranker::Succeeds, 2, Duration::from_secs(5)).await;
    assert_eq!(crate::support::document_ids(&answer), ["short", "long"]);
    assert_eq!((answer.hits[0].scores.rerank, answer.not_reranked), (Some(0.25), None));
}

async fn a_reranker_that_fails_or_lingers_leaves_the_order_as_it_was(index: Index) {
    create_with(&index, "docs", vec![document("a", "Car, car."), document("b", "A car.")], None)
        .await;
    let before = search(&index, "docs", "car", None).await;
    for (reranker, why) in [
        (FakeReranker::Fails, "The reranker failed: it is out of reach"),
        (FakeReranker::Hangs, "The reranker took longer than 5 ms."),
    ] {
        let after = before.clone().rerank("car", &reranker, 10, Duration::from_millis(5)).await;
        assert_eq!(crate::support::document_ids(&after), crate::support::document_ids(&before));
        assert_eq!(after.not_reranked.as_deref(), Some(why));
    }
}
