//! Lines: runs that stand on one base, from left to right.

use super::run::{Run, WIDE};

/// What stands on one line, in cells with wide gaps between them.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub cells: Vec<Run>,
}

impl Line {
    pub fn left(&self) -> f64 {
        self.cells.first().map_or(0.0, |cell| cell.left)
    }

    pub fn right(&self) -> f64 {
        self.cells.iter().map(|cell| cell.right).fold(f64::MIN, f64::max)
    }

    pub fn base(&self) -> f64 {
        self.cells.first().map_or(0.0, |cell| cell.base)
    }

    /// The size of most of its letters.
    pub fn size(&self) -> f64 {
        self.cells.iter().max_by_key(|cell| cell.text.len()).map_or(0.0, |cell| cell.size)
    }

    pub fn is_bold(&self) -> bool {
        self.cells.iter().all(|cell| cell.bold)
    }

    pub fn text(&self) -> String {
        let cells: Vec<&str> = self.cells.iter().map(|cell| cell.text.trim()).collect();
        cells.join(" ")
    }
}

/// The lines of these runs, from top to bottom.
pub(super) fn lines(mut runs: Vec<Run>) -> Vec<Line> {
    runs.sort_by(|a, b| a.base.total_cmp(&b.base));
    let mut lines: Vec<Line> = Vec::new();
    for run in runs {
        match lines.last_mut() {
            Some(line) if (run.base - line.base()).abs() < 0.45 * line.size().min(run.size) => {
                line.cells.push(run);
            }
            _ => lines.push(Line { cells: vec![run] }),
        }
    }
    for line in &mut lines {
        line.cells.sort_by(|a, b| a.left.total_cmp(&b.left));
        line.cells = close_up(std::mem::take(&mut line.cells));
    }
    lines
}

/// Runs that were drawn apart and stand together become one.
fn close_up(runs: Vec<Run>) -> Vec<Run> {
    let mut cells: Vec<Run> = Vec::new();
    for run in runs {
        match cells.last_mut() {
            Some(last) if run.left - last.right < WIDE * last.size.max(run.size) => last.join(&run),
            _ => cells.push(run),
        }
    }
    cells
}
