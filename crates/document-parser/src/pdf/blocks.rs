//! Builds blocks from the parts of all pages: text in larger letters becomes a heading, and a
//! sentence that continues on the next page is joined.

use super::{
    PageFlows,
    bookmarks::Bookmarks,
    part::{self, ListMarker, PagePart, TextPart},
};
use crate::{
    builder::DocumentBuilder,
    document::{Block, BlockContent, ListItem},
    error::ParseError,
};
use std::collections::BTreeMap;

/// The longest heading, in characters.
const MAX_HEADING_CHARS: usize = 200;

/// The least ratio between the letters of a heading and of the text.
const HEADING_RATIO: f64 = 1.12;

/// Builds the blocks of all pages.
pub(super) fn build(
    pages: Vec<PageFlows>,
    bookmarks: &Bookmarks,
    builder: &mut DocumentBuilder,
) -> Result<(), ParseError> {
    let mut parts = Vec::new();
    for (number, flows) in (1..).zip(pages) {
        for flow in flows {
            parts.extend((0..).zip(part::split_into_parts(&flow)).map(|(at, part)| PlacedPart {
                page: number,
                is_first: at == 0,
                part,
            }));
        }
    }
    let sizes = FontSizes::new(&parts, bookmarks);
    for PlacedPart { page, is_first, part } in parts {
        builder.page = Some(page);
        match part {
            PagePart::Table(rows) => builder.push(BlockContent::Table(rows))?,
            PagePart::Text(text_part) => match sizes.heading_level(&text_part) {
                Some(level) => builder.push_heading(level, &text_part.text)?,
                None => push_text(&text_part, is_first, builder)?,
            },
        }
    }
    Ok(())
}

/// A part with its position.
struct PlacedPart {
    page: u32,
    /// `true` if the part is the first of its column or page.
    is_first: bool,
    part: PagePart,
}

fn push_text(
    text_part: &TextPart,
    is_first: bool,
    builder: &mut DocumentBuilder,
) -> Result<(), ParseError> {
    let without_marker =
        || text_part.text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).to_owned();
    match text_part.marker {
        Some(ListMarker::Bullet) => {
            builder.push_item(ListItem { depth: 0, number: None, text: without_marker() })
        }
        Some(ListMarker::Number(number)) => {
            builder.push_item(ListItem { depth: 0, number: Some(number), text: without_marker() })
        }
        None => {
            if is_first
                && text_part.text.starts_with(char::is_lowercase)
                && let Some(Block { content: BlockContent::Paragraph(text), .. }) =
                    builder.blocks.last_mut()
                && !text.ends_with(['.', '!', '?', ':'])
            {
                part::append_line(text, &text_part.text);
                return builder.charge(text_part.text.len());
            }
            builder.push_paragraph(&text_part.text)
        }
    }
}

/// The letter sizes in a file, from which headings are recognised.
struct FontSizes<'a> {
    bookmarks: &'a Bookmarks,
    /// The size of most of the text.
    body: f64,
    /// The sizes of headings in half points, the largest first.
    headings: Vec<u32>,
}

impl<'a> FontSizes<'a> {
    fn new(parts: &[PlacedPart], bookmarks: &'a Bookmarks) -> Self {
        let mut letters: BTreeMap<u32, usize> = BTreeMap::new();
        let text_parts = || {
            parts.iter().filter_map(|placed| match &placed.part {
                PagePart::Text(text_part) => Some(text_part),
                PagePart::Table(_) => None,
            })
        };
        for text_part in text_parts() {
            *letters.entry(half_points(text_part.size)).or_default() += text_part.text.len();
        }
        let body = letters
            .into_iter()
            .max_by_key(|(_, letters)| *letters)
            .map_or(0.0, |(size, _)| f64::from(size) / 2.0);
        let mut sizes = Self { bookmarks, body, headings: Vec::new() };
        let mut headings: Vec<u32> = text_parts()
            .filter(|text_part| sizes.is_larger(text_part))
            .map(|text_part| half_points(text_part.size))
            .collect();
        headings.sort_unstable_by(|a, b| b.cmp(a));
        headings.dedup();
        sizes.headings = headings;
        sizes
    }

    /// Returns the level of a text that is a heading.
    fn heading_level(&self, text_part: &TextPart) -> Option<u8> {
        if let Some(level) = self.bookmarks.level_of(&text_part.text) {
            return Some(level);
        }
        let above = match () {
            () if self.is_larger(text_part) => {
                self.headings.iter().position(|size| *size == half_points(text_part.size))?
            }
            () if self.is_bold_line(text_part) => self.headings.len(),
            () => return None,
        };
        u8::try_from(above + 1).ok().map(|level| level.min(6))
    }

    fn is_larger(&self, text_part: &TextPart) -> bool {
        text_part.size > HEADING_RATIO * self.body
            && text_part.line_count <= 4
            && text_part.marker != Some(ListMarker::Bullet)
            && is_heading_text(&text_part.text, MAX_HEADING_CHARS)
    }

    fn is_bold_line(&self, text_part: &TextPart) -> bool {
        text_part.bold
            && text_part.size > 0.95 * self.body
            && text_part.line_count == 1
            && text_part.marker != Some(ListMarker::Bullet)
            && is_heading_text(&text_part.text, MAX_HEADING_CHARS / 2)
            && !text_part.text.ends_with(['.', ':', ',', ';'])
    }
}

fn is_heading_text(text: &str, max_chars: usize) -> bool {
    text.chars().any(char::is_alphabetic) && text.chars().count() <= max_chars
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn half_points(size: f64) -> u32 {
    (size * 2.0).round().clamp(0.0, 10_000.0) as u32
}
