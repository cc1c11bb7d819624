//! CSV: its records as the rows of one table.

use crate::{
    builder::DocumentBuilder, document::BlockContent, document_info::DocumentInfo,
    error::ParseError,
};
use csv::ReaderBuilder;
use std::collections::BTreeMap;

/// The separators between fields. The later one is taken if two fit equally well.
const DELIMITERS: [u8; 4] = [b'|', b',', b';', b'\t'];

/// The number of records from which the separator is detected.
const SAMPLE_RECORDS: usize = 50;

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

/// Returns the separator that splits the most of the first records into equally many fields, and
/// among those the one that gives the most fields: commas are in decimal numbers too.
fn detect_delimiter(text: &str) -> u8 {
    DELIMITERS.into_iter().max_by_key(|delimiter| count_regular(text, *delimiter)).unwrap_or(b'\t')
}

/// Returns how many of the first records have as many fields as most of them have, and how many
/// fields that is. One field alone is no sign of a separator.
fn count_regular(text: &str, delimiter: u8) -> (usize, usize) {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes());
    let mut records: BTreeMap<usize, usize> = BTreeMap::new();
    for record in reader.records().take(SAMPLE_RECORDS).flatten() {
        *records.entry(record.len()).or_default() += 1;
    }
    records
        .into_iter()
        .filter(|(fields, _)| *fields > 1)
        .map(|(fields, count)| (count, fields))
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_is_the_one_that_splits_records_evenly() {
        for (text, delimiter) in [
            ("a,b\n1,2\n", b','),
            ("a;b\n1,5;2,5\n", b';'),
            ("name\tnote\nx\ta, b; c\n", b'\t'),
            ("\"a;b\",c\n\"d\",e\n", b','),
            ("Name;Amount;Place\n\"Miller; Sons\";12,50;York\nSmith;3,20;\"Bad\nTown\"\n", b';'),
            ("Sales 2026\n\nName;Amount\nA;1,5\nB;2,5\n", b';'),
            ("a;1,5\nb;2,5\n", b';'),
            ("a|b\n1,5|2\n3|4\n", b'|'),
        ] {
            assert_eq!(char::from(detect_delimiter(text)), char::from(delimiter), "{text}");
        }
    }
}
