//! Renders a document as one Markdown text, and records the page of every offset.

use crate::document::{BlockContent, Document, ListItem};

/// A document as one Markdown text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkdownText {
    /// The Markdown: `#` headings, blank lines between blocks, `|` tables, fenced code.
    pub text: String,
    /// The offset at which each page with text begins, and its number.
    pub pages: Vec<(usize, u32)>,
}

impl MarkdownText {
    /// Returns the page of the byte at this offset.
    pub fn page_at(&self, offset: usize) -> Option<u32> {
        let after = self.pages.partition_point(|(start, _)| *start <= offset);
        self.pages.get(after.checked_sub(1)?).map(|(_, page)| *page)
    }
}

impl Document {
    /// Renders the document as Markdown. Text that only looks like a heading or a fence is escaped.
    pub fn to_markdown(&self) -> MarkdownText {
        let mut markdown = MarkdownText { text: String::new(), pages: Vec::new() };
        for block in &self.blocks {
            if !markdown.text.is_empty() {
                markdown.text.push('\n');
            }
            if let Some(page) = block.page
                && markdown.pages.last().is_none_or(|(_, last)| *last != page)
            {
                markdown.pages.push((markdown.text.len(), page));
            }
            write_content(&mut markdown.text, &block.content);
        }
        markdown
    }
}

fn write_content(out: &mut String, content: &BlockContent) {
    match content {
        BlockContent::Heading { level, text } => {
            out.extend(std::iter::repeat_n('#', usize::from(*level)));
            out.push(' ');
            out.push_str(text);
            out.push('\n');
        }
        BlockContent::Paragraph(text) => write_lines(out, text, ""),
        BlockContent::List(all) => write_items(out, all),
        BlockContent::Table(rows) => write_table(out, rows),
        BlockContent::Code { language, text } => {
            write_code(out, language.as_deref().unwrap_or_default(), text);
        }
    }
}

/// Writes the lines of a text. The caller has written the indent of the first one.
fn write_lines(out: &mut String, text: &str, indent: &str) {
    for (number, line) in text.trim_end().split('\n').enumerate() {
        if number > 0 && !line.trim().is_empty() {
            out.push_str(indent);
        }
        if is_markup(line) {
            out.push('\\');
        }
        out.push_str(line);
        out.push('\n');
    }
}

/// Returns whether Markdown would take the line for a heading or a fence.
fn is_markup(line: &str) -> bool {
    let rest = line.trim_start_matches('#');
    (1..=6).contains(&(line.len() - rest.len())) && (rest.is_empty() || rest.starts_with(' '))
        || ["```", "~~~"].iter().any(|fence| line.trim_start().starts_with(fence))
}

fn write_items(out: &mut String, items: &[ListItem]) {
    for item in items {
        let indent = "    ".repeat(usize::from(item.depth));
        let marker = item.number.map_or_else(|| "-".to_owned(), |number| format!("{number}."));
        out.push_str(&indent);
        out.push_str(&marker);
        out.push(' ');
        write_lines(out, &item.text, &format!("{indent}{}", " ".repeat(marker.len() + 1)));
    }
}

fn write_table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    for (number, row) in rows.iter().enumerate() {
        for column in 0..columns {
            out.push_str(if column == 0 { "| " } else { " | " });
            let cell = row.get(column).map_or("", String::as_str);
            out.push_str(&cell.trim().replace('|', "\\|").replace('\n', " "));
        }
        out.push_str(" |\n");
        if number == 0 {
            out.push_str(&"| --- ".repeat(columns));
            out.push_str("|\n");
        }
    }
}

fn write_code(out: &mut String, language: &str, text: &str) {
    let fence =
        if text.lines().any(|line| line.trim_start().starts_with("```")) { "~~~" } else { "```" };
    out.extend([fence, language, "\n", text.trim_end_matches('\n'), "\n", fence, "\n"]);
}
