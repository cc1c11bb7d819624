//! A watched folder.

use super::{Rig, rig_with, upload};
use pipe_sdk::library::DocumentStatus;
use std::{fs, process::Command};

async fn watching() -> (Rig, tempfile::TempDir) {
    let watched = tempfile::tempdir().unwrap();
    let place = watched.path().to_string_lossy().into_owned();
    (rig_with(|valves| valves.watched_folder = Some(place)).await, watched)
}

async fn synced(rig: &Rig) -> Vec<String> {
    let library = rig.library();
    library.run_background_jobs(rig.scripted.host()).await;
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
    // Documents that came in by another way are left alone.
    rig.put_documents(vec![upload("own", "# Own\nText.")]).await;
    assert_eq!(synced(&rig).await, ["a.md: Alpha", "more/b.txt: b", "own: Own"]);
    fs::write(at("a.md"), "# Omega\nAnother.").unwrap();
    fs::remove_file(at("more/b.txt")).unwrap();
    assert_eq!(synced(&rig).await, ["a.md: Omega", "own: Own"]);
}

#[tokio::test]
async fn what_was_deleted_while_nobody_watched_goes_too() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), "# Alpha\nOne.").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    synced(&rig).await;
    fs::remove_file(watched.path().join("a.md")).unwrap();
    use pipe_sdk::Pipe;
    let valves = (*rig.rag.valves).clone();
    let next = crate::Rag::on_startup(valves).await.unwrap();
    let rig = Rig { rag: std::sync::Arc::new(next), ..rig };
    assert_eq!(synced(&rig).await, ["b.md: Beta"]);
}

#[tokio::test]
async fn a_folder_that_is_away_loses_nothing() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), "# Alpha\nOne.").unwrap();
    synced(&rig).await;
    drop(watched);
    assert_eq!(synced(&rig).await, ["a.md: Alpha"]);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_listed_with_the_reason() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), " \n").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    rig.library().run_background_jobs(rig.scripted.host()).await;
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
    assert_eq!(synced(&rig).await, ["a.md: Alpha"]);
}

#[tokio::test]
async fn documents_of_an_earlier_release_keep_their_audience_in_the_folder_that_is_watched_at_the_start()
 {
    use crate::{Rag, watched_folder::MARK};
    use pipe_sdk::{Pipe, library::Audience};
    use std::sync::Arc;
    let (rig, watched) = watching().await;
    let mut legacy = upload("a.md", "# Alpha\nOne.");
    legacy.metadata.insert(MARK.into(), true.into());
    rig.put_documents(vec![legacy.clone(), crate::tests::upload("own", "# Own\nText.")]).await;
    fs::write(watched.path().join("a.md"), "# Alpha\nTwo.").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    let audiences = async |rig: &Rig| {
        rig.library().run_background_jobs(rig.scripted.host()).await;
        let kept = rig.library().documents("documents".into(), String::new(), 100).await.unwrap();
        let is_open = |kept: pipe_sdk::library::DocumentSummary| {
            (kept.id, kept.audience == Audience::Everyone)
        };
        kept.into_iter().map(is_open).collect::<Vec<_>>()
    };
    let open = |ids: [(&str, bool); 3]| ids.map(|(id, open)| (id.to_owned(), open)).to_vec();
    assert_eq!(audiences(&rig).await, open([("a.md", true), ("b.md", false), ("own", true)]));
    // Another folder, turned to later, inherits nothing, not even of documents whose mark names no
    // folder.
    rig.put_documents(vec![legacy]).await;
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
    assert_eq!(synced(&rig).await, ["deep/a.md: Alpha"]);
    // Within the folder, between the list and the reading.
    let folder = crate::confined_folder::ConfinedFolder::open(watched.path()).unwrap();
    fs::remove_dir_all(watched.path().join("deep")).unwrap();
    symlink(secret.path(), watched.path().join("deep")).unwrap();
    symlink(secret.path().join("a.md"), watched.path().join("b.md")).unwrap();
    assert!(Command::new("mkfifo").arg(watched.path().join("c.md")).status().unwrap().success());
    for id in ["deep/a.md", "b.md", "c.md", "../a.md", "deep/../../a.md", "/etc/passwd", ""] {
        assert!(folder.read(id, 100).is_err(), "{id}");
    }
    assert_eq!(folder.list_files().unwrap().files.len(), 0);
    // And the folder itself, once it was checked.
    let place = watched.path().to_owned();
    drop(watched);
    symlink(secret.path(), &place).unwrap();
    assert!(crate::confined_folder::ConfinedFolder::open(&place).is_err());
    assert!(crate::confined_folder::ConfinedFolder::open("/proc/self".as_ref()).is_err());
    fs::remove_file(&place).unwrap();
}

