//! Files that crash, hang, flood and leak: each costs its own request.

use super::{python_host, wait_until_loaded};
use crate::support::{TestHost, chat};
use futures_util::{StreamExt, future::join_all};
use reqwest::Method;
use std::time::{Duration, Instant};

const FAULTS: &str = r#"
import asyncio, os, sys, threading, time

GO = threading.Event()


class Pipeline:
    def __init__(self):
        self.waiting = None
        self.type = "manifold"
        self.name = ""
        names = "fine exits segfaults loops prints leaks endless lengthy closes waits awaits large forges mutes swells sleeps process go".split()
        self.pipelines = [{"id": name, "name": name} for name in names]

    def pipe(self, user_message, model_id, messages, body):
        return getattr(self, model_id)()

    def fine(self):
        return "fine"

    def exits(self):
        os._exit(3)

    def segfaults(self):
        os.kill(os.getpid(), 11)
        time.sleep(60)

    def loops(self):
        yield "looping"
        while True:
            pass

    def prints(self):
        for _ in range(20_000):
            print("x" * 5_000)
        return "printed"

    def leaks(self):
        kept = []
        while True:
            kept.append(bytearray(64 << 20))

    def lengthy(self):
        return "x" * (16 << 20)

    def endless(self):
        while True:
            yield "x" * (8 << 20)

    def closes(self):
        try:
            while True:
                yield "."
                time.sleep(0.05)
        finally:
            with open("closed", "w") as file:
                file.write("yes")

    def mutes(self):
        os.close(2)
        raise ValueError("No traceback")

    def swells(self):
        self.pipelines = [{"id": str(place), "name": "x"} for place in range(10_001)]
        return "swollen"

    def sleeps(self):
        yield str(os.getpid())
        time.sleep(3600)

    def process(self):
        return str(os.getpid())

    def large(self):
        yield {"choices": [{"delta": {"content": "x" * (17 << 20)}}]}

    def forges(self):
        import stat
        frame = b'{"id": 0, "item": {"object": [' + b"[]," * 500_000 + b"0]}}"
        for descriptor in range(3, 64):
            try:
                is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
                if is_socket and os.write(descriptor, len(frame).to_bytes(4, "big")) == 4:
                    while frame:
                        frame = frame[os.write(descriptor, frame):]
            except OSError:
                pass
        time.sleep(600)

    def waits(self):
        yield "waiting"
        GO.wait()
        yield " over"

    async def awaits(self):
        self.waiting = self.waiting or asyncio.Event()
        yield "waiting"
        await self.waiting.wait()
        yield " over"

    async def go(self):
        GO.set()
        if self.waiting:
            self.waiting.set()
        return "gone"
"#;

async fn faults_host() -> Option<TestHost> {
    python_host(&[("faults.py", FAULTS)]).await
}

/// Reads a streamed answer until its first words have come.
async fn begin(host: &TestHost, model: &str) -> reqwest::Response {
    let mut body = chat(model, "hi");
    body["stream"] = true.into();
    let request = host.request(Method::POST, "/chat/completions").json(&body);
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    response.chunk().await.unwrap().unwrap();
    response
}

#[actix_web::test]
async fn a_crash_costs_one_request() {
    let Some(host) = faults_host().await else { return };
    for model in ["faults.exits", "faults.segfaults"] {
        let crashed = host.chat(model, "hi").await;
        assert!(crashed.error_message(502).contains("has ended"), "{}", crashed.text);
        assert_eq!(host.answer_text("faults.fine", "hi").await, "fine", "after {model}");
    }
}

#[actix_web::test]
async fn what_is_too_large_for_the_host_costs_one_request() {
    let Some(host) = faults_host().await else { return };
    let large = host.chat("faults.large", "hi").await;
    assert!(large.error_message(500).contains("16777216 are allowed"), "{}", large.text);
    let forged = host.chat("faults.forges", "hi").await;
    assert!(forged.error_message(502).contains("too many pieces"), "{}", forged.text);
    assert_eq!(host.answer_text("faults.fine", "hi").await, "fine");
    assert_eq!(host.answer_text("faults.swells", "hi").await, "swollen");
    assert_eq!(host.post("/pipelines/reload", &serde_json::json!({})).await.status, 200);
    assert_eq!(host.answer_text("faults.fine", "hi").await, "fine", "the list from before stays");
}

