//! Markdown: the blocks that it names itself.

use crate::{
    document::{Content, Item},
    draft::Draft,
    error::Reason,
    html,
    read::Found,
};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

pub(crate) fn read(text: &str, draft: &mut Draft) -> Result<Found, Reason> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut reading = Reading {
        draft,
        text: String::new(),
        lists: Vec::new(),
        number: None,
        rows: Vec::new(),
        title: None,
    };
    for event in Parser::new_ext(text, options) {
        reading.hear(event)?;
    }
    reading.flush()?;
    Ok(Found::titled(reading.title))
}

struct Reading<'a> {
    draft: &'a mut Draft,
    /// The words of the block under way.
    text: String,
    /// The lists that are open, with the next number of each.
    lists: Vec<Option<u64>>,
    /// The number of the item under way.
    number: Option<u64>,
    rows: Vec<Vec<String>>,
    title: Option<String>,
}

impl Reading<'_> {
    fn hear(&mut self, event: Event<'_>) -> Result<(), Reason> {
        match event {
            Event::Start(tag) => return self.enter(&tag),
            Event::End(tag) => return self.leave(tag),
            Event::Text(text)
            | Event::Code(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::Html(text) => {
                self.text.push_str(&text);
            }
            Event::InlineHtml(tag) if tag.starts_with("<br") => self.text.push('\n'),
            Event::InlineHtml(_) => {}
            Event::FootnoteReference(name) => self.text.extend(["[", &name, "]"]),
            Event::SoftBreak => self.text.push(' '),
            Event::HardBreak => self.text.push('\n'),
            Event::Rule => {}
            Event::TaskListMarker(done) => self.text.push_str(if done { "[x] " } else { "[ ] " }),
        }
        Ok(())
    }

    fn enter(&mut self, tag: &Tag<'_>) -> Result<(), Reason> {
        match tag {
            // A tight item's text ends where something else begins within it.
            Tag::List(start) => {
                self.flush()?;
                self.lists.push(*start);
            }
            Tag::Item => {
                self.flush()?;
                self.number =
                    self.lists.last_mut().and_then(|next| next.replace((*next)?.saturating_add(1)));
            }
            Tag::FootnoteDefinition(name) => {
                self.flush()?;
                self.text.extend(["[", name, "] "]);
            }
            Tag::CodeBlock(_)
            | Tag::HtmlBlock
            | Tag::Table(_)
            | Tag::Heading { .. }
            | Tag::BlockQuote(_)
            | Tag::MetadataBlock(_) => self.flush()?,
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            Tag::Paragraph if !self.text.is_empty() && !self.text.ends_with(' ') => {
                self.text.push('\n');
            }
            _ => {}
        }
        if let Tag::CodeBlock(CodeBlockKind::Fenced(language)) = tag {
            // It waits before the code, which cannot begin with a NUL.
            self.text.push_str(language.split([' ', ',', '{']).next().unwrap_or_default());
        }
        if matches!(tag, Tag::CodeBlock(_)) {
            self.text.push('\0');
        }
        Ok(())
    }

    fn leave(&mut self, tag: TagEnd) -> Result<(), Reason> {
        match tag {
            TagEnd::Heading(level) => {
                let text = std::mem::take(&mut self.text);
                self.draft.heading(depth(level), &text)?;
            }
            TagEnd::Paragraph if self.lists.is_empty() => self.flush()?,
            TagEnd::Item | TagEnd::FootnoteDefinition | TagEnd::BlockQuote(_) => self.flush()?,
            TagEnd::List(_) => {
                self.flush()?;
                self.lists.pop();
            }
            TagEnd::CodeBlock => {
                let text = std::mem::take(&mut self.text);
                let (language, text) = text.split_once('\0').unwrap_or_default();
                let language = (!language.is_empty()).then(|| language.to_owned());
                self.draft.push(Content::Code {
                    language,
                    text: text.trim_end_matches('\n').to_owned(),
                })?;
            }
            TagEnd::HtmlBlock => {
                let text = std::mem::take(&mut self.text);
                html::read(&text, self.draft)?;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
            }
            TagEnd::Table => self.draft.push(Content::Table(std::mem::take(&mut self.rows)))?,
            TagEnd::MetadataBlock(_) => self.metadata(),
            _ => {}
        }
        Ok(())
    }

    fn metadata(&mut self) {
        let text = std::mem::take(&mut self.text);
        let title = text.lines().find_map(|line| line.strip_prefix("title:"));
        self.title = title.map(|title| title.trim().trim_matches(['"', '\'']).to_owned());
    }

    fn flush(&mut self) -> Result<(), Reason> {
        let text = std::mem::take(&mut self.text);
        match self.lists.len().checked_sub(1) {
            Some(depth) => {
                let item = Item {
                    depth: u8::try_from(depth).unwrap_or(u8::MAX),
                    number: self.number.take(),
                    text: text.trim().to_owned(),
                };
                self.draft.item(item)
            }
            None => self.draft.paragraph(text.trim()),
        }
    }
}

fn depth(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
