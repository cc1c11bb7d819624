//! Glyphs: the text and the position of each.

use hayro_interpret::{
    font,
    kurbo::{Affine, Point},
};
use std::collections::HashMap;

/// The units of glyph space per em (ISO 32000-1, section 9.2.4).
const UNITS_PER_EM: f64 = 1000.0;

/// The distances between two drawings of a glyph that make it bold or give it a shadow, in letter
/// sizes: along the line, and across it. The narrowest letters are 0.2 wide.
const MAX_COPY_DISTANCE: (f64, f64) = (0.1, 0.2);

/// A glyph with its text and position.
pub(super) struct Glyph {
    pub text: String,
    pub position: GlyphPosition,
    pub looks: GlyphLooks,
    /// `true` if a space was drawn before the glyph.
    pub after_space: bool,
}

/// The way in which a glyph is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GlyphLooks {
    pub bold: bool,
    /// `true` if the text is drawn invisibly, as by text recognition over pictures or to hide it.
    pub invisible: bool,
    /// `true` if the file marks the text as an artifact of the page, such as a header.
    pub artifact: bool,
}

/// The position of a glyph, in coordinates along the direction of its line, so that rotated text is
/// handled like any other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GlyphPosition {
    pub origin: Point,
    pub left: f64,
    pub right: f64,
    /// The position of the baseline; it grows downwards.
    pub baseline: f64,
    /// The height of letters.
    pub size: f64,
    /// The direction of the line, in degrees.
    pub angle: i16,
}

impl GlyphPosition {
    pub fn new(glyph: &font::Glyph<'_>, transform: Affine, vertical: bool) -> Self {
        let advance = match glyph {
            font::Glyph::Outline(glyph) => glyph.advance_width(),
            font::Glyph::Type3(glyph) => glyph.advance_width(),
        };
        let [a, b, c, d, ..] = transform.as_coeffs();
        let size = UNITS_PER_EM * c.hypot(d);
        let origin = transform * Point::ZERO;
        // A line of vertical writing runs along the other axis.
        let (x, y, length) = if vertical {
            (-c, -d, size)
        } else {
            (a, b, f64::from(advance.unwrap_or(500.0)) * a.hypot(b))
        };
        let angle = y.atan2(x);
        let (sin, cos) = angle.sin_cos();
        let left = origin.x * cos + origin.y * sin;
        #[expect(clippy::cast_possible_truncation, reason = "no angle has more than 360 degrees")]
        let angle = angle.to_degrees().round() as i16;
        Self {
            origin,
            left,
            right: left + length.abs(),
            baseline: origin.y * cos - origin.x * sin,
            size,
            angle,
        }
    }

    fn is_copy_of(&self, other: &Self) -> bool {
        let (along, across) = MAX_COPY_DISTANCE;
        self.angle == other.angle
            && (self.left - other.left).abs() < along * self.size
            && (self.baseline - other.baseline).abs() < across * self.size
    }
}

/// The glyphs of a page by text and place, to find those that are drawn twice.
#[derive(Default)]
pub(super) struct DrawnGlyphs(HashMap<(String, i64, i64), GlyphPosition>);

impl DrawnGlyphs {
    /// Adds a glyph, and returns whether it is a copy of one that was added before.
    pub fn add_or_is_copy(&mut self, text: &str, position: &GlyphPosition) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "as casts saturate")]
        let cell = |place: f64| (place / position.size).floor() as i64;
        let (column, row) = (cell(position.left), cell(position.baseline));
        for near_column in column.saturating_sub(1)..=column.saturating_add(1) {
            for near_row in row.saturating_sub(1)..=row.saturating_add(1) {
                let near = self.0.get(&(text.to_owned(), near_column, near_row));
                if near.is_some_and(|near| position.is_copy_of(near)) {
                    return true;
                }
            }
        }
        self.0.insert((text.to_owned(), column, row), *position);
        false
    }
}
