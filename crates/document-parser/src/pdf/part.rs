//! Parts of a page: groups lines into paragraphs, list items and tables.

use super::line::Line;

/// A part of a page, before headings are recognised.
#[derive(Debug)]
pub(super) enum PagePart {
    Text(TextPart),
    Table(Vec<Vec<String>>),
}

/// The lines of a paragraph, a heading or a list item, joined.
#[derive(Debug)]
pub(super) struct TextPart {
    /// The text, with its list marker.
    pub text: String,
    pub size: f64,
    pub bold: bool,
    pub line_count: usize,
    /// The list marker at the start, if there is one.
    pub marker: Option<ListMarker>,
}

/// The marker before a list item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListMarker {
    Bullet,
    Number(u64),
}

/// Splits a flow into parts.
pub(super) fn split_into_parts(flow: &[Line]) -> Vec<PagePart> {
    let mut parts = Vec::new();
    let metrics = FlowMetrics::new(flow);
    let mut rest = flow;
    while let Some(first) = rest.first() {
        let rows = count_table_rows(rest);
        if rows >= 2
            && let Some((lines, behind)) = rest.split_at_checked(rows)
            && let Some(table) = build_table(lines)
        {
            parts.push(PagePart::Table(table));
            rest = behind;
            continue;
        }
        let more = rest
            .windows(2)
            .take_while(
                |pair| matches!(pair, [above, below] if metrics.continues_paragraph(first, above, below)),
            )
            .count();
        // A table may begin within these lines.
        let more = (1..=more)
            .find(|at| rest.get(*at..).is_some_and(|rest| count_table_rows(rest) >= 2))
            .map_or(more, |at| at - 1);
        let Some((lines, behind)) = rest.split_at_checked(more + 1) else { break };
        parts.push(PagePart::Text(join_lines(lines)));
        rest = behind;
    }
    parts
}

/// The usual measures of a flow.
struct FlowMetrics {
    /// The distance from line to line, in letter sizes.
    leading: f64,
    left: f64,
    right: f64,
}

impl FlowMetrics {
    fn new(flow: &[Line]) -> Self {
        let step = |pair: &[Line]| match pair {
            [above, below] => (below.baseline() - above.baseline()) / above.size().max(1.0),
            _ => 0.0,
        };
        let mut steps: Vec<f64> =
            flow.windows(2).map(step).filter(|step| *step > 0.5 && *step < 3.0).collect();
        steps.sort_by(f64::total_cmp);
        // The lower third, because a flow of short paragraphs has as many wide steps as narrow
        // ones.
        let leading = steps.get(steps.len() / 3).copied().unwrap_or(1.2);
        let mut lefts: Vec<f64> = flow.iter().map(Line::left).collect();
        lefts.sort_by(f64::total_cmp);
        let right = flow.iter().map(Line::right).fold(f64::MIN, f64::max);
        Self { leading, left: lefts.get(lefts.len() / 10).copied().unwrap_or_default(), right }
    }

    /// Returns whether the paragraph that begins with `first` continues from `above` to `below`.
    fn continues_paragraph(&self, first: &Line, above: &Line, below: &Line) -> bool {
        let size = above.size();
        let step = (below.baseline() - above.baseline()) / size.max(1.0);
        let text = above.text();
        let is_ended = text.ends_with(['.', '!', '?', ':', '。', '！', '？']);
        let is_short = above.right() < self.right - 0.25 * (self.right - self.left);
        let is_indented = below.left() - above.left() > 0.8 * size;
        let is_alike =
            (below.size() - size).abs() < 0.08 * size && above.is_bold() == below.is_bold();
        is_alike
            && step < 1.3 * self.leading.max(1.0)
            && step > -0.5
            && list_marker(&below.text()).is_none()
            && !(is_ended && is_short)
            // In a paragraph the first line is indented; in a list item all lines except the first
            // are.
            && !(is_indented && (list_marker(&first.text()).is_none() || !std::ptr::eq(first, above)) && above.left() - self.left < 0.8 * size)
            && (below.left() - above.left() >= -0.8 * size || std::ptr::eq(first, above))
    }
}

/// Joins lines into one text.
fn join_lines(lines: &[Line]) -> TextPart {
    let mut text = String::new();
    for line in lines {
        append_line(&mut text, &line.text());
    }
    TextPart {
        marker: list_marker(&text),
        text,
        size: lines.iter().map(Line::size).fold(0.0, f64::max),
        bold: lines.iter().all(Line::is_bold),
        line_count: lines.len(),
    }
}

