//! The state of the parser: open groups, and the text of the current paragraph.

use super::{
    charset::{encoding_of_charset, encoding_of_code_page},
    control_word::{Destination, destination, level_of_style, special_character, to_level},
    lexer::Token,
    page_texts::PageTexts,
};
use crate::{
    builder::DocumentBuilder,
    document::{BlockContent, ListItem},
    error::ParseError,
};
use encoding_rs::{Encoding, WINDOWS_1252};
use std::collections::HashMap;

/// The deepest nesting of groups.
const MAX_DEPTH: usize = 10_000;

/// The most bytes of a style's name; the rest of a longer one is ignored.
const MAX_STYLE_NAME: usize = 200;

/// The state of a group, which ends with it.
#[derive(Clone, Copy)]
struct Group {
    destination: Destination,
    encoding: &'static Encoding,
    is_hidden: bool,
    /// `true` if the text is only the RTF form of HTML, in mails that Outlook converted.
    is_html_twin: bool,
    /// The number of bytes that stand for a `\u` character in programs without Unicode.
    fallback_bytes: usize,
}

/// The properties of a paragraph.
#[derive(Clone, Copy, Default)]
struct ParagraphFormat {
    style: i32,
    level: Option<u8>,
    is_in_table: bool,
    list_depth: u8,
}

