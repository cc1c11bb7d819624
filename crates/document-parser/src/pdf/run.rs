//! Runs: glyphs that follow each other closely on one line.

use super::{
    bidi,
    glyph::{Glyph, GlyphLooks, GlyphPosition},
};

/// The widest gap within a run, in letter heights. A wider gap separates cells.
pub(super) const MAX_RUN_GAP: f64 = 1.2;

/// The widest gap within a word, in letter heights. A wider gap is a space.
const MAX_WORD_GAP: f64 = 0.13;

/// Glyphs on one line, from left to right. Coordinates are those of [`GlyphPosition`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub text: String,
    /// The start of the run.
    pub left: f64,
    /// The end of the run.
    pub right: f64,
    /// The position of the baseline; it grows downwards.
    pub baseline: f64,
    /// The height of most letters.
    pub size: f64,
    /// The majority of letters with this height over the others (Boyer–Moore vote).
    votes: usize,
    /// The direction of the line, in degrees.
    pub angle: i16,
    /// The looks of all glyphs; bold only if every glyph is.
    pub looks: GlyphLooks,
}

impl Run {
    /// Creates a run of one glyph.
    pub fn new(glyph: Glyph) -> Self {
        let Glyph { text, position, looks, after_space: _ } = glyph;
        let GlyphPosition { origin: _, left, right, baseline, size, angle } = position;
        Self { text, left, right, baseline, size, votes: 1, angle, looks }
    }

    /// Adds a glyph, or returns it if it does not belong to this run.
    pub fn push(&mut self, glyph: Glyph) -> Option<Glyph> {
        let position = &glyph.position;
        let size = self.size.max(position.size);
        let gap = position.left - self.right;
        let is_alike = self.angle == position.angle
            && self.looks.invisible == glyph.looks.invisible
            && self.looks.artifact == glyph.looks.artifact;
        // Superscripts and subscripts are smaller, so they may be off the baseline.
        let max_shift = if (self.size - position.size).abs() < 0.05 * size { 0.15 } else { 0.5 };
        // Right-to-left text may be drawn in either order: the letters of a line are put in order
        // when all of them are known.
        let max_overlap = if bidi::is_right_to_left(&glyph.text) { 0.1 } else { 0.6 };
        if !is_alike
            || (self.baseline - position.baseline).abs() > max_shift * size
            || !(-max_overlap * size..MAX_RUN_GAP * size).contains(&gap)
            || position.size > 3.0 * self.size
        {
            return Some(glyph);
        }
        if (glyph.after_space || gap > MAX_WORD_GAP * size) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.update_size(position.size, position.baseline, 1);
        self.text.push_str(&glyph.text);
        self.right = self.right.max(position.right);
        self.looks.bold &= glyph.looks.bold;
        None
    }

    /// Appends another run.
    pub fn append(&mut self, other: &Self) {
        if other.left - self.right > MAX_WORD_GAP * self.size.max(other.size)
            && !self.text.ends_with(' ')
        {
            self.text.push(' ');
        }
        self.update_size(other.size, other.baseline, other.votes);
        self.text.push_str(&other.text);
        self.right = self.right.max(other.right);
        self.looks.bold &= other.looks.bold;
    }

    /// Updates size and baseline to those of most letters, so that a bullet, an initial or a raised
    /// number does not change them.
    fn update_size(&mut self, size: f64, baseline: f64, votes: usize) {
        if (self.size - size).abs() < 0.05 * size {
            self.votes += votes;
        } else if self.votes >= votes {
            self.votes -= votes;
        } else {
            (self.size, self.baseline, self.votes) = (size, baseline, votes - self.votes);
        }
    }
}
