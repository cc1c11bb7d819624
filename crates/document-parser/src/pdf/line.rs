//! Lines: runs on the same baseline, from left to right.

use super::{
    bidi,
    run::{MAX_RUN_GAP, Run},
};

/// A line of text, as cells with wide gaps between them.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub cells: Vec<Run>,
}

impl Line {
    /// Returns the left edge.
    pub fn left(&self) -> f64 {
        self.cells.first().map_or(0.0, |cell| cell.left)
    }

    /// Returns the right edge.
    pub fn right(&self) -> f64 {
        self.cells.iter().map(|cell| cell.right).fold(f64::MIN, f64::max)
    }

    /// Returns the position of the baseline.
    pub fn baseline(&self) -> f64 {
        self.cells.first().map_or(0.0, |cell| cell.baseline)
    }

    /// Returns the letter size of the longest cell.
    pub fn size(&self) -> f64 {
        self.cells.iter().max_by_key(|cell| cell.text.len()).map_or(0.0, |cell| cell.size)
    }

    /// Returns whether all cells are bold.
    pub fn is_bold(&self) -> bool {
        self.cells.iter().all(|cell| cell.looks.bold)
    }

    /// Returns the text of all cells.
    pub fn text(&self) -> String {
        let mut cells: Vec<&str> = self.cells.iter().map(|cell| cell.text.trim()).collect();
        let text = cells.join(" ");
        if cells.len() < 2 || !bidi::is_right_to_left(&text) {
            return text;
        }
        cells.reverse();
        cells.join(" ")
    }
}

/// Groups runs into lines, from top to bottom.
pub(super) fn group_runs(mut runs: Vec<Run>) -> Vec<Line> {
    runs.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut lines: Vec<Line> = Vec::new();
    for run in runs {
        match lines.last_mut() {
            Some(line)
                if (run.baseline - line.baseline()).abs() < 0.45 * line.size().min(run.size) =>
            {
                line.cells.push(run);
            }
            _ => lines.push(Line { cells: vec![run] }),
        }
    }
    for line in &mut lines {
        line.cells.sort_by(|a, b| a.left.total_cmp(&b.left));
        line.cells = merge_adjacent(std::mem::take(&mut line.cells));
        for cell in &mut line.cells {
            cell.text = bidi::to_reading_order(&cell.text);
        }
    }
    lines
}

/// Merges runs that were drawn separately but have no wide gap between them.
fn merge_adjacent(runs: Vec<Run>) -> Vec<Run> {
    let mut cells: Vec<Run> = Vec::new();
    for run in runs {
        match cells.last_mut() {
            Some(last) if run.left - last.right < MAX_RUN_GAP * last.size.max(run.size) => {
                last.append(&run);
            }
            _ => cells.push(run),
        }
    }
    cells
}
