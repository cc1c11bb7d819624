//! PDF: groups positioned glyphs into lines, columns, tables, headings and paragraphs.

mod bidi;
mod blocks;
mod bookmarks;
mod columns;
mod form;
mod glyph;
mod headers_footers;
mod line;
mod page;
mod part;
mod run;

use crate::{
    builder::DocumentBuilder, document_info::DocumentInfo, error::ParseError, limits::Limits,
};
use hayro_interpret::{
    InterpreterCache,
    hayro_syntax::{DecryptionError, LoadPdfError, Pdf},
};
use line::Line;
use page::PageCounts;
use std::{
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// The text of a page in reading order: columns and other flows, each a list of lines.
type PageFlows = Vec<Vec<Line>>;

/// Parses a PDF.
pub(crate) fn parse(
    bytes: Vec<u8>,
    limits: &Limits,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let pdf = Pdf::new(bytes).map_err(|error| load_error(&error))?;
    let pages = pdf.pages();
    if pages.len() > usize::try_from(limits.pages).unwrap_or(usize::MAX) {
        return Err(ParseError::TooManyPages { pages: pages.len(), limit: limits.pages });
    }
    if pages.is_empty() {
        return Err(ParseError::Damaged("it has no pages".to_owned()));
    }
    let cache = InterpreterCache::new();
    let (mut flows, mut counts, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for page in pages.iter() {
        // A panic loses only its page.
        let interpreted = catch_unwind(AssertUnwindSafe(|| {
            let page_text = page::interpret(page, pdf.xref(), &cache);
            (columns::split_into_flows(page_text.runs), page_text.counts)
        }));
        broken.push(interpreted.is_err());
        let (lines, page_counts) = interpreted.unwrap_or_default();
        flows.push(lines);
        counts.push(page_counts);
    }
    check_has_text(&counts, &broken)?;
    headers_footers::remove_repeated(&mut flows);
    let bookmarks = bookmarks::read(&pdf);
    blocks::build(flows, &bookmarks, builder)?;
    Ok(DocumentInfo {
        title: read_title(&pdf),
        pages: u32::try_from(pages.len()).ok(),
        warnings: list_warnings(&counts, &broken),
    })
}

fn load_error(error: &LoadPdfError) -> ParseError {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            ParseError::PasswordProtected
        }
        LoadPdfError::Decryption(_) => {
            ParseError::Damaged("its encryption is not supported".to_owned())
        }
        LoadPdfError::Invalid => ParseError::Damaged("no pages can be found in it".to_owned()),
    }
}

/// Returns an error if no page has readable text.
fn check_has_text(counts: &[PageCounts], broken: &[bool]) -> Result<(), ParseError> {
    let any = |predicate: fn(&PageCounts) -> bool| counts.iter().any(predicate);
    match () {
        () if any(|counts| counts.letters > 0) => Ok(()),
        () if broken.iter().all(|broken| *broken) => Err(ParseError::ParserCrash),
        () if any(|counts| counts.unmapped > 0) => Err(ParseError::UnmappedGlyphs),
        () if any(|counts| counts.pictures > 0) => Err(ParseError::OnlyPictures),
        () if any(|counts| counts.shapes > 100) => Err(ParseError::UnmappedGlyphs),
        () => Err(ParseError::NoText),
    }
}

/// Returns sentences about the pages without readable text.
fn list_warnings(counts: &[PageCounts], broken: &[bool]) -> Vec<String> {
    let scanned = |counts: &PageCounts| counts.letters == 0 && counts.pictures > 0;
    let shapes = |counts: &PageCounts| counts.unmapped > counts.letters;
    [
        (format_page_ranges(counts.iter().map(scanned)), "hold pictures, no text"),
        (
            format_page_ranges(counts.iter().map(shapes)),
            "do not say which characters their shapes stand for",
        ),
        (format_page_ranges(broken.iter().copied()), "could not be read"),
    ]
    .into_iter()
    .filter(|(pages, _)| !pages.is_empty())
    .map(|(pages, what)| format!("Pages {pages} {what}."))
    .collect()
}

/// Formats the numbers of the selected pages as `3, 5–7`.
fn format_page_ranges(pages: impl Iterator<Item = bool>) -> String {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (page, _) in (1..).zip(pages).filter(|(_, so)| *so) {
        match ranges.last_mut() {
            Some(last) if last.end == page => last.end = page + 1,
            _ => ranges.push(page..page + 1),
        }
    }
    let format_range = |range: &Range<usize>| {
        if range.len() == 1 {
            range.start.to_string()
        } else {
            format!("{}–{}", range.start, range.end - 1)
        }
    };
    ranges.iter().map(format_range).collect::<Vec<_>>().join(", ")
}

/// Returns the title in the metadata, unless a program generated it.
fn read_title(pdf: &Pdf) -> Option<String> {
    let title = decode_string(pdf.metadata().title.as_deref()?);
    let extensions = [".doc", ".docx", ".pdf", ".indd", ".tex", ".dvi", ".qxd", ".ppt", ".pptx"];
    let is_generated = title.starts_with("Microsoft Word - ")
        || extensions.iter().any(|end| title.to_lowercase().ends_with(end));
    (!is_generated
        && !matches!(title.to_lowercase().as_str(), "untitled" | "(anonymous)" | "anonymous"))
    .then_some(title)
}

/// Decodes a PDF string: UTF-16 or UTF-8 with a byte order mark, else an encoding close to Latin-1.
fn decode_string(bytes: &[u8]) -> String {
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
