//! The sections of a text: what stands under each heading of Markdown.

use std::ops::Range;

/// What stands under one heading.
pub(super) struct Section<'a> {
    pub(super) range: Range<usize>,
    /// The headings it stands under, its own the last.
    pub(super) headings: Vec<&'a str>,
    /// How many of them are not in its text.
    pub(super) above: usize,
}

pub(super) fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut levels: Vec<(usize, &str)> = Vec::new();
    let mut fence: Option<&str> = None;
    let (mut start, mut above) = (0, 0);
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (None, None) => {
                if let Some((level, heading)) = heading(line) {
                    sections.push(section(start..at, &levels, above));
                    levels.retain(|(above, _)| *above < level);
                    (start, above) = (at, levels.len());
                    levels.push((level, heading));
                }
            }
            (Some(_), _) => {}
        }
        at += line.len();
    }
    sections.push(section(start..at, &levels, above));
    sections.retain(|section| !section.range.is_empty());
    sections
}

fn section<'a>(range: Range<usize>, levels: &[(usize, &'a str)], above: usize) -> Section<'a> {
    Section { range, headings: levels.iter().map(|(_, heading)| *heading).collect(), above }
}

/// `## Title` is level 2.
fn heading(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    let name = rest.trim().trim_end_matches('#').trim_end();
    ((1..=6).contains(&level) && rest.starts_with(' ') && !name.is_empty()).then_some((level, name))
}
