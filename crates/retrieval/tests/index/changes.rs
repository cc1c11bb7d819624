//! Tests of storing, changing and removing documents.

use crate::support::{
    FakeEmbedder, create_with, database, document, document_ids, fake_embedder,
    restricted_document, search, search_as, sqlite, user,
};
use retrieval::{
    Document, DocumentState, Index, IndexAudience, IndexError, PutOutcome, SearchQuery, Viewer,
};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

on_every_engine!(
    a_changed_document_is_found_by_what_it_says_now,
    what_did_not_change_is_left_alone,
    what_was_embedded_once_is_not_embedded_again,
    a_document_that_was_removed_is_found_no_more,
    of_documents_with_one_id_the_last_is_kept,
    when_the_model_fails_nothing_is_stored,
    a_question_sees_all_of_the_old_or_all_of_the_new,
    what_could_not_be_read_is_listed_with_the_reason_and_its_last_version_found,
    documents_are_cut_anew_when_they_are_given_again,
    stored_documents_are_split_anew_with_their_vectors,
    a_collection_that_was_forgotten_can_be_made_anew,
    documents_that_came_and_went_leave_nothing_behind,
    others_are_served_while_a_large_document_comes_in,
    a_document_that_is_too_large_is_refused_in_words,
);

async fn a_changed_document_is_found_by_what_it_says_now(index: Index) {
    let embedder = fake_embedder();
    create_with(
        &index,
        "docs",
        vec![document("a", "A car."), document("b", "A tree.")],
        Some(&embedder),
    )
    .await;
    search(&index, "docs", "car", Some(&embedder)).await;
    index.put_documents("docs", vec![document("a", "A house.")], Some(&embedder)).await.unwrap();
    assert!(search(&index, "docs", "car", None).await.hits.is_empty());
    let answer = search(&index, "docs", "house", Some(&embedder)).await;
    assert_eq!(document_ids(&answer), ["a", "b"]);
    assert_eq!(answer.hits[0].text, "A house.");
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn what_did_not_change_is_left_alone(index: Index) {
    let embedder = fake_embedder();
    let same = Document { title: "Same".to_owned(), ..document("a", "A car.") };
    let first = create_with(&index, "docs", vec![same.clone()], Some(&embedder)).await;
    assert_eq!(first, [PutOutcome::Stored { chunks: 1, embedded: 1 }]);
    let again = index.put_documents("docs", vec![same.clone()], Some(&embedder)).await.unwrap();
    assert_eq!(again, [PutOutcome::Unchanged]);
    let renamed = Document { title: "Other".to_owned(), ..same };
    assert_eq!(
        index.put_documents("docs", vec![renamed], Some(&embedder)).await.unwrap(),
        [PutOutcome::Stored { chunks: 1, embedded: 1 }]
    );
}

async fn what_was_embedded_once_is_not_embedded_again(index: Index) {
    let embedder = fake_embedder();
    let page = |last: &str| {
        let sections = ["One", "Two", last].map(|name| {
            format!("# {name}\n{}\n", format!("The {name} is described here. ").repeat(16))
        });
        document("page", &sections.concat())
    };
    let first = create_with(
        &index,
        "docs",
        vec![page("Three"), document("twin", &page("Three").text)],
        Some(&embedder),
    )
    .await;
    assert_eq!(
        first,
        [
            PutOutcome::Stored { chunks: 3, embedded: 3 },
            PutOutcome::Stored { chunks: 3, embedded: 0 }
        ]
    );
    let changed = index.put_documents("docs", vec![page("Four")], Some(&embedder)).await.unwrap();
    assert_eq!(changed, [PutOutcome::Stored { chunks: 3, embedded: 1 }]);
    let elsewhere = create_with(&index, "more", vec![page("Four")], Some(&embedder)).await;
    assert_eq!(elsewhere, [PutOutcome::Stored { chunks: 3, embedded: 0 }]);
    assert_eq!(embedder.embedded(), 4);
}

async fn a_document_that_was_removed_is_found_no_more(index: Index) {
    let embedder = fake_embedder();
    create_with(
        &index,
        "docs",
        vec![document("a", "A car."), document("b", "A car.")],
        Some(&embedder),
    )
    .await;
    search(&index, "docs", "car", Some(&embedder)).await;
    assert_eq!(index.remove_documents("docs", vec!["a".into(), "c".into()]).await.unwrap(), 1);
    assert_eq!(document_ids(&search(&index, "docs", "car", Some(&embedder)).await), ["b"]);
    assert_eq!(document_ids(&search(&index, "docs", "car", None).await), ["b"]);
}

async fn of_documents_with_one_id_the_last_is_kept(index: Index) {
    create_with(&index, "docs", vec![document("a", "A car."), document("a", "A house.")], None)
        .await;
    assert!(search(&index, "docs", "car", None).await.hits.is_empty());
    assert_eq!(document_ids(&search(&index, "docs", "house", None).await), ["a"]);
}

async fn when_the_model_fails_nothing_is_stored(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    embedder.fails_after.store(0, Ordering::SeqCst);
    let failed = index
        .put_documents(
            "docs",
            vec![document("a", "A house."), document("b", "A tree.")],
            Some(&embedder),
        )
        .await
        .unwrap_err();
    assert_eq!(failed.to_string(), "the model is out of reach");
    assert_eq!(document_ids(&search(&index, "docs", "car house tree", None).await), ["a"]);
    assert_eq!(search(&index, "docs", "car", None).await.hits[0].text, "A car.");
}

async fn a_question_sees_all_of_the_old_or_all_of_the_new(index: Index) {
    let embedder = FakeEmbedder::new("meanings", 32);
    let edition = |word: &str| {
        document(
            "book",
            &format!("# {word}\n{}\n", format!("This {word} car runs on. ").repeat(40)).repeat(3),
        )
    };
    create_with(&index, "docs", vec![edition("red")], Some(&embedder)).await;
    let written = AtomicBool::new(false);
    let writing = async {
        for word in ["blue", "red"].repeat(10) {
            index.put_documents("docs", vec![edition(word)], Some(&embedder)).await.unwrap();
        }
        written.store(true, Ordering::SeqCst);
    };
    let asking = async {
        while !written.load(Ordering::SeqCst) {
            let question =
                SearchQuery { limit: 50, ..SearchQuery::new("red blue car", Viewer::Anonymous) };
            let answer = index.search(&["docs"], &question, Some(&embedder)).await.unwrap();
            let count =
                |word: &str| answer.hits.iter().filter(|hit| hit.text.contains(word)).count();
            let (red, blue) = (count("red"), count("blue"));
            assert!((red == 0) != (blue == 0), "{red} red and {blue} blue");
            assert!(
                answer.hits.iter().all(|hit| hit.scores.bm25 > 0.0 && hit.scores.cosine.is_some())
            );
        }
    };
    tokio::join!(writing, asking);
}

async fn what_could_not_be_read_is_listed_with_the_reason_and_its_last_version_found(index: Index) {
    create_with(&index, "docs", vec![document("a", "A car.")], None).await;
    index
        .record_failure(
            "docs",
            restricted_document("b", "", IndexAudience::user("anna")),
            "the PDF asks for a password",
        )
        .await
        .unwrap();
    index.record_failure("docs", document("a", ""), "the file is empty").await.unwrap();
    let states = async |viewer: Viewer| -> Vec<(String, usize, DocumentState)> {
        let listed = index.list_documents("docs", &viewer, "", 10).await.unwrap();
        listed.into_iter().map(|listed| (listed.id, listed.chunk_count, listed.state)).collect()
    };
    let failed = |reason: &str| DocumentState::Failed { reason: reason.to_owned() };
    let (a, b) = (
        ("a".to_owned(), 1, failed("the file is empty")),
        ("b".to_owned(), 0, failed("the PDF asks for a password")),
    );
    assert_eq!(states(user("anna")).await, [a.clone(), b]);
    assert_eq!(states(Viewer::Anonymous).await, [a]);
    assert_eq!(document_ids(&search(&index, "docs", "car", None).await), ["a"]);
    index.put_documents("docs", vec![document("a", "A car.")], None).await.unwrap();
    assert_eq!(states(Viewer::Anonymous).await, [("a".to_owned(), 1, DocumentState::Ready)]);
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn documents_are_cut_anew_when_they_are_given_again(index: Index) {
    let book = || document("book", &"One two three four five six seven. ".repeat(40));
    let first = create_with(&index, "docs", vec![book()], None).await;
    assert_eq!(first, [PutOutcome::Stored { chunks: 3, embedded: 0 }]);
    index.set_chunk_size("docs", 80).await.unwrap();
    assert_eq!(
        index.put_documents("docs", vec![book()], None).await.unwrap(),
        [PutOutcome::Stored { chunks: 4, embedded: 0 }]
    );
    let refused = index.set_chunk_size("docs", 3000).await.unwrap_err().to_string();
    assert_eq!(refused, "`chunk_tokens` is 3000: it must be between 32 and 2048");
}

async fn stored_documents_are_split_anew_with_their_vectors(index: Index) {
    let (embedder, other) = (fake_embedder(), FakeEmbedder::new("other", 16));
    let text: String = (0..60).map(|number| format!("Chapter {number} tells of a car. ")).collect();
    let pages = vec![(0, 7), (text.len() / 2, 8)];
    let book = Document { pages, ..document("book", &text) };
    create_with(&index, "docs", vec![book], Some(&embedder)).await;
    let broken = document("broken", "");
    index.record_failure("docs", broken, "no text").await.unwrap();
    assert_eq!(index.rechunk_collection("docs", Some(&embedder)).await.unwrap(), 0);
    let chunks = async || index.find_document("docs", "book").await.unwrap().unwrap().chunk_count;
    let before = chunks().await;
    index.set_chunk_size("docs", 32).await.unwrap();
    // The default changes only collections that follow it.
    index.follow_chunk_size("docs", 512).await.unwrap();
    assert_eq!(chunks().await, before);
    assert_eq!(index.rechunk_collection("docs", Some(&embedder)).await.unwrap(), 1);
    assert!(chunks().await > 2 * before, "{} {before}", chunks().await);
    assert_eq!(index.rechunk_collection("docs", Some(&embedder)).await.unwrap(), 0);
    let found = search(&index, "docs", "vehicle of chapter 59", Some(&embedder)).await;
    assert_eq!((found.hits[0].page, found.words_only), (Some(8), None));
    assert!(found.hits.iter().all(|hit| hit.scores.cosine.is_some()));
    // Vectors of another model are not mixed in.
    index.set_chunk_size("docs", 128).await.unwrap();
    assert_eq!(index.rechunk_collection("docs", Some(&other)).await.unwrap(), 1);
    assert_eq!((chunks().await, other.embedded()), (before, 0));
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn a_collection_that_was_forgotten_can_be_made_anew(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    search(&index, "docs", "car", Some(&embedder)).await;
    index.delete_collection("docs").await.unwrap();
    assert!(index.list_collections(&Viewer::Operator).await.unwrap().is_empty());
    let other = FakeEmbedder::new("other", 16);
    create_with(&index, "docs", vec![document("b", "A vehicle.")], Some(&other)).await;
    assert_eq!(document_ids(&search(&index, "docs", "car", Some(&other)).await), ["b"]);
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn documents_that_came_and_went_leave_nothing_behind(index: Index) {
    let embedder = fake_embedder();
    let all = |round: usize| {
        (0..40)
            .map(move |n| {
                document(
                    &format!("{n}"),
                    &format!("Thing {n} of round {round}, and car{} too.", n % 7),
                )
            })
            .collect()
    };
    create_with(&index, "docs", all(0), Some(&embedder)).await;
    for round in 1..5 {
        index.put_documents("docs", all(round), Some(&embedder)).await.unwrap();
        index
            .remove_documents("docs", (0..20).map(|n| format!("{}", n * 2)).collect())
            .await
            .unwrap();
        assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
        let answer = search_as(&index, "docs", "thing", Viewer::Operator, Some(&embedder)).await;
        assert!(
            answer.hits.iter().all(|hit| hit.text.contains(&format!("round {round}"))),
            "{answer:?}"
        );
    }
}

async fn others_are_served_while_a_large_document_comes_in(index: Index) {
    let page =
        |n: usize| format!("Page {n} tells of thing{} and of the car that drove there.\n", n % 999);
    let text: String = (0..8_000).map(page).collect();
    create_with(&index, "docs", vec![document("a", &text)], None).await;
    let is_stored = Cell::new(false);
    let putting = async {
        index
            .put_documents("docs", vec![document("a", &text.replace("car", "bus"))], None)
            .await
            .unwrap();
        is_stored.set(true);
    };
    let serving = async {
        let mut turns = 0;
        while !is_stored.get() {
            tokio::task::yield_now().await;
            turns += 1;
        }
        turns
    };
    let ((), turns) = tokio::join!(putting, serving);
    // If the work ran on this thread, the other task would run once per await.
    assert!(turns > 1000, "others had {turns} turns");
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn a_document_that_is_too_large_is_refused_in_words(index: Index) {
    create_with(&index, "docs", vec![document("a", "A car.")], None).await;
    let large = document("a", &"x\n".repeat(10 << 20));
    let refused = index.put_documents("docs", vec![large], None).await.unwrap_err();
    let message = "the text has 20.0 MiB; a document may have 16 MiB at most: split it";
    assert!(matches!(&refused, IndexError::InvalidInput(why) if why == message), "{refused}");
    assert_eq!(document_ids(&search(&index, "docs", "car", None).await), ["a"]);
}

#[tokio::test]
async fn another_process_sees_what_was_committed() {
    let folder = tempfile::tempdir().unwrap();
    what_one_stores_the_other_finds(sqlite(&folder).await, sqlite(&folder).await).await;
}

#[tokio::test]
async fn another_host_sees_what_was_committed() {
    let Some(url) = database().await else { return };
    let (here, there) = tokio::join!(Index::connect(&url), Index::connect(&url));
    what_one_stores_the_other_finds(here.unwrap(), there.unwrap()).await;
}

async fn what_one_stores_the_other_finds(here: Index, there: Index) {
    let embedder = fake_embedder();
    create_with(&here, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    assert_eq!(document_ids(&search(&there, "docs", "car", Some(&embedder)).await), ["a"]);
    let documents = vec![document("b", "A vehicle."), document("a", "A tree.")];
    here.put_documents("docs", documents, Some(&embedder)).await.unwrap();
    assert_eq!(document_ids(&search(&there, "docs", "car", Some(&embedder)).await)[0], "b");
}

#[tokio::test]
async fn hosts_that_write_to_one_collection_wait_for_each_other() {
    let Some(url) = database().await else { return };
    let (here, there) = (Index::connect(&url).await.unwrap(), Index::connect(&url).await.unwrap());
    let embedder = fake_embedder();
    create_with(&here, "docs", Vec::new(), None).await;
    let some = |host: &str| -> Vec<Document> {
        (0..8)
            .map(|n| document(&format!("{host}{n}"), &format!("A car of {host}, number {n}.")))
            .collect()
    };
    for _ in 0..5 {
        let (one, other) = tokio::join!(
            here.put_documents("docs", some("here"), Some(&embedder)),
            there.put_documents("docs", some("there"), Some(&embedder)),
        );
        assert_eq!((one.unwrap().len(), other.unwrap().len()), (8, 8));
        assert_eq!(here.find_inconsistencies().await.unwrap(), [""; 0]);
        let gone = |host: &str| (0..4).map(|n| format!("{host}{n}")).collect();
        let (one, other) = tokio::join!(
            here.remove_documents("docs", gone("here")),
            there.remove_documents("docs", gone("there"))
        );
        assert_eq!((one.unwrap(), other.unwrap()), (4, 4));
    }
    assert_eq!(here.list_documents("docs", &Viewer::Operator, "", 100).await.unwrap().len(), 8);
    assert_eq!(there.find_inconsistencies().await.unwrap(), [""; 0]);
}