/// The parser.
pub(super) struct RtfParser<'a> {
    builder: &'a mut DocumentBuilder,
    groups: Vec<Group>,
    group: Group,
    file_encoding: &'static Encoding,
    font_encodings: HashMap<i32, &'static Encoding>,
    font: i32,
    /// The outline levels of the paragraph styles.
    style_levels: HashMap<i32, u8>,
    style: i32,
    style_name: String,
    /// Bytes that are not decoded yet: a character may have several.
    bytes: Vec<u8>,
    /// The first half of a character that `\u` writes as two.
    surrogate: Option<u16>,
    /// The bytes or symbols to skip after a `\u` character.
    to_skip: usize,
    text: String,
    marker: String,
    note: String,
    notes: Vec<String>,
    note_count: usize,
    page_texts: PageTexts,
    title: String,
    format: ParagraphFormat,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl<'a> RtfParser<'a> {
    pub fn new(builder: &'a mut DocumentBuilder) -> Self {
        Self {
            builder,
            groups: Vec::new(),
            group: Group {
                destination: Destination::Body,
                encoding: WINDOWS_1252,
                is_hidden: false,
                is_html_twin: false,
                fallback_bytes: 1,
            },
            file_encoding: WINDOWS_1252,
            font_encodings: HashMap::new(),
            font: 0,
            style_levels: HashMap::new(),
            style: 0,
            style_name: String::new(),
            bytes: Vec::new(),
            surrogate: None,
            to_skip: 0,
            text: String::new(),
            marker: String::new(),
            note: String::new(),
            notes: Vec::new(),
            note_count: 0,
            page_texts: PageTexts::default(),
            title: String::new(),
            format: ParagraphFormat::default(),
            row: Vec::new(),
            rows: Vec::new(),
        }
    }

    pub fn handle_token(&mut self, token: Token<'_>) -> Result<(), ParseError> {
        match token {
            Token::GroupStart => {
                self.decode_bytes()?;
                if self.groups.len() > MAX_DEPTH {
                    return Err(ParseError::Damaged("its groups are nested too deeply".to_owned()));
                }
                self.groups.push(self.group);
                self.to_skip = 0;
            }
            Token::GroupEnd => {
                self.decode_bytes()?;
                self.close_group()?;
            }
            Token::Word(word, number) => {
                if word != "u" {
                    self.decode_bytes()?;
                }
                return self.handle_word(word, number);
            }
            Token::Symbol(symbol) => {
                self.decode_bytes()?;
                self.handle_symbol(symbol)?;
            }
            Token::Byte(byte) if self.to_skip == 0 => self.bytes.push(byte),
            Token::Byte(_) => self.to_skip -= 1,
            Token::Text(text) => {
                let skipped = self.to_skip.min(text.len());
                self.to_skip -= skipped;
                self.bytes.extend_from_slice(text.get(skipped..).unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Ends the last paragraph, and returns the title.
    pub fn finish(mut self) -> Result<Option<String>, ParseError> {
        self.decode_bytes()?;
        self.end_paragraph()?;
        self.close_table()?;
        self.page_texts.footers.iter().try_for_each(|text| self.builder.push_paragraph(text))?;
        Ok(Some(self.title))
    }

    fn handle_word(&mut self, word: &str, number: Option<i32>) -> Result<(), ParseError> {
        match word {
            "par" | "sect" | "page" => return self.end_paragraph(),
            "line" | "lbr" => return self.push_text("\n"),
            "cell" | "nestcell" => return self.end_cell(word == "nestcell"),
            "row" => return self.end_row(),
            "nestrow" => return self.push_text("\n"),
            "u" => return self.push_unicode(number.unwrap_or_default()),
            "footnote" => self.begin_footnote()?,
            _ => {}
        }
        if let Some(text) = special_character(word) {
            return self.push_text(text);
        }
        match word {
            "pard" => self.format = ParagraphFormat::default(),
            "intbl" => self.format.is_in_table = true,
            "ilvl" => {
                let depth = number.and_then(|depth| u8::try_from(depth).ok());
                self.format.list_depth = depth.unwrap_or(0).min(8);
            }
            "outlinelevel" => self.set_outline_level(to_level(number)),
            "s" => {
                self.style = number.unwrap_or_default();
                self.format.style = self.style;
            }
            _ => self.set_group_property(word, number),
        }
        Ok(())
    }

    fn set_outline_level(&mut self, level: Option<u8>) {
        match (self.group.destination, level) {
            (Destination::Styles, Some(level)) => _ = self.style_levels.insert(self.style, level),
            _ => self.format.level = level,
        }
    }

    fn set_group_property(&mut self, word: &str, number: Option<i32>) {
        match word {
            "ansicpg" => {
                if let Some(encoding) = number.and_then(encoding_of_code_page) {
                    self.file_encoding = encoding;
                    self.group.encoding = encoding;
                }
            }
            "mac" => self.file_encoding = encoding_rs::MACINTOSH,
            "f" => {
                self.font = number.unwrap_or_default();
                self.group.encoding =
                    self.font_encodings.get(&self.font).copied().unwrap_or(self.file_encoding);
            }
            "fcharset" if self.group.destination == Destination::Fonts => {
                if let Some(encoding) = number.and_then(encoding_of_charset) {
                    self.font_encodings.insert(self.font, encoding);
                }
            }
            "v" => self.group.is_hidden = number != Some(0),
            "plain" => self.group.is_hidden = false,
            "uc" => {
                self.group.fallback_bytes =
                    number.and_then(|count| usize::try_from(count).ok()).unwrap_or(1).min(8);
            }
            // The text of a text box is in a group that older programs skip.
            "shpinst" => {
                let outer = self.groups.last().map(|group| group.destination);
                self.group.destination = outer.unwrap_or(Destination::Body);
            }
            "htmlrtf" => self.group.is_html_twin = number != Some(0),
            _ => {
                if let Some(destination) = destination(word)
                    && self.group.destination != Destination::Ignored
                {
                    self.group.destination = destination;
                }
            }
        }
    }

    fn handle_symbol(&mut self, symbol: u8) -> Result<(), ParseError> {
        match symbol {
            // A group for programs that know it. Text boxes are the only ones that hold text.
            b'*' => self.group.destination = Destination::Ignored,
            b'~' => self.push_text("\u{a0}")?,
            b'_' => self.push_text("-")?,
            b'\\' | b'{' | b'}' if self.to_skip == 0 => self.bytes.push(symbol),
            b'\\' | b'{' | b'}' => self.to_skip -= 1,
            b'\r' | b'\n' => self.end_paragraph()?,
            _ => {}
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), ParseError> {
        let closed = self.group;
        if let Some(outer) = self.groups.pop() {
            self.group = outer;
        }
        self.to_skip = 0;
        if closed.destination == Destination::Footnote
            && self.group.destination != Destination::Footnote
        {
            let note = std::mem::take(&mut self.note);
            if !note.trim().is_empty() {
                self.notes.push(format!("[{}] {}", self.note_count, note.trim()));
            }
        }
        if self.group.destination != closed.destination {
            return match closed.destination {
                Destination::Header => self.close_page_text(true),
                Destination::Footer => self.close_page_text(false),
                _ => Ok(()),
            };
        }
        Ok(())
    }

    /// Adds the paragraphs of a page header, and keeps those of a footer for the end.
    fn close_page_text(&mut self, is_header: bool) -> Result<(), ParseError> {
        let lines = self.page_texts.take_new_lines();
        if is_header && self.text.is_empty() && self.rows.is_empty() {
            return lines.iter().try_for_each(|line| self.builder.push_paragraph(line));
        }
        self.page_texts.footers.extend(lines);
        Ok(())
    }

    fn begin_footnote(&mut self) -> Result<(), ParseError> {
        if self.group.destination == Destination::Body {
            self.note_count += 1;
            self.push_text(&format!("[{}]", self.note_count))?;
            self.group.destination = Destination::Footnote;
        }
        Ok(())
    }

    fn decode_bytes(&mut self) -> Result<(), ParseError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.bytes);
        let text = self.group.encoding.decode_without_bom_handling(&bytes).0;
        self.push_text(&text)
    }

    /// Adds a UTF-16 unit, which the file writes as a signed number.
    fn push_unicode(&mut self, number: i32) -> Result<(), ParseError> {
        let decoded = std::mem::take(&mut self.bytes);
        if !decoded.is_empty() {
            let text = self.group.encoding.decode_without_bom_handling(&decoded).0;
            self.push_text(&text)?;
        }
        self.to_skip = self.group.fallback_bytes;
        let unit = u16::try_from(number & 0xffff).unwrap_or_default();
        let units: Vec<u16> = self.surrogate.take().into_iter().chain([unit]).collect();
        if matches!((units.as_slice(), unit), ([_], 0xd800..=0xdbff)) {
            self.surrogate = Some(unit);
            return Ok(());
        }
        self.push_text(&String::from_utf16_lossy(&units))
    }

    fn push_text(&mut self, text: &str) -> Result<(), ParseError> {
        if self.group.is_hidden || self.group.is_html_twin {
            return Ok(());
        }
        let target = match self.group.destination {
            Destination::Body => &mut self.text,
            Destination::Footnote => &mut self.note,
            Destination::ListMarker => &mut self.marker,
            Destination::Title => &mut self.title,
            Destination::Header | Destination::Footer => &mut self.page_texts.open,
            Destination::Styles => {
                self.push_style_name(text);
                return Ok(());
            }
            Destination::Fonts | Destination::Ignored => return Ok(()),
        };
        self.builder.charge(text.len())?;
        target.push_str(text);
        Ok(())
    }

    /// Adds to the name of the current style, which a semicolon ends. The styles of headings have
    /// an outline level, or are known by their names alone, as in the files of `LibreOffice`.
    fn push_style_name(&mut self, text: &str) {
        if self.style_name.len() < MAX_STYLE_NAME {
            self.style_name.push_str(text);
        }
        if let Some((name, _)) = self.style_name.split_once(';') {
            if let Some(level) = level_of_style(name) {
                self.style_levels.entry(self.style).or_insert(level);
            }
            self.style_name.clear();
        }
    }

    fn end_paragraph(&mut self) -> Result<(), ParseError> {
        match self.group.destination {
            Destination::Body => {}
            Destination::Footnote => {
                self.note.push(' ');
                return Ok(());
            }
            Destination::Header | Destination::Footer => return self.push_text("\n"),
            _ => return Ok(()),
        }
        if self.format.is_in_table {
            return self.push_text("\n");
        }
        self.close_table()?;
        let text = std::mem::take(&mut self.text);
        let marker = std::mem::take(&mut self.marker);
        let (text, marker) = (text.trim(), marker.trim());
        let ParagraphFormat { style, level, list_depth: depth, .. } = self.format;
        match level.or_else(|| self.style_levels.get(&style).copied()) {
            Some(level) => {
                let number = if marker.is_empty() { String::new() } else { format!("{marker} ") };
                self.builder.push_heading(level, &format!("{number}{text}"))?;
            }
            None if !marker.is_empty() && !text.is_empty() => {
                let number = marker.trim_end_matches(['.', ')']).parse().ok();
                self.builder.push_item(ListItem { depth, number, text: text.to_owned() })?;
            }
            None => self.builder.push_paragraph(text)?,
        }
        for note in std::mem::take(&mut self.notes) {
            self.builder.push_paragraph(&note)?;
        }
        Ok(())
    }

    fn end_cell(&mut self, is_nested: bool) -> Result<(), ParseError> {
        if self.group.destination != Destination::Body {
            return Ok(());
        }
        if is_nested {
            return self.push_text(" | ");
        }
        self.marker.clear();
        self.row.push(std::mem::take(&mut self.text).trim().to_owned());
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), ParseError> {
        let row = std::mem::take(&mut self.row);
        self.builder.charge(row.len())?;
        if !row.is_empty() {
            self.rows.push(row);
        }
        self.format.is_in_table = false;
        Ok(())
    }

    fn close_table(&mut self) -> Result<(), ParseError> {
        let rows = std::mem::take(&mut self.rows);
        match rows.as_slice() {
            [] => Ok(()),
            // A table of one cell is only a frame around its text.
            [row] if row.len() == 1 => {
                row.iter().try_for_each(|cell| self.builder.push_paragraph(cell))
            }
            _ => self.builder.push(BlockContent::Table(rows)),
        }
    }
}
