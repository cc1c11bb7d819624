//! A file's own table of contents: whatever is in it is a heading.

use super::text;
use hayro_interpret::hayro_syntax::{
    Pdf,
    object::{Dict, String as PdfString},
};
use std::collections::HashMap;

/// So many bookmarks are read at most; a table of contents that bites its tail ends here.
const MOST: usize = 10_000;

/// So deep do headings go.
const DEEPEST: u8 = 6;

/// The levels of headings by their texts.
#[derive(Default)]
pub(super) struct Bookmarks(HashMap<String, u8>);

impl Bookmarks {
    pub fn level(&self, heading: &str) -> Option<u8> {
        self.0.get(&key(heading)).copied()
    }
}

pub(super) fn read(pdf: &Pdf) -> Bookmarks {
    let mut bookmarks = HashMap::new();
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let first =
        catalog.and_then(|catalog| catalog.get::<Dict<'_>>("Outlines")?.get::<Dict<'_>>("First"));
    let mut open: Vec<(u8, Dict<'_>)> = first.into_iter().map(|first| (1, first)).collect();
    for _ in 0..MOST {
        let Some((level, bookmark)) = open.pop() else { break };
        if let Some(title) = bookmark.get::<PdfString<'_>>("Title") {
            bookmarks.entry(key(&text(title.as_bytes()))).or_insert(level);
        }
        open.extend(bookmark.get::<Dict<'_>>("Next").map(|next| (level, next)));
        if level < DEEPEST {
            open.extend(bookmark.get::<Dict<'_>>("First").map(|first| (level + 1, first)));
        }
    }
    Bookmarks(bookmarks)
}

/// Spaces and punctuation differ between a heading and its bookmark.
fn key(text: &str) -> String {
    text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
