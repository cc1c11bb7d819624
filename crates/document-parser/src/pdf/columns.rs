//! Columns: splits a page at the gutter between two texts.

use super::{PageFlows, line, run::Run};
use std::collections::BTreeMap;

/// The number of vertical strips in which gutters are searched.
const STRIP_COUNT: usize = 600;

/// The deepest nesting of columns.
const MAX_DEPTH: usize = 4;

/// The length of most runs in a text column, in characters; the cells of a table are shorter.
const MIN_TEXT_CHARS: usize = 15;

/// Splits the runs of a page into flows in reading order. Rotated text comes last.
pub(super) fn split_into_flows(runs: Vec<Run>) -> PageFlows {
    let mut by_angle: BTreeMap<(bool, i16), Vec<Run>> = BTreeMap::new();
    for run in runs {
        by_angle.entry((run.angle != 0, run.angle)).or_default().push(run);
    }
    let mut flows = Vec::new();
    for runs in by_angle.into_values() {
        split_at_gutter(runs, 0, &mut flows);
    }
    flows
}

/// Splits runs at their gutter, recursively.
fn split_at_gutter(runs: Vec<Run>, depth: usize, flows: &mut PageFlows) {
    let Some(gutter) = (depth < MAX_DEPTH).then(|| find_gutter(&runs)).flatten() else {
        if !runs.is_empty() {
            flows.push(line::group_runs(runs));
        }
        return;
    };
    // Runs across the gutter divide the columns into bands, which are read one after the other.
    let (mut across, beside): (Vec<Run>, Vec<Run>) =
        runs.into_iter().partition(|run| run.left < gutter && run.right > gutter);
    across.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let bases: Vec<f64> = across.iter().map(|run| run.baseline).collect();
    let mut bands: BTreeMap<usize, (Vec<Run>, Vec<Run>)> = BTreeMap::new();
    for run in beside {
        let band = bands.entry(bases.partition_point(|base| *base < run.baseline)).or_default();
        if run.right <= gutter { band.0.push(run) } else { band.1.push(run) }
    }
    let mut across = across.into_iter();
    let mut passed = 0;
    let mut pending = Vec::new();
    for (at, (left, right)) in bands {
        pending.extend(across.by_ref().take(at - passed));
        passed = at;
        if !pending.is_empty() {
            flows.push(line::group_runs(std::mem::take(&mut pending)));
        }
        for side in [left, right] {
            split_at_gutter(side, depth + 1, flows);
        }
    }
    let rest: Vec<Run> = across.collect();
    if !rest.is_empty() {
        flows.push(line::group_runs(rest));
    }
}

/// Returns the middle of the widest gutter, if the page has columns.
fn find_gutter(runs: &[Run]) -> Option<f64> {
    if runs.len() < 4 {
        return None;
    }
    let left = runs.iter().map(|run| run.left).fold(f64::MAX, f64::min);
    let right = runs.iter().map(|run| run.right).fold(f64::MIN, f64::max);
    let strip = (right - left) / strip_count_f64();
    if !strip.is_finite() || strip <= 0.0 {
        return None;
    }
    let coverage = count_runs_over_strips(runs, left, strip);
    // Runs that span the columns also cover the gutter, so a few are allowed.
    let max_crossing = if runs.len() < 8 { 0 } else { (coverage.iter().max()? / 6).max(1) };
    let mut sizes: Vec<f64> = runs.iter().map(|run| run.size).collect();
    sizes.sort_by(f64::total_cmp);
    let size = sizes.get(sizes.len() / 2)?;
    find_gaps(&coverage, max_crossing)
        .into_iter()
        .map(|(from, to)| (left + strip * from, left + strip * to))
        .filter(|(from, to)| to - from > 0.8 * size)
        .filter(|(from, to)| is_between_texts(runs, f64::midpoint(*from, *to)))
        .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
        .map(|(from, to)| f64::midpoint(from, to))
}

