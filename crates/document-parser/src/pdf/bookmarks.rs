//! The bookmarks (outline) of a file, whose texts are headings.

use super::decode_string;
use hayro_interpret::hayro_syntax::{
    Pdf,
    object::{Dict, String as PdfString},
};
use std::collections::HashMap;

/// The most bookmarks that are read. The limit also ends a circular outline.
const MAX_BOOKMARKS: usize = 10_000;

/// The deepest level of bookmarks that is read.
const MAX_LEVEL: u8 = 6;

/// The levels of headings, by normalized text.
#[derive(Default)]
pub(super) struct Bookmarks(HashMap<String, u8>);

impl Bookmarks {
    /// Returns the level of the bookmark with this text.
    pub fn level_of(&self, heading: &str) -> Option<u8> {
        self.0.get(&normalize(heading)).copied()
    }
}

/// Reads the bookmarks.
pub(super) fn read(pdf: &Pdf) -> Bookmarks {
    let mut bookmarks = HashMap::new();
    let catalog = pdf.xref().get::<Dict<'_>>(pdf.xref().root_id());
    let first =
        catalog.and_then(|catalog| catalog.get::<Dict<'_>>("Outlines")?.get::<Dict<'_>>("First"));
    let mut open: Vec<(u8, Dict<'_>)> = first.into_iter().map(|first| (1, first)).collect();
    for _ in 0..MAX_BOOKMARKS {
        let Some((level, bookmark)) = open.pop() else { break };
        if let Some(title) = bookmark.get::<PdfString<'_>>("Title") {
            bookmarks.entry(normalize(&decode_string(title.as_bytes()))).or_insert(level);
        }
        open.extend(bookmark.get::<Dict<'_>>("Next").map(|next| (level, next)));
        if level < MAX_LEVEL {
            open.extend(bookmark.get::<Dict<'_>>("First").map(|first| (level + 1, first)));
        }
    }
    Bookmarks(bookmarks)
}

/// Removes spaces and punctuation, which can differ between a heading and its bookmark.
fn normalize(text: &str) -> String {
    text.chars().filter(|char| char.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
