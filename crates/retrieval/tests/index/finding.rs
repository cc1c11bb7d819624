//! What is found, in which order, and what is said of it.

use crate::support::{Meanings, ask, document, filled, ids, meanings};
use retrieval::{By, Document, Fusion, Index, Language, Question, Settings, Viewer};
use std::sync::atomic::Ordering;

on_every_engine!(
    names_are_found_in_any_of_their_forms,
    what_shares_no_word_is_found_by_its_meaning,
    a_hit_says_what_it_got_from_each_leg_and_why,
    without_a_model_words_find_and_the_answer_says_so,
    a_model_out_of_reach_leaves_the_words,
    headings_are_searched_with_the_text_under_them,
    of_a_title_without_end_the_beginning_is_kept,
    each_collection_is_searched_in_its_own_language,
    collections_are_searched_together,
    either_leg_can_be_asked_alone,
    ranks_can_be_fused_instead_of_scores,
    a_question_without_a_known_word_finds_nothing_by_words,
    what_cannot_be_is_refused_in_words,
);

async fn names_are_found_in_any_of_their_forms(index: Index) {
    let documents = vec![
        document("camel", "The readTimeout is 30 s."),
        document("snake", "Turn read_timeout down."),
        document("other", "Nothing."),
    ];
    filled(&index, "docs", documents, None).await;
    for text in ["readTimeout", "read_timeout", "reading timeouts"] {
        let answer = ask(&index, "docs", text, None).await;
        let mut found = ids(&answer);
        found.sort_unstable();
        assert_eq!(found, ["camel", "snake"], "{text}");
    }
}

async fn what_shares_no_word_is_found_by_its_meaning(index: Index) {
    let embedder = meanings();
    let documents =
        vec![document("car", "A car stands here."), document("cake", "A cake lies here.")];
    filled(&index, "docs", documents, Some(&embedder)).await;
    let answer = ask(&index, "docs", "automobile", Some(&embedder)).await;
    assert_eq!(ids(&answer)[0], "car");
    assert_eq!(answer.words_only, None);
}

async fn a_hit_says_what_it_got_from_each_leg_and_why(index: Index) {
    let embedder = meanings();
    let guide = Document {
        title: "Guide".to_owned(),
        url: Some("https://example.com/guide".to_owned()),
        ..document("a", "A car needs its tyres changed.")
    };
    let guide =
        Document { metadata: [("page".to_owned(), 3.into())].into_iter().collect(), ..guide };
    filled(&index, "docs", vec![guide, document("b", "A vehicle.")], Some(&embedder)).await;
    let answer = ask(&index, "docs", "changing a tyre of a car", Some(&embedder)).await;
    let hit = &answer.hits[0];
    assert_eq!(
        (hit.document.as_str(), hit.title.as_str(), hit.heading.as_str()),
        ("a", "Guide", "Guide")
    );
    assert_eq!(
        (hit.url.as_deref(), &hit.metadata["page"]),
        (Some("https://example.com/guide"), &3.into())
    );
    assert_eq!(hit.matched, ["changing", "tyre", "car"]);
    assert_eq!((hit.scores.words_rank, answer.hits[1].scores.words_rank), (Some(1), None));
    assert!(hit.scores.words > 0.0 && answer.hits[1].scores.words == 0.0);
    // Each leg's score is there for what only the other one found.
    assert!(answer.hits.iter().all(|hit| hit.scores.meaning.is_some()), "{answer:?}");
    let best = answer.hits.iter().filter_map(|hit| hit.scores.meaning).fold(f32::MIN, f32::max);
    let expected = 0.25 + 0.75 * (hit.scores.meaning.unwrap() + 1.0) / (best + 1.0);
    assert!((hit.scores.total - expected).abs() < 1e-6, "{hit:?}");
}

async fn without_a_model_words_find_and_the_answer_says_so(index: Index) {
    let embedder = meanings();
    filled(&index, "docs", vec![document("a", "A car.")], None).await;
    let answer = ask(&index, "docs", "car", None).await;
    assert_eq!(ids(&answer), ["a"]);
    assert_eq!(
        answer.words_only.unwrap(),
        "There is no embedding model, so it was searched by words alone."
    );
    let answer = ask(&index, "docs", "car", Some(&embedder)).await;
    assert_eq!(ids(&answer), ["a"]);
    let why = "`docs` holds no vectors, and the embedding model is `meanings`: it was searched by words alone until it is re-embedded.";
    assert_eq!(answer.words_only.unwrap(), why);
}

