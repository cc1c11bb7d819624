//! The body, paragraph by paragraph.

use super::{
    notes::Notes,
    numbering::Numbering,
    styles::{self, Styles},
    xml::{Event, attribute},
};
use crate::{
    document::{Content, Item},
    draft::Draft,
    error::Reason,
};
use quick_xml::events::BytesStart;

pub(super) struct Body<'a> {
    styles: Styles,
    numbering: Numbering,
    notes: Notes,
    draft: &'a mut Draft,
    /// The paragraphs that are open: a text box stands within one.
    paragraphs: Vec<Paragraph>,
    tables: Vec<Table>,
    /// How deep we are in what is not read: what was deleted, and older forms of what was read.
    unread: usize,
    /// What is open within a run.
    run: Run,
    /// Notes that were referred to and not yet told.
    told: Vec<String>,
    number: usize,
}

#[derive(Default)]
struct Paragraph {
    style: Option<String>,
    list: Option<(String, u8)>,
    level: Option<u8>,
    text: String,
}

#[derive(Default)]
struct Table {
    rows: Vec<Vec<String>>,
}

#[derive(Default)]
struct Run {
    open: bool,
    hidden: bool,
    text: bool,
}

impl<'a> Body<'a> {
    pub fn new(styles: Styles, numbering: Numbering, notes: Notes, draft: &'a mut Draft) -> Self {
        Self {
            styles,
            numbering,
            notes,
            draft,
            paragraphs: Vec::new(),
            tables: Vec::new(),
            unread: 0,
            run: Run::default(),
            told: Vec::new(),
            number: 0,
        }
    }

    pub fn hear(&mut self, event: Event<'_>) -> Result<(), Reason> {
        match event {
            Event::Start { .. } if self.unread > 0 => self.unread += 1,
            Event::End { .. } if self.unread > 0 => self.unread -= 1,
            Event::Start {
                word:
                    "del" | "moveFrom" | "Fallback" | "rt" | "pPrChange" | "rPrChange" | "tblPrChange"
                    | "sectPrChange",
                ..
            } => {
                self.unread = 1;
            }
            Event::Start { word, tag, .. } => self.start(word, tag),
            Event::End { word } => return self.end_of(word),
            Event::Text(text) if self.unread == 0 && self.run.text && !self.run.hidden => {
                self.say(text);
            }
            Event::Text(_) => {}
        }
        Ok(())
    }

    fn start(&mut self, word: &str, tag: &BytesStart<'_>) {
        let value = || attribute(tag, "val");
        match word {
            "p" => self.paragraphs.push(Paragraph::default()),
            "tbl" => self.tables.push(Table::default()),
            "r" => self.run = Run { open: true, ..Run::default() },
            "t" => self.run.text = true,
            "vanish" | "webHidden" if self.run.open => {
                self.run.hidden = !matches!(value().as_deref(), Some("0" | "false" | "off"));
            }
            "tab" | "ptab" if self.run.open => self.say("\t"),
            "br" | "cr" => self.say("\n"),
            "noBreakHyphen" => self.say("-"),
            "footnoteReference" => self.note("footnote", tag),
            "endnoteReference" => self.note("endnote", tag),
            "tr" => {
                self.tables.last_mut().into_iter().for_each(|table| table.rows.push(Vec::new()));
            }
            "tc" => self.cell(),
            "gridSpan" => (1..value().and_then(|value| value.parse().ok()).unwrap_or(1).min(64))
                .for_each(|_: usize| self.cell()),
            _ => self.property(word, tag),
        }
    }

    fn property(&mut self, word: &str, tag: &BytesStart<'_>) {
        let Some(paragraph) = self.paragraphs.last_mut().filter(|_| !self.run.open) else { return };
        let value = || attribute(tag, "val");
        match word {
            "pStyle" => paragraph.style = value(),
            "outlineLvl" => paragraph.level = styles::outline(value().as_deref()),
            "numId" => paragraph.list.get_or_insert_default().0 = value().unwrap_or_default(),
            "ilvl" => paragraph.list.get_or_insert_default().1 = styles::depth(value().as_deref()),
            _ => {}
        }
    }

    fn end_of(&mut self, word: &str) -> Result<(), Reason> {
        match word {
            "r" => self.run = Run::default(),
            "t" => self.run.text = false,
            "p" => {
                if let Some(paragraph) = self.paragraphs.pop() {
                    self.close(paragraph)?;
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

    fn say(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn note(&mut self, kind: &str, tag: &BytesStart<'_>) {
        let Some(text) = attribute(tag, "id").and_then(|id| self.notes.take(kind, id)) else {
            return;
        };
        self.number += 1;
        self.say(&format!("[{}]", self.number));
        self.told.push(format!("[{}] {text}", self.number));
    }

    fn cell(&mut self) {
        if let Some(row) = self.tables.last_mut().and_then(|table| table.rows.last_mut()) {
            row.push(String::new());
        }
    }

    fn close(&mut self, paragraph: Paragraph) -> Result<(), Reason> {
        let text = paragraph.text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if !self.tables.is_empty() {
            return self.say_in_cell(text);
        }
        let style = paragraph.style.as_deref().unwrap_or_default();
        // No list has the id 0: so a paragraph leaves the list of its style.
        let list = paragraph
            .list
            .filter(|(list, _)| !list.is_empty())
            .or_else(|| self.styles.list(style))
            .filter(|(list, _)| list != "0");
        match (paragraph.level.or_else(|| self.styles.level(style)), list) {
            (Some(level), _) => self.draft.heading(level, text)?,
            (None, Some((list, depth))) => {
                let number = self.numbering.next(&list, depth);
                self.draft.item(Item { depth, number, text: text.to_owned() })?;
            }
            (None, None) => self.draft.paragraph(text)?,
        }
        self.tell_notes()
    }

    /// Paragraphs and tables within a cell are its lines.
    fn say_in_cell(&mut self, text: &str) -> Result<(), Reason> {
        let cell = self.tables.iter_mut().rev().find_map(|table| table.rows.last_mut()?.last_mut());
        match cell {
            Some(cell) => {
                if !cell.is_empty() {
                    cell.push('\n');
                }
                cell.push_str(text);
                Ok(())
            }
            None => self.draft.paragraph(text),
        }
    }

    fn close_table(&mut self, table: Table) -> Result<(), Reason> {
        if !self.tables.is_empty() {
            let rows: Vec<String> = table.rows.iter().map(|row| row.join(" | ")).collect();
            return self.say_in_cell(rows.join("\n").trim());
        }
        match table.rows.as_slice() {
            // A frame around a text is no table.
            [row] if row.len() == 1 => {
                row.iter().try_for_each(|cell| self.draft.paragraph(cell))?;
            }
            _ => self.draft.push(Content::Table(table.rows))?,
        }
        self.tell_notes()
    }

    fn tell_notes(&mut self) -> Result<(), Reason> {
        for note in std::mem::take(&mut self.told) {
            self.draft.paragraph(&note)?;
        }
        Ok(())
    }
}
