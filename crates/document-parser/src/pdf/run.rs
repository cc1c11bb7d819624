//! A run: characters that follow each other on one line, drawn close together.

/// A gap wider than this, in heights of letters, is more than a space between words.
pub(super) const WIDE: f64 = 1.2;

/// A gap wider than this, in heights of letters, is a space between words.
const NARROW: f64 = 0.13;

/// Characters on one line. Its places are along its own direction, so that turned text reads like any other.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub text: String,
    /// Where it begins.
    pub left: f64,
    /// Where it ends.
    pub right: f64,
    /// Where its letters stand; it grows downwards.
    pub base: f64,
    /// How high most of its letters are.
    pub size: f64,
    /// By how many letters they are more than the others.
    votes: usize,
    pub bold: bool,
    /// The direction of its line, in degrees.
    pub turn: i16,
    /// Drawn for no eye: what text recognition lays over pictures, or what somebody hides.
    pub unseen: bool,
    /// Part of the page, not of the text: a running head, by the file's own word.
    pub artifact: bool,
}

/// A character and its place.
pub(super) struct Glyph {
    pub text: String,
    pub left: f64,
    pub right: f64,
    pub base: f64,
    pub size: f64,
    pub turn: i16,
    pub bold: bool,
    pub unseen: bool,
    pub artifact: bool,
    /// Whether a space was drawn before it.
    pub spaced: bool,
}

impl Run {
    pub fn begin(glyph: Glyph) -> Self {
        let Glyph { text, left, right, base, size, turn, bold, unseen, artifact, spaced: _ } =
            glyph;
        Self { text, left, right, base, size, votes: 1, bold, turn, unseen, artifact }
    }

    /// Takes the character, or gives it back if it does not belong to this run.
    pub fn take(&mut self, glyph: Glyph) -> Option<Glyph> {
        let size = self.size.max(glyph.size);
        let gap = glyph.left - self.right;
        let alike = self.turn == glyph.turn
            && self.unseen == glyph.unseen
            && self.artifact == glyph.artifact;
        // Raised and lowered characters are smaller.
        let drop = if (self.size - glyph.size).abs() < 0.05 * size { 0.15 } else { 0.5 };
        if !alike
            || (self.base - glyph.base).abs() > drop * size
            || !(-0.6 * size..WIDE * size).contains(&gap)
            || glyph.size > 3.0 * self.size
        {
            return Some(glyph);
        }
        if (glyph.spaced || gap > NARROW * size) && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
        self.weigh(glyph.size, glyph.base, 1);
        self.text.push_str(&glyph.text);
        self.right = self.right.max(glyph.right);
        self.bold &= glyph.bold;
        None
    }

    pub fn join(&mut self, other: &Self) {
        if other.left - self.right > NARROW * self.size.max(other.size) && !self.text.ends_with(' ')
        {
            self.text.push(' ');
        }
        self.weigh(other.size, other.base, other.votes);
        self.text.push_str(&other.text);
        self.right = self.right.max(other.right);
        self.bold &= other.bold;
    }

    /// The most letters tell how large a line is, not a bullet, an initial or a raised number.
    fn weigh(&mut self, size: f64, base: f64, votes: usize) {
        if (self.size - size).abs() < 0.05 * size {
            self.votes += votes;
        } else if self.votes >= votes {
            self.votes -= votes;
        } else {
            (self.size, self.base, self.votes) = (size, base, votes - self.votes);
        }
    }
}
