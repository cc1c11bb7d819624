//! Splits a text at its Markdown headings.

use std::ops::Range;

/// The text under one heading.
pub(super) struct Section<'a> {
    pub(super) range: Range<usize>,
    /// The headings above the section, its own last.
    pub(super) headings: Vec<&'a str>,
    /// The number of leading `headings` that are not part of the section's text.
    pub(super) inherited_headings: usize,
}

pub(super) fn parse_sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let mut levels: Vec<(usize, &str)> = Vec::new();
    let mut fence: Option<&str> = None;
    let (mut start, mut inherited_headings) = (0, 0);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let mark = ["```", "~~~"].into_iter().find(|mark| line.trim_start().starts_with(mark));
        match (fence, mark) {
            (None, Some(_)) => fence = mark,
            (Some(open), Some(close)) if open == close => fence = None,
            (None, None) => {
                if let Some((level, heading)) = parse_heading(line) {
                    sections.push(build_section(start..offset, &levels, inherited_headings));
                    levels.retain(|(open, _)| *open < level);
                    (start, inherited_headings) = (offset, levels.len());
                    levels.push((level, heading));
                }
            }
            (Some(_), _) => {}
        }
        offset += line.len();
    }
    sections.push(build_section(start..offset, &levels, inherited_headings));
    sections.retain(|section| !section.range.is_empty());
    sections
}

fn build_section<'a>(
    range: Range<usize>,
    levels: &[(usize, &'a str)],
    inherited_headings: usize,
) -> Section<'a> {
    Section {
        range,
        headings: levels.iter().map(|(_, heading)| *heading).collect(),
        inherited_headings,
    }
}

/// Parses a Markdown heading; `## Title` is level 2.
fn parse_heading(line: &str) -> Option<(usize, &str)> {
    let rest = line.trim_start_matches('#');
    let level = line.len() - rest.len();
    let name = rest.trim().trim_end_matches('#').trim_end();
    ((1..=6).contains(&level) && rest.starts_with(' ') && !name.is_empty()).then_some((level, name))
}
