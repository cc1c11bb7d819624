//! Files that are read by a process of their own, and what comes in from a folder: with the binary
//! itself.

use crate::process::{KEY, MODEL, Process};
use bedrock_emulator::Emulator;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use std::{fs, process::Command};

const PAGE: &str = "<!doctype html><title>Handbook</title><nav>Home</nav><h1>Leave</h1><p>Parents get <b>thirty</b> weeks.</p><script>alert(1)</script>";

async fn get(host: &Process, path: &str) -> Value {
    let request = host.client.get(format!("{}{path}", host.url)).bearer_auth(KEY);
    request.send().await.unwrap().json().await.unwrap()
}

#[actix_web::test]
async fn files_are_read_apart_and_a_bad_one_fails_alone() {
    let emulator = Emulator::start(Default::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = Process::start(&emulator, folder.path(), &[]);
    // Until an embedding model is listed, documents are found by words alone.
    while !get(&host, "/models").await.to_string().contains("embed") {}
    let file = |name: &'static str, bytes: Vec<u8>| Part::bytes(bytes).file_name(name);
    let form = Form::new()
        .part("file", file("leave.html", PAGE.into()))
        .part("file", file("broken.pdf", b"%PDF-1.7\nnothing of the kind".to_vec()))
        .part("file", file("page.pdf", b"<!doctype html><p>Not found".to_vec()))
        .part("file", file("program.bin", vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0]));
    let url = format!("{}/rag/documents/documents?wait=true", host.url);
    let put = host.client.post(url).bearer_auth(KEY).multipart(form).send().await.unwrap();
    assert_eq!(put.status(), 200);
    let listed = get(&host, "/rag/documents/documents").await;
    let states: Vec<_> = listed["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kept| (kept["id"].as_str().unwrap(), kept["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            ("broken.pdf", "failed"),
            ("leave.html", "ready"),
            ("page.pdf", "failed"),
            ("program.bin", "failed")
        ]
    );
    assert_eq!(listed["documents"][1]["title"], "Handbook");
    let found = host.post("/rag/documents/search", &json!({"query": "weeks for parents"})).await;
    let found: Value = found.json().await.unwrap();
    let text = found["chunks"][0]["text"].as_str().unwrap();
    assert!(text.contains("thirty") && !text.contains("alert") && !text.contains("Home"), "{text}");
    host.signal("-TERM");
    host.wait_for_exit().await;
}

#[actix_web::test]
async fn a_folder_is_sent_by_a_command_that_tells_what_became_of_it() {
    let emulator = Emulator::start(Default::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = Process::start(&emulator, folder.path(), &[]);
    let files = tempfile::tempdir().unwrap();
    fs::create_dir(files.path().join("more")).unwrap();
    fs::write(files.path().join("a.md"), "# Alpha\nOne.").unwrap();
    fs::write(files.path().join("more/b.txt"), "Two.").unwrap();
    fs::write(files.path().join("empty.md"), "").unwrap();
    let large = "A line of words that nobody will ever read.\n".repeat(400_000);
    fs::write(files.path().join("b.txt"), large).unwrap();
    let ingest = async || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pipewright"));
        command.args(["--api-key", KEY, "rag", "ingest", "--url", &host.url]).arg(files.path());
        let run = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = run.await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, told) = ingest().await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.starts_with("2 stored, 0 unchanged, 2 failed\n  b.txt: the text has "), "{told}");
    assert!(told.contains("\n  empty.md: "), "{told}");
    fs::remove_file(files.path().join("empty.md")).unwrap();
    fs::remove_file(files.path().join("b.txt")).unwrap();
    assert_eq!(ingest().await, (Some(0), "0 stored, 2 unchanged, 0 failed\n".to_owned()));
    let listed = get(&host, "/rag/documents/documents").await;
    assert_eq!(listed["documents"][3]["id"], "more/b.txt");
    host.signal("-TERM");
    host.wait_for_exit().await;
}

