//! Runs: glyphs that follow each other closely on one line.

/// The widest gap within a run, in letter heights. A wider gap separates cells.
pub(super) const MAX_RUN_GAP: f64 = 1.2;

/// The widest gap within a word, in letter heights. A wider gap is a space.
const MAX_WORD_GAP: f64 = 0.13;

/// Glyphs on one line. Coordinates are along the line's direction, so that rotated text is handled
/// like any other.
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
    pub bold: bool,
    /// The direction of the line, in degrees.
    pub angle: i16,
    /// Whether the text is drawn invisibly, as by text recognition over pictures or to hide it.
    pub invisible: bool,
    /// Whether the file marks the text as an artifact of the page, such as a header.
    pub artifact: bool,
}

/// A glyph with its text and position.
pub(super) struct Glyph {
    pub text: String,
    pub left: f64,
    pub right: f64,
    pub baseline: f64,
    pub size: f64,
    pub angle: i16,
    pub bold: bool,
    pub invisible: bool,
    pub artifact: bool,
    /// Whether a space was drawn before the glyph.
    pub after_space: bool,
}

impl Run {
    /// Creates a run of one glyph.
    pub fn new(glyph: Glyph) -> Self {
        let Glyph {
            text,
            left,
            right,
            baseline,
            size,
            angle,
            bold,
            invisible,
            artifact,
            after_space: _,
        } = glyph;
        Self { text, left, right, baseline, size, votes: 1, bold, angle, invisible, artifact }
    }

    /// Adds a glyph, or returns it if it does not belong to this run.
    pub fn push(&mut self, glyph: Glyph) -> Option<Glyph> {
        let size = self.size.max(glyph.size);
        let gap = glyph.left - self.right;
        let is_alike = self.angle == glyph.angle
            && self.invisible == glyph.invisible
            && self.artifact == glyph.artifact;
        // Superscripts and subscripts are smaller, so they may be off the baseline.
        let max_shift = if (self.size - glyph.size).abs() < 0.05 * size { 0.15 } else { 0.5 };
        if !is_alike
            || (self.baseline - glyph.baseline).abs() > max_shift * size
            || !(-0.6 * size..MAX_RUN_GAP * size).contains(&gap)
            || glyph.size > 3.0 * self.size
        {
            return Some(glyph);
        }
        if (glyph.after_space || gap > MAX_WORD_GAP * size) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.update_size(glyph.size, glyph.baseline, 1);
        self.text.push_str(&glyph.text);
        self.right = self.right.max(glyph.right);
        self.bold &= glyph.bold;
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
        self.bold &= other.bold;
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
