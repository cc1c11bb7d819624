//! The parser of the body.

use super::{
    footnotes::Footnotes,
    numbering::Numbering,
    styles::{self, Styles},
};
use crate::{
    builder::DocumentBuilder,
    document::{BlockContent, ListItem},
    error::ParseError,
    xml::{XmlEvent, attribute},
};
use quick_xml::events::BytesStart;

/// The parser of the body.
pub(super) struct BodyParser<'a> {
    styles: Styles,
    numbering: Numbering,
    notes: Footnotes,
    builder: &'a mut DocumentBuilder,
    /// The open paragraphs. There can be several, because a paragraph can contain a text box.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// The depth within a skipped element: deleted text, or the alternative for older programs.
    skipped_depth: usize,
    /// The current run.
    run: Run,
    /// The texts of text boxes in the current paragraph, which follow it.
    pending_boxes: Vec<String>,
    /// Footnotes whose reference was read, and that follow the current block.
    pending_notes: Vec<String>,
    note_count: usize,
}

/// An open paragraph.
#[derive(Default)]
struct Paragraph {
    style: Option<String>,
    list: Option<(String, u8)>,
    level: Option<u8>,
    text: String,
}

/// An open table.
#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
}

/// The state of the current run: whether it is open, hidden, and within a text element.
#[derive(Default)]
struct Run {
    is_open: bool,
    is_hidden: bool,
    is_text: bool,
}

impl<'a> BodyParser<'a> {
    pub fn new(
        styles: Styles,
        numbering: Numbering,
        notes: Footnotes,
        builder: &'a mut DocumentBuilder,
    ) -> Self {
        Self {
            styles,
            numbering,
            notes,
            builder,
            paragraphs: Vec::new(),
            tables: Vec::new(),
            skipped_depth: 0,
            run: Run::default(),
            pending_boxes: Vec::new(),
            pending_notes: Vec::new(),
            note_count: 0,
        }
    }

    pub fn handle_event(&mut self, event: XmlEvent<'_>) -> Result<(), ParseError> {
        match event {
            XmlEvent::Start { .. } if self.skipped_depth > 0 => self.skipped_depth += 1,
            XmlEvent::End { .. } if self.skipped_depth > 0 => self.skipped_depth -= 1,
            XmlEvent::Start {
                word_name:
                    "del" | "moveFrom" | "Fallback" | "rt" | "pPrChange" | "rPrChange" | "tblPrChange"
                    | "sectPrChange",
                ..
            } => {
                self.skipped_depth = 1;
            }
            XmlEvent::Start { word_name, tag, .. } => self.start_element(word_name, tag),
            XmlEvent::End { word_name, .. } => return self.end_element(word_name),
            XmlEvent::Text(text)
                if self.skipped_depth == 0 && self.run.is_text && !self.run.is_hidden =>
            {
                self.push_text(text);
            }
            XmlEvent::Text(_) => {}
        }
        Ok(())
    }

    fn start_element(&mut self, word_name: &str, tag: &BytesStart<'_>) {
        let value = || attribute(tag, "val");
        match word_name {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.tables.push(Table::default()),
            "r" => self.run = Run { is_open: true, ..Run::default() },
            "t" => self.run.is_text = true,
            "vanish" | "webHidden" if self.run.is_open => {
                self.run.is_hidden = !matches!(value().as_deref(), Some("0" | "false" | "off"));
            }
            "tab" | "ptab" if self.run.is_open => self.push_text("\t"),
            "br" | "cr" => self.push_text("\n"),
            "noBreakHyphen" => self.push_text("-"),
            "footnoteReference" => self.push_note_reference("footnote", tag),
            "endnoteReference" => self.push_note_reference("endnote", tag),
            "tr" => {
                self.tables.last_mut().into_iter().for_each(|table| table.rows.push(Vec::new()));
            }
            "tc" => self.push_cell(),
            "gridSpan" => (1..value().and_then(|value| value.parse().ok()).unwrap_or(1).min(64))
                .for_each(|_: usize| self.push_cell()),
            _ => self.set_paragraph_property(word_name, tag),
        }
    }

