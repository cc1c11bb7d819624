//! Access to documents, by audience.

use super::{Rig, events, rig, rig_with, upload, user};
use pipe_sdk::{
    Call, User,
    library::{Audience, Reader, Search, Upload},
};
use std::collections::BTreeSet;

fn only(users: &[&str], roles: &[&str]) -> Audience {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    Audience::Only { users: set(users), roles: set(roles) }
}

async fn seen(rig: &Rig, user: Option<User>) -> Vec<String> {
    let call = Call { user: user.map(std::sync::Arc::new), ..rig.asks("what is the salary?") };
    let chunks = rig.answer_of(call).await;
    let ids = events(&chunks, "source");
    let mut ids: Vec<_> =
        ids.iter().map(|source| source["source"]["id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn nobody_is_shown_a_document_that_is_not_for_them() {
    let rig = rig().await;
    let audience = |id: &str, audience| Upload { audience, ..upload(id, "The salary is high.") };
    rig.put_documents(vec![
        audience("open", Audience::Everyone),
        audience("annas", only(&["anna"], &[])),
        audience("admins", only(&[], &["admin"])),
    ])
    .await;
    assert_eq!(seen(&rig, None).await, ["documents/open"]);
    assert_eq!(seen(&rig, Some(User::default())).await, ["documents/open"]);
    assert_eq!(seen(&rig, Some(user("anna", "user"))).await, ["documents/annas", "documents/open"]);
    assert_eq!(
        seen(&rig, Some(user("root", "admin"))).await,
        ["documents/admins", "documents/open"]
    );
}

#[tokio::test]
async fn a_collection_is_for_the_roles_that_the_valves_name_for_it() {
    let rig = rig_with(|valves| {
        valves.collections = vec!["documents".into(), "pay=hr".into()];
    })
    .await;
    rig.put_documents(vec![upload("open", "The salary is secret.")]).await;
    rig.library()
        .put_documents("pay".into(), vec![upload("list", "The salary is 7.")])
        .await
        .unwrap();
    assert_eq!(seen(&rig, Some(user("anna", "user"))).await, ["documents/open"]);
    assert_eq!(seen(&rig, Some(user("paul", "hr"))).await, ["documents/open", "pay/list"]);
    let collections = rig.library().collections().await.unwrap();
    assert_eq!(collections[1].audience, only(&[], &["hr"]));
}

#[tokio::test]
async fn a_search_sees_what_its_reader_may_see() {
    let rig = rig().await;
    rig.put_documents(vec![Upload {
        audience: only(&["anna"], &[]),
        ..upload("annas", "The salary is high.")
    }])
    .await;
    let found = async |reader| {
        let search =
            Search { collection: "documents".into(), query: "salary".into(), reader, top_k: None };
        rig.library().search(search, rig.scripted.host()).await.unwrap().chunks.len()
    };
    assert_eq!(found(Reader::Anonymous).await, 0);
    assert_eq!(found(Reader::User(user("anna", "user"))).await, 1);
    assert_eq!(found(Reader::User(user("paul", "admin"))).await, 0);
    assert_eq!(found(Reader::Admin).await, 1);
}
