//! Passes the output of a file to the log, line by line.

use pipe_sdk::Secret;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::Instant,
};

/// Receives the lines that a file prints.
pub type OutputSink = Arc<dyn Fn(&str) + Send + Sync>;

/// The longest line that is logged, in bytes. The rest of a longer one is left out.
const MAX_LINE_BYTES: usize = 4096;

/// The number of lines that a file may print in a second; a burst may be ten times as long.
const LINES_PER_SECOND: u32 = 50;
const BURST_LINES: u32 = 500;

/// Replaces secrets in texts that a file wrote.
#[derive(Clone, Debug, Default)]
pub struct Redactor(Arc<Mutex<Vec<String>>>);

/// A shorter secret is a word that may occur in any text.
const MIN_SECRET_BYTES: usize = 6;

impl Redactor {
    /// Sets the secrets to replace.
    pub fn set_secrets(&self, secrets: impl IntoIterator<Item = String>) {
        let secrets = secrets.into_iter().filter(|secret| secret.len() >= MIN_SECRET_BYTES);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = secrets.collect();
    }

    /// Returns the text with each secret replaced by the mask.
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, Secret::MASK))
    }
}

/// Reads lines until the end, and passes on as many as the rate allows.
pub async fn pump_lines(mut reader: impl AsyncRead + Unpin, sink: OutputSink) {
    let (mut lines, mut rate) = (LineBuffer::default(), LineRate::new());
    let mut buffer = vec![0; 16 << 10];
    // An error is as good as the end: nothing more can be read.
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        for line in lines.push(buffer.get(..count).unwrap_or_default()) {
            rate.pass(&line, &sink);
        }
    }
    if let Some(line) = lines.finish() {
        rate.pass(&line, &sink);
    }
}

/// The beginning of a line that is not complete.
#[derive(Default)]
struct LineBuffer(Vec<u8>);

impl LineBuffer {
    /// Adds bytes; returns the lines that are whole now.
    fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = MAX_LINE_BYTES.saturating_sub(self.0.len());
            self.0.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                whole.extend(self.finish());
            }
        }
        whole
    }

    /// Returns the unfinished line, unless it is blank.
    fn finish(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.0);
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        Some(line).filter(|line| !line.is_empty())
    }
}

/// A token bucket of lines.
struct LineRate {
    tokens: u32,
    refilled: Instant,
    dropped: u64,
}

impl LineRate {
    fn new() -> Self {
        Self { tokens: BURST_LINES, refilled: Instant::now(), dropped: 0 }
    }

    /// Passes a line to the log, unless the file prints too many.
    fn pass(&mut self, line: &str, sink: &OutputSink) {
        if self.refilled.elapsed() >= Duration::from_secs(1) {
            let seconds = u32::try_from(self.refilled.elapsed().as_secs()).unwrap_or(u32::MAX);
            let earned = LINES_PER_SECOND.saturating_mul(seconds);
            self.tokens = self.tokens.saturating_add(earned).min(BURST_LINES);
            self.refilled = Instant::now();
        }
        let Some(tokens) = self.tokens.checked_sub(1) else {
            self.dropped += 1;
            return;
        };
        self.tokens = tokens;
        match std::mem::take(&mut self.dropped) {
            0 => {}
            dropped => sink(&format!("({dropped} lines were left out)")),
        }
        sink(line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_lines_and_many_lines_are_cut() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let sink: OutputSink = Arc::new(move |line| kept.lock().unwrap().push(line.to_owned()));
        let text = "x".repeat(1 << 20) + "\n" + &"y\n".repeat(100_000);
        pump_lines(text.as_bytes(), sink).await;
        let lines = lines.lock().unwrap();
        assert_eq!(lines[0].len(), MAX_LINE_BYTES);
        assert_eq!(lines[1], "y");
        assert!(lines.len() < 5_000, "{}", lines.len());
    }

    #[test]
    fn secrets_are_replaced_and_short_words_are_not() {
        let redactor = Redactor::default();
        redactor.set_secrets(["sk-123456".to_owned(), "a".to_owned()]);
        assert_eq!(redactor.redact("a key: sk-123456"), "a key: **********");
    }
}
