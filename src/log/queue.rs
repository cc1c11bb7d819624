//! The queue of log lines, and the thread that writes them to standard error.

use std::{
    io::{self, Write},
    sync::{
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};

/// The maximum size of the queued lines, in bytes.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// The pause after each write, in which further lines gather.
const WRITE_PAUSE: Duration = Duration::from_millis(1);
/// The largest size of lines that are written at once, in bytes.
const MAX_WRITE_BYTES: usize = 64 << 10;
/// The maximum number of queued lines.
const MAX_QUEUED_LINES: usize = 8 << 10;

/// Lines that were dropped because the queue was full, or could not be written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Returns the number of lines that were dropped since the process started.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// An item in the writer's queue.
enum LogItem {
    Line(String),
    /// Answers when all lines before it have been written.
    Flush(Sender<()>),
}

/// The lines that wait for the writer, bounded by count and by bytes.
pub struct LineQueue {
    lines: SyncSender<LogItem>,
}

/// The size of the queued lines, in bytes.
static QUEUED_BYTES: AtomicUsize = AtomicUsize::new(0);

impl LineQueue {
    /// Starts the thread that writes.
    pub fn start() -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_QUEUED_LINES);
        thread::Builder::new().name("log".into()).spawn(move || write_lines(&waiting))?;
        Ok(Self { lines })
    }

    /// Waits until what was queued has been written, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let (written, all_written) = channel();
        if self.lines.try_send(LogItem::Flush(written)).is_ok() {
            // An error means that the time limit is over: a reader that does not read by now gets
            // no more lines.
            _ = all_written.recv_timeout(limit);
        }
    }

    /// Queues a line, or drops it if there is no room.
    pub fn push(&self, line: String) {
        let length = line.len();
        let waiting = QUEUED_BYTES.fetch_add(length, Ordering::Relaxed);
        if waiting + length > MAX_QUEUED_BYTES || self.lines.try_send(LogItem::Line(line)).is_err()
        {
            QUEUED_BYTES.fetch_sub(length, Ordering::Relaxed);
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes lines as they come, for as long as the process lives. Lines that wait leave together.
fn write_lines(waiting: &Receiver<LogItem>) {
    let mut reported = 0;
    while let Ok(item) = waiting.recv() {
        let batch = LineBatch::collect(item, waiting);
        let is_written = write_all_blocking(&mut io::stderr(), batch.text.as_bytes()).is_ok();
        let left = QUEUED_BYTES.fetch_sub(batch.text.len(), Ordering::Relaxed);
        // The receiver may have stopped waiting.
        batch.flushes.iter().for_each(|written| _ = written.send(()));
        if !is_written {
            DROPPED.fetch_add(batch.lines, Ordering::Relaxed);
            continue;
        }
        // A thread that logs wakes this thread only while it waits for a line. Under load that is
        // once in this time, and not for each line.
        thread::sleep(WRITE_PAUSE);
        let dropped = dropped_lines();
        // It is reported when there is room again, as a line like any other.
        if dropped > reported && left < MAX_QUEUED_BYTES / 2 {
            let lines = dropped - reported;
            tracing::warn!(lines, "Log lines were dropped: they were not taken in time.");
            reported = dropped;
        }
    }
}

/// The lines that are written at once.
#[derive(Default)]
struct LineBatch {
    text: String,
    lines: u64,
    /// The senders that wait until the lines are written.
    flushes: Vec<Sender<()>>,
}

impl LineBatch {
    /// Takes this item and those that wait behind it, up to [`MAX_WRITE_BYTES`].
    fn collect(first: LogItem, waiting: &Receiver<LogItem>) -> Self {
        let mut batch = Self::default();
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                LogItem::Line(line) => {
                    batch.lines += 1;
                    batch.text.push_str(&line);
                }
                LogItem::Flush(written) => batch.flushes.push(written),
            }
            let has_room = batch.text.len() < MAX_WRITE_BYTES;
            next = has_room.then(|| waiting.try_recv().ok()).flatten();
        }
        batch
    }
}

/// Writes all of a line, also to a pipe that somebody has made non-blocking.
fn write_all_blocking(to: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match to.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => line = line.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing, a little, or fails, in turns.
    struct FlakyWriter(Vec<u8>, usize);

    impl Write for FlakyWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1 += 1;
            match self.1 % 3 {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                1 => Err(io::ErrorKind::Interrupted.into()),
                _ => self.0.write(bytes.get(..2).unwrap_or(bytes)),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_wait_leave_together_up_to_a_size() {
        let (to_writer, waiting) = channel();
        let (flushed, _) = channel();
        let line = "x".repeat(MAX_WRITE_BYTES / 2);
        let items = [&line, "second\n", &line, "next\n"].map(|text| LogItem::Line(text.into()));
        to_writer.send(LogItem::Flush(flushed)).unwrap();
        items.into_iter().for_each(|item| to_writer.send(item).unwrap());
        let batch = LineBatch::collect(LogItem::Line("first\n".into()), &waiting);
        assert_eq!((batch.lines, batch.flushes.len()), (4, 1));
        assert_eq!(batch.text, format!("first\n{line}second\n{line}"));
        let rest = LineBatch::collect(waiting.recv().unwrap(), &waiting);
        assert_eq!(rest.text, "next\n");
    }

    #[test]
    fn a_pipe_that_takes_a_line_in_pieces_gets_all_of_it() {
        let mut to = FlakyWriter(Vec::new(), 0);
        write_all_blocking(&mut to, b"a line\n").unwrap();
        assert_eq!(to.0, b"a line\n");
    }
}
