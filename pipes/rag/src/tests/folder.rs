//! A watched folder.

use super::{Rig, rig_with, upload};
use pipe_sdk::library::DocumentStatus;
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
    assert!(matches!(&kept[0].state, DocumentStatus::Failed { reason } if !reason.is_empty()));
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

#[tokio::test]
async fn documents_of_an_earlier_release_keep_their_audience_in_the_folder_that_is_watched_at_the_start()
 {
    use crate::{Rag, folder::MARK};
    use pipe_sdk::{Pipe, library::Audience};
    use std::sync::Arc;
    let (rig, watched) = watching().await;
    let mut legacy = upload("a.md", "# Alpha\nOne.");
    legacy.metadata.insert(MARK.into(), true.into());
    rig.put(vec![legacy.clone(), crate::tests::upload("own", "# Own\nText.")]).await;
    fs::write(watched.path().join("a.md"), "# Alpha\nTwo.").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    let audiences = async |rig: &Rig| {
        rig.library().tend(rig.scripted.host()).await;
        let kept = rig.library().documents("documents".into(), String::new(), 100).await.unwrap();
        let is_open = |kept: pipe_sdk::library::DocumentSummary| {
            (kept.id, kept.audience == Audience::Everyone)
        };
        kept.into_iter().map(is_open).collect::<Vec<_>>()
    };
    let open = |ids: [(&str, bool); 3]| ids.map(|(id, open)| (id.to_owned(), open)).to_vec();
    assert_eq!(audiences(&rig).await, open([("a.md", true), ("b.md", false), ("own", true)]));
    // Another folder, turned to later, inherits nothing, not even of documents whose mark names no folder.
    rig.put(vec![legacy]).await;
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("a.md"), "# Alpha\nThree.").unwrap();
    fs::write(other.path().join("b.md"), "# Beta\nThree.").unwrap();
    let folder = Some(other.path().to_string_lossy().into_owned());
    let valves = crate::RagValves { watched_folder: folder, ..(*rig.rag.valves).clone() };
    let rag = Arc::new(Rag::on_valves_updated(&rig.rag, valves).await.unwrap());
    let rig = Rig { rag, ..rig };
    assert_eq!(audiences(&rig).await, open([("a.md", false), ("b.md", false), ("own", true)]));
}

#[tokio::test]
async fn a_link_that_takes_the_place_of_a_folder_leads_nowhere() {
    use std::os::unix::fs::symlink;
    let (rig, watched) = watching().await;
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("a.md"), "# Secret\nHidden.").unwrap();
    fs::create_dir(watched.path().join("deep")).unwrap();
    fs::write(watched.path().join("deep/a.md"), "# Alpha\nOne.").unwrap();
    assert_eq!(tended(&rig).await, ["deep/a.md: Alpha"]);
    // Within the folder, between the list and the reading.
    let folder = crate::confined::Folder::open(watched.path()).unwrap();
    fs::remove_dir_all(watched.path().join("deep")).unwrap();
    symlink(secret.path(), watched.path().join("deep")).unwrap();
    symlink(secret.path().join("a.md"), watched.path().join("b.md")).unwrap();
    assert!(Command::new("mkfifo").arg(watched.path().join("c.md")).status().unwrap().success());
    for id in ["deep/a.md", "b.md", "c.md", "../a.md", "deep/../../a.md", "/etc/passwd", ""] {
        assert!(folder.read(id, 100).is_err(), "{id}");
    }
    assert_eq!(folder.files().unwrap().len(), 0);
    // And the folder itself, once it was checked.
    let place = watched.path().to_owned();
    drop(watched);
    symlink(secret.path(), &place).unwrap();
    assert!(crate::confined::Folder::open(&place).is_err());
    assert!(crate::confined::Folder::open("/proc/self".as_ref()).is_err());
    fs::remove_file(&place).unwrap();
}
