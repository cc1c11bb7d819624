//! Columns: a page is cut where a gutter runs down between two texts.

use super::{Flows, line, run::Run};
use std::collections::BTreeMap;

/// How many strips a page is cut into to look for gutters.
const STRIPS: usize = 600;

/// Columns within columns.
const DEEPEST: usize = 4;

/// A column is made of lines, not of words: so long are most of its runs, in characters.
const LONG: usize = 15;

/// The lines of a page in the order in which they are read. Turned text comes last.
pub(super) fn flows(runs: Vec<Run>) -> Flows {
    let mut turns: BTreeMap<(bool, i16), Vec<Run>> = BTreeMap::new();
    for run in runs {
        turns.entry((run.turn != 0, run.turn)).or_default().push(run);
    }
    let mut flows = Vec::new();
    for runs in turns.into_values() {
        cut(runs, 0, &mut flows);
    }
    flows
}

fn cut(runs: Vec<Run>, depth: usize, flows: &mut Flows) {
    let Some(gutter) = (depth < DEEPEST).then(|| gutter(&runs)).flatten() else {
        if !runs.is_empty() {
            flows.push(line::lines(runs));
        }
        return;
    };
    // What stands across the gutter cuts the columns into bands, which are read one after the other.
    let (mut across, aside): (Vec<Run>, Vec<Run>) =
        runs.into_iter().partition(|run| run.left < gutter && run.right > gutter);
    across.sort_by(|a, b| a.base.total_cmp(&b.base));
    let bases: Vec<f64> = across.iter().map(|run| run.base).collect();
    let mut bands: BTreeMap<usize, (Vec<Run>, Vec<Run>)> = BTreeMap::new();
    for run in aside {
        let band = bands.entry(bases.partition_point(|base| *base < run.base)).or_default();
        if run.right <= gutter { band.0.push(run) } else { band.1.push(run) }
    }
    let mut across = across.into_iter();
    let mut told = 0;
    let mut pending = Vec::new();
    for (at, (left, right)) in bands {
        pending.extend(across.by_ref().take(at - told));
        told = at;
        if !pending.is_empty() {
            flows.push(line::lines(std::mem::take(&mut pending)));
        }
        for side in [left, right] {
            cut(side, depth + 1, flows);
        }
    }
    let rest: Vec<Run> = across.collect();
    if !rest.is_empty() {
        flows.push(line::lines(rest));
    }
}

/// The middle of the widest gutter, if the page has columns.
fn gutter(runs: &[Run]) -> Option<f64> {
    if runs.len() < 8 {
        return None;
    }
    let left = runs.iter().map(|run| run.left).fold(f64::MAX, f64::min);
    let right = runs.iter().map(|run| run.right).fold(f64::MIN, f64::max);
    let strip = (right - left) / strips_as_f64();
    if !strip.is_finite() || strip <= 0.0 {
        return None;
    }
    let covered = coverage(runs, left, strip);
    // What spans the columns stands over their gutter, too.
    let few = (covered.iter().max()? / 6).max(1);
    let mut sizes: Vec<f64> = runs.iter().map(|run| run.size).collect();
    sizes.sort_by(f64::total_cmp);
    let size = sizes.get(sizes.len() / 2)?;
    gaps(&covered, few)
        .into_iter()
        .map(|(from, to)| (left + strip * from, left + strip * to))
        .filter(|(from, to)| to - from > 0.8 * size)
        .filter(|(from, to)| parts_texts(runs, f64::midpoint(*from, *to)))
        .max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))
        .map(|(from, to)| f64::midpoint(from, to))
}

fn strips_as_f64() -> f64 {
    u32::try_from(STRIPS).map_or(1.0, f64::from)
}

/// How many runs stand over each strip.
fn coverage(runs: &[Run], left: f64, strip: f64) -> Vec<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between 0 and the number of strips"
    )]
    let at = |x: f64| ((x - left) / strip).clamp(0.0, strips_as_f64()) as usize;
    let mut change = vec![0_i64; STRIPS + 2];
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
        .take(STRIPS)
        .collect()
}

/// Stretches of strips that hardly anything stands over, with text on both sides.
fn gaps(covered: &[i64], few: i64) -> Vec<(f64, f64)> {
    let mut gaps = Vec::new();
    let mut start = None;
    for (at, count) in (0_u32..).zip(covered) {
        match (*count <= few, start) {
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

/// Whether running text stands on both sides, side by side. Tables have gutters, too, but between words.
fn parts_texts(runs: &[Run], gutter: f64) -> bool {
    let left: Vec<&Run> = runs.iter().filter(|run| run.right <= gutter).collect();
    let right: Vec<&Run> = runs.iter().filter(|run| run.left >= gutter).collect();
    let is_text = |side: &[&Run]| {
        side.len() >= 4
            && side.iter().filter(|run| run.text.chars().count() >= LONG).count() * 2 >= side.len()
    };
    let height = |side: &[&Run]| {
        let top = side.iter().map(|run| run.base).fold(f64::MAX, f64::min);
        let bottom = side.iter().map(|run| run.base).fold(f64::MIN, f64::max);
        (top, bottom)
    };
    if !is_text(&left) || !is_text(&right) {
        return false;
    }
    let ((top, bottom), (other_top, other_bottom)) = (height(&left), height(&right));
    let together = bottom.min(other_bottom) - top.max(other_top);
    together > 0.3 * (bottom - top).min(other_bottom - other_top)
}
