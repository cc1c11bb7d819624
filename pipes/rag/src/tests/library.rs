//! The library: what is stored, how it is cut and embedded, and what follows a change of valves.

use super::{Rig, rig, rig_with, upload};
use crate::{Rag, RagValves};
use pipe_sdk::{
    Embeddings, Pipe,
    library::{
        CollectionUpdate, Content, DocumentStatus, Outcome, Reader, Search, SearchResults, Upload,
    },
};
use std::sync::Arc;

fn vectors(numbers: [f32; 2]) -> Embeddings {
    Embeddings { vectors: vec![numbers.into()], prompt_tokens: 1 }
}

async fn search(rig: &Rig, query: &str) -> SearchResults {
    let (collection, query) = ("documents".into(), query.into());
    let search = Search { collection, query, reader: Reader::Admin, top_k: None };
    rig.library().search(search, rig.scripted.host()).await.unwrap()
}

async fn turn(rig: Rig, change: impl FnOnce(&mut RagValves)) -> Rig {
    let mut valves = (*rig.rag.valves).clone();
    change(&mut valves);
    let rag = Arc::new(Rag::on_valves_updated(&rig.rag, valves).await.unwrap());
    Rig { rag, ..rig }
}

async fn chunks(rig: &Rig) -> usize {
    let listed = rig.library().documents("documents".into(), String::new(), 10).await.unwrap();
    listed[0].chunks
}

#[tokio::test]
async fn a_document_that_cannot_be_stored_fails_alone() {
    let rig = rig().await;
    let large = "A line of words that nobody will ever read.\n".repeat(400_000);
    let results =
        rig.put_documents(vec![upload("a", "One."), upload("b", &large), upload("c", "Three.")]);
    let outcomes: Vec<_> = results.await.into_iter().map(|result| result.outcome).collect();
    let [Outcome::Stored { .. }, Outcome::Failed { reason }, Outcome::Stored { .. }] =
        outcomes.as_slice()
    else {
        panic!("{outcomes:?}")
    };
    assert!(reason.contains("16 MiB at most"), "{reason}");
}

#[tokio::test]
async fn the_same_file_again_is_not_parsed() {
    let rig = rig().await;
    let file = |bytes: &[u8]| Upload {
        content: Content::File { name: "a.md".into(), bytes: bytes.to_vec() },
        ..upload("a.md", "")
    };
    let put = async |upload| rig.put_documents(vec![upload]).await.pop().unwrap().outcome;
    assert!(matches!(put(file(b"# Alpha\nOne.")).await, Outcome::Stored { .. }));
    assert_eq!(put(file(b"# Alpha\nOne.")).await, Outcome::Unchanged);
    let titled = Upload { title: Some("Beta".into()), ..file(b"# Alpha\nOne.") };
    assert!(matches!(put(titled).await, Outcome::Stored { .. }));
    assert!(matches!(put(file(b"# Alpha\nTwo.")).await, Outcome::Stored { .. }));
}

#[tokio::test]
async fn without_a_model_documents_are_found_by_words_and_their_state_says_so() {
    let mut rig = rig().await;
    rig.put_documents(vec![upload("a", "One.")]).await;
    let state = async |rig: &Rig| {
        let listed = rig.library().documents("documents".into(), String::new(), 10).await.unwrap();
        listed[0].state.clone()
    };
    assert_eq!(state(&rig).await, DocumentStatus::WordsOnly);
    let trouble = rig.library().collections().await.unwrap()[0].problem.clone().unwrap();
    assert!(trouble.contains("pipewright models fetch"), "{trouble}");
    assert_eq!(rig.rag.health_problem(), None, "nobody has asked for a model");
    // A model that appears is used.
    rig.scripted = rig.scripted.embeds("cloud.vectors", vectors([1.0, 0.0]));
    rig.library().run_background_jobs(rig.scripted.host()).await;
    assert_eq!(state(&rig).await, DocumentStatus::Ready);
    let collection = rig.library().collections().await.unwrap().pop().unwrap();
    assert_eq!((collection.model.as_deref(), collection.problem), (Some("cloud.vectors"), None));
}

