//! Whose vectors a collection holds, and how it comes to hold another model's.

use crate::support::{Meanings, ask, document, filled, ids, meanings};
use retrieval::{Document, Fusion, Index, Model, Outcome, Question, State, Viewer};
use std::sync::atomic::Ordering;

on_every_engine!(
    vectors_of_two_models_are_not_mixed,
    documents_that_came_without_a_model_wait_for_one,
    what_waits_for_its_vectors_is_found_by_its_words,
    re_embedding_goes_on_where_it_was_and_the_old_vectors_serve_meanwhile,
    what_came_in_during_re_embedding_is_re_embedded_too,
    a_model_that_gives_no_even_vectors_is_refused,
);

fn many() -> Vec<Document> {
    (0..50)
        .map(|n| {
            document(
                &format!("{n:02}"),
                &format!("Thing number {n} is a {}.", if n == 33 { "car" } else { "tree" }),
            )
        })
        .collect()
}

async fn model(index: &Index) -> Option<Model> {
    index.collection("docs", &Viewer::Operator).await.unwrap().model
}

async fn vectors_of_two_models_are_not_mixed(index: Index) {
    filled(&index, "docs", vec![document("a", "A car.")], Some(&meanings())).await;
    assert_eq!(model(&index).await, Some(Model { id: "meanings".to_owned(), dimensions: 512 }));
    let refused = index
        .put("docs", vec![document("b", "A car.")], Some(&Meanings::of("other", 512)))
        .await
        .unwrap_err();
    let told = "`docs` holds vectors of `meanings` (512 dimensions), these are of `other`: re-embed the collection, or choose the model that it has";
    assert_eq!(refused.to_string(), told);
    let refused = index
        .put("docs", vec![document("b", "A tree.")], Some(&Meanings::of("meanings", 256)))
        .await
        .unwrap_err();
    let told = "`docs` holds vectors of `meanings` (512 dimensions), these are of `meanings` (256 dimensions): re-embed the collection, or choose the model that it has";
    assert_eq!(refused.to_string(), told);
    let answer = ask(&index, "docs", "car", Some(&Meanings::of("other", 512))).await;
    assert_eq!(ids(&answer), ["a"]);
    assert!(
        answer
            .words_only
            .unwrap()
            .contains("`docs` holds vectors of `meanings`, and the embedding model is `other`")
    );
}

async fn documents_that_came_without_a_model_wait_for_one(index: Index) {
    let embedder = meanings();
    filled(&index, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    index
        .put("docs", vec![document("b", "A vehicle."), document("twin", "A car.")], None)
        .await
        .unwrap();
    let states = async || -> Vec<State> {
        index
            .documents("docs", &Viewer::Operator, "", 10)
            .await
            .unwrap()
            .iter()
            .map(|listed| listed.state.clone())
            .collect()
    };
    assert_eq!(
        states().await,
        [State::Ready, State::WordsOnly, State::Ready],
        "the twin's text was embedded before"
    );
    assert_eq!(ids(&ask(&index, "docs", "automobile", Some(&embedder)).await), ["a", "twin"]);
    assert_eq!(index.embed("docs", &embedder).await.unwrap(), 1);
    assert_eq!(states().await, [State::Ready, State::Ready, State::Ready]);
    assert_eq!(ids(&ask(&index, "docs", "automobile", Some(&embedder)).await).len(), 3);
    // Given once more with a model, an unchanged document that waits gets its vectors as well.
    index.put("docs", vec![document("c", "An automobile.")], None).await.unwrap();
    let again =
        index.put("docs", vec![document("c", "An automobile.")], Some(&embedder)).await.unwrap();
    assert_eq!(again, [Outcome::Stored { chunks: 1, embedded: 1 }]);
    assert_eq!(index.faults().await.unwrap(), [""; 0]);
}

async fn what_waits_for_its_vectors_is_found_by_its_words(index: Index) {
    let embedder = meanings();
    filled(&index, "docs", many()[..4].to_vec(), Some(&embedder)).await;
    assert_eq!(ask(&index, "docs", "the zeppelin thing", Some(&embedder)).await.words_only, None);
    let mut late: Vec<Document> = (0..300)
        .map(|n| document(&format!("filler {n}"), &format!("Filler {n} says a thing about trees.")))
        .collect();
    late.push(document("needle", "The zeppelin is moored at the mast."));
    index.put("docs", late, None).await.unwrap();
    let question = Question::new("Which thing has a zeppelin?", Viewer::Anonymous);
    for fusion in [Fusion::default(), Fusion::Ranks { k: 60.0 }] {
        let question = Question { fusion, ..question.clone() };
        let answer = index.search(&["docs"], &question, Some(&embedder)).await.unwrap();
        assert_eq!(ids(&answer)[0], "needle", "{answer:?}");
        assert_eq!(
            answer.words_only.unwrap(),
            "Some of `docs` waits for its vectors: until it has them, it is searched by words alone."
        );
    }
    index.embed("docs", &embedder).await.unwrap();
    assert_eq!(ask(&index, "docs", "zeppelin", Some(&embedder)).await.words_only, None);
}

async fn re_embedding_goes_on_where_it_was_and_the_old_vectors_serve_meanwhile(index: Index) {
    let (old, new) = (meanings(), Meanings::of("new", 1009));
    filled(&index, "docs", many(), Some(&old)).await;
    new.enough_for.store(40, Ordering::SeqCst);
    index.embed("docs", &new).await.unwrap_err();
    assert_eq!(model(&index).await.unwrap().id, "meanings");
    assert_eq!(ids(&ask(&index, "docs", "vehicle", Some(&old)).await)[0], "33");
    new.enough_for.store(usize::MAX, Ordering::SeqCst);
    let rest = index.embed("docs", &new).await.unwrap();
    assert!((1..50).contains(&rest), "{rest} were embedded anew");
    assert_eq!(model(&index).await, Some(Model { id: "new".to_owned(), dimensions: 1009 }));
    assert_eq!(ids(&ask(&index, "docs", "vehicle", Some(&new)).await)[0], "33");
    assert!(ask(&index, "docs", "vehicle", Some(&old)).await.words_only.is_some());
    assert_eq!(index.embed("docs", &new).await.unwrap(), 0);
    assert_eq!(index.faults().await.unwrap(), [""; 0]);
}

async fn what_came_in_during_re_embedding_is_re_embedded_too(index: Index) {
    let (old, new) = (meanings(), Meanings::of("new", 1009));
    filled(&index, "docs", many(), Some(&old)).await;
    new.enough_for.store(20, Ordering::SeqCst);
    index.embed("docs", &new).await.unwrap_err();
    index
        .put(
            "docs",
            vec![document("02", "A changed automobile."), document("late", "A late car.")],
            Some(&old),
        )
        .await
        .unwrap();
    new.enough_for.store(usize::MAX, Ordering::SeqCst);
    index.embed("docs", &new).await.unwrap();
    let answer = ask(&index, "docs", "vehicle", Some(&new)).await;
    let mut found = ids(&answer)[..3].to_vec();
    found.sort_unstable();
    assert_eq!(found, ["02", "33", "late"]);
    assert_eq!(index.faults().await.unwrap(), [""; 0]);
}

async fn a_model_that_gives_no_even_vectors_is_refused(index: Index) {
    index.create("docs", retrieval::Settings::default()).await.unwrap();
    let refused = index
        .put("docs", vec![document("a", "A car.")], Some(&Meanings::of("empty", 0)))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "`empty` did not give one vector of one length for each text");
}
