//! The state of a page under reading: what is open, and the words of the block under way.

use super::{
    table::Table,
    tag::{self, Role},
};
use crate::{
    document::{Content, Item},
    draft::Draft,
    error::Reason,
};
use html5ever::{LocalName, tokenizer::Tag};

/// How far back an end tag looks for its start: pages that never close what they open must not cost the square of their length.
const FAR: usize = 500;

struct Open {
    name: LocalName,
    role: Role,
    hides: bool,
}

pub(super) struct Reading<'a> {
    draft: &'a mut Draft,
    open: Vec<Open>,
    /// How many of the open elements hide their text.
    hiding: usize,
    text: String,
    heading: Option<u8>,
    /// The lists that are open, with the next number of each.
    lists: Vec<Option<u64>>,
    /// The item that has no text yet.
    item: Option<Option<u64>>,
    pre: usize,
    language: Option<String>,
    tables: Vec<Table>,
    title: Option<String>,
}

impl<'a> Reading<'a> {
    pub fn new(draft: &'a mut Draft) -> Self {
        Self {
            draft,
            open: Vec::new(),
            hiding: 0,
            text: String::new(),
            heading: None,
            lists: Vec::new(),
            item: None,
            pre: 0,
            language: None,
            tables: Vec::new(),
            title: None,
        }
    }

    pub fn start(&mut self, tag: &Tag) -> Result<(), Reason> {
        let role = tag::role(&tag.name);
        self.imply_ends(&tag.name, role)?;
        let hides = role == Role::Unread || tag::is_hidden(tag);
        if self.hiding == 0 && !hides {
            self.enter(tag, role)?;
        }
        if tag::is_void(&tag.name) {
            return Ok(());
        }
        self.hiding += usize::from(hides);
        self.open.push(Open { name: tag.name.clone(), role, hides });
        if tag.self_closing { self.close_to(self.open.len() - 1) } else { Ok(()) }
    }

    pub fn end_tag(&mut self, name: &LocalName) -> Result<(), Reason> {
        let of_tables = |role| matches!(role, Role::Table | Role::Row | Role::Cell);
        let of_table = of_tables(tag::role(name)) || matches!(&**name, "tbody" | "thead" | "tfoot");
        for (back, open) in self.open.iter().rev().take(FAR).enumerate() {
            if open.name == *name {
                return self.close_to(self.open.len() - 1 - back);
            }
            // What is closed in a cell was opened in it.
            if !of_table && of_tables(open.role) {
                break;
            }
        }
        if name == "p" || name == "br" { self.flush() } else { Ok(()) }
    }

