//! Plain text: paragraphs between blank lines.

use crate::{draft::Draft, error::Reason, read::Found};

pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<Found, Reason> {
    let mut start = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        match (line.trim().is_empty(), start) {
            (false, None) => start = Some(at),
            (true, Some(from)) => {
                draft.paragraph(text.get(from..at).unwrap_or_default().trim_end())?;
                start = None;
            }
            _ => {}
        }
        at += line.len();
    }
    if let Some(from) = start {
        draft.paragraph(text.get(from..).unwrap_or_default().trim_end())?;
    }
    Ok(Found::titled(None))
}
