//! A bar on a terminal that shows how far something is; nothing where nobody looks.

use std::io::{self, IsTerminal, Write};

/// How wide the bar is.
const WIDTH: usize = 30;

/// How far something is.
pub struct Progress {
    done: usize,
    all: usize,
    is_seen: bool,
}

impl Progress {
    /// At the beginning of so many steps.
    pub fn of(all: usize) -> Self {
        Self { done: 0, all, is_seen: io::stderr().is_terminal() }
    }

    /// Shows what is being done.
    pub fn show(&self, what: &str) -> io::Result<()> {
        if !self.is_seen {
            return Ok(());
        }
        let full = WIDTH * self.done / self.all.max(1);
        let bar = "#".repeat(full) + &"-".repeat(WIDTH - full);
        let what: String = what.chars().filter(|char| !char.is_control()).take(40).collect();
        let mut out = io::stderr().lock();
        write!(out, "\r\x1b[K[{bar}] {}/{} {what}", self.done, self.all)?;
        out.flush()
    }

    /// How many steps are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// One more step is done.
    pub fn step(&mut self) {
        self.done += 1;
    }

    /// Takes the bar away.
    pub fn end(&self) -> io::Result<()> {
        if self.is_seen { write!(io::stderr().lock(), "\r\x1b[K") } else { Ok(()) }
    }
}
