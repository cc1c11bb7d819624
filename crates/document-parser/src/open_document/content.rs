//! The parser of the part with the content.

use crate::{
    builder::DocumentBuilder,
    document::{BlockContent, ListItem},
    error::ParseError,
    limits::Limits,
    xml::{XmlEvent, attribute},
};
use quick_xml::events::BytesStart;

/// The most copies of a cell that are read. Programs fill the rest of a row by repeating one cell.
const MAX_REPEATS: usize = 64;

/// The parser of the content.
pub(super) struct ContentParser<'a> {
    builder: &'a mut DocumentBuilder,
    max_slides: u32,
    /// The open paragraphs. There can be several, because a paragraph can contain a text box.
    paragraphs: Vec<Paragraph>,
    list_depth: usize,
    /// `true` if the next paragraph begins an item.
    begins_item: bool,
    tables: Vec<Vec<Vec<String>>>,
    /// The texts of text boxes in the current paragraph, which follow it.
    pending_boxes: Vec<String>,
    /// The footnotes that follow the current block.
    pending_notes: Vec<String>,
    /// The footnote that is open: its mark, and the number of paragraphs outside of it.
    note: Option<(String, usize)>,
    is_note_mark: bool,
    skipped_depth: usize,
    slides: u32,
    /// `true` if the heading of the current slide is still to be written.
    needs_slide_heading: bool,
    is_title_frame: bool,
    is_in_slide_notes: bool,
}

/// The open paragraph.
#[derive(Default)]
struct Paragraph {
    text: String,
    level: Option<u8>,
}

impl<'a> ContentParser<'a> {
    pub fn new(limits: &Limits, builder: &'a mut DocumentBuilder) -> Self {
        Self {
            builder,
            max_slides: limits.pages,
            paragraphs: Vec::new(),
            list_depth: 0,
            begins_item: false,
            tables: Vec::new(),
            pending_boxes: Vec::new(),
            pending_notes: Vec::new(),
            note: None,
            is_note_mark: false,
            skipped_depth: 0,
            slides: 0,
            needs_slide_heading: false,
            is_title_frame: false,
            is_in_slide_notes: false,
        }
    }

    /// Returns the number of slides of a presentation.
    pub fn finish(self) -> Result<Option<u32>, ParseError> {
        self.builder.page = None;
        Ok((self.slides > 0).then_some(self.slides))
    }

    pub fn handle_event(&mut self, event: XmlEvent<'_>) -> Result<(), ParseError> {
        match event {
            XmlEvent::Start { .. } if self.skipped_depth > 0 => self.skipped_depth += 1,
            XmlEvent::End { .. } if self.skipped_depth > 0 => self.skipped_depth -= 1,
            // Deleted text, comments, the same text for programs that cannot show a shape, the
            // number of a slide, and pictures.
            XmlEvent::Start {
                local_name:
                    "tracked-changes" | "annotation" | "forms" | "desc" | "automatic-styles"
                    | "font-face-decls" | "scripts" | "page-number" | "binary-data",
                ..
            } => self.skipped_depth = 1,
            XmlEvent::Start { local_name, tag, .. } => return self.start_element(local_name, tag),
            XmlEvent::End { local_name, .. } => return self.end_element(local_name),
            XmlEvent::Text(text) if self.skipped_depth == 0 => self.push_text(text)?,
            XmlEvent::Text(_) => {}
        }
        Ok(())
    }

    fn start_element(&mut self, name: &str, tag: &BytesStart<'_>) -> Result<(), ParseError> {
        match name {
            "p" => self.paragraphs.push(Paragraph::default()),
            "h" => {
                let level = attribute(tag, "outline-level").and_then(|level| level.parse().ok());
                self.paragraphs
                    .push(Paragraph { level: level.or(Some(1)), ..Paragraph::default() });
            }
            "s" => {
                let count = attribute(tag, "c").and_then(|count| count.parse().ok()).unwrap_or(1);
                self.push_text(&" ".repeat(std::cmp::min(count, 100)))?;
            }
            "tab" => self.push_text("\t")?,
            "line-break" => self.push_text("\n")?,
            "list" => self.list_depth += 1,
            "list-item" | "list-header" => self.begins_item = true,
            "table" => self.tables.push(Vec::new()),
            "table-row" => {
                self.tables.last_mut().into_iter().for_each(|rows| rows.push(Vec::new()));
            }
            "table-cell" | "covered-table-cell" => self.push_cells(tag)?,
            "note" => self.note = Some((String::new(), self.paragraphs.len())),
            "note-citation" => self.is_note_mark = true,
            "page" => self.begin_slide()?,
            "frame" => {
                self.is_title_frame = attribute(tag, "class").as_deref() == Some("title");
            }
            "notes" => self.is_in_slide_notes = true,
            _ => {}
        }
        Ok(())
    }

