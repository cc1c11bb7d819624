//! Log lines: written to standard error by a thread of their own, readable on a terminal, JSON
//! elsewhere.
//!
//! A line never blocks and never fails whoever logs it. Lines wait in a queue of bounded size; when
//! nobody takes them (a pipe that is not read, a full disk), they are dropped and counted. Every
//! field of every line is cut and freed of control characters, whoever logs it.

use crate::{
    panics,
    settings::{LogFormat, LogLevel},
};
use serde_json::Value;
use std::{
    fmt::{self, Write as _},
    io::{self, IsTerminal, Write},
    sync::{
        OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
    time::Duration,
};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::LevelFilter,
    fmt::{
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    layer::{Context, SubscriberExt},
    util::SubscriberInitExt,
};

/// The maximum size of a field, in bytes.
const MAX_FIELD_BYTES: usize = 1024;
/// The maximum size of the queued lines, in bytes.
const MAX_QUEUED_BYTES: usize = 1 << 20;
/// The size of most lines, in bytes: the line of a request has some 400.
const TYPICAL_LINE_BYTES: usize = 512;
/// The pause after each write, in which further lines gather.
const WRITE_PAUSE: Duration = Duration::from_millis(1);
/// The size of lines that are written at once, in bytes, if so many wait.
const MAX_WRITE_BYTES: usize = 64 << 10;
/// The maximum number of queued lines.
const MAX_QUEUED_LINES: usize = 8 << 10;

static QUEUE: OnceLock<LineQueue> = OnceLock::new();
/// Lines that were dropped because the queue was full, or could not be written.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Starts logging at this level and in this format; `RUST_LOG` sets levels per module.
pub fn init(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Trace => LevelFilter::TRACE,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warning => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Off => LevelFilter::OFF,
    };
    let default = format!(
        "{level},actix_server={1},aws_config={0},aws_credential_types={0},aws_smithy_runtime={0}",
        level.min(LevelFilter::ERROR),
        level.min(LevelFilter::WARN)
    );
    let directives = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let parsed = directives.map(EnvFilter::try_new);
    let is_invalid = matches!(parsed, Some(Err(_)));
    let filter = parsed.and_then(Result::ok).unwrap_or_else(|| EnvFilter::new(default));
    // At DEBUG these crates log the headers of requests, and with them the key.
    let filter = ["lambda_http=info", "lambda_runtime=info", "lambda_web_adapter=info"]
        .into_iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter, EnvFilter::add_directive);
    let is_terminal = io::stderr().is_terminal();
    let format = match format {
        LogFormat::Auto if is_terminal => LineFormat::ColouredText,
        LogFormat::Text if is_terminal => LineFormat::ColouredText,
        LogFormat::Text => LineFormat::Text,
        LogFormat::Auto | LogFormat::Json => LineFormat::Json,
    };
    match LineQueue::start() {
        Ok(queue) => {
            if QUEUE.set(queue).is_ok() {
                tracing_subscriber::registry().with(filter).with(LineLayer { format }).init();
                panics::install_panic_hook();
                if is_invalid {
                    tracing::warn!(
                        "RUST_LOG is ignored: its value is not a list of `module=level`."
                    );
                }
            }
        }
        Err(error) => {
            // Without a writer there are no lines, and this is the last chance to say so.
            _ = writeln!(io::stderr(), "Nothing is logged: no thread can be started ({error}).");
        }
    }
}

/// Waits until what was logged has been written, but no longer than `limit`.
pub fn flush(limit: Duration) {
    let Some(queue) = QUEUE.get() else { return };
    let (written, all_written) = channel();
    if queue.lines.try_send(LogItem::Flush(written)).is_ok() {
        // An error means that time is up: whoever does not read by now gets no more lines.
        _ = all_written.recv_timeout(limit);
    }
}

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
struct LineQueue {
    lines: SyncSender<LogItem>,
}

/// The size of the queued lines, in bytes.
static QUEUED_BYTES: AtomicUsize = AtomicUsize::new(0);

impl LineQueue {
    fn start() -> io::Result<Self> {
        let (lines, waiting) = sync_channel(MAX_QUEUED_LINES);
        thread::Builder::new().name("log".into()).spawn(move || write_lines(&waiting))?;
        Ok(Self { lines })
    }

    /// Queues a line, or drops it if there is no room.
    fn push(&self, line: String) {
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
        // Whoever waited may have given up.
        batch.flushes.iter().for_each(|written| _ = written.send(()));
        if !is_written {
            DROPPED.fetch_add(batch.lines, Ordering::Relaxed);
            continue;
        }
        // Whoever logs wakes this thread only while it waits for a line. Under load that is once in
        // this time, and not for each line.
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
    /// Those who wait until the lines are written.
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

/// The format of a line.
#[derive(Clone, Copy)]
enum LineFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
    /// For people, in colour.
    ColouredText,
}

/// A layer that formats every event as a line and queues it.
struct LineLayer {
    format: LineFormat,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let metadata = event.metadata();
        let line = self.format.format_line(*metadata.level(), metadata.target(), fields);
        if let Some(queue) = QUEUE.get() {
            queue.push(line);
        }
    }
}