#[tokio::test]
async fn a_model_that_has_embedded_documents_is_chosen_before_others() {
    let mut rig = rig().await;
    rig.scripted = rig.scripted.embeds("cloud.m", vectors([1.0, 0.0]));
    rig.put_documents(vec![upload("a", "Elephants.")]).await;
    rig.library().run_background_jobs(rig.scripted.host()).await;
    for other in ["cloud.a", "cloud.b", "cloud.x", "cloud.y", "cloud.z"] {
        rig.scripted = rig.scripted.embeds(other, vectors([0.0, 1.0]));
    }
    let rag = Rag::on_startup((*rig.rag.valves).clone()).await.unwrap();
    let rig = Rig { rag: Arc::new(rag), ..rig };
    rig.library().run_background_jobs(rig.scripted.host()).await;
    let collection = rig.library().collections().await.unwrap().pop().unwrap();
    assert_eq!(collection.model.as_deref(), Some("cloud.m"));
}

#[tokio::test]
async fn the_old_vectors_serve_until_another_model_has_embedded_everything() {
    let mut rig = rig_with(|valves| valves.embedding_model = "cloud.old".into()).await;
    rig.scripted = rig.scripted.embeds("cloud.old", vectors([1.0, 0.0]));
    rig.scripted = rig.scripted.embeds("cloud.new", vectors([0.0, 1.0]));
    rig.put_documents(vec![upload("a", "Elephants.")]).await;
    rig.library().run_background_jobs(rig.scripted.host()).await;
    let rig = turn(rig, |valves| valves.embedding_model = "cloud.new".into()).await;
    let found = search(&rig, "something else").await;
    assert!(found.chunks[0].meaning.is_some() && found.notes.is_empty(), "{found:?}");
    rig.library().run_background_jobs(rig.scripted.host()).await;
    let collection = rig.library().collections().await.unwrap().pop().unwrap();
    assert_eq!(collection.model.as_deref(), Some("cloud.new"));
    assert!(search(&rig, "something else").await.chunks[0].meaning.is_some());
}

#[tokio::test]
async fn another_chunk_size_cuts_stored_documents_anew() {
    let rig = rig().await;
    let text: String = (0..100).map(|number| format!("Sentence {number} is here. ")).collect();
    rig.put_documents(vec![upload("a", &text)]).await;
    rig.library().run_background_jobs(rig.scripted.host()).await;
    let before = chunks(&rig).await;
    let rig = turn(rig, |valves| valves.chunk_size = 64).await;
    rig.library().run_background_jobs(rig.scripted.host()).await;
    let smaller = chunks(&rig).await;
    assert!(smaller > before, "{smaller} {before}");
    // A size of its own holds, whatever the valve says.
    let settings = CollectionUpdate { chunk_tokens: Some(32), ..CollectionUpdate::default() };
    rig.library().update("documents".into(), settings).await.unwrap();
    let rig = turn(rig, |valves| valves.chunk_size = 512).await;
    rig.library().run_background_jobs(rig.scripted.host()).await;
    assert!(chunks(&rig).await > smaller);
    let found = search(&rig, "sentence 77").await;
    assert!(found.chunks[0].text.contains("Sentence 77"), "{found:?}");
}

#[tokio::test]
async fn without_the_local_reranker_the_order_stays_and_it_is_said() {
    let rig = rig_with(|valves| valves.reranker = Some("local".into())).await;
    rig.put_documents(vec![upload("a.md", "garage"), upload("b.md", "yard")]).await;
    let found = search(&rig, "garage").await;
    assert_eq!(found.chunks.len(), 1);
    let note = found.notes.iter().find(|note| note.starts_with("The reranker failed: "));
    assert!(note.is_some_and(|note| note.contains("pipewright models fetch")), "{:?}", found.notes);
}
