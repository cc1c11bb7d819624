//! Panics are logged instead of printed, because printing to a pipe that nobody reads would block.

use std::{backtrace::Backtrace, panic};

/// Logs every panic from now on: where it was, and what it says if that is a text of the program.
/// With `RUST_BACKTRACE=1`, also which functions led there.
///
/// A text that was put together at run time may quote what a user has sent (slicing a `str` at a
/// wrong place does), so it is logged at DEBUG only.
pub fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture().to_string();
        let backtrace = program_frames(&backtrace);
        match panic.payload().downcast_ref::<&'static str>() {
            Some(text) => tracing::error!(place, backtrace, "Panic: {text}."),
            None => tracing::error!(place, backtrace, "Panic."),
        }
        if let Some(text) = panic.payload().downcast_ref::<String>() {
            tracing::debug!(place, "Panic message: {text}");
        }
    }));
}

/// Returns the names of the functions in a backtrace, the innermost first, without the machinery
/// of panics and of the standard library.
fn program_frames(backtrace: &str) -> String {
    let names = backtrace.lines().filter_map(|line| {
        let (number, name) = line.trim().split_once(": ")?;
        number.parse::<u32>().ok()?;
        let is_own = !["std::", "core::", "rust_begin_unwind", "<core::", "__", "<std::"]
            .iter()
            .any(|machinery| name.starts_with(machinery));
        is_own.then_some(name)
    });
    names.take(12).collect::<Vec<_>>().join(" < ")
}
