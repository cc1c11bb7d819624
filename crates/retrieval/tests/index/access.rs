//! Who may see what.

use crate::support::{ask_as, document, filled, for_eyes, ids, meanings, user, with_role};
use retrieval::{Audience, Embedder, Error, Index, Question, Settings, Viewer};

on_every_engine!(
    nobody_finds_what_is_not_for_them,
    a_collection_that_one_may_not_see_is_not_there,
    what_one_may_not_see_does_not_show_in_the_scores,
    whoever_is_let_in_later_finds_it,
    what_stays_of_a_version_that_could_not_be_replaced_is_for_those_who_may_see_the_new_one,
    listings_show_what_one_may_see,
);

async fn fill(index: &Index) {
    let embedder = meanings();
    let documents = vec![
        document("public", "The car is red."),
        for_eyes("anna", "The car of Anna is blue.", Audience::user("anna")),
        for_eyes("staff", "The car of the house is green.", Audience::role("staff")),
        for_eyes(
            "nobody",
            "The car of nobody is grey.",
            Audience::Only { users: [].into(), roles: [].into() },
        ),
    ];
    filled(index, "docs", documents, Some(&embedder)).await;
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
        for embedder in [None, Some(&meanings() as _)] {
            let answer = ask_as(&index, "docs", "a car", viewer.clone(), embedder).await;
            let mut found = ids(&answer);
            found.sort_unstable();
            assert_eq!(found, expected, "{viewer:?}");
        }
    }
}

async fn a_collection_that_one_may_not_see_is_not_there(index: Index) {
    index
        .create("hr", Settings { audience: Audience::role("hr"), ..Settings::default() })
        .await
        .unwrap();
    index.put("hr", vec![document("a", "A car.")], None).await.unwrap();
    let question = Question::new("car", user("anna"));
    let refused = index.search(&["hr"], &question, None).await.unwrap_err();
    assert!(matches!(&refused, Error::NoCollection(name) if name == "hr"), "{refused}");
    assert!(matches!(
        index.documents("hr", &user("anna"), "", 10).await,
        Err(Error::NoCollection(_))
    ));
    assert!(index.collections(&user("anna")).await.unwrap().is_empty());
    let of_hr = with_role("bert", "hr");
    assert_eq!(ids(&ask_as(&index, "hr", "car", of_hr.clone(), None).await), ["a"]);
    assert_eq!(index.collections(&of_hr).await.unwrap().len(), 1);
    index.allow("hr", Audience::Everyone).await.unwrap();
    assert_eq!(ids(&ask_as(&index, "hr", "car", user("anna"), None).await), ["a"]);
}

async fn what_one_may_not_see_does_not_show_in_the_scores(index: Index) {
    fill(&index).await;
    let before = ask_as(&index, "docs", "red car", Viewer::Anonymous, Some(&meanings())).await;
    let more = (0..20)
        .map(|n| for_eyes(&format!("secret {n}"), "A red, red car.", Audience::user("anna")))
        .collect();
    index.put("docs", more, Some(&meanings())).await.unwrap();
    let after = ask_as(&index, "docs", "red car", Viewer::Anonymous, Some(&meanings())).await;
    assert_eq!(before.hits[0].scores, after.hits[0].scores);
    assert_eq!(after.hits.len(), 1);
}

async fn whoever_is_let_in_later_finds_it(index: Index) {
    fill(&index).await;
    let embedder = meanings();
    let open = for_eyes(
        "anna",
        "The car of Anna is blue.",
        Audience::Only { users: ["anna".into(), "bert".into()].into(), roles: [].into() },
    );
    index.put("docs", vec![open], Some(&embedder)).await.unwrap();
    assert_eq!(embedder.embedded(), 0, "its text is the same");
    assert_eq!(ids(&ask_as(&index, "docs", "blue", user("bert"), None).await), ["anna"]);
    let closed = for_eyes("anna", "The car of Anna is blue.", Audience::user("anna"));
    index.put("docs", vec![closed], Some(&embedder)).await.unwrap();
    let answer = ask_as(&index, "docs", "blue", user("bert"), Some(&embedder)).await;
    assert_eq!(ids(&answer), ["public"]);
}

async fn what_stays_of_a_version_that_could_not_be_replaced_is_for_those_who_may_see_the_new_one(
    index: Index,
) {
    let embedder = meanings();
    fill(&index).await;
    // Lists of words that go on before and after it.
    let later = vec![
        for_eyes("later", "The car of Anna is yellow.", Audience::user("anna")),
        document("last", "The car is black."),
    ];
    index.put("docs", later, Some(&embedder)).await.unwrap();
    let see = async |viewer: Viewer, embedder: Option<&dyn Embedder>| -> Vec<String> {
        let answer = ask_as(&index, "docs", "a red car", viewer, embedder).await;
        let mut found: Vec<String> = ids(&answer).into_iter().map(str::to_owned).collect();
        found.sort_unstable();
        found
    };
    assert!(see(Viewer::Anonymous, Some(&embedder)).await.contains(&"public".to_owned()));
    let closed = for_eyes("public", "", Audience::user("anna"));
    index.fail("docs", closed, "the PDF asks for a password").await.unwrap();
    for embedder in [None, Some(&embedder as _)] {
        assert_eq!(see(Viewer::Anonymous, embedder).await, ["last"]);
        assert_eq!(see(user("anna"), embedder).await, ["anna", "last", "later", "public"]);
    }
    let listed = index.documents("docs", &Viewer::Anonymous, "", 10).await.unwrap();
    assert_eq!(listed.iter().map(|listed| listed.id.as_str()).collect::<Vec<_>>(), ["last"]);
    assert_eq!(index.faults().await.unwrap(), [""; 0]);
}

async fn listings_show_what_one_may_see(index: Index) {
    fill(&index).await;
    let page = async |viewer: &Viewer, after: &str| -> Vec<String> {
        index
            .documents("docs", viewer, after, 2)
            .await
            .unwrap()
            .into_iter()
            .map(|listed| listed.id)
            .collect()
    };
    assert_eq!(page(&Viewer::Anonymous, "").await, ["public"]);
    assert_eq!(page(&Viewer::Operator, "").await, ["anna", "nobody"]);
    assert_eq!(page(&Viewer::Operator, "nobody").await, ["public", "staff"]);
    let listed = &index.documents("docs", &user("anna"), "", 1).await.unwrap()[0];
    assert_eq!((listed.audience.clone(), listed.chunks), (Audience::user("anna"), 1));
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_on_the_machine_reads_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let index = crate::support::sqlite(&folder).await;
    filled(&index, "docs", vec![document("a", "A car.")], None).await;
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
