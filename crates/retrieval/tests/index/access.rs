//! Tests of access rules.

use crate::support::{
    create_with, document, document_ids, fake_embedder, restricted_document, search_as, user,
    with_role,
};
use retrieval::{
    CollectionSettings, Embedder, Index, IndexAudience, IndexError, SearchQuery, Viewer,
};

on_every_engine!(
    nobody_finds_what_is_not_for_them,
    a_collection_that_one_may_not_see_is_not_there,
    what_one_may_not_see_does_not_show_in_the_scores,
    whoever_is_let_in_later_finds_it,
    what_stays_of_a_version_that_could_not_be_replaced_is_for_those_who_may_see_the_new_one,
    listings_show_what_one_may_see,
);

async fn fill(index: &Index) {
    let embedder = fake_embedder();
    let documents = vec![
        document("public", "The car is red."),
        restricted_document("anna", "The car of Anna is blue.", IndexAudience::user("anna")),
        restricted_document(
            "staff",
            "The car of the house is green.",
            IndexAudience::role("staff"),
        ),
        restricted_document(
            "nobody",
            "The car of nobody is grey.",
            IndexAudience::Only { users: [].into(), roles: [].into() },
        ),
    ];
    create_with(index, "docs", documents, Some(&embedder)).await;
}

async fn nobody_finds_what_is_not_for_them(index: Index) {
    fill(&index).await;
    for (viewer, expected) in [
        (Viewer::Anonymous, vec!["public"]),
        (user("bert"), vec!["public"]),
        (user("anna"), vec!["anna", "public"]),
        (with_role("bert", "staff"), vec!["public", "staff"]),
        (with_role("anna", "staff"), vec!["anna", "public", "staff"]),
        (with_role("role:staff", "user:anna"), vec!["public"]),
        (Viewer::Operator, vec!["anna", "nobody", "public", "staff"]),
    ] {
        for embedder in [None, Some(&fake_embedder() as _)] {
            let answer = search_as(&index, "docs", "a car", viewer.clone(), embedder).await;
            let mut found = document_ids(&answer);
            found.sort_unstable();
            assert_eq!(found, expected, "{viewer:?}");
        }
    }
}

async fn a_collection_that_one_may_not_see_is_not_there(index: Index) {
    index
        .create_collection(
            "hr",
            CollectionSettings {
                audience: IndexAudience::role("hr"),
                ..CollectionSettings::default()
            },
        )
        .await
        .unwrap();
    index.put_documents("hr", vec![document("a", "A car.")], None).await.unwrap();
    let question = SearchQuery::new("car", user("anna"));
    let refused = index.search(&["hr"], &question, None).await.unwrap_err();
    assert!(matches!(&refused, IndexError::CollectionNotFound(name) if name == "hr"), "{refused}");
    assert!(matches!(
        index.list_documents("hr", &user("anna"), "", 10).await,
        Err(IndexError::CollectionNotFound(_))
    ));
    assert!(index.list_collections(&user("anna")).await.unwrap().is_empty());
    let of_hr = with_role("bert", "hr");
    assert_eq!(document_ids(&search_as(&index, "hr", "car", of_hr.clone(), None).await), ["a"]);
    assert_eq!(index.list_collections(&of_hr).await.unwrap().len(), 1);
    index.set_audience("hr", IndexAudience::Everyone).await.unwrap();
    assert_eq!(document_ids(&search_as(&index, "hr", "car", user("anna"), None).await), ["a"]);
}

async fn what_one_may_not_see_does_not_show_in_the_scores(index: Index) {
    fill(&index).await;
    let before =
        search_as(&index, "docs", "red car", Viewer::Anonymous, Some(&fake_embedder())).await;
    let more = (0..20)
        .map(|n| {
            restricted_document(
                &format!("secret {n}"),
                "A red, red car.",
                IndexAudience::user("anna"),
            )
        })
        .collect();
    index.put_documents("docs", more, Some(&fake_embedder())).await.unwrap();
    let after =
        search_as(&index, "docs", "red car", Viewer::Anonymous, Some(&fake_embedder())).await;
    assert_eq!(before.hits[0].scores, after.hits[0].scores);
    assert_eq!(after.hits.len(), 1);
}

