//! Tests of search results and their order.

use crate::support::{FakeEmbedder, create_with, document, document_ids, fake_embedder, search};
use retrieval::{
    CollectionSettings, Document, Fusion, Index, Language, SearchMode, SearchQuery, Viewer,
};
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
    each_text_is_searched_in_its_own_language,
    a_common_word_is_common_in_every_language,
    a_hit_tells_whether_the_question_is_in_another_language,
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
    create_with(&index, "docs", documents, None).await;
    for text in ["readTimeout", "read_timeout", "reading timeouts"] {
        let answer = search(&index, "docs", text, None).await;
        let mut found = document_ids(&answer);
        found.sort_unstable();
        assert_eq!(found, ["camel", "snake"], "{text}");
    }
}

async fn what_shares_no_word_is_found_by_its_meaning(index: Index) {
    let embedder = fake_embedder();
    let documents =
        vec![document("car", "A car stands here."), document("cake", "A cake lies here.")];
    create_with(&index, "docs", documents, Some(&embedder)).await;
    let answer = search(&index, "docs", "automobile", Some(&embedder)).await;
    assert_eq!(document_ids(&answer)[0], "car");
    assert_eq!(answer.words_only, None);
}

async fn a_hit_says_what_it_got_from_each_leg_and_why(index: Index) {
    let embedder = fake_embedder();
    let guide = Document {
        title: "Guide".to_owned(),
        url: Some("https://example.com/guide".to_owned()),
        ..document("a", "A car needs its tyres changed.")
    };
    let guide =
        Document { metadata: [("page".to_owned(), 3.into())].into_iter().collect(), ..guide };
    create_with(&index, "docs", vec![guide, document("b", "A vehicle.")], Some(&embedder)).await;
    let answer = search(&index, "docs", "changing a tyre of a car", Some(&embedder)).await;
    let hit = &answer.hits[0];
    assert_eq!(
        (hit.document.as_str(), hit.title.as_str(), hit.heading.as_str()),
        ("a", "Guide", "Guide")
    );
    assert_eq!(
        (hit.url.as_deref(), &hit.metadata["page"]),
        (Some("https://example.com/guide"), &3.into())
    );
    assert_eq!(hit.matched_words, ["changing", "tyre", "car"]);
    assert_eq!((hit.scores.bm25_rank, answer.hits[1].scores.bm25_rank), (Some(1), None));
    assert!(hit.scores.bm25 > 0.0 && answer.hits[1].scores.bm25 == 0.0);
    // Both scores are present even where only one search has found the chunk.
    assert!(answer.hits.iter().all(|hit| hit.scores.cosine.is_some()), "{answer:?}");
    let best = answer.hits.iter().filter_map(|hit| hit.scores.cosine).fold(f32::MIN, f32::max);
    let expected = 0.25 + 0.75 * (hit.scores.cosine.unwrap() + 1.0) / (best + 1.0);
    assert!((hit.scores.total - expected).abs() < 1e-6, "{hit:?}");
}

async fn without_a_model_words_find_and_the_answer_says_so(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "docs", vec![document("a", "A car.")], None).await;
    let answer = search(&index, "docs", "car", None).await;
    assert_eq!(document_ids(&answer), ["a"]);
    assert_eq!(
        answer.words_only.unwrap(),
        "There is no embedding model, so it was searched by words alone."
    );
    let answer = search(&index, "docs", "car", Some(&embedder)).await;
    assert_eq!(document_ids(&answer), ["a"]);
    let why = "`docs` holds no vectors, and the embedding model is `meanings`: it was searched by words alone until it is re-embedded.";
    assert_eq!(answer.words_only.unwrap(), why);
}

async fn a_model_out_of_reach_leaves_the_words(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "docs", vec![document("a", "A car.")], Some(&embedder)).await;
    embedder.fails_after.store(0, Ordering::SeqCst);
    let answer = search(&index, "docs", "car", Some(&embedder)).await;
    assert_eq!(document_ids(&answer), ["a"]);
    assert_eq!(
        answer.words_only.unwrap(),
        "It was searched by words alone: the model is out of reach."
    );
    let question =
        SearchQuery { mode: SearchMode::Vector, ..SearchQuery::new("car", Viewer::Anonymous) };
    let refused = index.search(&["docs"], &question, Some(&embedder)).await.unwrap_err();
    assert_eq!(refused.to_string(), "the model is out of reach");
}

