//! A watched folder.

use super::{Rig, rig_with, upload};
use pipe_sdk::library::Findable;
use std::{fs, process::Command};

async fn watching() -> (Rig, tempfile::TempDir) {
    let watched = tempfile::tempdir().unwrap();
    let place = watched.path().to_string_lossy().into_owned();
    (rig_with(|valves| valves.watched_folder = Some(place)).await, watched)
}

async fn tended(rig: &Rig) -> Vec<String> {
    let library = rig.library();
    library.tend(rig.scripted.host()).await;
    let kept = library.documents("documents".into(), String::new(), 100).await.unwrap();
    kept.into_iter().map(|kept| format!("{}: {}", kept.id, kept.title)).collect()
}

#[tokio::test]
async fn documents_follow_the_files_of_the_folder() {
    let (rig, watched) = watching().await;
    let at = |name: &str| watched.path().join(name);
    fs::create_dir(at("more")).unwrap();
    fs::write(at("a.md"), "# Alpha\nOne.").unwrap();
    fs::write(at("more/b.txt"), "Two.").unwrap();
    fs::write(at(".hidden"), "Three.").unwrap();
    // What came in by another way is left alone.
    rig.put(vec![upload("own", "# Own\nText.")]).await;
    assert_eq!(tended(&rig).await, ["a.md: Alpha", "more/b.txt: b", "own: Own"]);
    fs::write(at("a.md"), "# Omega\nAnother.").unwrap();
    fs::remove_file(at("more/b.txt")).unwrap();
    assert_eq!(tended(&rig).await, ["a.md: Omega", "own: Own"]);
}

#[tokio::test]
async fn what_was_deleted_while_nobody_watched_goes_too() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), "# Alpha\nOne.").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    tended(&rig).await;
    fs::remove_file(watched.path().join("a.md")).unwrap();
    use pipe_sdk::Pipe;
    let valves = (*rig.rag.valves).clone();
    let next = crate::Rag::on_startup(valves).await.unwrap();
    let rig = Rig { rag: std::sync::Arc::new(next), ..rig };
    assert_eq!(tended(&rig).await, ["b.md: Beta"]);
}

#[tokio::test]
async fn a_folder_that_is_away_loses_nothing() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), "# Alpha\nOne.").unwrap();
    tended(&rig).await;
    drop(watched);
    assert_eq!(tended(&rig).await, ["a.md: Alpha"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_listed_with_the_reason() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), " \n").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    rig.library().tend(rig.scripted.host()).await;
    let kept = rig.library().documents("documents".into(), String::new(), 100).await.unwrap();
    assert!(matches!(&kept[0].state, Findable::Failed { reason } if !reason.is_empty()));
    assert_eq!(kept[1].title, "Beta");
    assert!(rig.folder.path().join("index.db").exists());
}

#[tokio::test]
async fn what_is_no_file_is_left_alone() {
    let (rig, watched) = watching().await;
    let made = Command::new("mkfifo").arg(watched.path().join("pipe")).status().unwrap();
    assert!(made.success());
    fs::write(watched.path().join("a.md"), "# Alpha\nOne.").unwrap();
    assert_eq!(tended(&rig).await, ["a.md: Alpha"]);
}
