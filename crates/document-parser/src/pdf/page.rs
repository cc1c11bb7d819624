//! Interprets the drawing operators of a page, and collects its glyphs.

use super::{
    bidi, decode_string, form,
    glyph::{DrawnGlyphs, Glyph, GlyphLooks, GlyphPosition},
    run::Run,
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
    kurbo::{Affine, BezPath, Rect},
};
use std::collections::HashSet;

/// The numbers of objects on a page.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PageCounts {
    /// Letters and digits that became text.
    pub letters: usize,
    /// Glyphs without a mapping to characters.
    pub unmapped: usize,
    pub pictures: usize,
    pub shapes: usize,
}

/// The text of a page in runs, and the numbers of its objects.
pub(super) struct PageText {
    pub runs: Vec<Run>,
    pub counts: PageCounts,
}

/// Interprets a page and returns its text.
pub(super) fn interpret<'a>(
    page: &Page<'a>,
    xref: &'a XRef,
    cache: &InterpreterCache<'a>,
) -> PageText {
    let (width, height) = page.render_dimensions();
    let area = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    let transform = Affine::new(page.initial_transform(true).as_coeffs());
    let mut context = Context::new(transform, area, cache, xref, InterpreterSettings::default());
    let mut collector = GlyphCollector {
        area: area.inset(2.0),
        runs: Vec::new(),
        counts: PageCounts::default(),
        drawn: DrawnGlyphs::default(),
        after_space: false,
        marked_content: Vec::new(),
    };
    interpret_page(page, &mut context, &mut collector);
    let mut runs = collector.take_visible_runs();
    runs.extend(form::read_undrawn_values(page, transform, &runs));
    let letters =
        runs.iter().flat_map(|run| run.text.chars()).filter(|char| char.is_alphanumeric()).count();
    PageText { runs, counts: PageCounts { letters, ..collector.counts } }
}

/// A device that collects glyphs instead of drawing them.
struct GlyphCollector {
    area: Rect,
    runs: Vec<Run>,
    counts: PageCounts,
    drawn: DrawnGlyphs,
    after_space: bool,
    marked_content: Vec<MarkedContent>,
}

/// A marked-content sequence (ISO 32000-1, section 14.6).
struct MarkedContent {
    artifact: bool,
    /// The `ActualText` that replaces the glyphs; empty after its first use.
    actual_text: Option<String>,
}

impl GlyphCollector {
    /// Returns the visible runs. Invisible text is used if the page has pictures, or no other text.
    fn take_visible_runs(&mut self) -> Vec<Run> {
        let mut runs = std::mem::take(&mut self.runs);
        if self.counts.pictures == 0 && runs.iter().any(|run| !run.looks.invisible) {
            runs.retain(|run| !run.looks.invisible);
        }
        if runs.iter().any(|run| !run.looks.artifact) {
            runs.retain(|run| !run.looks.artifact);
        }
        // Some programs draw a text twice for a shadow or bold type, so duplicates are removed.
        let mut seen = HashSet::new();
        runs.retain(|run| {
            let place = |at: f64| (at / run.size.max(1.0) * 2.0).round().to_bits();
            !run.text.trim().is_empty()
                && seen.insert((run.text.clone(), place(run.left), place(run.baseline), run.angle))
        });
        runs
    }

    fn push_glyph(
        &mut self,
        glyph: &font::Glyph<'_>,
        transform: Affine,
        vertical: bool,
        bold: bool,
        invisible: bool,
    ) {
        let artifact = self.marked_content.iter().any(|mark| mark.artifact);
        let actual_text = self
            .marked_content
            .iter_mut()
            .rev()
            .find_map(|mark| mark.actual_text.as_mut())
            .map(std::mem::take);
        let text = match actual_text.or_else(|| glyph.as_unicode().map(bf_string_to_text)) {
            Some(text) => bidi::to_visual_glyph(expand_ligatures(&text)),
            None => {
                self.counts.unmapped += 1;
                char::REPLACEMENT_CHARACTER.to_string()
            }
        };
        if text.trim().is_empty() {
            self.after_space |= !text.is_empty();
            return;
        }
        let position = GlyphPosition::new(glyph, transform, vertical);
        if !self.area.contains(position.origin)
            || !position.size.is_finite()
            || position.size <= 0.0
        {
            return;
        }
        if self.drawn.add_or_is_copy(&text, &position) {
            return;
        }
        let after_space = std::mem::take(&mut self.after_space);
        let looks = GlyphLooks { bold, invisible, artifact };
        let glyph = Glyph { text, position, looks, after_space };
        let rest = match self.runs.last_mut() {
            Some(run) => run.push(glyph),
            None => Some(glyph),
        };
        self.runs.extend(rest.map(Run::new));
    }
}

fn bf_string_to_text(text: BfString) -> String {
    match text {
        BfString::Char(char) => char.to_string(),
        BfString::String(text) => text,
    }
}

/// Expands ligatures into letters, and removes invisible characters.
fn expand_ligatures(text: &str) -> String {
    let mut expanded = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            'ﬀ' => expanded.push_str("ff"),
            'ﬁ' => expanded.push_str("fi"),
            'ﬂ' => expanded.push_str("fl"),
            'ﬃ' => expanded.push_str("ffi"),
            'ﬄ' => expanded.push_str("ffl"),
            'ﬅ' | 'ﬆ' => expanded.push_str("st"),
            '\u{ad}' => expanded.push('-'),
            '\u{200b}' | '\u{feff}' => {}
            _ if char.is_whitespace() => expanded.push(' '),
            _ if char.is_control() => {}
            _ => expanded.push(char),
        }
    }
    expanded
}

/// Returns whether the font of a glyph declares itself bold.
fn is_bold(glyph: &font::Glyph<'_>) -> bool {
    let font::Glyph::Outline(glyph) = glyph else { return false };
    let Some(data) = glyph.font_data() else { return false };
    data.weight.is_some_and(|weight| weight >= 600)
        || data.postscript_name.is_some_and(|name| name.contains("Bold"))
}

impl<'a> Device<'a> for GlyphCollector {
    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        let invisible = matches!(mode, DrawMode::Invisible);
        let vertical = matches!(run.writing_mode(), WritingMode::Vertical);
        let bold = run.glyphs().first().is_some_and(|glyph| is_bold(glyph));
        for glyph in run.glyphs() {
            self.push_glyph(glyph, props.transform * glyph.transform(), vertical, bold, invisible);
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, _: ImageDrawProps<'a>) {
        // Some programs draw lines and dots as small images, which do not count.
        self.counts.pictures += usize::from(image.width() > 50 && image.height() > 50);
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {
        self.counts.shapes += 1;
    }

    fn begin_marked_content(&mut self, tag: &[u8], properties: Option<&Dict<'_>>) {
        let actual_text =
            properties.and_then(|properties| properties.get::<PdfString<'_>>("ActualText"));
        self.marked_content.push(MarkedContent {
            artifact: tag == b"Artifact",
            actual_text: actual_text.map(|string| decode_string(string.as_bytes())),
        });
    }

    fn end_marked_content(&mut self) {
        self.marked_content.pop();
    }

    fn push_clip_path(&mut self, _: &ClipPath) {}

    fn push_clip_rect(&mut self, _: &Rect) {}

    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}

    fn pop_clip(&mut self) {}

    fn pop_transparency_group(&mut self) {}
}