async fn whoever_is_let_in_later_finds_it(index: Index) {
    fill(&index).await;
    let embedder = fake_embedder();
    let open = restricted_document(
        "anna",
        "The car of Anna is blue.",
        IndexAudience::Only { users: ["anna".into(), "bert".into()].into(), roles: [].into() },
    );
    index.put_documents("docs", vec![open], Some(&embedder)).await.unwrap();
    assert_eq!(embedder.embedded(), 0, "its text is the same");
    assert_eq!(
        document_ids(&search_as(&index, "docs", "blue", user("bert"), None).await),
        ["anna"]
    );
    let closed =
        restricted_document("anna", "The car of Anna is blue.", IndexAudience::user("anna"));
    index.put_documents("docs", vec![closed], Some(&embedder)).await.unwrap();
    let answer = search_as(&index, "docs", "blue", user("bert"), Some(&embedder)).await;
    assert_eq!(document_ids(&answer), ["public"]);
}

async fn what_stays_of_a_version_that_could_not_be_replaced_is_for_those_who_may_see_the_new_one(
    index: Index,
) {
    let embedder = fake_embedder();
    fill(&index).await;
    // Their posting blocks hold entries before and after the changed document.
    let later = vec![
        restricted_document("later", "The car of Anna is yellow.", IndexAudience::user("anna")),
        document("last", "The car is black."),
    ];
    index.put_documents("docs", later, Some(&embedder)).await.unwrap();
    let see = async |viewer: Viewer, embedder: Option<&dyn Embedder>| -> Vec<String> {
        let answer = search_as(&index, "docs", "a red car", viewer, embedder).await;
        let mut found: Vec<String> = document_ids(&answer).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    };
    assert!(see(Viewer::Anonymous, Some(&embedder)).await.contains(&"public".to_owned()));
    let closed = restricted_document("public", "", IndexAudience::user("anna"));
    index.record_failure("docs", closed, "the PDF asks for a password").await.unwrap();
    for embedder in [None, Some(&embedder as _)] {
        assert_eq!(see(Viewer::Anonymous, embedder).await, ["last"]);
        assert_eq!(see(user("anna"), embedder).await, ["anna", "last", "later", "public"]);
    }
    let listed = index.list_documents("docs", &Viewer::Anonymous, "", 10).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>(), ["last"]);
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
}

async fn listings_show_what_one_may_see(index: Index) {
    fill(&index).await;
    let page = async |viewer: &Viewer, after: &str| -> Vec<String> {
        index
            .list_documents("docs", viewer, after, 2)
            .await
            .unwrap()
            .into_iter()
            .map(|listed| listed.id)
            .collect()
    };
    assert_eq!(page(&Viewer::Anonymous, "").await, ["public"]);
    assert_eq!(page(&Viewer::Operator, "").await, ["anna", "nobody"]);
    assert_eq!(page(&Viewer::Operator, "nobody").await, ["public", "staff"]);
    let listed = &index.list_documents("docs", &user("anna"), "", 1).await.unwrap()[0];
    assert_eq!((listed.audience.clone(), listed.chunk_count), (IndexAudience::user("anna"), 1));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_machine_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let index = crate::support::sqlite(&folder).await;
    create_with(&index, "docs", vec![document("a", "A car.")], None).await;
    let file = |file: std::io::Result<std::fs::DirEntry>| {
        let file = file.unwrap();
        (
            file.file_name().into_string().unwrap(),
            file.metadata().unwrap().permissions().mode() & 0o777,
        )
    };
    let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(file).collect();
    files.sort_unstable();
    let expected =
        ["index.db", "index.db-shm", "index.db-wal"].map(|name| (name.to_owned(), 0o600));
    assert_eq!(files, expected);
}
