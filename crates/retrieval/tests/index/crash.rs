//! A process that is killed while it writes.
#![expect(clippy::print_stdout, reason = "tells what was seen")]

use crate::support::{Meanings, ask_as, database, document};
use retrieval::{Index, Settings, State, Viewer};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Every text says which edition of which document it is of.
fn edition(id: usize, edition: usize) -> retrieval::Document {
    let sentence = format!("Document d{id}x in edition e{edition}x speaks of things. ");
    document(&format!("{id}"), &format!("# Part\n{}\n", sentence.repeat(8)).repeat(1 + id % 5))
}

#[tokio::test]
async fn a_kill_during_ingest_tears_no_document_and_loses_none_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("index.db").to_string_lossy().into_owned();
    killed_again_and_again(&place, kills(100), 60_000).await;
}

#[tokio::test]
async fn a_host_killed_during_ingest_leaves_the_shared_database_whole() {
    if let Some(place) = database().await {
        killed_again_and_again(&place, kills(20), 200_000).await;
    }
}

/// As many as usual, or as the environment says.
fn kills(usual: usize) -> usize {
    std::env::var("KILLS").map_or(usual, |kills| kills.parse().unwrap())
}

async fn open(place: &str) -> Index {
    let opened = match place.starts_with("postgres://") {
        true => Index::connect(place).await,
        false => Index::open(place).await,
    };
    opened.unwrap()
}

/// What a process that was killed had told.
#[derive(Default)]
struct Told {
    /// How often it began to write, and how often it was told that all of that is stored.
    begun: usize,
    ended: usize,
    /// Editions of documents that it was told are stored.
    stored: Vec<(usize, usize)>,
}

/// Each time at another moment within so many microseconds of writing; every tenth time while it opens.
async fn killed_again_and_again(place: &str, rounds: usize, within_micros: u64) {
    let index = open(place).await;
    index.create("docs", Settings { chunk_tokens: 64, ..Settings::default() }).await.unwrap();
    drop(index);
    let mut acknowledged: HashMap<usize, usize> = HashMap::new();
    let mut in_the_midst = 0;
    for round in 0..rounds {
        let told = killed(place, round, (round as u64 * 7_919) % within_micros);
        in_the_midst += usize::from(told.begun > told.ended);
        acknowledged.extend(told.stored);
        if round % 10 == 9 || round + 1 == rounds {
            look(place, &acknowledged).await;
        }
    }
    println!(
        "{rounds} kills, {in_the_midst} of them in the midst of a write; {} documents were acknowledged, none is lost or torn",
        acknowledged.len()
    );
    assert!(acknowledged.len() > rounds / 2, "only {} were written", acknowledged.len());
    assert!(in_the_midst > rounds / 2, "only {in_the_midst} kills were in the midst of a write");
}

/// Lets a process write, and kills it.
fn killed(place: &str, round: usize, after_micros: u64) -> Told {
    let writer = "crash::writes_until_it_is_killed";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", writer, "--ignored", "--nocapture", "--test-threads=1"])
        .env("INDEX", place)
        .env("ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (begins, begun) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut told = Told::default();
        for line in lines.map_while(Result::ok) {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["writes"] => {
                    told.begun += 1;
                    // Nobody listens any more from the second time on.
                    begins.send(()).unwrap_or_default();
                }
                ["stored"] => told.ended += 1,
                ["stored", id, edition] => {
                    told.stored.push((id.parse().unwrap(), edition.parse().unwrap()));
                }
                _ => {}
            }
        }
        told
    });
    if round % 10 != 3 {
        begun.recv().unwrap();
    }
    std::thread::sleep(Duration::from_micros(after_micros));
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

async fn look(place: &str, acknowledged: &HashMap<usize, usize>) {
    let index = open(place).await;
    assert_eq!(index.faults().await.unwrap(), [""; 0]);
    let mut listed = HashMap::new();
    let mut after = String::new();
    loop {
        let page = index.documents("docs", &Viewer::Operator, &after, 500).await.unwrap();
        let Some(last) = page.last() else { break };
        after.clone_from(&last.id);
        listed.extend(page.into_iter().map(|document| (document.id, document.state)));
    }
    for (id, expected) in acknowledged {
        let id = id.to_string();
        assert_eq!(listed.get(&id), Some(&State::Ready), "document {id} was acknowledged");
        let answer = ask_as(&index, "docs", &format!("d{id}x"), Viewer::Operator, None).await;
        let own = answer.hits.iter().filter(|hit| hit.document == id);
        let editions: HashSet<usize> = own.map(|hit| of_edition(&hit.text)).collect();
        assert_eq!(editions.len(), 1, "document {id} is of two editions");
        assert!(
            editions.iter().all(|edition| edition >= expected),
            "document {id} is older than what was acknowledged"
        );
    }
}

fn of_edition(text: &str) -> usize {
    let (_, rest) = text.split_once("edition e").unwrap();
    rest.split_once('x').unwrap().0.parse().unwrap()
}

/// The other process. Tells of each document that it was told is stored.
#[tokio::test]
#[ignore = "is run, and killed, by the tests above"]
async fn writes_until_it_is_killed() {
    let index = open(&std::env::var("INDEX").unwrap()).await;
    let round: usize = std::env::var("ROUND").unwrap().parse().unwrap();
    let embedder = Meanings::of("meanings", 64);
    // What the harness says of the test stands on a line of its own.
    tell("\n");
    for batch in 0_usize.. {
        let ids: Vec<usize> = (0..3).map(|at| (round * 37 + batch * 3 + at) % 600).collect();
        // Later rounds write later editions of the same documents.
        let documents = ids.iter().map(|id| edition(*id, round)).collect();
        tell("writes\n");
        index.put("docs", documents, Some(&embedder)).await.unwrap();
        let stored = ids.iter().map(|id| format!("stored {id} {round}\n")).collect::<String>();
        tell(&format!("{stored}stored\n"));
    }
}

/// In one piece.
fn tell(lines: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(lines.as_bytes()).unwrap();
    out.flush().unwrap();
}
