//! The parser's state: the open elements, and the text of the current block.

use super::{
    table::TableBuilder,
    tag::{self, Role},
};
use crate::{
    builder::DocumentBuilder,
    document::{BlockContent, ListItem},
    error::ParseError,
};
use html5ever::{LocalName, tokenizer::Tag};

/// The most open elements among which an end tag is matched. Without a limit, pages that never
/// close their elements would take quadratic time.
const MAX_MATCH_DEPTH: usize = 500;

/// An open element.
struct OpenElement {
    name: LocalName,
    role: Role,
    is_hidden: bool,
}

/// The state of the parser.
pub(super) struct HtmlParser<'a> {
    builder: &'a mut DocumentBuilder,
    open: Vec<OpenElement>,
    /// The number of open elements that hide their text.
    hidden_depth: usize,
    text: String,
    heading: Option<u8>,
    /// The open lists, with the next number of each.
    lists: Vec<Option<u64>>,
    /// The current item (with its number) while it has no text yet.
    pending_item: Option<Option<u64>>,
    pre_depth: usize,
    language: Option<String>,
    tables: Vec<TableBuilder>,
    title: Option<String>,
}

impl<'a> HtmlParser<'a> {
    pub fn new(builder: &'a mut DocumentBuilder) -> Self {
        Self {
            builder,
            open: Vec::new(),
            hidden_depth: 0,
            text: String::new(),
            heading: None,
            lists: Vec::new(),
            pending_item: None,
            pre_depth: 0,
            language: None,
            tables: Vec::new(),
            title: None,
        }
    }

    pub fn start_element(&mut self, tag: &Tag) -> Result<(), ParseError> {
        let role = tag::role(&tag.name);
        self.close_implied(&tag.name, role)?;
        let is_hidden = role == Role::Ignored || tag::is_hidden(tag);
        if self.hidden_depth == 0 && !is_hidden {
            self.open_element(tag, role)?;
        }
        if tag::is_void(&tag.name) {
            return Ok(());
        }
        self.hidden_depth += usize::from(is_hidden);
        self.open.push(OpenElement { name: tag.name.clone(), role, is_hidden });
        if tag.self_closing { self.close_down_to(self.open.len() - 1) } else { Ok(()) }
    }

    pub fn end_element(&mut self, name: &LocalName) -> Result<(), ParseError> {
        let is_table_role = |role| matches!(role, Role::Table | Role::Row | Role::Cell);
        let is_table_tag =
            is_table_role(tag::role(name)) || matches!(&**name, "tbody" | "thead" | "tfoot");
        for (distance, open) in self.open.iter().rev().take(MAX_MATCH_DEPTH).enumerate() {
            if open.name == *name {
                return self.close_down_to(self.open.len() - 1 - distance);
            }
            // An end tag in a cell closes no element outside of it.
            if !is_table_tag && is_table_role(open.role) {
                break;
            }
        }
        if name == "p" || name == "br" { self.flush() } else { Ok(()) }
    }

    pub fn push_text(&mut self, text: &str) {
        if self.hidden_depth > 0 {
            return;
        }
        if self.open.last().is_some_and(|open| open.role == Role::Title) {
            self.title.get_or_insert_default().push_str(text);
            return;
        }
        if self.pre_depth > 0 {
            self.text.push_str(text);
            return;
        }
        for char in text.chars() {
            match char {
                '\u{ad}' | '\u{200b}' => {}
                _ if char.is_ascii_whitespace() || char == '\u{a0}' => {
                    if !self.text.is_empty() && !self.text.ends_with([' ', '\n']) {
                        self.text.push(' ');
                    }
                }
                _ => self.text.push(char),
            }
        }
    }

    /// Closes all open elements, and returns the title.
    pub fn finish(mut self) -> Result<Option<String>, ParseError> {
        self.close_down_to(0)?;
        self.flush()?;
        Ok(self.title)
    }

