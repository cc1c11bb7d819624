//! Running heads, feet and page numbers: lines that come again at the same place of page after page are told once.

use super::{Flows, line::Line};
use std::collections::{HashMap, HashSet};

/// So many lines at the top and at the bottom of a page may be furniture.
const EDGE: usize = 2;

/// On so many pages furniture stands, at least: heads change with the chapter.
const OFTEN: usize = 3;

/// Lines that are the same on other pages have one of these the same.
type Key = (i64, String);

pub(super) fn clear(pages: &mut [Flows]) {
    let mut counts: HashMap<Key, usize> = HashMap::new();
    for (page, flows) in (1..).zip(&*pages) {
        let on_page: HashSet<Key> = edge(flows).flat_map(|line| keys(line, page)).collect();
        for key in on_page {
            *counts.entry(key).or_default() += 1;
        }
    }
    let mut told = HashSet::new();
    for (page, flows) in (1..).zip(pages) {
        let places: HashSet<i64> = edge(flows).map(place).collect();
        for flow in flows.iter_mut() {
            flow.retain(|line| {
                if !places.contains(&place(line)) {
                    return true;
                }
                let again = keys(line, page)
                    .into_iter()
                    .find(|key| counts.get(key).is_some_and(|count| *count >= OFTEN));
                again.is_none_or(|key| !is_number(&line.text()) && told.insert(key))
            });
        }
        flows.retain(|flow| !flow.is_empty());
    }
}

/// The lines at the top and at the bottom of a page.
fn edge(flows: &Flows) -> impl Iterator<Item = &Line> {
    let mut lines: Vec<&Line> = flows.iter().flatten().collect();
    lines.sort_by(|a, b| a.base().total_cmp(&b.base()));
    let last = lines.len().saturating_sub(EDGE);
    lines
        .into_iter()
        .enumerate()
        .filter(move |(at, _)| *at < EDGE || *at >= last)
        .map(|(_, line)| line)
}

/// How far down a line stands, roughly.
#[expect(clippy::cast_possible_truncation, reason = "as casts saturate, and no page is so long")]
fn place(line: &Line) -> i64 {
    (line.base() / 4.0).round() as i64
}

/// A line as it is, and with each of its numbers told from the page's: so page numbers are the same on every page, and chapters' are not.
fn keys(line: &Line, page: i64) -> Vec<Key> {
    let text = line.text();
    let words: Vec<&str> = text.split_whitespace().collect();
    let numbered = words.iter().enumerate().filter_map(|(at, word)| {
        let number: i64 = word.trim_matches(|char: char| !char.is_ascii_digit()).parse().ok()?;
        let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        *words.get_mut(at)? = format!("#{}", number.saturating_sub(page));
        Some(words.join(" "))
    });
    let keys: Vec<String> = numbered.chain([text.clone()]).collect();
    keys.into_iter().map(|key| (place(line), key)).collect()
}

/// Nothing but a page number: it need not be told even once.
fn is_number(text: &str) -> bool {
    let text = text.to_lowercase();
    let mut words =
        text.split_whitespace().filter(|word| !["page", "of", "seite", "von"].contains(word));
    words.all(|word| !word.contains(char::is_alphabetic))
}
