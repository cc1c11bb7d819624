//! Conversations: kept for their time, and no longer.

use crate::fixture::{Fixture, on_every_engine};
use std::time::Duration;
use store::{ConversationName, ConversationSave, ConversationVersion, Store};

on_every_engine!(
    a_conversation_expires_after_its_time_without_a_save,
    an_expired_conversation_is_replaced_as_if_it_had_never_been,
    what_expired_while_nobody_ran_is_deleted_at_the_next_start,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn name() -> ConversationName {
    ConversationName { owner: "ann".into(), id: "c".into() }
}

async fn save(
    store: &Store,
    content: &str,
    expected: Option<ConversationVersion>,
) -> Option<ConversationVersion> {
    let save = ConversationSave {
        name: name(),
        content: content.into(),
        turns: 1,
        expected,
        time_to_live: 30 * DAY,
        max_conversations: 10,
    };
    store.conversations().save(save).await.unwrap()
}

async fn content(store: &Store) -> Option<String> {
    store.conversations().load(name()).await.unwrap().map(|(_, content)| content)
}

async fn listed(store: &Store) -> usize {
    let after = ConversationName { owner: String::new(), id: String::new() };
    store.conversations().list(None, after, 10).await.unwrap().len()
}

async fn a_conversation_expires_after_its_time_without_a_save(fixture: &Fixture) {
    let store = fixture.open().await;
    let version = save(&store, "one", None).await;
    fixture.age_conversations(29 * DAY).await;
    assert_eq!(content(&store).await.as_deref(), Some("one"));
    // A save begins the time again.
    assert!(save(&store, "two", version).await.is_some());
    fixture.age_conversations(29 * DAY).await;
    assert_eq!((content(&store).await.as_deref(), listed(&store).await), (Some("two"), 1));
    fixture.age_conversations(DAY).await;
    assert_eq!((content(&store).await, listed(&store).await), (None, 0));
}

async fn an_expired_conversation_is_replaced_as_if_it_had_never_been(fixture: &Fixture) {
    let store = fixture.open().await;
    let version = save(&store, "one", None).await;
    assert!(save(&store, "other", None).await.is_none(), "another version is stored");
    fixture.age_conversations(30 * DAY).await;
    assert!(save(&store, "late", version).await.is_none(), "its version is gone");
    assert!(save(&store, "new", None).await.is_some());
    let (entry, content) = store.conversations().load(name()).await.unwrap().unwrap();
    assert_eq!((content.as_str(), entry.created), ("new", entry.updated));
}

async fn what_expired_while_nobody_ran_is_deleted_at_the_next_start(fixture: &Fixture) {
    let store = fixture.open().await;
    save(&store, "one", None).await;
    drop(store);
    fixture.age_conversations(31 * DAY).await;
    let _store = fixture.open().await;
    let count = format!("SELECT count(*) FROM {}conversation", fixture.schema());
    let deleted = tokio::time::timeout(Duration::from_secs(20), async {
        while fixture.number(&count).await > 0 {
            tokio::task::yield_now().await;
        }
    });
    deleted.await.unwrap();
}