impl LineFormat {
    fn format_line(self, level: Level, target: &str, fields: Fields) -> String {
        let mut time = String::new();
        // A text can always be written to.
        _ = SystemTime.format_time(&mut Writer::new(&mut time));
        match self {
            Self::Json => {
                let mut line = Vec::with_capacity(TYPICAL_LINE_BYTES);
                let start = [("timestamp", time.into()), ("level", level.as_str().into())];
                let fields = start.into_iter().chain(fields.0);
                let mut separator = b'{';
                for (name, value) in fields.chain([("target", target.into())]) {
                    line.extend([separator, b'"']);
                    line.extend_from_slice(name.as_bytes());
                    line.extend(*b"\":");
                    // A vector can always be written to.
                    _ = serde_json::to_writer(&mut line, &value);
                    separator = b',';
                }
                line.extend(*b"}\n");
                // JSON is always UTF-8.
                String::from_utf8(line).unwrap_or_default()
            }
            Self::Text | Self::ColouredText => {
                let colour = match level {
                    Level::ERROR => 31,
                    Level::WARN => 33,
                    Level::INFO => 32,
                    Level::DEBUG => 34,
                    Level::TRACE => 35,
                };
                let (mut messages, fields): (Vec<_>, Vec<_>) =
                    fields.0.into_iter().partition(|(name, _)| *name == "message");
                let message = messages.pop().map(|(_, message)| message).unwrap_or_default();
                let style = |code: u8, text: &str| match self {
                    Self::ColouredText => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
                    Self::Text | Self::Json => text.to_owned(),
                };
                let (time, target) = (style(2, &time), style(2, &format!("{target}:")));
                let level = style(colour, &format!("{level:>5}"));
                let message = message.as_str().unwrap_or_default();
                let mut line = format!("{time} {level} {target} {message}");
                for (name, value) in fields {
                    _ = write!(line, " {}={value}", style(3, name));
                }
                line.push('\n');
                line
            }
        }
    }
}

/// The fields of one event, each cut and without control characters.
#[derive(Default)]
struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        let name = field.name();
        self.0.push((name.strip_prefix("r#").unwrap_or(name), value.into()));
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, sanitize(format_args!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let is_plain = |byte| matches!(byte, b' '..=b'~');
        if value.len() <= MAX_FIELD_BYTES && value.bytes().all(is_plain) {
            self.insert(field, value);
        } else {
            self.insert(field, sanitize(format_args!("{value}")));
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }
}

/// Returns the beginning of a text, with what could forge or hide a line escaped. A longer text is
/// written no further than that, so that it costs no more than a short one.
fn sanitize(text: fmt::Arguments<'_>) -> String {
    let mut sanitized = SanitizedText(String::new());
    if fmt::write(&mut sanitized, text).is_err() {
        sanitized.0.push('…');
    }
    sanitized.0
}

/// A text of bounded size without control characters.
struct SanitizedText(String);

impl fmt::Write for SanitizedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for char in text.chars() {
            if self.0.len() >= MAX_FIELD_BYTES {
                return Err(fmt::Error);
            }
            if is_unsafe_char(char) {
                write!(self.0, "{}", char.escape_default())?;
            } else {
                self.0.push(char);
            }
        }
        Ok(())
    }
}

/// Returns whether a terminal or a viewer may take this for something other than text: control
/// characters, line separators, and marks that turn the direction of writing (Unicode, UAX #9).
fn is_unsafe_char(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
        || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_cut_and_cannot_forge_a_line() {
        let forged = "a\r\n{\"level\":\"ERROR\"}\u{1b}[2J\u{202e}\u{2028}\u{85}ä";
        let expected = r#"a\r\n{"level":"ERROR"}\u{1b}[2J\u{202e}\u{2028}\u{85}ä"#;
        assert_eq!(sanitize(format_args!("{forged}")), expected);
        let long = "ü".repeat(60 << 20);
        let cut = sanitize(format_args!("{long}"));
        assert!(cut.ends_with('…') && cut.len() <= MAX_FIELD_BYTES + 10, "{}", cut.len());
    }

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
    fn a_line_is_one_json_object() {
        let fields = Fields(vec![("message", "a \"b\"".into()), ("status", 200.into())]);
        let line = LineFormat::Json.format_line(Level::INFO, "host", fields);
        let mut line: Value = serde_json::from_str(line.strip_suffix('\n').unwrap()).unwrap();
        assert!(line["timestamp"].take().as_str().is_some_and(|time| time.ends_with('Z')));
        let expected = serde_json::json!({
            "timestamp": null, "level": "INFO", "message": "a \"b\"", "status": 200, "target": "host",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_pipe_that_takes_a_line_in_pieces_gets_all_of_it() {
        let mut to = FlakyWriter(Vec::new(), 0);
        write_all_blocking(&mut to, b"a line\n").unwrap();
        assert_eq!(to.0, b"a line\n");
    }
}