    fn end_element(&mut self, name: &str) -> Result<(), ParseError> {
        match name {
            "p" | "h" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.close_paragraph(&paragraph)?;
                }
            }
            "list" => self.list_depth = self.list_depth.saturating_sub(1),
            "table" => {
                if let Some(rows) = self.tables.pop() {
                    self.close_table(rows)?;
                }
            }
            "note-citation" => self.is_note_mark = false,
            "note" => self.note = None,
            "frame" => self.is_title_frame = false,
            "notes" => self.is_in_slide_notes = false,
            "page" => self.write_slide_heading("")?,
            _ => {}
        }
        Ok(())
    }

    fn push_text(&mut self, text: &str) -> Result<(), ParseError> {
        if self.is_note_mark {
            if let Some((mark, _)) = self.note.as_mut() {
                mark.push_str(text);
            }
            let reference = format!("[{text}]");
            self.paragraphs.last_mut().into_iter().for_each(|open| open.text.push_str(&reference));
        } else if let Some(paragraph) = self.paragraphs.last_mut() {
            self.builder.charge(text.len())?;
            paragraph.text.push_str(text);
        }
        Ok(())
    }

    fn push_cells(&mut self, tag: &BytesStart<'_>) -> Result<(), ParseError> {
        let repeats = attribute(tag, "number-columns-repeated");
        let repeats = repeats.and_then(|count| count.parse().ok()).unwrap_or(1);
        let repeats = std::cmp::min(repeats, MAX_REPEATS);
        self.builder.charge(repeats)?;
        if let Some(row) = self.tables.last_mut().and_then(|rows| rows.last_mut()) {
            row.extend(std::iter::repeat_n(String::new(), repeats));
        }
        Ok(())
    }

    fn begin_slide(&mut self) -> Result<(), ParseError> {
        self.slides += 1;
        if self.slides > self.max_slides {
            let pages = usize::try_from(self.slides).unwrap_or(usize::MAX);
            return Err(ParseError::TooManyPages { pages, limit: self.max_slides });
        }
        self.builder.page = Some(self.slides);
        self.needs_slide_heading = true;
        Ok(())
    }

    /// Writes the heading of the current slide, unless it has been written.
    fn write_slide_heading(&mut self, title: &str) -> Result<(), ParseError> {
        if !std::mem::take(&mut self.needs_slide_heading) {
            return Ok(());
        }
        let number = self.slides;
        let heading = if title.is_empty() {
            format!("Slide {number}")
        } else {
            format!("Slide {number}: {title}")
        };
        self.builder.push_heading(1, &heading)
    }

    fn close_paragraph(&mut self, paragraph: &Paragraph) -> Result<(), ParseError> {
        let text = paragraph.text.trim();
        if let Some((mark, outside)) = &self.note
            && self.paragraphs.len() >= *outside
        {
            if !text.is_empty() {
                self.pending_notes.push(format!("[{mark}] {text}"));
            }
            return Ok(());
        }
        if !self.paragraphs.is_empty() {
            if !text.is_empty() {
                self.pending_boxes.push(text.to_owned());
            }
            return Ok(());
        }
        self.push_closed_paragraph(text, paragraph.level)?;
        for text in std::mem::take(&mut self.pending_boxes) {
            self.push_closed_paragraph(&text, None)?;
        }
        if self.tables.is_empty() { self.push_notes() } else { Ok(()) }
    }

    fn push_closed_paragraph(&mut self, text: &str, level: Option<u8>) -> Result<(), ParseError> {
        if text.is_empty() {
            return Ok(());
        }
        if let Some(rows) = self.tables.last_mut() {
            if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                if !cell.is_empty() {
                    cell.push('\n');
                }
                cell.push_str(text);
            }
            return Ok(());
        }
        if self.is_title_frame && self.needs_slide_heading {
            return self.write_slide_heading(text);
        }
        self.write_slide_heading("")?;
        if self.is_in_slide_notes {
            return self.builder.push_paragraph(&format!("Notes: {text}"));
        }
        match (level, self.list_depth.checked_sub(1)) {
            (Some(level), _) => self.builder.push_heading(level, text),
            (None, Some(depth)) => {
                let depth = u8::try_from(depth).unwrap_or(u8::MAX).min(8);
                if std::mem::take(&mut self.begins_item) {
                    self.builder.push_item(ListItem { depth, number: None, text: text.to_owned() })
                } else {
                    self.builder.append_to_item(depth, text)
                }
            }
            (None, None) => self.builder.push_paragraph(text),
        }
    }

    fn close_table(&mut self, mut rows: Vec<Vec<String>>) -> Result<(), ParseError> {
        for row in &mut rows {
            let used = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
            row.truncate(used);
        }
        let to_lines = |rows: &[Vec<String>]| {
            rows.iter().map(|row| row.join(" | ")).collect::<Vec<_>>().join("\n")
        };
        if !self.paragraphs.is_empty() {
            self.pending_boxes.push(to_lines(&rows));
            return Ok(());
        }
        if !self.tables.is_empty() {
            return self.push_closed_paragraph(&to_lines(&rows), None);
        }
        self.write_slide_heading("")?;
        match rows.as_mut_slice() {
            // A table of one cell is only a frame around its text.
            [row] if row.len() == 1 => {
                row.iter().try_for_each(|cell| self.builder.push_paragraph(cell))?;
            }
            _ => self.builder.push(BlockContent::Table(rows))?,
        }
        self.push_notes()
    }

    fn push_notes(&mut self) -> Result<(), ParseError> {
        for note in std::mem::take(&mut self.pending_notes) {
            self.builder.push_paragraph(&note)?;
        }
        Ok(())
    }
}
