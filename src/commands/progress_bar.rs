//! A progress bar on a terminal. It prints nothing if standard error is no terminal.

use std::io::{self, IsTerminal, Write};

/// The width of the bar, in characters.
const BAR_WIDTH: usize = 30;

/// A progress bar.
pub struct ProgressBar {
    completed: usize,
    total: usize,
    is_terminal: bool,
}

impl ProgressBar {
    /// Returns a bar with this number of steps.
    pub fn new(total: usize) -> Self {
        Self { completed: 0, total, is_terminal: io::stderr().is_terminal() }
    }

    /// Draws the bar with this label.
    pub fn draw(&self, label: &str) -> io::Result<()> {
        if !self.is_terminal {
            return Ok(());
        }
        let full = BAR_WIDTH * self.completed / self.total.max(1);
        let bar = "#".repeat(full) + &"-".repeat(BAR_WIDTH - full);
        let label: String = label.chars().filter(|char| !char.is_control()).take(40).collect();
        let mut out = io::stderr().lock();
        write!(out, "\r\x1b[K[{bar}] {}/{} {label}", self.completed, self.total)?;
        out.flush()
    }

    /// Returns the number of completed steps.
    pub fn completed_steps(&self) -> usize {
        self.completed
    }

    /// Advances the bar by one step.
    pub fn advance(&mut self) {
        self.completed += 1;
    }

    /// Clears the bar.
    pub fn clear(&self) -> io::Result<()> {
        if self.is_terminal { write!(io::stderr().lock(), "\r\x1b[K") } else { Ok(()) }
    }
}
