//! Page headers, footers and page numbers: of lines that repeat at the same position of several
//! pages, only the first is kept.

use super::{PageFlows, line::Line};
use std::collections::{HashMap, HashSet};

/// The number of lines at the top and the bottom of a page that can be headers or footers.
const EDGE_LINES: usize = 2;

/// The least number of pages with the same header or footer; headers change with the chapter.
const MIN_REPEATS: usize = 3;

/// A key of a line: its position and text. Lines repeat if they share a key.
type LineKey = (i64, String);

/// Removes repeated headers and footers, and page numbers.
pub(super) fn remove_repeated(pages: &mut [PageFlows]) {
    let mut counts: HashMap<LineKey, usize> = HashMap::new();
    for (page, flows) in (1..).zip(&*pages) {
        let on_page: HashSet<LineKey> =
            edge_lines(flows).flat_map(|line| line_keys(line, page)).collect();
        for key in on_page {
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut kept_keys = HashSet::new();
    for (page, flows) in (1..).zip(pages) {
        let edge_positions: HashSet<i64> = edge_lines(flows).map(vertical_position).collect();
        for flow in flows.iter_mut() {
            flow.retain(|line| {
                if !edge_positions.contains(&vertical_position(line)) {
                    return true;
                }
                let repeated = line_keys(line, page)
                    .into_iter()
                    .find(|key| counts.get(key).is_some_and(|count| *count >= MIN_REPEATS));
                repeated.is_none_or(|key| !is_page_number(&line.text()) && kept_keys.insert(key))
            });
        }
        flows.retain(|flow| !flow.is_empty());
    }
}

/// Returns the lines at the top and the bottom of a page.
fn edge_lines(flows: &PageFlows) -> impl Iterator<Item = &Line> {
    let mut lines: Vec<&Line> = flows.iter().flatten().collect();
    lines.sort_by(|a, b| a.baseline().total_cmp(&b.baseline()));
    let last = lines.len().saturating_sub(EDGE_LINES);
    lines
        .into_iter()
        .enumerate()
        .filter(move |(at, _)| *at < EDGE_LINES || *at >= last)
        .map(|(_, line)| line)
}

/// Returns the vertical position of a line, rounded.
#[expect(clippy::cast_possible_truncation, reason = "as casts saturate, and no page is so long")]
fn vertical_position(line: &Line) -> i64 {
    (line.baseline() / 4.0).round() as i64
}

/// Returns the keys of a line: its text, and its text with each number replaced by the difference
/// to the page number. So page numbers have the same key on every page, and chapter numbers do not.
fn line_keys(line: &Line, page: i64) -> Vec<LineKey> {
    let text = line.text();
    let words: Vec<&str> = text.split_whitespace().collect();
    let numbered = words.iter().enumerate().filter_map(|(at, word)| {
        let number: i64 = word.trim_matches(|char: char| !char.is_ascii_digit()).parse().ok()?;
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        *words.get_mut(at)? = format!("#{}", number.saturating_sub(page));
        Some(words.join(" "))
    });
    let keys: Vec<String> = numbered.chain([text.clone()]).collect();
    keys.into_iter().map(|key| (vertical_position(line), key)).collect()
}

/// Returns whether a line is only a page number, which is removed everywhere.
fn is_page_number(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words =
        text.split_whitespace().filter(|word| !["page", "of", "seite", "von"].contains(word));
    words.all(|word| !word.contains(char::is_alphabetic))
}