/// A PDF with these pages of lines.
fn pdf(pages: &[Vec<&str>]) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|at| format!("{} 0 R", 4 + 2 * at)).collect();
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Kids [{}] /Count {} /MediaBox [0 0 595 842] >>",
            kids.join(" "),
            pages.len()
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
    ];
    for (at, lines) in pages.iter().enumerate() {
        let lines: String = lines.iter().map(|line| format!("({line}) '\n")).collect();
        let content = format!("BT /F 10 Tf 12 TL 60 700 Td\n{lines}ET");
        objects.push(format!("<< /Type /Page /Parent 2 0 R /Contents {} 0 R /Resources << /Font << /F 3 0 R >> >> >>", 5 + 2 * at));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    let objects = (1..).zip(objects).map(|(at, object)| format!("{at} 0 obj\n{object}\nendobj\n"));
    format!("%PDF-1.7\n{}trailer\n<< /Root 1 0 R >>\n", objects.collect::<String>()).into_bytes()
}

#[actix_web::test]
async fn sources_name_the_page_of_a_pdf() {
    let emulator = Emulator::start(Default::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = Process::start(&emulator, folder.path(), &[]);
    let turned = host.post("/rag/valves/update", &json!({"generators": MODEL})).await;
    assert_eq!(turned.status(), 200);
    let page = |first: &'static str| {
        let filler = "Some words that say little of anything go here, page after page.";
        [&[first], [filler; 24].as_slice()].concat()
    };
    let file = pdf(&[page("The garage opens at six."), page("Parents get thirty weeks of leave.")]);
    let form = Form::new().part("file", Part::bytes(file).file_name("handbook.pdf"));
    let url = format!("{}/rag/documents/documents", host.url);
    let put = host.client.post(url).bearer_auth(KEY).multipart(form).send().await.unwrap();
    assert_eq!(put.status(), 200, "{}", put.text().await.unwrap());

    let search = json!({"query": "weeks of leave for parents"});
    let found: Value = host.post("/rag/documents/search", &search).await.json().await.unwrap();
    assert_eq!(found["chunks"][0]["page"], 2, "{found}");

    let chat = json!({
        "model": format!("rag.{MODEL}"), "stream": false,
        "messages": [{"role": "user", "content": "How many weeks of leave do parents get?"}],
    });
    let answer: Value = host.post("/chat/completions", &chat).await.json().await.unwrap();
    // Open WebUI counts from 0: its reader is shown page 2.
    assert_eq!(answer["sources"][0]["metadata"][0]["page"], 1, "{answer}");
    host.signal("-TERM");
    host.wait_for_exit().await;
}

#[actix_web::test]
async fn every_chunk_of_a_table_has_its_header() {
    let emulator = Emulator::start(Default::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = Process::start(&emulator, folder.path(), &[]);
    let rows: String = (0..200).map(|row| format!("bolt {row};{row},50;steel\n")).collect();
    let table = format!("Item;Price;Material\n{rows}").into_bytes();
    let form = Form::new().part("file", Part::bytes(table).file_name("stock.csv"));
    let url = format!("{}/rag/documents/documents", host.url);
    let put = host.client.post(url).bearer_auth(KEY).multipart(form).send().await.unwrap();
    assert_eq!(put.status(), 200, "{}", put.text().await.unwrap());
    let found: Value =
        host.post("/rag/documents/search", &json!({"query": "177"})).await.json().await.unwrap();
    let chunk = &found["chunks"][0];
    assert!(chunk["text"].as_str().unwrap().contains("| bolt 177 | 177,50 | steel |"), "{chunk}");
    let header = "| Item | Price | Material |\n| --- | --- | --- |";
    assert!(chunk["heading"].as_str().unwrap().ends_with(header), "{chunk}");
    host.signal("-TERM");
    host.wait_for_exit().await;
}
