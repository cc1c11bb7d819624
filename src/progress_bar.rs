//! A bar on a terminal that shows how far something is; nothing where nobody looks.

use std::io::{self, IsTerminal, Write};

/// How wide the bar is.
const BAR_WIDTH: usize = 30;

/// How far something is.
pub struct ProgressBar {
    completed: usize,
    total: usize,
    is_terminal: bool,
}

impl ProgressBar {
    /// At the beginning of so many steps.
    pub fn new(total: usize) -> Self {
        Self { completed: 0, total, is_terminal: io::stderr().is_terminal() }
    }

    /// Shows what is being completed.
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

    /// How many steps are completed.
    pub fn completed_steps(&self) -> usize {
        self.completed
    }

    /// One more step is completed.
    pub fn advance(&mut self) {
        self.completed += 1;
    }

    /// Takes the bar away.
    pub fn clear(&self) -> io::Result<()> {
        if self.is_terminal { write!(io::stderr().lock(), "\r\x1b[K") } else { Ok(()) }
    }
}
