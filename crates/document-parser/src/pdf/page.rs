//! A page is drawn, and what is written while it is drawn is kept.

use super::{
    run::{Glyph, Run},
    text,
};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageDrawProps,
    InterpreterCache, InterpreterSettings, SoftMask,
    font::{self, GlyphRun},
    hayro_cmap::{BfString, WritingMode},
    hayro_syntax::{
        object::{Dict, String as PdfString},
        page::Page,
        xref::XRef,
    },
    interpret_page,
    kurbo::{Affine, BezPath, Point, Rect},
};
use std::collections::HashSet;

/// Measures of fonts are in thousandths.
const EM: f64 = 1000.0;

/// What was on a page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Characters that are told.
    pub letters: usize,
    /// Characters of which nobody knows what they are.
    pub unknown: usize,
    pub pictures: usize,
    pub shapes: usize,
}

/// A page's text in pieces.
pub(super) struct Looked {
    pub runs: Vec<Run>,
    pub seen: Seen,
}

pub(super) fn look<'a>(page: &Page<'a>, xref: &'a XRef, cache: &InterpreterCache<'a>) -> Looked {
    let (width, height) = page.render_dimensions();
    let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    let transform = Affine::new(page.initial_transform(true).as_coeffs());
    let mut context = Context::new(transform, area, cache, xref, InterpreterSettings::default());
    let mut eye = Eye {
        area: area.inset(2.0),
        runs: Vec::new(),
        seen: Seen::default(),
        spaced: false,
        marks: Vec::new(),
    };
    interpret_page(page, &mut context, &mut eye);
    let runs = eye.readable();
    let letters =
        runs.iter().flat_map(|run| run.text.chars()).filter(|char| char.is_alphanumeric()).count();
    Looked { runs, seen: Seen { letters, ..eye.seen } }
}

struct Eye {
    area: Rect,
    runs: Vec<Run>,
    seen: Seen,
    spaced: bool,
    marks: Vec<Mark>,
}

/// What the file says of a part of its page.
struct Mark {
    artifact: bool,
    /// The text that stands for what is drawn; empty when it was told.
    instead: Option<String>,
}

impl Eye {
    /// What a reader sees. Unseen text counts where it lies over pictures, or is all there is.
    fn readable(&mut self) -> Vec<Run> {
        let mut runs = std::mem::take(&mut self.runs);
        if self.seen.pictures == 0 && runs.iter().any(|run| !run.unseen) {
            runs.retain(|run| !run.unseen);
        }
        if runs.iter().any(|run| !run.artifact) {
            runs.retain(|run| !run.artifact);
        }
        // Shadows and bold type are made by drawing twice.
        let mut drawn = HashSet::new();
        runs.retain(|run| {
            let place = |at: f64| (at / run.size.max(1.0) * 2.0).round().to_bits();
            !run.text.trim().is_empty()
                && drawn.insert((run.text.clone(), place(run.left), place(run.base), run.turn))
        });
        runs
    }

    fn write(
        &mut self,
        glyph: &font::Glyph<'_>,
        transform: Affine,
        vertical: bool,
        bold: bool,
        unseen: bool,
    ) {
        let artifact = self.marks.iter().any(|mark| mark.artifact);
        let instead =
            self.marks.iter_mut().rev().find_map(|mark| mark.instead.as_mut()).map(std::mem::take);
        let text = match instead.or_else(|| glyph.as_unicode().map(told)) {
            Some(text) => plain(&text),
            None => {
                self.seen.unknown += 1;
                char::REPLACEMENT_CHARACTER.to_string()
            }
        };
        if text.trim().is_empty() {
            self.spaced |= !text.is_empty();
            return;
        }
        let place = Place::of(glyph, transform, vertical);
        if !self.area.contains(place.origin) || !place.size.is_finite() || place.size <= 0.0 {
            return;
        }
        let spaced = std::mem::take(&mut self.spaced);
        let Place { left, right, base, size, turn, .. } = place;
        let glyph = Glyph { text, left, right, base, size, turn, bold, unseen, artifact, spaced };
        let rest = match self.runs.last_mut() {
            Some(run) => run.take(glyph),
            None => Some(glyph),
        };
        self.runs.extend(rest.map(Run::begin));
    }
}

fn told(text: BfString) -> String {
    match text {
        BfString::Char(char) => char.to_string(),
        BfString::String(text) => text,
    }
}

/// Ligatures as the letters that they are made of, and no character that shows nothing.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            'ﬀ' => plain.push_str("ff"),
            'ﬁ' => plain.push_str("fi"),
            'ﬂ' => plain.push_str("fl"),
            'ﬃ' => plain.push_str("ffi"),
            'ﬄ' => plain.push_str("ffl"),
            'ﬅ' | 'ﬆ' => plain.push_str("st"),
            '\u{ad}' => plain.push('-'),
            '\u{200b}' | '\u{feff}' => {}
            _ if char.is_whitespace() => plain.push(' '),
            _ if char.is_control() => {}
            _ => plain.push(char),
        }
    }
    plain
}

/// Where a character stands, along the direction of its line.
struct Place {
    origin: Point,
    left: f64,
    right: f64,
    base: f64,
    size: f64,
    turn: i16,
}

impl Place {
    fn of(glyph: &font::Glyph<'_>, transform: Affine, vertical: bool) -> Self {
        let advance = match glyph {
            font::Glyph::Outline(glyph) => glyph.advance_width(),
            font::Glyph::Type3(glyph) => glyph.advance_width(),
        };
        let [a, b, c, d, ..] = transform.as_coeffs();
        let size = EM * c.hypot(d);
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
        let turn = angle.to_degrees().round() as i16;
        Self {
            origin,
            left,
            right: left + length.abs(),
            base: origin.y * cos - origin.x * sin,
            size,
            turn,
        }
    }
}

/// Whether a font is bold, by its own word.
fn is_bold(glyph: &font::Glyph<'_>) -> bool {
    let font::Glyph::Outline(glyph) = glyph else { return false };
    let Some(data) = glyph.font_data() else { return false };
    data.weight.is_some_and(|weight| weight >= 600)
        || data.postscript_name.is_some_and(|name| name.contains("Bold"))
}

impl<'a> Device<'a> for Eye {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let unseen = matches!(mode, DrawMode::Invisible);
        let vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        let bold = run.glyphs().first().is_some_and(|glyph| is_bold(glyph));
        for glyph in run.glyphs() {
            self.write(glyph, props.transform * glyph.transform(), vertical, bold, unseen);
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, _: ImageDrawProps<'a>) {
        // Lines and dots are drawn as pictures, too.
        self.seen.pictures += usize::from(image.width() > 50 && image.height() > 50);
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {
        self.seen.shapes += 1;
    }

    fn begin_marked_content(&mut self, tag: &[u8], properties: Option<&Dict<'_>>) {
        let instead =
            properties.and_then(|properties| properties.get::<PdfString<'_>>("ActualText"));
        self.marks.push(Mark {
            artifact: tag == b"Artifact",
            instead: instead.map(|string| text(string.as_bytes())),
        });
    }

    fn end_marked_content(&mut self) {
        self.marks.pop();
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_clip_rect(&mut self, _: &Rect) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}
