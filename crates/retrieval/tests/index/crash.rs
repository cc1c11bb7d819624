//! Tests that kill a process while it writes.
#![expect(clippy::print_stdout, reason = "tells what was seen")]

use crate::support::{FakeEmbedder, database, document, search_as};
use retrieval::{CollectionSettings, DocumentState, Index, Viewer};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Returns a document whose every sentence names the document and the edition.
fn edition(id: usize, edition: usize) -> retrieval::Document {
    let sentence = format!("Document d{id}x in edition e{edition}x speaks of things. ");
    document(&format!("{id}"), &format!("# Part\n{}\n", sentence.repeat(8)).repeat(1 + id % 5))
}

#[tokio::test]
async fn a_kill_during_ingest_tears_no_document_and_loses_none_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let location = folder.path().join("index.db").to_string_lossy().into_owned();
    kill_repeatedly(&location, kill_count(100), 60_000).await;
}

#[tokio::test]
async fn a_host_killed_during_ingest_leaves_the_shared_database_whole() {
    if let Some(location) = database().await {
        kill_repeatedly(&location, kill_count(20), 200_000).await;
    }
}

/// Returns the number of kills: that of the environment, or the usual one.
fn kill_count(usual: usize) -> usize {
    std::env::var("KILLS").map_or(usual, |kills| kills.parse().unwrap())
}

async fn open(location: &str) -> Index {
    let opened = match location.starts_with("postgres://") {
        true => Index::connect(location).await,
        false => Index::open(location).await,
    };
    opened.unwrap()
}

/// The output of the killed process.
#[derive(Default)]
struct WriterOutput {
    /// The number of writes that it began, and of those that were acknowledged.
    writes_started: usize,
    writes_finished: usize,
    /// The editions of documents that were acknowledged.
    stored: Vec<(usize, usize)>,
}

/// Kills a writing process repeatedly, at varying moments within so many microseconds of writing;
/// every tenth time while it opens the index.
async fn kill_repeatedly(location: &str, rounds: usize, within_micros: u64) {
    let index = open(location).await;
    index
        .create_collection(
            "docs",
            CollectionSettings { chunk_tokens: 64, ..CollectionSettings::default() },
        )
        .await
        .unwrap();
    drop(index);
    let mut acknowledged: HashMap<usize, usize> = HashMap::new();
    let mut killed_mid_write = 0;
    for round in 0..rounds {
        let output = run_and_kill(location, round, (round as u64 * 7_919) % within_micros);
        killed_mid_write += usize::from(output.writes_started > output.writes_finished);
        acknowledged.extend(output.stored);
        if round % 10 == 9 || round + 1 == rounds {
            check_index(location, &acknowledged).await;
        }
    }
    println!(
        "{rounds} kills, {killed_mid_write} of them in the midst of a write; {} documents were acknowledged, none is lost or torn",
        acknowledged.len()
    );
    // A slow machine writes fewer of them.
    assert!(acknowledged.len() > rounds / 10, "only {} were written", acknowledged.len());
    assert!(
        killed_mid_write > rounds / 10,
        "only {killed_mid_write} kills were in the midst of a write"
    );
}

/// Starts a process that writes, and kills it.
fn run_and_kill(location: &str, round: usize, after_micros: u64) -> WriterOutput {
    let writer = "crash::writes_until_it_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", writer, "--ignored", "--nocapture", "--test-threads=1"])
        .env("INDEX", location)
        .env("ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (started_tx, started_rx) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut output = WriterOutput::default();
        for line in lines.map_while(Result::ok) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["writes"] => {
                    output.writes_started += 1;
                    // After the first time the receiver is gone.
                    started_tx.send(()).unwrap_or_default();
                }
                ["stored"] => output.writes_finished += 1,
                ["stored", id, edition] => {
                    output.stored.push((id.parse().unwrap(), edition.parse().unwrap()));
                }
                _ => {}
            }
        }
        output
    });
    if round % 10 != 3 {
        started_rx.recv().unwrap();
    }
    std::thread::sleep(Duration::from_micros(after_micros));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

async fn check_index(location: &str, acknowledged: &HashMap<usize, usize>) {
    let index = open(location).await;
    assert_eq!(index.find_inconsistencies().await.unwrap(), [""; 0]);
    let mut listed = HashMap::new();
    let mut after = String::new();
    loop {
        let page = index.list_documents("docs", &Viewer::Operator, &after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after.clone_from(&last.id);
        listed.extend(page.into_iter().map(|document| (document.id, document.state)));
    }
    for (id, expected) in acknowledged {
        let id = id.to_string();
        assert_eq!(listed.get(&id), Some(&DocumentState::Ready), "document {id} was acknowledged");
        let answer = search_as(&index, "docs", &format!("d{id}x"), Viewer::Operator, None).await;
        let own = answer.hits.iter().filter(|hit| hit.document == id);
        let editions: HashSet<usize> = own.map(|hit| edition_in(&hit.text)).collect();
        assert_eq!(editions.len(), 1, "document {id} is of two editions");
        assert!(
            editions.iter().all(|edition| edition >= expected),
            "document {id} is older than what was acknowledged"
        );
    }
}

fn edition_in(text: &str) -> usize {
    let (_, rest) = text.split_once("edition e").unwrap();
    rest.split_once('x').unwrap().0.parse().unwrap()
}

/// The writing process. Prints each document that was acknowledged.
#[tokio::test]
#[ignore = "is run, and killed, by the tests above"]
async fn writes_until_it_is_killed() {
    let index = open(&std::env::var("INDEX").unwrap()).await;
    let round: usize = std::env::var("ROUND").unwrap().parse().unwrap();
    let embedder = FakeEmbedder::new("meanings", 64);
    // Ends the line that the test harness has begun.
    print_and_flush("\n");
    for batch in 0_usize.. {
        let ids: Vec<usize> = (0..3).map(|at| (round * 37 + batch * 3 + at) % 600).collect();
        // Later rounds write later editions of the same documents.
        let documents = ids.iter().map(|id| edition(*id, round)).collect();
        print_and_flush("writes\n");
        index.put_documents("docs", documents, Some(&embedder)).await.unwrap();
        let stored = ids.iter().map(|id| format!("stored {id} {round}\n")).collect::<String>();
        print_and_flush(&format!("{stored}stored\n"));
    }
}

/// Writes the lines in one piece.
fn print_and_flush(lines: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).unwrap();
    out.flush().unwrap();
}
