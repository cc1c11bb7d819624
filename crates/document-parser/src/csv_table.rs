//! CSV: its records as the rows of one table.

use crate::{
    builder::DocumentBuilder, document::BlockContent, document_info::DocumentInfo,
    error::ParseError,
};
use csv::ReaderBuilder;

/// The separators between fields, the most common first.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The number of lines from which the separator is detected.
const SAMPLE_LINES: usize = 20;

/// The size that a cell counts beside its text, because it takes memory too.
const CELL_OVERHEAD: usize = 24;

/// Parses CSV, with commas, semicolons, tabs or bars between the fields.
pub(crate) fn parse(text: &str, builder: &mut DocumentBuilder) -> Result<DocumentInfo, ParseError> {
    // Excel writes the separator before the records, as `sep=;`.
    let declared = text.split_once('\n').and_then(|(line, rest)| {
        let &[delimiter] = line.trim().strip_prefix("sep=")?.as_bytes() else { return None };
        Some((delimiter, rest))
    });
    let (delimiter, text) = declared.unwrap_or_else(|| (detect_delimiter(text), text));
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| ParseError::Damaged(error.to_string()))?;
        let mut row = Vec::with_capacity(record.len());
        for field in &record {
            builder.charge(field.len() + CELL_OVERHEAD)?;
            row.push(field.trim().to_owned());
        }
        rows.push(row);
    }
    builder.push_counted(BlockContent::Table(rows))?;
    Ok(DocumentInfo::with_title(None))
}

/// Returns the separator that every one of the first lines has most of.
fn detect_delimiter(text: &str) -> u8 {
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.trim().is_empty()).take(SAMPLE_LINES).collect();
    let fewest = |delimiter: u8| {
        lines.iter().map(|line| count_outside_quotes(line, delimiter)).min().unwrap_or_default()
    };
    // `max_by_key` returns the last of equals, hence the reverse order.
    DELIMITERS.into_iter().rev().max_by_key(|delimiter| fewest(*delimiter)).unwrap_or(b',')
}

fn count_outside_quotes(line: &str, delimiter: u8) -> usize {
    let mut is_quoted = false;
    let mut count = 0;
    for byte in line.bytes() {
        is_quoted ^= byte == b'"';
        count += usize::from(byte == delimiter && !is_quoted);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_that_every_line_has() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n", b';'),
            ("name\tnote\nx\ta, b; c\n", b'\t'),
            ("\"a;b\",c\n\"d\",e\n", b','),
            ("one column\n", b','),
        ] {
            assert_eq!(char::from(detect_delimiter(text)), char::from(delimiter), "{text}");
        }
    }
}