    fn set_paragraph_property(&mut self, word_name: &str, tag: &BytesStart<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut().filter(|_| !self.run.is_open) else {
            return;
        };
        let value = || attribute(tag, "val");
        match word_name {
            "pStyle" => paragraph.style = value(),
            "outlineLvl" => paragraph.level = styles::parse_outline_level(value().as_deref()),
            "numId" => paragraph.list.get_or_insert_default().0 = value().unwrap_or_default(),
            "ilvl" => {
                paragraph.list.get_or_insert_default().1 = styles::parse_depth(value().as_deref());
            }
            _ => {}
        }
    }

    fn end_element(&mut self, word_name: &str) -> Result<(), ParseError> {
        match word_name {
            "r" => self.run = Run::default(),
            "t" => self.run.is_text = false,
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.close_paragraph(paragraph)?;
                }
            }
            "tbl" => {
                if let Some(table) = self.tables.pop() {
                    self.close_table(table)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn push_text(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn push_note_reference(&mut self, kind: &str, tag: &BytesStart<'_>) {
        let Some(text) = attribute(tag, "id").and_then(|id| self.notes.take(kind, id)) else {
            return;
        };
        self.note_count += 1;
        self.push_text(&format!("[{}]", self.note_count));
        self.pending_notes.push(format!("[{}] {text}", self.note_count));
    }

    fn push_cell(&mut self) {
        if let Some(row) = self.tables.last_mut().and_then(|table| table.rows.last_mut()) {
            row.push(String::new());
        }
    }

    fn close_paragraph(&mut self, paragraph: Paragraph) -> Result<(), ParseError> {
        // A paragraph within another one is in a text box.
        if !self.paragraphs.is_empty() {
            let text = paragraph.text.trim();
            if !text.is_empty() {
                self.builder.charge(text.len())?;
                self.pending_boxes.push(text.to_owned());
            }
            return Ok(());
        }
        self.push_closed_paragraph(paragraph)?;
        for text in std::mem::take(&mut self.pending_boxes) {
            if self.tables.is_empty() {
                self.builder.push_paragraph(&text)?;
            } else {
                self.push_line_to_cell(&text)?;
            }
        }
        if self.tables.is_empty() { self.push_notes() } else { Ok(()) }
    }

    fn push_closed_paragraph(&mut self, paragraph: Paragraph) -> Result<(), ParseError> {
        let text = paragraph.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if !self.tables.is_empty() {
            return self.push_line_to_cell(text);
        }
        let style = paragraph.style.as_deref().unwrap_or_default();
        // The list id 0 means that the paragraph is not in the list of its style.
        let list = paragraph
            .list
            .filter(|(list, _)| !list.is_empty())
            .or_else(|| self.styles.list_of(style))
            .filter(|(list, _)| list != "0");
        match (paragraph.level.or_else(|| self.styles.heading_level(style)), list) {
            (Some(level), _) => self.builder.push_heading(level, text)?,
            (None, Some((list, depth))) => {
                let number = self.numbering.next_number(&list, depth);
                self.builder.push_item(ListItem { depth, number, text: text.to_owned() })?;
            }
            (None, None) => self.builder.push_paragraph(text)?,
        }
        Ok(())
    }

    /// Adds a paragraph or an inner table to the current cell, as a line.
    fn push_line_to_cell(&mut self, text: &str) -> Result<(), ParseError> {
        let cell = self.tables.iter_mut().rev().find_map(|table| table.rows.last_mut()?.last_mut());
        match cell {
            Some(cell) => {
                if !cell.is_empty() {
                    cell.push('\n');
                }
                cell.push_str(text);
                Ok(())
            }
            None => self.builder.push_paragraph(text),
        }
    }

    fn close_table(&mut self, table: Table) -> Result<(), ParseError> {
        // A table within a paragraph is in a text box.
        if !self.paragraphs.is_empty() {
            let rows: Vec<String> = table.rows.iter().map(|row| row.join(" | ")).collect();
            self.pending_boxes.push(rows.join("\n"));
            return Ok(());
        }
        if !self.tables.is_empty() {
            let rows: Vec<String> = table.rows.iter().map(|row| row.join(" | ")).collect();
            return self.push_line_to_cell(rows.join("\n").trim());
        }
        match table.rows.as_slice() {
            // A table of one cell is only a frame around its text.
            [row] if row.len() == 1 => {
                row.iter().try_for_each(|cell| self.builder.push_paragraph(cell))?;
            }
            _ => self.builder.push(BlockContent::Table(table.rows))?,
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
