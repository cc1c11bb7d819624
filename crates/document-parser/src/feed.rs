//! News feeds (RSS, Atom): every entry under its title.

use crate::{
    builder::DocumentBuilder,
    document_info::DocumentInfo,
    error::ParseError,
    html,
    xml::{self, XmlEvent, attribute},
};

/// Parses a feed.
pub(crate) fn parse(
    bytes: &[u8],
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut parser = FeedParser::default();
    xml::read_file(bytes, |event| parser.handle_event(event, builder))?;
    Ok(DocumentInfo::with_title(parser.title))
}

/// Returns whether the outermost element is that of a feed.
pub(crate) fn is_feed(name: &str) -> bool {
    matches!(name, "rss" | "feed" | "RDF")
}

/// The state of the parser.
#[derive(Default)]
struct FeedParser {
    title: Option<String>,
    entry: Option<Entry>,
    /// The field that is open, and the depth within it.
    field: Option<(Field, usize)>,
    text: String,
    is_description_written: bool,
}

/// The fields of an entry.
#[derive(Default)]
struct Entry {
    title: String,
    about: Vec<String>,
    /// The text as HTML: the longest of its summary and its content.
    text: String,
}

/// A field of an entry.
#[derive(Clone, Copy)]
enum Field {
    Title,
    Date,
    Author,
    Link,
    Text,
}

impl FeedParser {
    fn handle_event(
        &mut self,
        event: XmlEvent<'_>,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        match event {
            XmlEvent::Start { local_name, tag, .. } => {
                match (self.field.as_mut(), local_name) {
                    // Elements within a field: the name of an author, or the tags of XHTML.
                    (Some((_, depth)), _) => {
                        *depth += 1;
                        self.text.push(' ');
                    }
                    (None, "item" | "entry") => self.entry = Some(Entry::default()),
                    (None, name) => {
                        self.field = field(name).map(|field| (field, 0));
                        self.text = attribute(tag, "href").unwrap_or_default();
                    }
                }
            }
            XmlEvent::End { local_name, .. } => match self.field.as_mut() {
                Some((_, depth)) if *depth > 0 => *depth -= 1,
                Some((field, _)) => {
                    let field = *field;
                    self.field = None;
                    return self.close_field(field, builder);
                }
                None if matches!(local_name, "item" | "entry") => {
                    if let Some(entry) = self.entry.take() {
                        return write_entry(&entry, builder);
                    }
                }
                None => {}
            },
            XmlEvent::Text(text) if self.field.is_some() => {
                builder.charge(text.len())?;
                self.text.push_str(text);
            }
            XmlEvent::Text(_) => {}
        }
        Ok(())
    }

    fn close_field(
        &mut self,
        field: Field,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        let text = std::mem::take(&mut self.text).trim().to_owned();
        let Some(entry) = self.entry.as_mut() else {
            return self.close_feed_field(field, text, builder);
        };
        match field {
            Field::Title if entry.title.is_empty() => entry.title = text,
            Field::Text if text.len() > entry.text.len() => entry.text = text,
            Field::Date | Field::Author | Field::Link if !text.is_empty() => {
                if entry.about.len() < 8 && !entry.about.contains(&text) {
                    entry.about.push(text);
                }
            }
            Field::Title | Field::Text | Field::Date | Field::Author | Field::Link => {}
        }
        Ok(())
    }

    /// Adds the title and the description of the feed itself.
    fn close_feed_field(
        &mut self,
        field: Field,
        text: String,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        match field {
            Field::Title if self.title.is_none() => {
                builder.push_heading(1, &text)?;
                self.title = Some(text);
            }
            Field::Text if !std::mem::replace(&mut self.is_description_written, true) => {
                html::parse(&text, builder)?;
            }
            Field::Title | Field::Text | Field::Date | Field::Author | Field::Link => {}
        }
        Ok(())
    }
}

/// Returns the field of an element's name.
fn field(name: &str) -> Option<Field> {
    Some(match name {
        "title" => Field::Title,
        "pubDate" | "date" | "published" | "updated" => Field::Date,
        "author" | "creator" => Field::Author,
        "link" => Field::Link,
        "description" | "summary" | "subtitle" | "content" | "encoded" => Field::Text,
        _ => return None,
    })
}

fn write_entry(entry: &Entry, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
    builder.push_heading(2, &entry.title)?;
    builder.push_paragraph(&entry.about.join("\n"))?;
    let offset = builder.heading_offset;
    builder.heading_offset = offset.saturating_add(2);
    let parsed = html::parse(&entry.text, builder);
    builder.heading_offset = offset;
    parsed.map(|_| ())
}