fn strip_count_f64() -> f64 {
    u32::try_from(STRIP_COUNT).map_or(1.0, f64::from)
}

/// Counts the runs over each strip.
fn count_runs_over_strips(runs: &[Run], left: f64, strip: f64) -> Vec<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 0 and the number of strips"
    )]
    let at = |x: f64| ((x - left) / strip).clamp(0.0, strip_count_f64()) as usize;
    let mut change = vec![0_i64; STRIP_COUNT + 2];
    for run in runs {
        for (place, by) in [(at(run.left), 1), (at(run.right) + 1, -1)] {
            if let Some(change) = change.get_mut(place) {
                *change += by;
            }
        }
    }
    change
        .into_iter()
        .scan(0, |sum, by| {
            *sum += by;
            Some(*sum)
        })
        .take(STRIP_COUNT)
        .collect()
}

/// Returns the ranges of strips with few runs, and with text on both sides.
fn find_gaps(coverage: &[i64], max_crossing: i64) -> Vec<(f64, f64)> {
    let mut gaps = Vec::new();
    let mut start = None;
    for (at, count) in (0_u32..).zip(coverage) {
        match (*count <= max_crossing, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                if from > 0 {
                    gaps.push((f64::from(from), f64::from(at)));
                }
                start = None;
            }
            _ => {}
        }
    }
    gaps
}

/// Returns whether running text stands on both sides of a gutter, or on one side of it beside
/// something else, at the same height. In tables the gutters are between words.
fn is_between_texts(runs: &[Run], gutter: f64) -> bool {
    let left: Vec<&Run> = runs.iter().filter(|run| run.right <= gutter).collect();
    let right: Vec<&Run> = runs.iter().filter(|run| run.left >= gutter).collect();
    let is_text = |side: &[&Run]| {
        side.len() >= 4
            && side.iter().filter(|run| run.text.chars().count() >= MIN_TEXT_CHARS).count() * 2
                >= side.len()
    };
    let vertical_range = |side: &[&Run]| {
        let top = side.iter().map(|run| run.baseline).fold(f64::MAX, f64::min);
        let bottom = side.iter().map(|run| run.baseline).fold(f64::MIN, f64::max);
        (top, bottom)
    };
    let are_texts = is_text(&left) && is_text(&right)
        || is_running_text(&left) && is_running_text(&right)
        || is_text_beside(&left, &right)
        || is_text_beside(&right, &left);
    if !are_texts {
        return false;
    }
    let ((top, bottom), (other_top, other_bottom)) =
        (vertical_range(&left), vertical_range(&right));
    let overlap = bottom.min(other_bottom) - top.max(other_top);
    overlap > 0.3 * (bottom - top).min(other_bottom - other_top)
}

/// Returns whether the lines of a column are the sentences of one text: they are long, and begin in
/// the middle of a sentence, as the cells of a table do not.
fn is_running_text(side: &[&Run]) -> bool {
    let chars: usize = side.iter().map(|run| run.text.chars().count()).sum();
    let mut lines: Vec<&&Run> = side.iter().collect();
    lines.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let continued =
        lines.iter().skip(1).filter(|run| run.text.starts_with(char::is_lowercase)).count();
    side.len() >= 2 && chars >= MIN_TEXT_CHARS * side.len() && continued * 2 >= side.len()
}

/// Returns whether one side is running text and the other a figure or a table beside it: its lines
/// are not at the heights of the text's lines, as the cells of a row are.
fn is_text_beside(text: &[&Run], other: &[&Run]) -> bool {
    let is_aligned = |run: &&&Run| {
        text.iter().any(|line| (line.baseline - run.baseline).abs() < 0.15 * run.size)
    };
    text.len() >= 4
        && other.len() >= 2
        && is_running_text(text)
        && other.iter().filter(is_aligned).count() * 2 < other.len()
}