fn restarted(rig: Rig) -> impl Future<Output = Rig> {
    use pipe_sdk::Pipe;
    let valves = (*rig.rag.valves).clone();
    async move {
        let rag = crate::Rag::on_startup(valves).await.unwrap();
        Rig { rag: std::sync::Arc::new(rag), ..rig }
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_fails_alone() {
    let (rig, watched) = watching().await;
    let text = "A line of words that nobody will ever read.\n".repeat(400_000);
    fs::write(watched.path().join("a.txt"), text).unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    assert_eq!(synced(&rig).await, ["a.txt: a", "b.md: Beta"]);
    let listed = rig.library().documents("documents".into(), String::new(), 100).await.unwrap();
    let DocumentStatus::Failed { reason } = &listed[0].state else { panic!("{:?}", listed[0]) };
    assert!(reason.contains("16 MiB at most"), "{reason}");
    // After a restart, neither is read again.
    let stored_at = listed[0].stored_at;
    let rig = restarted(rig).await;
    assert_eq!(synced(&rig).await, ["a.txt: a", "b.md: Beta"]);
    let listed = rig.library().documents("documents".into(), String::new(), 100).await.unwrap();
    assert_eq!(listed[0].stored_at, stored_at);
}

#[tokio::test]
async fn a_file_of_the_same_size_and_time_is_not_read_again_even_after_a_restart() {
    let (rig, watched) = watching().await;
    let path = watched.path().join("a.md");
    fs::write(&path, "# Alpha\nOne.").unwrap();
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    synced(&rig).await;
    let rig = restarted(rig).await;
    fs::write(&path, "# Omega\nTwo.").unwrap();
    fs::File::open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(synced(&rig).await, ["a.md: Alpha"]);
    fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    assert_eq!(synced(&rig).await, ["a.md: Omega"]);
}

#[tokio::test]
async fn a_folder_that_is_suddenly_empty_keeps_its_documents_for_a_while() {
    let (rig, watched) = watching().await;
    fs::write(watched.path().join("a.md"), "# Alpha\nOne.").unwrap();
    synced(&rig).await;
    fs::remove_file(watched.path().join("a.md")).unwrap();
    assert_eq!(synced(&rig).await, ["a.md: Alpha"]);
    let trouble = rig.library().collections().await.unwrap()[0].problem.clone().unwrap();
    assert!(trouble.contains("watched folder is empty"), "{trouble}");
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(601)).await;
    tokio::time::resume();
    assert!(synced(&rig).await.is_empty());
}

#[tokio::test]
async fn a_folder_within_that_cannot_be_read_stops_nothing_and_loses_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let (rig, watched) = watching().await;
    let closed = watched.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("a.md"), "# Alpha\nOne.").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    synced(&rig).await;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(watched.path().join("c.md"), "# Gamma\nThree.").unwrap();
    assert_eq!(synced(&rig).await, ["b.md: Beta", "c.md: Gamma", "closed/a.md: Alpha"]);
    // Root may read it all the same.
    if fs::read_dir(&closed).is_err() {
        let trouble = rig.library().collections().await.unwrap()[0].problem.clone().unwrap();
        assert!(trouble.contains("`closed` in the watched folder cannot be read"), "{trouble}");
    }
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn a_file_whose_name_is_in_another_encoding_is_named_as_unread() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let (rig, watched) = watching().await;
    fs::write(watched.path().join(OsStr::from_bytes(b"Gr\xfc\xdfe.md")), "# Alpha").unwrap();
    fs::write(watched.path().join("b.md"), "# Beta\nTwo.").unwrap();
    assert_eq!(synced(&rig).await, ["b.md: Beta"]);
    let trouble = rig.library().collections().await.unwrap()[0].problem.clone().unwrap();
    let expected = "in the watched folder cannot be read: its name is not in UTF-8: rename it";
    assert!(trouble.starts_with("`Gr") && trouble.contains(expected), "{trouble}");
}

#[test]
fn what_lies_in_a_folder_that_cannot_be_read_is_not_gone() {
    let mut listing = crate::FolderListing::default();
    listing.unreadable.insert("a/b".into(), "denied".into());
    assert!(listing.is_unreadable("a/b") && listing.is_unreadable("a/b/c.md"));
    assert!(!listing.is_unreadable("a/bc.md") && !listing.is_unreadable("a"));
}
