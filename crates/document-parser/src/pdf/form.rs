//! Values of form fields that a viewer is to draw (`NeedAppearances`, ISO 32000-1, section 12.7.2).

use super::{
    bidi, decode_string,
    glyph::{Glyph, GlyphLooks, GlyphPosition},
    run::Run,
};
use hayro_interpret::{
    hayro_syntax::{
        object::{Array, Dict, Name, Object, Rect as PdfRect, String as PdfString},
        page::Page,
    },
    kurbo::{Affine, Point, Rect},
};

/// The flags of an annotation that is not shown (ISO 32000-1, section 12.5.3).
const NOT_SHOWN: u32 = (1 << 1) | (1 << 5);

/// The flag of a field for a password (ISO 32000-1, section 12.7.4.3).
const PASSWORD: u32 = 1 << 13;

/// A field may be a child of another one, of which it has what it does not say itself.
const MAX_ANCESTORS: usize = 16;

/// The height of letters in a field of one line: this part of the field, and at most this many
/// points.
const LETTER_HEIGHT: (f64, f64) = (0.7, 12.0);

/// Returns the values of text fields and choices in whose place nothing is drawn.
pub(super) fn read_undrawn_values(page: &Page<'_>, transform: Affine, drawn: &[Run]) -> Vec<Run> {
    let Some(annotations) = page.raw().get::<Array<'_>>("Annots") else { return Vec::new() };
    let mut runs = Vec::new();
    for field in annotations.iter::<Dict<'_>>() {
        let Some((value, place)) = read_value(&field) else { continue };
        let place = transform.transform_rect_bbox(place);
        let is_drawn = |run: &Run| place.contains(Point::new(run.left, run.baseline));
        if !drawn.iter().any(is_drawn) {
            runs.extend(lay_out(&value, place));
        }
    }
    runs
}

/// Returns the text of a field that is shown, and its place on the page.
fn read_value(field: &Dict<'_>) -> Option<(String, Rect)> {
    let is_widget = field.get::<Name<'_>>("Subtype").is_some_and(|name| *name == *b"Widget");
    let is_shown = field.get::<u32>("F").unwrap_or_default() & NOT_SHOWN == 0;
    let kind: Name<'_> = find_holder(field, "FT")?.get("FT")?;
    let flags = find_holder(field, "Ff").and_then(|holder| holder.get::<u32>("Ff"));
    let is_readable = match &*kind {
        b"Tx" => flags.unwrap_or_default() & PASSWORD == 0,
        b"Ch" => true,
        _ => false,
    };
    if !is_widget || !is_shown || !is_readable {
        return None;
    }
    let PdfRect { x0, y0, x1, y1 } = field.get("Rect")?;
    let value = match find_holder(field, "V")?.get::<Object<'_>>("V")? {
        Object::String(text) => decode_string(text.as_bytes()),
        Object::Array(choices) => {
            let texts = choices.iter::<PdfString<'_>>();
            texts.map(|text| decode_string(text.as_bytes())).collect::<Vec<_>>().join(", ")
        }
        _ => return None,
    };
    Some((value, Rect::new(x0, y0, x1, y1)))
}

/// Returns the field, or the nearest ancestor of it, that has this entry.
fn find_holder<'a>(field: &Dict<'a>, key: &str) -> Option<Dict<'a>> {
    let parent = |field: &Dict<'a>| field.get::<Dict<'_>>("Parent");
    let mut fields = std::iter::successors(Some(field.clone()), parent).take(MAX_ANCESTORS);
    fields.find(|field| field.contains_key(key))
}

/// Lays out the lines of a value from the top of its place.
fn lay_out(value: &str, place: Rect) -> Vec<Run> {
    let lines: Vec<&str> =
        value.split(['\r', '\n']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let (part, most) = LETTER_HEIGHT;
    let count = f64::from(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    let size = (part * place.height() / count.max(1.0)).min(most);
    let baselines = (1..).map(|line| place.y0 + f64::from(line) * size / part);
    let run = |(line, baseline): (&str, f64)| {
        let origin = Point::new(place.x0, baseline - 0.2 * size);
        let position = GlyphPosition {
            origin,
            left: place.x0,
            right: place.x1,
            baseline: origin.y,
            size,
            angle: 0,
        };
        let looks = GlyphLooks { bold: false, invisible: false, artifact: false };
        let text = bidi::to_visual_glyph(line.to_owned());
        Run::new(Glyph { text, position, looks, after_space: false })
    };
    lines.into_iter().zip(baselines).map(run).collect()
}
