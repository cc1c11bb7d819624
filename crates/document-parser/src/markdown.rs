//! Markdown.

use crate::{
    builder::DocumentBuilder,
    document::{BlockContent, ListItem},
    document_info::DocumentInfo,
    error::ParseError,
    html,
};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// Parses Markdown.
pub(crate) fn parse(text: &str, builder: &mut DocumentBuilder) -> Result<DocumentInfo, ParseError> {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut parser = MarkdownParser {
        builder,
        text: String::new(),
        lists: Vec::new(),
        number: None,
        rows: Vec::new(),
        title: None,
    };
    for event in Parser::new_ext(text, options) {
        parser.handle_event(event)?;
    }
    parser.flush()?;
    Ok(DocumentInfo::with_title(parser.title))
}

/// The state of the parser.
struct MarkdownParser<'a> {
    builder: &'a mut DocumentBuilder,
    /// The text of the current block.
    text: String,
    /// The open lists, with the next number of each.
    lists: Vec<Option<u64>>,
    /// The number of the current item.
    number: Option<u64>,
    rows: Vec<Vec<String>>,
    title: Option<String>,
}

impl MarkdownParser<'_> {
    fn handle_event(&mut self, event: Event<'_>) -> Result<(), ParseError> {
        match event {
            Event::Start(tag) => return self.start_tag(&tag),
            Event::End(tag) => return self.end_tag(tag),
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

    fn start_tag(&mut self, tag: &Tag<'_>) -> Result<(), ParseError> {
        match tag {
            // The text of a tight item ends where another block begins within the item.
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
            // The language is put before the code, separated by a NUL, which code cannot contain.
            self.text.push_str(language.split([' ', ',', '{']).next().unwrap_or_default());
        }
        if matches!(tag, Tag::CodeBlock(_)) {
            self.text.push('\0');
        }
        Ok(())
    }

    fn end_tag(&mut self, tag: TagEnd) -> Result<(), ParseError> {
        match tag {
            TagEnd::Heading(level) => {
                let text = std::mem::take(&mut self.text);
                self.builder.push_heading(heading_level(level), &text)?;
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
                self.builder.push(BlockContent::Code {
                    language,
                    text: text.trim_end_matches('\n').to_owned(),
                })?;
            }
            TagEnd::HtmlBlock => {
                let text = std::mem::take(&mut self.text);
                html::parse(&text, self.builder)?;
            }
            TagEnd::TableCell => {
                let cell = std::mem::take(&mut self.text);
                self.rows.last_mut().into_iter().for_each(|row| row.push(cell.clone()));
            }
            TagEnd::Table => {
                self.builder.push(BlockContent::Table(std::mem::take(&mut self.rows)))?;
            }
            TagEnd::MetadataBlock(_) => self.read_metadata(),
            _ => {}
        }
        Ok(())
    }

    /// Reads the title of the front matter.
    fn read_metadata(&mut self) {
        let text = std::mem::take(&mut self.text);
        let title = text.lines().find_map(|line| line.strip_prefix("title:"));
        self.title = title.map(|title| title.trim().trim_matches(['"', '\'']).to_owned());
    }

    /// Ends the current block.
    fn flush(&mut self) -> Result<(), ParseError> {
        let text = std::mem::take(&mut self.text);
        match self.lists.len().checked_sub(1) {
            Some(depth) => {
                let item = ListItem {
                    depth: u8::try_from(depth).unwrap_or(u8::MAX),
                    number: self.number.take(),
                    text: text.trim().to_owned(),
                };
                self.builder.push_item(item)
            }
            None => self.builder.push_paragraph(text.trim()),
        }
    }
}

fn heading_level(level: HeadingLevel) -> u8 {
    match level {
        HeadingLevel::H1 => 1,
        HeadingLevel::H2 => 2,
        HeadingLevel::H3 => 3,
        HeadingLevel::H4 => 4,
        HeadingLevel::H5 => 5,
        HeadingLevel::H6 => 6,
    }
}
