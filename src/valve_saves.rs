//! The saves of valves since the start.
//!
//! Open WebUI shows no reason for a refused save, and returns to the first pipe of the list after
//! an accepted one (`docs/reference/open-webui.md`, "Errors of filters and admin calls" and "Valves
//! form"). So the reason is kept for the form, and the pipe that was saved last is listed first.

use crate::valves::ValvesForm;
use pipe_sdk::{PipeError, ValveError};
use std::{
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The saves of all pipes, the last one first. It has at most one entry a pipe.
#[derive(Default)]
pub struct ValveSaves(Mutex<Vec<ValveSave>>);

/// The result of a save, as the record of changes has it.
struct ValveSave {
    pipe: String,
    refusal: Option<Refusal>,
}

/// The reason and the time of a refused save.
#[derive(Clone)]
struct Refusal {
    /// The time of UTC, as in `21:34`.
    time: String,
    reasons: Vec<ValveError>,
}

impl ValveSaves {
    /// Records that valves of this pipe were saved, or refused with this error.
    pub fn record(&self, pipe: &str, error: Option<&PipeError>) {
        let refusal = error.map(|error| Refusal {
            time: format_time(SystemTime::now()),
            reasons: match error {
                PipeError::BadValves(errors) => errors.clone(),
                error => vec![ValveError::new("", error.to_string())],
            },
        });
        let mut saves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        saves.retain(|save| save.pipe != pipe);
        saves.insert(0, ValveSave { pipe: pipe.to_owned(), refusal });
    }

    /// Notes in the form of this pipe why its last save was refused.
    pub fn annotate(&self, pipe: &str, form: &mut ValvesForm) {
        let saves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let save = saves.iter().find(|save| save.pipe == pipe);
        let Some(Refusal { time, reasons }) = save.and_then(|save| save.refusal.as_ref()) else {
            return;
        };
        for ValveError { valve, rule } in reasons.iter().rev() {
            form.add_note(Some(valve), &format!("NOT SAVED {time} UTC: {rule}."));
        }
    }

    /// Returns the place of this pipe in the list: those that were saved last first, and then all
    /// others.
    pub fn rank(&self, pipe: &str) -> usize {
        let saves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        saves.iter().position(|save| save.pipe == pipe).unwrap_or(usize::MAX)
    }
}

/// Returns the hour and minute of a time, in UTC.
fn format_time(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let minutes = seconds / 60 % (24 * 60);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::format_time;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn times_are_those_of_utc() {
        assert_eq!(format_time(UNIX_EPOCH + Duration::from_secs(1_700_000_000)), "22:13");
    }
}
