//! Running heads, feet and page numbers: lines that come again on page after page are told once.

use super::Flows;
use std::collections::{HashMap, HashSet};

/// So many lines at the top and at the bottom of a page may be furniture.
const EDGE: usize = 2;

pub(super) fn clear(pages: &mut [Flows]) {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let edges: Vec<HashSet<String>> = pages.iter().map(edge).collect();
    for key in edges.iter().flatten() {
        *counts.entry(key.clone()).or_default() += 1;
    }
    // Heads may change with the chapter, and differ on the left and on the right.
    let often = (pages.len() / 5).max(3);
    let mut told = HashSet::new();
    for (flows, edge) in pages.iter_mut().zip(edges) {
        let furniture: HashSet<String> = edge.into_iter().filter(|key| counts.get(key).is_some_and(|count| *count >= often)).collect();
        for flow in flows.iter_mut() {
            flow.retain(|line| {
                let key = key(&line.text());
                !furniture.contains(&key) || !is_number(&key) && told.insert(key)
            });
        }
        flows.retain(|flow| !flow.is_empty());
    }
}

/// The lines at the top and at the bottom of a page.
fn edge(flows: &Flows) -> HashSet<String> {
    let mut lines: Vec<(f64, String)> = flows.iter().flatten().map(|line| (line.base(), key(&line.text()))).collect();
    lines.sort_by(|a, b| a.0.total_cmp(&b.0));
    let last = lines.len().saturating_sub(EDGE);
    lines.into_iter().enumerate().filter(|(at, _)| *at < EDGE || *at >= last).map(|(_, (_, key))| key).collect()
}

/// A line but for its numbers, which differ from page to page.
fn key(text: &str) -> String {
    let mut key = String::new();
    for char in text.chars() {
        let char = if char.is_ascii_digit() { '#' } else { char };
        if !(char == '#' && key.ends_with('#')) {
            key.push(char);
        }
    }
    key
}

/// Nothing but a page number: it need not be told even once.
fn is_number(key: &str) -> bool {
    let words = key.to_lowercase();
    let words = words.split_whitespace().filter(|word| !["page", "of", "seite", "von", "-", "–", "|", "/"].contains(word));
    words.into_iter().all(|word| word.chars().all(|char| !char.is_alphabetic()))
}
