//! A process that is killed while it writes.

use crate::support::{Meanings, ask_as, database, document};
use retrieval::{Index, Settings, State, Viewer};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
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
    killed_again_and_again(&place, 100).await;
}

#[tokio::test]
async fn a_host_killed_during_ingest_leaves_the_shared_database_whole() {
    if let Some(place) = database().await {
        killed_again_and_again(&place, 20).await;
    }
}

async fn open(place: &str) -> Index {
    let opened = match place.starts_with("postgres://") {
        true => Index::connect(place).await,
        false => Index::open(place).await,
    };
    opened.unwrap()
}

/// Each time at another moment behind another document: while it opens, embeds, writes, commits.
async fn killed_again_and_again(place: &str, rounds: usize) {
    let index = open(place).await;
    index.create("docs", Settings { chunk_tokens: 64, ..Settings::default() }).await.unwrap();
    drop(index);
    let mut acknowledged: HashMap<usize, usize> = HashMap::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "crash::writes_until_it_is_killed",
                "--ignored",
                "--nocapture",
                "--test-threads=1",
            ])
            .env("INDEX", place)
            .env("ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut told = lines.map_while(Result::ok).filter_map(|line| parse(&line));
        acknowledged.extend(told.by_ref().take(round % 8));
        // Up to 20 ms further on, in steps that never meet the same moment twice.
        std::thread::sleep(Duration::from_micros(round as u64 * 7_919 % 20_000));
        child.kill().unwrap();
        acknowledged.extend(told);
        child.wait().unwrap();
        if round % 10 == 9 {
            look(place, &acknowledged).await;
        }
    }
    assert!(acknowledged.len() > rounds, "only {} documents were written", acknowledged.len());
}

fn parse(line: &str) -> Option<(usize, usize)> {
    let (id, edition) = line.strip_prefix("stored ")?.split_once(' ')?;
    Some((id.parse().ok()?, edition.parse().ok()?))
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
    for batch in 0_usize.. {
        let ids: Vec<usize> = (0..3).map(|at| (round * 37 + batch * 3 + at) % 600).collect();
        // Later rounds write later editions of the same documents.
        let documents = ids.iter().map(|id| edition(*id, round)).collect();
        index.put("docs", documents, Some(&embedder)).await.unwrap();
        let mut out = std::io::stdout().lock();
        for id in ids {
            writeln!(out, "stored {id} {round}").unwrap();
        }
        out.flush().unwrap();
    }
}
