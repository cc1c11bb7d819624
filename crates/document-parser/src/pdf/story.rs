//! The parts of all pages become one text: what is larger than the rest is a heading, and what breaks off goes on overleaf.

use super::{
    Flows,
    bookmarks::Bookmarks,
    part::{self, Mark, Part, Passage},
};
use crate::{
    document::{Block, Content, Item},
    draft::Draft,
    error::Reason,
};
use std::collections::BTreeMap;

/// No heading is longer, in characters.
const LONGEST: usize = 200;

/// So much larger than the text is a heading, at least.
const LARGER: f64 = 1.12;

pub(super) fn tell(
    pages: Vec<Flows>,
    bookmarks: &Bookmarks,
    draft: &mut Draft,
) -> Result<(), Reason> {
    let mut parts = Vec::new();
    for (number, flows) in (1..).zip(pages) {
        for flow in flows {
            parts.extend((0..).zip(part::parts(&flow)).map(|(at, part)| Placed {
                page: number,
                first: at == 0,
                part,
            }));
        }
    }
    let scale = Scale::of(&parts, bookmarks);
    for Placed { page, first, part } in parts {
        draft.page = Some(page);
        match part {
            Part::Table(rows) => draft.push(Content::Table(rows))?,
            Part::Text(passage) => match scale.level(&passage) {
                Some(level) => draft.heading(level, &passage.text)?,
                None => say(&passage, first, draft)?,
            },
        }
    }
    Ok(())
}

/// A part, and where it stands.
struct Placed {
    page: u32,
    /// Whether it is the first of its column or page.
    first: bool,
    part: Part,
}

fn say(passage: &Passage, first: bool, draft: &mut Draft) -> Result<(), Reason> {
    let unmarked =
        || passage.text.split_once(char::is_whitespace).map_or("", |(_, rest)| rest).to_owned();
    match passage.mark {
        Some(Mark::Bullet) => draft.item(Item { depth: 0, number: None, text: unmarked() }),
        Some(Mark::Number(number)) => {
            draft.item(Item { depth: 0, number: Some(number), text: unmarked() })
        }
        None => {
            if first
                && passage.text.starts_with(char::is_lowercase)
                && let Some(Block { content: Content::Paragraph(text), .. }) =
                    draft.blocks.last_mut()
                && !text.ends_with(['.', '!', '?', ':'])
            {
                part::append(text, &passage.text);
                return draft.spend(passage.text.len());
            }
            draft.paragraph(&passage.text)
        }
    }
}

/// The sizes of letters in a file.
struct Scale<'a> {
    bookmarks: &'a Bookmarks,
    /// The size of most of its text.
    body: f64,
    /// The sizes of headings, the largest first, in half points.
    headings: Vec<u32>,
}

impl<'a> Scale<'a> {
    fn of(parts: &[Placed], bookmarks: &'a Bookmarks) -> Self {
        let mut letters: BTreeMap<u32, usize> = BTreeMap::new();
        let passages = || {
            parts.iter().filter_map(|placed| match &placed.part {
                Part::Text(passage) => Some(passage),
                Part::Table(_) => None,
            })
        };
        for passage in passages() {
            *letters.entry(halves(passage.size)).or_default() += passage.text.len();
        }
        let body = letters
            .into_iter()
            .max_by_key(|(_, letters)| *letters)
            .map_or(0.0, |(size, _)| f64::from(size) / 2.0);
        let mut scale = Self { bookmarks, body, headings: Vec::new() };
        let mut headings: Vec<u32> = passages()
            .filter(|passage| scale.is_larger(passage))
            .map(|passage| halves(passage.size))
            .collect();
        headings.sort_unstable_by(|a, b| b.cmp(a));
        headings.dedup();
        scale.headings = headings;
        scale
    }

    fn level(&self, passage: &Passage) -> Option<u8> {
        if let Some(level) = self.bookmarks.level(&passage.text) {
            return Some(level);
        }
        let above = match () {
            () if self.is_larger(passage) => {
                self.headings.iter().position(|size| *size == halves(passage.size))?
            }
            () if self.is_bold_line(passage) => self.headings.len(),
            () => return None,
        };
        u8::try_from(above + 1).ok().map(|level| level.min(6))
    }

    fn is_larger(&self, passage: &Passage) -> bool {
        passage.size > LARGER * self.body
            && passage.lines <= 4
            && passage.mark != Some(Mark::Bullet)
            && is_title(&passage.text, LONGEST)
    }

    fn is_bold_line(&self, passage: &Passage) -> bool {
        passage.bold
            && passage.size > 0.95 * self.body
            && passage.lines == 1
            && passage.mark != Some(Mark::Bullet)
            && is_title(&passage.text, LONGEST / 2)
            && !passage.text.ends_with(['.', ':', ',', ';'])
    }
}

fn is_title(text: &str, longest: usize) -> bool {
    text.chars().any(char::is_alphabetic) && text.chars().count() <= longest
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn halves(size: f64) -> u32 {
    (size * 2.0).round().clamp(0.0, 10_000.0) as u32
}
