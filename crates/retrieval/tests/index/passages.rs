//! What is put before a model.

use crate::support::{ask, document, filled, meanings};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, future::pending};
use retrieval::{Document, EmbedError, Index, Reranker};
use std::time::Duration;

on_every_engine!(
    a_hit_comes_with_the_text_around_it,
    hits_that_meet_become_one_passage_in_the_order_of_the_text,
    the_best_document_comes_first,
    a_document_that_was_replaced_is_not_mixed_with_its_successor,
    a_reranker_puts_hits_in_its_order,
    a_reranker_that_fails_or_lingers_leaves_the_order_as_it_was,
);

/// Ten sections of about 70 tokens, each a chunk; the word of each section stands in it alone.
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
    filled(&index, "docs", vec![book(WORDS)], None).await;
    let hits = ask(&index, "docs", "door", None).await.hits;
    assert_eq!((hits.len(), hits[0].place), (1, 4));
    let passages = index.passages(&hits, 220).await.unwrap();
    assert_eq!((passages.len(), passages[0].first, passages[0].last), (1, 3, 5));
    for word in ["cloud", "door", "eagle"] {
        assert!(passages[0].text.contains(word), "{}", passages[0].text);
    }
    assert!((150..=220).contains(&passages[0].tokens), "{}", passages[0].tokens);
    let alone = index.passages(&hits, 0).await.unwrap();
    assert_eq!(alone[0].text, hits[0].text);
}

async fn hits_that_meet_become_one_passage_in_the_order_of_the_text(index: Index) {
    filled(&index, "docs", vec![book(WORDS)], None).await;
    let hits = ask(&index, "docs", "iron door apple bear", None).await.hits;
    let passages = index.passages(&hits, 0).await.unwrap();
    let places: Vec<_> = passages.iter().map(|passage| (passage.first, passage.last)).collect();
    assert_eq!(places, [(1, 2), (4, 4), (9, 9)]);
    let whole = index.passages(&hits, 10_000).await.unwrap();
    assert_eq!(whole.len(), 1);
    assert_eq!(whole[0].text, book(WORDS).text);
}

async fn the_best_document_comes_first(index: Index) {
    let other = document("other", "The fox and the goat, the goat and the fox.");
    filled(&index, "docs", vec![book(WORDS), other], None).await;
    let hits = ask(&index, "docs", "fox goat", None).await.hits;
    let passages = index.passages(&hits, 0).await.unwrap();
    let documents: Vec<_> = passages.iter().map(|passage| passage.document.as_str()).collect();
    assert_eq!(documents, ["other", "book"]);
    assert!(passages[0].score > passages[1].score);
}

async fn a_document_that_was_replaced_is_not_mixed_with_its_successor(index: Index) {
    filled(&index, "docs", vec![book(WORDS)], None).await;
    let hits = ask(&index, "docs", "door", None).await.hits;
    index
        .put(
            "docs",
            vec![book(WORDS.map(|word| if word == "door" { "window" } else { word }))],
            None,
        )
        .await
        .unwrap();
    let passages = index.passages(&hits, 1000).await.unwrap();
    assert_eq!(passages[0].text, hits[0].text);
}

/// Likes short texts, if it gets as far as that.
enum Short {
    Answers,
    Fails,
    Lingers,
}

impl Reranker for Short {
    fn rerank(&self, _: String, texts: Vec<String>) -> BoxFuture<'_, Result<Vec<f32>, EmbedError>> {
        async move {
            match self {
                Self::Answers => Ok(texts.iter().map(|text| 1.0 / (text.len() as f32)).collect()),
                Self::Fails => Err(EmbedError("it is out of reach".to_owned())),
                Self::Lingers => pending().await,
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
    filled(&index, "docs", documents, Some(&meanings())).await;
    let answer = ask(&index, "docs", "car car", Some(&meanings())).await;
    let answer = answer.reranked("car car", &Short::Answers, 2, Duration::from_secs(5)).await;
    assert_eq!(crate::support::ids(&answer), ["short", "long"]);
    assert_eq!((answer.hits[0].scores.reranked, answer.not_reranked), (Some(0.25), None));
}

async fn a_reranker_that_fails_or_lingers_leaves_the_order_as_it_was(index: Index) {
    filled(&index, "docs", vec![document("a", "Car, car."), document("b", "A car.")], None).await;
    let before = ask(&index, "docs", "car", None).await;
    for (reranker, why) in [
        (Short::Fails, "The reranker failed: it is out of reach"),
        (Short::Lingers, "The reranker took longer than 5 ms."),
    ] {
        let after = before.clone().reranked("car", &reranker, 10, Duration::from_millis(5)).await;
        assert_eq!(crate::support::ids(&after), crate::support::ids(&before));
        assert_eq!(after.not_reranked.as_deref(), Some(why));
    }
}
