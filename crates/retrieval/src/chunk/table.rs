//! Finds Markdown tables, so that every chunk that begins within one has its header.

use crate::tokens;
use std::ops::Range;

/// The rows of a table below its header.
pub(super) struct Table<'a> {
    rows: Range<usize>,
    /// The header and the line below it; empty if they would take too much of a chunk.
    header: &'a str,
}

/// Returns the tables of a text, in its order. A header may take half of `limit` tokens.
pub(super) fn find_tables(text: &str, limit: usize) -> Vec<Table<'_>> {
    let mut tables: Vec<Table<'_>> = Vec::new();
    // The line above, if it is a row, and the table that it is in.
    let (mut above, mut is_open) = (None::<Range<usize>>, false);
    let mut fence: Option<&str> = None;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let range = offset..offset + line.len();
        offset = range.end;
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            _ => {}
        }
        if fence.is_some() || !is_row(line) {
            (above, is_open) = (None, false);
            continue;
        }
        if is_open && let Some(table) = tables.last_mut() {
            table.rows.end = range.end;
        } else if is_delimiter_row(line)
            && let Some(above) = above.take()
        {
            let header = text.get(above.start..range.end).unwrap_or_default().trim_end();
            let fits = tokens::estimate_tokens(header) <= limit / 2;
            tables
                .push(Table { rows: range.end..range.end, header: if fits { header } else { "" } });
            is_open = true;
        }
        above = Some(range);
    }
    tables
}

/// Returns the header of the table whose rows hold this offset.
pub(super) fn header_at<'a>(tables: &[Table<'a>], offset: usize) -> Option<&'a str> {
    let table = tables.get(tables.partition_point(|table| table.rows.end <= offset))?;
    (table.rows.contains(&offset) && !table.header.is_empty()).then_some(table.header)
}

/// Returns whether a line is a row of a table.
pub(super) fn is_row(line: &str) -> bool {
    let line = line.trim();
    line.len() > 1 && line.starts_with('|') && line.ends_with('|')
}

/// Returns whether a line separates the header from the rows, as `| --- | :-: |` does.
fn is_delimiter_row(line: &str) -> bool {
    line.contains('-') && line.trim().chars().all(|char| matches!(char, '|' | '-' | ':' | ' '))
}

#[cfg(test)]
mod tests {
    use super::super::split_into_chunks;

    #[test]
    fn every_chunk_of_a_table_has_its_header_and_whole_rows() {
        let rows: String = (0..40).map(|row| format!("| bolt {row}. Long | {row} |\n")).collect();
        let header = "| item | price |\n| --- | ---: |";
        let text = format!("# Prices\n\n{header}\n{rows}\nThe end of the list.\n");
        let chunks = split_into_chunks("Shop", &text, 32);
        assert_eq!(chunks.iter().map(|chunk| chunk.text.as_str()).collect::<String>(), text);
        let within: Vec<_> =
            chunks.iter().skip(1).filter(|chunk| chunk.text.starts_with("| bolt")).collect();
        assert!(within.len() > 5);
        for chunk in within {
            assert_eq!(chunk.heading, format!("Shop > Prices\n{header}"));
        }
        assert!(!chunks.first().unwrap().heading.contains('|'));
    }

    #[test]
    fn code_with_bars_is_no_table() {
        let text = format!("```\n| a |\n| - |\n{}```\n", "| one two three |\n".repeat(30));
        assert!(split_into_chunks("", &text, 32).iter().all(|chunk| chunk.heading.is_empty()));
    }

    #[test]
    fn a_header_that_would_fill_the_chunk_is_left_out() {
        let text = format!("| {} |\n| --- |\n{}", "word ".repeat(60), "| one |\n".repeat(30));
        assert!(split_into_chunks("", &text, 32).iter().all(|chunk| chunk.heading.is_empty()));
    }
}