    /// Closes the elements whose end tag is implied by this start tag.
    fn close_implied(&mut self, name: &str, role: Role) -> Result<(), ParseError> {
        let (ends, until): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot", "caption"], &["table"]),
            "body" => (&["head"], &["html"]),
            _ if !matches!(role, Role::Inline | Role::Ignored | Role::Title) => {
                (&["p"], &["div", "li", "td", "th", "section", "article"])
            }
            _ => return Ok(()),
        };
        for (distance, open) in self.open.iter().rev().take(MAX_MATCH_DEPTH).enumerate() {
            if ends.contains(&&*open.name) {
                return self.close_down_to(self.open.len() - 1 - distance);
            }
            if until.contains(&&*open.name) {
                break;
            }
        }
        Ok(())
    }

    /// Closes elements until only `length` are open.
    fn close_down_to(&mut self, length: usize) -> Result<(), ParseError> {
        while self.open.len() > length
            && let Some(open) = self.open.pop()
        {
            if self.hidden_depth == 0 {
                self.close_element(open.role)?;
            }
            self.hidden_depth -= usize::from(open.is_hidden);
        }
        Ok(())
    }

    fn open_element(&mut self, tag: &Tag, role: Role) -> Result<(), ParseError> {
        match role {
            Role::Inline | Role::Ignored | Role::Title => self.open_inline(tag),
            Role::Heading(level) => {
                self.mark_layout_table()?;
                self.flush()?;
                self.heading = Some(level);
            }
            Role::List | Role::NumberedList => {
                self.flush()?;
                let first =
                    tag::attribute(tag, "start").and_then(|start| start.parse().ok()).unwrap_or(1);
                self.lists.push((role == Role::NumberedList).then_some(first));
            }
            Role::Item => {
                self.flush()?;
                self.pending_item = Some(
                    self.lists.last_mut().and_then(|next| next.replace((*next)?.saturating_add(1))),
                );
            }
            Role::Pre => {
                self.flush()?;
                self.pre_depth += 1;
                self.language = code_language(tag);
            }
            Role::Table => {
                self.mark_layout_table()?;
                self.flush()?;
                self.tables.push(TableBuilder::default());
            }
            Role::Row => self.flush()?,
            Role::Cell => {
                self.flush()?;
                if let Some(table) = self.tables.last_mut() {
                    table.open_cell(tag::attribute(tag, "colspan"), tag::attribute(tag, "rowspan"));
                }
            }
            Role::Block => self.flush()?,
        }
        Ok(())
    }

    fn open_inline(&mut self, tag: &Tag) {
        match &*tag.name {
            "br" => self.text.push('\n'),
            "img" => self.push_text(tag::attribute(tag, "alt").unwrap_or_default()),
            "code" if self.pre_depth > 0 && self.language.is_none() => {
                self.language = code_language(tag);
            }
            _ => {}
        }
    }

    fn close_element(&mut self, role: Role) -> Result<(), ParseError> {
        match role {
            Role::Inline | Role::Ignored | Role::Title => Ok(()),
            Role::Block | Role::Item => self.flush(),
            Role::Heading(_) => {
                self.flush()?;
                self.heading = None;
                Ok(())
            }
            Role::List | Role::NumberedList => {
                self.flush()?;
                self.lists.pop();
                self.pending_item = None;
                Ok(())
            }
            Role::Pre => self.close_pre(),
            Role::Cell => self.close_cell(),
            Role::Row => {
                self.tables.last_mut().map_or(Ok(()), |table| table.close_row(self.builder))
            }
            Role::Table => self.close_table(),
        }
    }

    fn close_pre(&mut self) -> Result<(), ParseError> {
        self.pre_depth -= 1;
        let language = self.language.take();
        if self.pre_depth > 0 || self.is_in_cell() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let text = text.strip_prefix('\n').unwrap_or(&text).trim_end();
        self.builder.push(BlockContent::Code { language, text: text.to_owned() })
    }

    fn close_cell(&mut self) -> Result<(), ParseError> {
        if !self.is_in_cell() {
            return self.flush();
        }
        let text = std::mem::take(&mut self.text);
        self.tables.last_mut().map_or(Ok(()), |table| table.close_cell(text.trim(), self.builder))
    }

    fn close_table(&mut self) -> Result<(), ParseError> {
        self.flush()?;
        let Some(mut table) = self.tables.pop() else { return Ok(()) };
        table.close_row(self.builder)?;
        self.push_rows(table.rows)
    }

    /// Adds the rows as a table. A table of one cell is only a frame, so its text is a paragraph.
    fn push_rows(&mut self, mut rows: Vec<Vec<String>>) -> Result<(), ParseError> {
        match rows.as_mut_slice() {
            [row] if row.len() == 1 => {
                row.iter().try_for_each(|cell| self.builder.push_paragraph(cell))
            }
            _ => self.builder.push(BlockContent::Table(rows)),
        }
    }

    /// Marks the table around the current element as a layout table, if there is one.
    fn mark_layout_table(&mut self) -> Result<(), ParseError> {
        let Some(table) =
            self.tables.last_mut().filter(|table| table.is_in_cell && !table.is_layout)
        else {
            return Ok(());
        };
        table.is_layout = true;
        table.close_row(self.builder)?;
        let rows = std::mem::take(&mut table.rows);
        self.push_rows(rows)
    }

    fn is_in_cell(&self) -> bool {
        self.tables.last().is_some_and(|table| table.is_in_cell && !table.is_layout)
    }

    /// Ends the current block.
    fn flush(&mut self) -> Result<(), ParseError> {
        if self.pre_depth > 0 {
            return Ok(());
        }
        if self.is_in_cell() {
            if !self.text.is_empty() && !self.text.ends_with('\n') {
                self.text.push('\n');
            }
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        if text.is_empty() {
            return Ok(());
        }
        if let Some(level) = self.heading {
            return self.builder.push_heading(level, text);
        }
        let Some(depth) = self.lists.len().checked_sub(1) else {
            return self.builder.push_paragraph(text);
        };
        let depth = u8::try_from(depth).unwrap_or(u8::MAX);
        match self.pending_item.take() {
            Some(number) => {
                self.builder.push_item(ListItem { depth, number, text: text.to_owned() })
            }
            None => self.builder.append_to_item(depth, text),
        }
    }
}

/// Returns the language of a class such as `language-rust`, which most pages with code use.
fn code_language(tag: &Tag) -> Option<String> {
    let classes = tag::attribute(tag, "class")?;
    let language = classes.split_ascii_whitespace().find_map(|class| {
        class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-"))
    })?;
    Some(language.to_owned())
}
