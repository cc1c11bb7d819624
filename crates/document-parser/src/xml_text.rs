//! XML of any kind: its texts with the names of their elements.

use crate::{
    builder::DocumentBuilder,
    document_info::DocumentInfo,
    error::ParseError,
    xml::{self, XmlEvent},
};
use quick_xml::events::BytesStart;

/// The deepest nesting of elements.
const MAX_DEPTH: usize = 1_000;

/// Parses XML.
pub(crate) fn parse(
    bytes: &[u8],
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut parser = XmlParser { builder, open: Vec::new(), inline_depth: 0 };
    xml::read_file(bytes, |event| parser.handle_event(event))?;
    Ok(DocumentInfo::with_title(None))
}

/// The state of the parser.
struct XmlParser<'a> {
    builder: &'a mut DocumentBuilder,
    open: Vec<Element>,
    /// The depth within the elements that are part of a text, as `<b>` is.
    inline_depth: usize,
}

/// An open element.
struct Element {
    name: String,
    text: String,
    attributes: String,
    has_children: bool,
    /// The texts of its children that are not written yet, each with its name.
    lines: Vec<String>,
}

impl XmlParser<'_> {
    fn handle_event(&mut self, event: XmlEvent<'_>) -> Result<(), ParseError> {
        match event {
            XmlEvent::Start { local_name, tag, .. } => self.start_element(local_name, tag),
            XmlEvent::End { .. } if self.inline_depth > 0 => {
                self.inline_depth -= 1;
                Ok(())
            }
            XmlEvent::End { .. } => self.end_element(),
            XmlEvent::Text(text) => {
                self.builder.charge(text.trim().len())?;
                self.open.last_mut().into_iter().for_each(|open| open.text.push_str(text));
                Ok(())
            }
        }
    }

    fn start_element(&mut self, name: &str, tag: &BytesStart<'_>) -> Result<(), ParseError> {
        if self.open.len() > MAX_DEPTH {
            return Err(ParseError::Damaged("its elements are nested too deeply".to_owned()));
        }
        if let Some(parent) = self.open.last_mut() {
            if self.inline_depth > 0 || !parent.text.trim().is_empty() {
                self.inline_depth += 1;
                return Ok(());
            }
            // The texts above an element that is no text itself are written before its own.
            if !std::mem::replace(&mut parent.has_children, true)
                && let Some(above) = self.open.len().checked_sub(2)
                && let Some(above) = self.open.get_mut(above)
            {
                let lines = std::mem::take(&mut above.lines);
                self.write_lines(&lines)?;
            }
        }
        let mut attributes = tag.attributes();
        let attributes = attributes.with_checks(false).flatten().filter(|attribute| {
            let prefix = attribute.key.prefix().map_or("", |prefix| prefix.into_inner());
            prefix != "xmlns" && prefix != "xml" && attribute.key.as_ref() != "xmlns"
        });
        let attributes: Vec<String> = attributes
            .map(|attribute| {
                format!("{}: {}", attribute.key.local_name().into_inner(), &*attribute.value)
            })
            .collect();
        self.open.push(Element {
            name: name.to_owned(),
            text: String::new(),
            attributes: attributes.join(", "),
            has_children: false,
            lines: Vec::new(),
        });
        Ok(())
    }

    fn end_element(&mut self) -> Result<(), ParseError> {
        let Some(element) = self.open.pop() else { return Ok(()) };
        let text = element.text.split_whitespace().collect::<Vec<_>>().join(" ");
        if element.has_children {
            self.write_lines(&element.lines)?;
            return self.builder.push_paragraph(&text);
        }
        if matches!(element.name.as_str(), "title" | "head" | "heading") && !text.is_empty() {
            let lines = self.open.last_mut().map(|parent| std::mem::take(&mut parent.lines));
            self.write_lines(&lines.unwrap_or_default())?;
            let level = u8::try_from(self.open.len()).unwrap_or(u8::MAX);
            return self.builder.push_heading(level, &text);
        }
        let line = match (text.is_empty(), element.attributes.is_empty()) {
            (true, true) => return Ok(()),
            (true, false) => format!("{}: {}", element.name, element.attributes),
            // A sentence needs no name.
            (false, _) if text.contains(' ') && text.ends_with(['.', '!', '?', ':']) => text,
            (false, _) if matches!(element.name.as_str(), "p" | "para" | "text") => text,
            (false, _) => format!("{}: {text}", element.name),
        };
        match self.open.last_mut() {
            Some(parent) => {
                parent.lines.push(line);
                Ok(())
            }
            None => self.builder.push_paragraph(&line),
        }
    }

    /// Writes the texts of elements beside each other as one paragraph.
    fn write_lines(&mut self, lines: &[String]) -> Result<(), ParseError> {
        self.builder.push_paragraph(&lines.join("\n"))
    }
}
