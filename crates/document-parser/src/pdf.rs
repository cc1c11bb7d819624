//! PDF: words with places on pages become lines, columns, tables, headings and paragraphs.

mod bookmarks;
mod columns;
mod furniture;
mod line;
mod page;
mod part;
mod run;
mod story;

use crate::{draft::Draft, error::Reason, limits::Limits, read::Found};
use hayro_interpret::{
    InterpreterCache,
    hayro_syntax::{DecryptionError, LoadPdfError, Pdf},
};
use line::Line;
use page::Seen;
use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// A page as it is read: one stream of lines after the other.
type Flows = Vec<Vec<Line>>;

pub(crate) fn read(bytes: Vec<u8>, limits: &Limits, draft: &mut Draft) -> Result<Found, Reason> {
    let pdf = Pdf::new(bytes).map_err(|error| refusal(&error))?;
    let pages = pdf.pages();
    if pages.len() > usize::try_from(limits.pages).unwrap_or(usize::MAX) {
        return Err(Reason::TooManyPages { pages: pages.len(), limit: limits.pages });
    }
    if pages.is_empty() {
        return Err(Reason::Damaged("it has no pages".to_owned()));
    }
    let cache = InterpreterCache::new();
    let (mut flows, mut seen, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for page in pages.iter() {
        // A page that breaks the parser fails alone.
        let look = catch_unwind(AssertUnwindSafe(|| {
            let looked = page::look(page, pdf.xref(), &cache);
            (columns::flows(looked.runs), looked.seen)
        }));
        broken.push(look.is_err());
        let (lines, what) = look.unwrap_or_default();
        flows.push(lines);
        seen.push(what);
    }
    judge(&seen, &broken)?;
    furniture::clear(&mut flows);
    let bookmarks = bookmarks::read(&pdf);
    story::tell(flows, &bookmarks, draft)?;
    Ok(Found {
        title: title(&pdf),
        pages: u32::try_from(pages.len()).ok(),
        notes: notes(&seen, &broken),
    })
}

fn refusal(error: &LoadPdfError) -> Reason {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => Reason::Protected,
        LoadPdfError::Decryption(_) => {
            Reason::Damaged("its encryption is none that is known".to_owned())
        }
        LoadPdfError::Invalid => Reason::Damaged("no pages can be found in it".to_owned()),
    }
}

/// Why there is nothing to tell, if so.
fn judge(seen: &[Seen], broken: &[bool]) -> Result<(), Reason> {
    let any = |what: fn(&Seen) -> bool| seen.iter().any(what);
    match () {
        () if any(|seen| seen.letters > 0) => Ok(()),
        () if broken.iter().all(|broken| *broken) => Err(Reason::Crash),
        () if any(|seen| seen.unknown > 0) => Err(Reason::Shapes),
        () if any(|seen| seen.pictures > 0) => Err(Reason::Pictures),
        () if any(|seen| seen.shapes > 100) => Err(Reason::Shapes),
        () => Err(Reason::NoText),
    }
}

fn notes(seen: &[Seen], broken: &[bool]) -> Vec<String> {
    let scanned = |seen: &Seen| seen.letters == 0 && seen.pictures > 0;
    let shapes = |seen: &Seen| seen.unknown > seen.letters;
    [
        (ranges(seen.iter().map(scanned)), "hold pictures, no text"),
        (ranges(seen.iter().map(shapes)), "do not say which characters their shapes stand for"),
        (ranges(broken.iter().copied()), "could not be read"),
    ]
    .into_iter()
    .filter(|(pages, _)| !pages.is_empty())
    .map(|(pages, what)| format!("Pages {pages} {what}."))
    .collect()
}

/// `3, 5–7` of the pages that are so.
fn ranges(pages: impl Iterator<Item = bool>) -> String {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (page, _) in (1..).zip(pages).filter(|(_, so)| *so) {
        match ranges.last_mut() {
            Some(last) if last.end == page => last.end = page + 1,
            _ => ranges.push(page..page + 1),
        }
    }
    let shown = |range: &Range<usize>| {
        if range.len() == 1 {
            range.start.to_string()
        } else {
            format!("{}–{}", range.start, range.end - 1)
        }
    };
    ranges.iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// The title that the file gives itself, if a person gave it.
fn title(pdf: &Pdf) -> Option<String> {
    let title = text(pdf.metadata().title.as_deref()?);
    let file = [".doc", ".docx", ".pdf", ".indd", ".tex", ".dvi", ".qxd", ".ppt", ".pptx"];
    let made = title.starts_with("Microsoft Word - ")
        || file.iter().any(|end| title.to_lowercase().ends_with(end));
    (!made && !matches!(title.to_lowercase().as_str(), "untitled" | "(anonymous)" | "anonymous"))
        .then_some(title)
}

/// The text of a PDF's string: UTF-16 or UTF-8 with a mark, else close to Latin-1.
fn text(bytes: &[u8]) -> String {
    let units = |bytes: &[u8], read: fn([u8; 2]) -> u16| {
        let (pairs, _) = bytes.as_chunks::<2>();
        String::from_utf16_lossy(&pairs.iter().map(|pair| read(*pair)).collect::<Vec<_>>())
    };
    match bytes {
        [0xfe, 0xff, rest @ ..] => units(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => units(rest, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        _ => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
    }
}