async fn a_model_out_of_reach_leaves_the_words(index: Index) {
    let embedder = meanings();
    filled(&index, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    embedder.enough_for.store(0, Ordering::SeqCst);
    let answer = ask(&index, "docs", "car", Some(&embedder)).await;
    assert_eq!(ids(&answer), ["a"]);
    assert_eq!(
        answer.words_only.unwrap(),
        "It was searched by words alone: the model is out of reach."
    );
    let question = Question { by: By::Meaning, ..Question::new("car", Viewer::Anonymous) };
    let refused = index.search(&["docs"], &question, Some(&embedder)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the model is out of reach");
}

async fn headings_are_searched_with_the_text_under_them(index: Index) {
    let text = "# Install\nFetch the archive and unpack it where there is room for it, then follow the steps that it tells you about.\n\
                # Remove\nDelete the folder that it was unpacked to, with whatever was written there since, and forget about the rest.\n";
    index.create("docs", Settings { chunk_tokens: 32, ..Settings::default() }).await.unwrap();
    index
        .put("docs", vec![Document { title: "Crane".to_owned(), ..document("a", text) }], None)
        .await
        .unwrap();
    let answer = ask(&index, "docs", "remove crane", None).await;
    let told: Vec<_> = answer.hits.iter().map(|hit| (hit.place, hit.heading.as_str())).collect();
    assert_eq!(told[0], (1, "Crane"));
    assert!(answer.hits[0].text.starts_with("# Remove"));
}

async fn of_a_title_without_end_the_beginning_is_kept(index: Index) {
    let endless = Document { title: "Crane ".repeat(100_000), ..document("a", "A car.") };
    filled(&index, "docs", vec![endless], None).await;
    let expected = format!("{}C…", "Crane ".repeat(33));
    let hit = &ask(&index, "docs", "car", None).await.hits[0];
    assert_eq!((&hit.title, &hit.heading), (&expected, &expected));
    assert_eq!(index.documents("docs", &Viewer::Operator, "", 1).await.unwrap()[0].title, expected);
}

async fn each_collection_is_searched_in_its_own_language(index: Index) {
    index
        .create("de", Settings { language: Language::German, ..Settings::default() })
        .await
        .unwrap();
    index.put("de", vec![document("haus", "Die Häuser am Markt")], None).await.unwrap();
    assert_eq!(ids(&ask(&index, "de", "das Haus", None).await), ["haus"]);
    assert!(ask(&index, "de", "die", None).await.hits.is_empty());
}

async fn collections_are_searched_together(index: Index) {
    let embedder = meanings();
    filled(&index, "one", vec![document("a", "A red car.")], Some(&embedder)).await;
    filled(&index, "two", vec![document("a", "A car, red as a red cherry.")], Some(&embedder))
        .await;
    let question = Question::new("red vehicle", Viewer::Anonymous);
    let answer = index.search(&["one", "two"], &question, Some(&embedder)).await.unwrap();
    let mut found: Vec<_> =
        answer.hits.iter().map(|hit| (hit.collection.as_str(), hit.document.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, [("one", "a"), ("two", "a")]);
    let other = Meanings::of("other", 64);
    filled(&index, "three", vec![document("a", "red")], Some(&other)).await;
    let answer = index.search(&["one", "three"], &question, Some(&embedder)).await.unwrap();
    assert_eq!(answer.hits.len(), 2);
    assert!(
        answer
            .words_only
            .unwrap()
            .starts_with("`three` holds vectors of `other`, and the embedding model is `meanings`")
    );
}

async fn either_leg_can_be_asked_alone(index: Index) {
    let embedder = meanings();
    filled(
        &index,
        "docs",
        vec![document("word", "automobile"), document("meaning", "car")],
        Some(&embedder),
    )
    .await;
    let question = Question::new("automobile", Viewer::Anonymous);
    let words = Question { by: By::Words, ..question.clone() };
    let answer = index.search(&["docs"], &words, Some(&embedder)).await.unwrap();
    assert_eq!((ids(&answer), &answer.words_only), (vec!["word"], &None));
    let meaning = Question { by: By::Meaning, ..question };
    let answer = index.search(&["docs"], &meaning, Some(&embedder)).await.unwrap();
    assert_eq!(ids(&answer).len(), 2);
    assert!(answer.hits.iter().all(|hit| hit.scores.words == 0.0));
}

async fn ranks_can_be_fused_instead_of_scores(index: Index) {
    let embedder = meanings();
    filled(
        &index,
        "docs",
        vec![document("a", "red car"), document("b", "blue car")],
        Some(&embedder),
    )
    .await;
    let question = Question {
        fusion: Fusion::Ranks { k: 60.0 },
        ..Question::new("red car", Viewer::Anonymous)
    };
    let answer = index.search(&["docs"], &question, Some(&embedder)).await.unwrap();
    assert_eq!(ids(&answer), ["a", "b"]);
    assert!((answer.hits[0].scores.total - 2.0 / 61.0).abs() < 1e-6);
    assert!((answer.hits[1].scores.total - 2.0 / 62.0).abs() < 1e-6);
}

async fn a_question_without_a_known_word_finds_nothing_by_words(index: Index) {
    filled(&index, "docs", vec![document("a", "A car."), document("empty", " \n ")], None).await;
    for text in ["", "what is the", "aeroplane", "🙂"] {
        assert!(ask(&index, "docs", text, None).await.hits.is_empty(), "{text}");
    }
}

async fn what_cannot_be_is_refused_in_words(index: Index) {
    let told = |error: retrieval::Error| error.to_string();
    filled(&index, "docs", vec![], None).await;
    assert_eq!(
        told(index.create("docs", Settings::default()).await.unwrap_err()),
        "there is a collection `docs` already"
    );
    assert_eq!(
        told(index.create("", Settings::default()).await.unwrap_err()),
        "a collection's name has 1 to 100 characters"
    );
    let tiny = Settings { chunk_tokens: 1, ..Settings::default() };
    assert_eq!(
        told(index.create("tiny", tiny).await.unwrap_err()),
        "`chunk_tokens` is 1: it must be between 32 and 2048"
    );
    assert_eq!(
        told(index.put("docs", vec![document("", "x")], None).await.unwrap_err()),
        "a document's `id` has 1 to 1024 bytes, none of them NUL"
    );
    assert_eq!(
        told(index.put("none", vec![], None).await.unwrap_err()),
        "there is no collection `none`"
    );
}
