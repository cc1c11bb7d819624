//! Parts of a page: lines become paragraphs, items of lists, and tables.

use super::line::Line;

/// A part of a page, before it is known what is a heading.
#[derive(Debug)]
pub(super) enum Part {
    Text(Passage),
    Table(Vec<Vec<String>>),
}

/// Lines that belong together.
#[derive(Debug)]
pub(super) struct Passage {
    /// Its text, with the mark.
    pub text: String,
    pub size: f64,
    pub bold: bool,
    pub lines: usize,
    /// The mark of an item, if it is one.
    pub mark: Option<Mark>,
}

/// What stands before an item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Bullet,
    Number(u64),
}

pub(super) fn parts(flow: &[Line]) -> Vec<Part> {
    let mut parts = Vec::new();
    let measure = Measure::of(flow);
    let mut rest = flow;
    while let Some(first) = rest.first() {
        let rows = table_rows(rest);
        if rows >= 2
            && let Some((lines, behind)) = rest.split_at_checked(rows)
            && let Some(table) = table(lines)
        {
            parts.push(Part::Table(table));
            rest = behind;
            continue;
        }
        let more = rest
            .windows(2)
            .take_while(
                |pair| matches!(pair, [above, below] if measure.goes_on(first, above, below)),
            )
            .count();
        // A table may begin in the midst of them.
        let more = (1..=more)
            .find(|at| rest.get(*at..).is_some_and(|rest| table_rows(rest) >= 2))
            .map_or(more, |at| at - 1);
        let Some((lines, behind)) = rest.split_at_checked(more + 1) else { break };
        parts.push(Part::Text(passage(lines)));
        rest = behind;
    }
    parts
}

/// What is usual in a flow.
struct Measure {
    /// From line to line, in sizes of letters.
    leading: f64,
    left: f64,
    right: f64,
}

impl Measure {
    fn of(flow: &[Line]) -> Self {
        let step = |pair: &[Line]| match pair {
            [above, below] => (below.base() - above.base()) / above.size().max(1.0),
            _ => 0.0,
        };
        let mut steps: Vec<f64> =
            flow.windows(2).map(step).filter(|step| *step > 0.5 && *step < 3.0).collect();
        steps.sort_by(f64::total_cmp);
        // The closer ones: a flow of short paragraphs has as many gaps as lines.
        let leading = steps.get(steps.len() / 3).copied().unwrap_or(1.2);
        let mut lefts: Vec<f64> = flow.iter().map(Line::left).collect();
        lefts.sort_by(f64::total_cmp);
        let right = flow.iter().map(Line::right).fold(f64::MIN, f64::max);
        Self { leading, left: lefts.get(lefts.len() / 10).copied().unwrap_or_default(), right }
    }

    /// Whether a paragraph that began with `first` goes on from one line to the next.
    fn goes_on(&self, first: &Line, above: &Line, below: &Line) -> bool {
        let size = above.size();
        let step = (below.base() - above.base()) / size.max(1.0);
        let text = above.text();
        let ended = text.ends_with(['.', '!', '?', ':', '。', '！', '？']);
        let short = above.right() < self.right - 0.25 * (self.right - self.left);
        let indented = below.left() - above.left() > 0.8 * size;
        let alike = (below.size() - size).abs() < 0.08 * size && above.is_bold() == below.is_bold();
        alike
            && step < 1.3 * self.leading.max(1.0)
            && step > -0.5
            && mark(&below.text()).is_none()
            && !(ended && short)
            // The first line of a paragraph is indented, or, in an item, all but the first.
            && !(indented && (mark(&first.text()).is_none() || !std::ptr::eq(first, above)) && above.left() - self.left < 0.8 * size)
            && (below.left() - first.left() >= -0.8 * size || std::ptr::eq(first, above))
    }
}

