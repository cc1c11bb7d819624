//! A document as one Markdown text, which can be cut at headings, and still tells the page of every place.

use crate::document::{Content, Document, Item};

/// A document as one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Markdown: `#` headings, blank lines between blocks, `|` tables, fenced code.
    pub text: String,
    /// Where in the text each page begins, for those that have text.
    pub pages: Vec<(usize, u32)>,
}

impl Text {
    /// The page that this byte of the text stands on.
    pub fn page_at(&self, offset: usize) -> Option<u32> {
        let after = self.pages.partition_point(|(start, _)| *start <= offset);
        self.pages.get(after.checked_sub(1)?).map(|(_, page)| *page)
    }
}

impl Document {
    /// The document as one Markdown text. What only looks like a heading or a fence is escaped.
    pub fn text(&self) -> Text {
        let mut all = Text { text: String::new(), pages: Vec::new() };
        for block in &self.blocks {
            if !all.text.is_empty() {
                all.text.push('\n');
            }
            if let Some(page) = block.page
                && all.pages.last().is_none_or(|(_, last)| *last != page)
            {
                all.pages.push((all.text.len(), page));
            }
            write(&mut all.text, &block.content);
        }
        all
    }
}

fn write(into: &mut String, content: &Content) {
    match content {
        Content::Heading { level, text } => {
            into.extend(std::iter::repeat_n('#', usize::from(*level)));
            into.push(' ');
            into.push_str(text);
            into.push('\n');
        }
        Content::Paragraph(text) => lines(into, text, ""),
        Content::List(all) => items(into, all),
        Content::Table(rows) => table(into, rows),
        Content::Code { language, text } => {
            code(into, language.as_deref().unwrap_or_default(), text);
        }
    }
}

/// The lines behind an indent, the first of which stands already.
fn lines(into: &mut String, text: &str, indent: &str) {
    for (number, line) in text.trim_end().split('\n').enumerate() {
        if number > 0 && !line.trim().is_empty() {
            into.push_str(indent);
        }
        if is_markup(line) {
            into.push('\\');
        }
        into.push_str(line);
        into.push('\n');
    }
}

fn is_markup(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - rest.len())) && (rest.is_empty() || rest.starts_with(' '))
        || ["```", "~~~"].iter().any(|fence| line.trim_start().starts_with(fence))
}

fn items(into: &mut String, items: &[Item]) {
    for item in items {
        let indent = "    ".repeat(usize::from(item.depth));
        let mark = item.number.map_or_else(|| "-".to_owned(), |number| format!("{number}."));
        into.push_str(&indent);
        into.push_str(&mark);
        into.push(' ');
        lines(into, &item.text, &format!("{indent}{}", " ".repeat(mark.len() + 1)));
    }
}

fn table(into: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    for (number, row) in rows.iter().enumerate() {
        for column in 0..columns {
            into.push_str(if column == 0 { "| " } else { " | " });
            let cell = row.get(column).map_or("", String::as_str);
            into.push_str(&cell.trim().replace('|', "\\|").replace('\n', " "));
        }
        into.push_str(" |\n");
        if number == 0 {
            into.push_str(&"| --- ".repeat(columns));
            into.push_str("|\n");
        }
    }
}

fn code(into: &mut String, language: &str, text: &str) {
    let fence =
        if text.lines().any(|line| line.trim_start().starts_with("```")) { "~~~" } else { "```" };
    into.extend([fence, language, "\n", text.trim_end_matches('\n'), "\n", fence, "\n"]);
}