/// Appends a line, and joins a word that was hyphenated at the end of the previous one.
pub(super) fn append_line(text: &mut String, line: &str) {
    let line = line.trim();
    let hyphenated =
        text.strip_suffix(['-', '\u{2010}']).filter(|word| word.ends_with(char::is_alphabetic));
    match hyphenated {
        Some(word) if line.starts_with(char::is_lowercase) => text.truncate(word.len()),
        // The hyphen belongs to the word, as in `Wi-Fi`.
        Some(_) => {}
        None if text.is_empty()
            || has_no_word_spaces(text.chars().next_back())
                && has_no_word_spaces(line.chars().next()) => {}
        None => text.push(' '),
    }
    text.push_str(line);
}

/// Returns whether the script of this character has no spaces between words.
fn has_no_word_spaces(char: Option<char>) -> bool {
    matches!(
        char,
        Some('\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
    )
}

/// Returns the list marker at the start of a line.
fn list_marker(text: &str) -> Option<ListMarker> {
    let (word, rest) = text.split_once(char::is_whitespace)?;
    if rest.trim().is_empty() {
        return None;
    }
    if matches!(
        word,
        "•" | "◦"
            | "▪"
            | "▫"
            | "■"
            | "□"
            | "●"
            | "○"
            | "‣"
            | "⁃"
            | "∙"
            | "·"
            | "–"
            | "—"
            | "-"
            | "*"
            | "➢"
            | "✓"
            | "\u{f0b7}"
            | "\u{f0a7}"
    ) {
        return Some(ListMarker::Bullet);
    }
    let number = word.strip_suffix(['.', ')'])?.trim_start_matches('(');
    let number = (number.len() <= 3).then(|| number.parse().ok()).flatten()?;
    Some(ListMarker::Number(number))
}

/// Counts the lines at the start that are a table: lines with several cells, and single cells that
/// continue a cell of the line above.
fn count_table_rows(lines: &[Line]) -> usize {
    let is_row = |line: &Line| match line.cells.as_slice() {
        [] | [_] => false,
        // A list marker or a section number before its text is not a cell.
        [first, _] => {
            list_marker(&format!("{} x", first.text.trim())).is_none()
                && !is_section_number(first.text.trim())
        }
        _ => true,
    };
    let Some(first) = lines.first().filter(|line| is_row(line)) else { return 0 };
    let mut count = 1;
    let mut rows = 1;
    let mut above = first;
    for (at, line) in lines.iter().enumerate().skip(1) {
        if line.baseline() - above.baseline() > 3.0 * above.size().max(line.size()) {
            break;
        }
        let is_continuation = line.cells.len() == 1
            && first.cells.get(1).is_some_and(|second| line.left() > second.left - line.size());
        if is_row(line) {
            rows += 1;
            count = at + 1;
        } else if !is_continuation {
            break;
        }
        above = line;
    }
    if rows >= 2 { count } else { 0 }
}

/// Returns whether a text is a section number such as `2` or `2.3`.
fn is_section_number(text: &str) -> bool {
    text.len() <= 6
        && text
            .split('.')
            .all(|part| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Builds the rows of a table, if the cells are aligned in columns.
fn build_table(lines: &[Line]) -> Option<Vec<Vec<String>>> {
    let columns = find_columns(lines);
    if columns.len() < 2 {
        return None;
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in lines {
        // A single cell continues the row above.
        if line.cells.len() > 1 || rows.is_empty() {
            rows.push(vec![String::new(); columns.len()]);
        }
        for cell in &line.cells {
            let row_cell =
                rows.last_mut()?.get_mut(nearest_column(&columns, cell.left, cell.right))?;
            append_line(row_cell, &cell.text);
        }
    }
    Some(rows)
}

/// Returns the columns (left and right edges) of the rows with the most cells.
fn find_columns(lines: &[Line]) -> Vec<(f64, f64)> {
    let max_cells = lines.iter().map(|line| line.cells.len()).max().unwrap_or_default();
    let full_lines = lines.iter().filter(|line| line.cells.len() == max_cells);
    let mut cells: Vec<(f64, f64)> =
        full_lines.flat_map(|line| &line.cells).map(|cell| (cell.left, cell.right)).collect();
    cells.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut columns: Vec<(f64, f64)> = Vec::new();
    for (left, right) in cells {
        match columns.last_mut() {
            Some(last) if left <= last.1 => last.1 = last.1.max(right),
            _ => columns.push((left, right)),
        }
    }
    columns
}

/// Returns the column that overlaps a cell the most, or else is nearest to it.
fn nearest_column(columns: &[(f64, f64)], left: f64, right: f64) -> usize {
    let shared = |column: &(f64, f64)| column.1.min(right) - column.0.max(left);
    (0..columns.len())
        .max_by(|a, b| {
            columns
                .get(*a)
                .map_or(f64::MIN, shared)
                .total_cmp(&columns.get(*b).map_or(f64::MIN, shared))
        })
        .unwrap_or_default()
}