#[actix_web::test]
async fn a_file_without_standard_error_is_answered_for() {
    let Some(host) = faults_host().await else { return };
    assert_eq!(host.chat("faults.mutes", "hi").await.error_message(500), "No traceback");
    assert_eq!(host.answer_text("faults.fine", "hi").await, "fine");
}

#[actix_web::test]
async fn a_leak_ends_at_the_limit_of_memory() {
    let Some(host) = faults_host().await else { return };
    let turned =
        host.update_valves("faults", &serde_json::json!({"pipewright_memory_mib": 512})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    wait_until_loaded(&host, "faults").await;
    let leaked = host.chat("faults.leaks", "hi").await;
    assert!(leaked.status >= 500, "{}", leaked.text);
    assert_eq!(host.answer_text("faults.fine", "hi").await, "fine");
}

#[actix_web::test]
async fn a_flood_of_lines_is_cut_and_the_answer_comes() {
    let Some(host) = faults_host().await else { return };
    assert_eq!(host.answer_text("faults.prints", "hi").await, "printed");
}

#[actix_web::test]
async fn a_client_that_leaves_closes_the_generator() {
    let Some(host) = faults_host().await else { return };
    let response = begin(&host, "faults.closes").await;
    let left = Instant::now();
    drop(response);
    let closed = host.folder.path().join("python/work/faults/closed");
    while !closed.exists() {
        assert!(left.elapsed() < Duration::from_secs(30), "the generator is still open");
        host.get("/health").await;
    }
}

#[actix_web::test]
async fn an_answer_without_end_is_not_kept_whole() {
    let Some(host) = faults_host().await else { return };
    let refused = host.chat("faults.endless", "hi").await;
    assert!(refused.error_message(502).contains("larger than 64 MiB"), "{}", refused.text);
    assert_eq!(host.answer_text("faults.fine", "hi").await, "fine");
}

#[actix_web::test]
async fn an_answer_of_many_megabytes_holds_up_no_other_request() {
    let Some(host) = faults_host().await else { return };
    let begun = Instant::now();
    let answer = async {
        let body = chat("faults.lengthy", "hi");
        let request = host.request(Method::POST, "/chat/completions").json(&body);
        request.send().await.unwrap().bytes().await.unwrap().len()
    };
    let mut longest = Duration::ZERO;
    let watch = async {
        loop {
            let asked = Instant::now();
            host.get("/health").await;
            longest = longest.max(asked.elapsed());
        }
    };
    let length = tokio::select! {
        length = answer => length,
        never = watch => never,
    };
    assert!(length > 16 << 20, "{length}");
    let total = begun.elapsed();
    assert!(longest * 3 < total, "{longest:?} of {total:?}");
}

#[actix_web::test]
async fn a_loop_that_nobody_waits_for_is_interrupted() {
    let Some(host) = faults_host().await else { return };
    drop(begin(&host, "faults.loops").await);
    let in_flight = async || {
        let metrics = host.get("/metrics").await.text;
        let lines: Vec<_> = metrics.lines().filter(|line| line.contains("in_flight")).collect();
        let line = lines.into_iter().find(|line| line.contains("faults"));
        line.is_some_and(|line| !line.ends_with(" 0"))
    };
    while in_flight().await {}
    assert_eq!(host.answer_text("faults.fine", "hi").await, "fine");
}

#[actix_web::test]
async fn a_process_whose_only_call_cannot_be_ended_is_replaced() {
    let Some(host) = faults_host().await else { return };
    let process = host.answer_text("faults.process", "hi").await;
    drop(begin(&host, "faults.sleeps").await);
    while host.answer_text("faults.process", "hi").await == process {}
    let left = Instant::now();
    while std::path::Path::new("/proc").join(&process).exists() {
        assert!(left.elapsed() < Duration::from_secs(30), "{process} is still there");
        host.get("/health").await;
    }
}

#[actix_web::test]
async fn two_hundred_streams_wait_at_once_and_others_are_answered() {
    let Some(host) = faults_host().await else { return };
    for model in ["faults.waits", "faults.awaits"] {
        let waiting = join_all((0..200).map(|_| begin(&host, model))).await;
        assert_eq!(host.answer_text("faults.fine", "hi").await, "fine");
        assert_eq!(host.answer_text("faults.go", "hi").await, "gone");
        for response in waiting {
            let rest: Vec<_> = response.bytes_stream().collect().await;
            let rest: Vec<u8> = rest.into_iter().flat_map(|piece| piece.unwrap()).collect();
            assert!(String::from_utf8_lossy(&rest).contains(" over"), "{model}");
        }
    }
}