fn passage(lines: &[Line]) -> Passage {
    let mut text = String::new();
    for line in lines {
        append(&mut text, &line.text());
    }
    Passage {
        mark: mark(&text),
        text,
        size: lines.iter().map(Line::size).fold(0.0, f64::max),
        bold: lines.iter().all(Line::is_bold),
        lines: lines.len(),
    }
}

/// Adds the next line. A word that was cut at the end of a line is whole again.
pub(super) fn append(text: &mut String, line: &str) {
    let line = line.trim();
    let cut =
        text.strip_suffix(['-', '\u{2010}']).filter(|word| word.ends_with(char::is_alphabetic));
    match cut {
        Some(word) if line.starts_with(char::is_lowercase) => text.truncate(word.len()),
        // A hyphen of its own, as in `Wi-Fi`.
        Some(_) => {}
        None if text.is_empty()
            || is_unspaced(text.chars().next_back()) && is_unspaced(line.chars().next()) => {}
        None => text.push(' '),
    }
    text.push_str(line);
}

/// Whether words of this script stand without spaces.
fn is_unspaced(char: Option<char>) -> bool {
    matches!(
        char,
        Some('\u{3000}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
    )
}

/// The mark that a line begins with.
fn mark(text: &str) -> Option<Mark> {
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
        return Some(Mark::Bullet);
    }
    let number = word.strip_suffix(['.', ')'])?.trim_start_matches('(');
    let number = (number.len() <= 3).then(|| number.parse().ok()).flatten()?;
    Some(Mark::Number(number))
}

/// How many lines from here on are rows of a table: lines with cells, and what hangs from a cell of the line above.
fn table_rows(lines: &[Line]) -> usize {
    let is_row = |line: &Line| match line.cells.as_slice() {
        [] | [_] => false,
        // A mark, or the number of a heading, and what it stands before.
        [first, _] => {
            mark(&format!("{} x", first.text.trim())).is_none() && !is_section(first.text.trim())
        }
        _ => true,
    };
    let Some(first) = lines.first().filter(|line| is_row(line)) else { return 0 };
    let mut count = 1;
    let mut rows = 1;
    let mut above = first;
    for (at, line) in lines.iter().enumerate().skip(1) {
        if line.base() - above.base() > 3.0 * above.size().max(line.size()) {
            break;
        }
        let hangs = line.cells.len() == 1
            && first.cells.get(1).is_some_and(|second| line.left() > second.left - line.size());
        if is_row(line) {
            rows += 1;
            count = at + 1;
        } else if !hangs {
            break;
        }
        above = line;
    }
    if rows >= 2 { count } else { 0 }
}

/// `2` or `2.3`, as headings are numbered.
fn is_section(text: &str) -> bool {
    text.len() <= 6
        && text
            .split('.')
            .all(|part| part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The rows of a table, if its cells stand in columns.
fn table(lines: &[Line]) -> Option<Vec<Vec<String>>> {
    let columns = columns(lines);
    if columns.len() < 2 {
        return None;
    }
    let mut rows: Vec<Vec<String>> = Vec::new();
    for line in lines {
        // What stands alone under a cell belongs to it.
        if line.cells.len() > 1 || rows.is_empty() {
            rows.push(vec![String::new(); columns.len()]);
        }
        for cell in &line.cells {
            let place = rows.last_mut()?.get_mut(nearest(&columns, cell.left, cell.right))?;
            append(place, &cell.text);
        }
    }
    Some(rows)
}

/// Where the columns stand, by the rows that have the most cells.
fn columns(lines: &[Line]) -> Vec<(f64, f64)> {
    let most = lines.iter().map(|line| line.cells.len()).max().unwrap_or_default();
    let full = lines.iter().filter(|line| line.cells.len() == most);
    let mut cells: Vec<(f64, f64)> =
        full.flat_map(|line| &line.cells).map(|cell| (cell.left, cell.right)).collect();
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

/// The column that a cell shares the most with, or is the nearest to.
fn nearest(columns: &[(f64, f64)], left: f64, right: f64) -> usize {
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