async fn headings_are_searched_with_the_text_under_them(index: Index) {
    let text = "# Install\nFetch the archive and unpack it where there is room for it, then follow the steps that it tells you about.\n\
                # Remove\nDelete the folder that it was unpacked to, with whatever was written there since, and forget about the rest.\n";
    index
        .create_collection(
            "docs",
            CollectionSettings { chunk_tokens: 32, ..CollectionSettings::default() },
        )
        .await
        .unwrap();
    index
        .put_documents(
            "docs",
            vec![Document { title: "Crane".to_owned(), ..document("a", text) }],
            None,
        )
        .await
        .unwrap();
    let answer = search(&index, "docs", "remove crane", None).await;
    let chunks: Vec<_> =
        answer.hits.iter().map(|hit| (hit.position, hit.heading.as_str())).collect();
    assert_eq!(chunks[0], (1, "Crane"));
    assert!(answer.hits[0].text.starts_with("# Remove"));
}

async fn of_a_title_without_end_the_beginning_is_kept(index: Index) {
    let endless = Document { title: "Crane ".repeat(100_000), ..document("a", "A car.") };
    create_with(&index, "docs", vec![endless], None).await;
    let expected = format!("{}C…", "Crane ".repeat(33));
    let hit = &search(&index, "docs", "car", None).await.hits[0];
    assert_eq!((&hit.title, &hit.heading), (&expected, &expected));
    assert_eq!(
        index.list_documents("docs", &Viewer::Operator, "", 1).await.unwrap()[0].title,
        expected
    );
}

async fn each_collection_is_searched_in_its_own_language(index: Index) {
    index
        .create_collection(
            "de",
            CollectionSettings { language: Language::German, ..CollectionSettings::default() },
        )
        .await
        .unwrap();
    index.put_documents("de", vec![document("haus", "Die Häuser am Markt")], None).await.unwrap();
    assert_eq!(document_ids(&search(&index, "de", "das Haus", None).await), ["haus"]);
    assert!(search(&index, "de", "die", None).await.hits.is_empty());
}

async fn each_text_is_searched_in_its_own_language(index: Index) {
    let german = "Die alten Häuser stehen am Ende der Straße, und niemand wohnt mehr dort. \
                  Vor hundert Jahren wurden sie für die Arbeiter der Ziegelei gebaut.";
    let russian = "Старые дома стоят в конце улицы, и там больше никто не живёт. \
                   Сто лет назад их построили для рабочих кирпичного завода.";
    let english = "The old houses stand at the end of the road, and nobody lives there any more. \
                   They were built a hundred years ago for the workers of the brickyard.";
    let chinese = "旧房子在路的尽头，没有人住在那里。";
    let documents = vec![
        document("de", german),
        document("ru", russian),
        document("en", english),
        document("zh", chinese),
    ];
    let settings = CollectionSettings { language: Language::Auto, ..CollectionSettings::default() };
    index.create_collection("docs", settings).await.unwrap();
    index.put_documents("docs", documents, None).await.unwrap();
    for (text, found) in [
        ("Wem gehört das Haus?", "de"),
        ("кому принадлежал дом", "ru"),
        ("who owns a house", "en"),
        ("房子是谁的", "zh"),
    ] {
        let answer = search(&index, "docs", text, None).await;
        assert_eq!(document_ids(&answer), [found], "{text}");
        assert_eq!(answer.hits[0].matched_words.len(), 1, "{text}");
    }
    index.remove_documents("docs", vec!["de".to_owned()]).await.unwrap();
    assert_eq!(index.find_inconsistencies().await.unwrap(), Vec::<String>::new());
    assert_eq!(document_ids(&search(&index, "docs", "Haus", None).await), Vec::<&str>::new());
}

async fn a_common_word_is_common_in_every_language(index: Index) {
    let common = "The settings of the server are in a file, and they are read when it starts.";
    let mut documents: Vec<Document> =
        (0..20).map(|number| document(&number.to_string(), common)).collect();
    let rare = "The toasters are in the kitchen, and nobody of the office has used them.";
    let spanish = "El archivo settings está en la carpeta de la oficina, y no lo toca nadie.";
    documents.extend([document("rare", rare), document("es", spanish)]);
    let settings = CollectionSettings { language: Language::Auto, ..CollectionSettings::default() };
    index.create_collection("docs", settings).await.unwrap();
    index.put_documents("docs", documents, None).await.unwrap();
    let query = SearchQuery {
        limit: 30,
        ..SearchQuery::new("the settings of the toaster", Viewer::Anonymous)
    };
    let answer = index.search(&["docs"], &query, None).await.unwrap();
    let score = |id: &str| answer.hits.iter().find(|hit| hit.document == id).unwrap().scores.bm25;
    // No English chunk has the word as Spanish chunks have it, which does not make it rare.
    assert!(score("es") < 0.2 * score("rare"), "{} {}", score("es"), score("rare"));
    assert!(score("0") > 0.0);
}

