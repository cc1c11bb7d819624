//! Tests of embedding, and of changing the embedding model.

use crate::support::{FakeEmbedder, create_with, document, document_ids, fake_embedder, search};
use retrieval::{
    Document, DocumentState, EmbeddingModel, Fusion, Index, PutOutcome, SearchQuery, Viewer,
};
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

async fn model(index: &Index) -> Option<EmbeddingModel> {
    index.get_collection("docs", &Viewer::Operator).await.unwrap().model
}

async fn vectors_of_two_models_are_not_mixed(index: Index) {
    create_with(&index, "docs", vec![document("a", "A car.")], Some(&fake_embedder())).await;
    assert_eq!(
        model(&index).await,
        Some(EmbeddingModel { id: "meanings".to_owned(), dimensions: 512 })
    );
    let refused = index
        .put_documents(
            "docs",
            vec![document("b", "A car.")],
            Some(&FakeEmbedder::new("other", 512)),
        )
        .await
        .unwrap_err();
    let message = "`docs` holds vectors of `meanings` (512 dimensions), these are of `other`: re-embed the collection, or choose the model that it has";
    assert_eq!(refused.to_string(), message);
    let refused = index
        .put_documents(
            "docs",
            vec![document("b", "A tree.")],
            Some(&FakeEmbedder::new("meanings", 256)),
        )
        .await
        .unwrap_err();
    let message = "`docs` holds vectors of `meanings` (512 dimensions), these are of `meanings` (256 dimensions): re-embed the collection, or choose the model that it has";
    assert_eq!(refused.to_string(), message);
    let answer = search(&index, "docs", "car", Some(&FakeEmbedder::new("other", 512))).await;
    assert_eq!(document_ids(&answer), ["a"]);
    assert!(
        answer
            .words_only
            .unwrap()
            .contains("`docs` holds vectors of `meanings`, and the embedding model is `other`")
    );
}

async fn documents_that_came_without_a_model_wait_for_one(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    index
        .put_documents("docs", vec![document("b", "A vehicle."), document("twin", "A car.")], None)
        .await
        .unwrap();
    let states = async || -> Vec<DocumentState> {
        index
            .list_documents("docs", &Viewer::Operator, "", 10)
            .await
            .unwrap()
            .iter()
            .map(|listed| listed.state.clone())
            .collect()
    };
    assert_eq!(
        states().await,
        [DocumentState::Ready, DocumentState::WordsOnly, DocumentState::Ready],
        "the twin's text was embedded before"
    );
    assert_eq!(
        document_ids(&search(&index, "docs", "automobile", Some(&embedder)).await),
        ["a", "twin"]
    );
    assert_eq!(index.embed_collection("docs", &embedder).await.unwrap(), 1);
    assert_eq!(states().await, [DocumentState::Ready, DocumentState::Ready, DocumentState::Ready]);
    assert_eq!(document_ids(&search(&index, "docs", "automobile", Some(&embedder)).await).len(), 3);
    // Storing an unchanged document again with a model embeds it.
    index.put_documents("docs", vec![document("c", "An automobile.")], None).await.unwrap();
    let again = index
        .put_documents("docs", vec![document("c", "An automobile.")], Some(&embedder))
        .await
        .unwrap();
    assert_eq!(again, [PutOutcome::Stored { chunks: 1, embedded: 1 }]);
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn what_waits_for_its_vectors_is_found_by_its_words(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "docs", many()[..4].to_vec(), Some(&embedder)).await;
    assert_eq!(
        search(&index, "docs", "the zeppelin thing", Some(&embedder)).await.words_only,
        None
    );
    let mut late: Vec<Document> = (0..300)
        .map(|n| document(&format!("filler {n}"), &format!("Filler {n} says a thing about trees.")))
        .collect();
    late.push(document("needle", "The zeppelin is moored at the mast."));
    index.put_documents("docs", late, None).await.unwrap();
    let question = SearchQuery::new("Which thing has a zeppelin?", Viewer::Anonymous);
    for fusion in [Fusion::default(), Fusion::ReciprocalRank { k: 60.0 }] {
        let question = SearchQuery { fusion, ..question.clone() };
        let answer = index.search(&["docs"], &question, Some(&embedder)).await.unwrap();
        assert_eq!(document_ids(&answer)[0], "needle", "{answer:?}");
        assert_eq!(
            answer.words_only.unwrap(),
            "Some of `docs` waits for its vectors: until it has them, it is searched by words alone."
        );
    }
    index.embed_collection("docs", &embedder).await.unwrap();
    assert_eq!(search(&index, "docs", "zeppelin", Some(&embedder)).await.words_only, None);
}

async fn re_embedding_goes_on_where_it_was_and_the_old_vectors_serve_meanwhile(index: Index) {
    let (old, new) = (fake_embedder(), FakeEmbedder::new("new", 1009));
    create_with(&index, "docs", many(), Some(&old)).await;
    new.fails_after.store(40, Ordering::SeqCst);
    index.embed_collection("docs", &new).await.unwrap_err();
    assert_eq!(model(&index).await.unwrap().id, "meanings");
    assert_eq!(document_ids(&search(&index, "docs", "vehicle", Some(&old)).await)[0], "33");
    new.fails_after.store(usize::MAX, Ordering::SeqCst);
    let rest = index.embed_collection("docs", &new).await.unwrap();
    assert!((1..50).contains(&rest), "{rest} were embedded anew");
    assert_eq!(
        model(&index).await,
        Some(EmbeddingModel { id: "new".to_owned(), dimensions: 1009 })
    );
    assert_eq!(document_ids(&search(&index, "docs", "vehicle", Some(&new)).await)[0], "33");
    assert!(search(&index, "docs", "vehicle", Some(&old)).await.words_only.is_some());
    assert_eq!(index.embed_collection("docs", &new).await.unwrap(), 0);
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn what_came_in_during_re_embedding_is_re_embedded_too(index: Index) {
    let (old, new) = (fake_embedder(), FakeEmbedder::new("new", 1009));
    create_with(&index, "docs", many(), Some(&old)).await;
    new.fails_after.store(20, Ordering::SeqCst);
    index.embed_collection("docs", &new).await.unwrap_err();
    index
        .put_documents(
            "docs",
            vec![document("02", "A changed automobile."), document("late", "A late car.")],
            Some(&old),
        )
        .await
        .unwrap();
    new.fails_after.store(usize::MAX, Ordering::SeqCst);
    index.embed_collection("docs", &new).await.unwrap();
    let answer = search(&index, "docs", "vehicle", Some(&new)).await;
    let mut found = document_ids(&answer)[..3].to_vec();
    found.sort_unstable();
    assert_eq!(found, ["02", "33", "late"]);
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn a_model_that_gives_no_even_vectors_is_refused(index: Index) {
    index.create_collection("docs", retrieval::CollectionSettings::default()).await.unwrap();
    let refused = index
        .put_documents("docs", vec![document("a", "A car.")], Some(&FakeEmbedder::new("empty", 0)))
        .await
        .unwrap_err();
    assert_eq!(refused.to_string(), "`empty` did not give one vector of one length for each text");
}