    pub fn text(&mut self, text: &str) {
        if self.hiding > 0 {
            return;
        }
        if self.open.last().is_some_and(|open| open.role == Role::Title) {
            self.title.get_or_insert_default().push_str(text);
            return;
        }
        if self.pre > 0 {
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

    /// Closes what is still open, and tells the title.
    pub fn end(mut self) -> Result<Option<String>, Reason> {
        self.close_to(0)?;
        self.flush()?;
        Ok(self.title)
    }

    /// Some elements end where others begin.
    fn imply_ends(&mut self, name: &str, role: Role) -> Result<(), Reason> {
        let (ends, until): (&[&str], &[&str]) = match name {
            "li" => (&["li"], &["ul", "ol", "menu"]),
            "dt" | "dd" => (&["dt", "dd"], &["dl"]),
            "td" | "th" => (&["td", "th"], &["tr", "table"]),
            "tr" => (&["tr"], &["table"]),
            "tbody" | "thead" | "tfoot" => (&["tbody", "thead", "tfoot", "caption"], &["table"]),
            "body" => (&["head"], &["html"]),
            _ if !matches!(role, Role::Inline | Role::Unread | Role::Title) => {
                (&["p"], &["div", "li", "td", "th", "section", "article"])
            }
            _ => return Ok(()),
        };
        for (back, open) in self.open.iter().rev().take(FAR).enumerate() {
            if ends.contains(&&*open.name) {
                return self.close_to(self.open.len() - 1 - back);
            }
            if until.contains(&&*open.name) {
                break;
            }
        }
        Ok(())
    }

    fn close_to(&mut self, length: usize) -> Result<(), Reason> {
        while self.open.len() > length
            && let Some(open) = self.open.pop()
        {
            if self.hiding == 0 {
                self.leave(open.role)?;
            }
            self.hiding -= usize::from(open.hides);
        }
        Ok(())
    }

    fn enter(&mut self, tag: &Tag, role: Role) -> Result<(), Reason> {
        match role {
            Role::Inline | Role::Unread | Role::Title => self.enter_inline(tag),
            Role::Heading(level) => {
                self.arrange()?;
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
                self.item = Some(
                    self.lists.last_mut().and_then(|next| next.replace((*next)?.saturating_add(1))),
                );
            }
            Role::Pre => {
                self.flush()?;
                self.pre += 1;
                self.language = language(tag);
            }
            Role::Table => {
                self.arrange()?;
                self.flush()?;
                self.tables.push(Table::default());
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

    fn enter_inline(&mut self, tag: &Tag) {
        match &*tag.name {
            "br" => self.text.push('\n'),
            "img" => self.text(tag::attribute(tag, "alt").unwrap_or_default()),
            "code" if self.pre > 0 && self.language.is_none() => self.language = language(tag),
            _ => {}
        }
    }

    fn leave(&mut self, role: Role) -> Result<(), Reason> {
        match role {
            Role::Inline | Role::Unread | Role::Title => Ok(()),
            Role::Block | Role::Item => self.flush(),
            Role::Heading(_) => {
                self.flush()?;
                self.heading = None;
                Ok(())
            }
            Role::List | Role::NumberedList => {
                self.flush()?;
                self.lists.pop();
                self.item = None;
                Ok(())
            }
            Role::Pre => self.leave_pre(),
            Role::Cell => self.leave_cell(),
            Role::Row => self.tables.last_mut().map_or(Ok(()), |table| table.close_row(self.draft)),
            Role::Table => self.leave_table(),
        }
    }

    fn leave_pre(&mut self) -> Result<(), Reason> {
        self.pre -= 1;
        let language = self.language.take();
        if self.pre > 0 || self.in_cell() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let text = text.strip_prefix('\n').unwrap_or(&text).trim_end();
        self.draft.push(Content::Code { language, text: text.to_owned() })
    }

    fn leave_cell(&mut self) -> Result<(), Reason> {
        if !self.in_cell() {
            return self.flush();
        }
        let text = std::mem::take(&mut self.text);
        self.tables.last_mut().map_or(Ok(()), |table| table.close_cell(text.trim(), self.draft))
    }

    fn leave_table(&mut self) -> Result<(), Reason> {
        self.flush()?;
        let Some(mut table) = self.tables.pop() else { return Ok(()) };
        table.close_row(self.draft)?;
        self.push_rows(table.rows)
    }

    /// A frame around a text is no table.
    fn push_rows(&mut self, mut rows: Vec<Vec<String>>) -> Result<(), Reason> {
        match rows.as_mut_slice() {
            [row] if row.len() == 1 => row.iter().try_for_each(|cell| self.draft.paragraph(cell)),
            _ => self.draft.push(Content::Table(rows)),
        }
    }

    /// What opens now stands in no cell of a real table: the tables around it only arrange it.
    fn arrange(&mut self) -> Result<(), Reason> {
        let Some(table) = self.tables.last_mut().filter(|table| table.in_cell && !table.layout)
        else {
            return Ok(());
        };
        table.layout = true;
        table.close_row(self.draft)?;
        let rows = std::mem::take(&mut table.rows);
        self.push_rows(rows)
    }

    fn in_cell(&self) -> bool {
        self.tables.last().is_some_and(|table| table.in_cell && !table.layout)
    }

    /// Ends the block under way.
    fn flush(&mut self) -> Result<(), Reason> {
        if self.pre > 0 {
            return Ok(());
        }
        if self.in_cell() {
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
            return self.draft.heading(level, text);
        }
        let Some(depth) = self.lists.len().checked_sub(1) else {
            return self.draft.paragraph(text);
        };
        let depth = u8::try_from(depth).unwrap_or(u8::MAX);
        match self.item.take() {
            Some(number) => self.draft.item(Item { depth, number, text: text.to_owned() }),
            None => self.draft.more_of_item(depth, text),
        }
    }
}

/// `class="language-rust"`, as most pages with code have it.
fn language(tag: &Tag) -> Option<String> {
    let classes = tag::attribute(tag, "class")?;
    let language = classes.split_ascii_whitespace().find_map(|class| {
        class.strip_prefix("language-").or_else(|| class.strip_prefix("lang-"))
    })?;
    Some(language.to_owned())
}