async fn a_hit_tells_whether_the_question_is_in_another_language(index: Index) {
    let settings = CollectionSettings { language: Language::Auto, ..CollectionSettings::default() };
    index.create_collection("docs", settings).await.unwrap();
    let text = "The server is in the cellar, where nobody goes in the evening.";
    index.put_documents("docs", vec![document("en", text)], None).await.unwrap();
    for (question, is_other) in
        [("Where is the server?", false), ("server", false), ("Wo steht der Server?", true)]
    {
        let answer = search(&index, "docs", question, None).await;
        assert_eq!(answer.hits[0].in_other_language, is_other, "{question}");
    }
}

async fn collections_are_searched_together(index: Index) {
    let embedder = fake_embedder();
    create_with(&index, "one", vec![document("a", "A red car.")], Some(&embedder)).await;
    create_with(&index, "two", vec![document("a", "A car, red as a red cherry.")], Some(&embedder))
        .await;
    let question = SearchQuery::new("red vehicle", Viewer::Anonymous);
    let answer = index.search(&["one", "two"], &question, Some(&embedder)).await.unwrap();
    let mut found: Vec<_> =
        answer.hits.iter().map(|hit| (hit.collection.as_str(), hit.document.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, [("one", "a"), ("two", "a")]);
    let other = FakeEmbedder::new("other", 64);
    create_with(&index, "three", vec![document("a", "red")], Some(&other)).await;
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
    let embedder = fake_embedder();
    create_with(
        &index,
        "docs",
        vec![document("word", "automobile"), document("meaning", "car")],
        Some(&embedder),
    )
    .await;
    let question = SearchQuery::new("automobile", Viewer::Anonymous);
    let words = SearchQuery { mode: SearchMode::Keyword, ..question.clone() };
    let answer = index.search(&["docs"], &words, Some(&embedder)).await.unwrap();
    assert_eq!((document_ids(&answer), &answer.words_only), (vec!["word"], &None));
    let meaning = SearchQuery { mode: SearchMode::Vector, ..question };
    let answer = index.search(&["docs"], &meaning, Some(&embedder)).await.unwrap();
    assert_eq!(document_ids(&answer).len(), 2);
    assert!(answer.hits.iter().all(|hit| hit.scores.bm25 == 0.0));
}

async fn ranks_can_be_fused_instead_of_scores(index: Index) {
    let embedder = fake_embedder();
    create_with(
        &index,
        "docs",
        vec![document("a", "red car"), document("b", "blue car")],
        Some(&embedder),
    )
    .await;
    let question = SearchQuery {
        fusion: Fusion::ReciprocalRank { k: 60.0 },
        ..SearchQuery::new("red car", Viewer::Anonymous)
    };
    let answer = index.search(&["docs"], &question, Some(&embedder)).await.unwrap();
    assert_eq!(document_ids(&answer), ["a", "b"]);
    assert!((answer.hits[0].scores.total - 2.0 / 61.0).abs() < 1e-6);
    assert!((answer.hits[1].scores.total - 2.0 / 62.0).abs() < 1e-6);
}

async fn a_question_without_a_known_word_finds_nothing_by_words(index: Index) {
    create_with(&index, "docs", vec![document("a", "A car."), document("empty", " \n ")], None)
        .await;
    for text in ["", "what is the", "aeroplane", "🙂"] {
        assert!(search(&index, "docs", text, None).await.hits.is_empty(), "{text}");
    }
}

async fn what_cannot_be_is_refused_in_words(index: Index) {
    let message = |error: retrieval::IndexError| error.to_string();
    create_with(&index, "docs", vec![], None).await;
    assert_eq!(
        message(index.create_collection("docs", CollectionSettings::default()).await.unwrap_err()),
        "there is a collection `docs` already"
    );
    assert_eq!(
        message(index.create_collection("", CollectionSettings::default()).await.unwrap_err()),
        "a collection's name has 1 to 100 characters"
    );
    let tiny = CollectionSettings { chunk_tokens: 1, ..CollectionSettings::default() };
    assert_eq!(
        message(index.create_collection("tiny", tiny).await.unwrap_err()),
        "`chunk_tokens` is 1: it must be between 32 and 2048"
    );
    assert_eq!(
        message(index.put_documents("docs", vec![document("", "x")], None).await.unwrap_err()),
        "a document's `id` has 1 to 1024 bytes, none of them NUL"
    );
    assert_eq!(
        message(index.put_documents("none", vec![], None).await.unwrap_err()),
        "there is no collection `none`"
    );
}
