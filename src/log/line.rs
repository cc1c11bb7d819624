//! The formats of log lines.

use serde_json::Value;
use std::fmt::{self, Write as _};
use tracing::{
    Level,
    field::{Field, Visit},
};
use tracing_subscriber::fmt::{
    format::Writer,
    time::{FormatTime, SystemTime},
};

/// The maximum size of a field, in bytes.
const MAX_FIELD_BYTES: usize = 1024;
/// The size of most lines, in bytes: the line of a request has some 400.
const TYPICAL_LINE_BYTES: usize = 512;

/// The format of a line.
#[derive(Clone, Copy)]
pub enum LineFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
    /// Text for people, in colour.
    ColouredText,
}

impl LineFormat {
    /// Formats an event as a line.
    pub fn format_line(self, level: Level, target: &str, fields: Fields) -> String {
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
pub struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Appends a field.
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
}
