//! The parser of one slide.

use crate::{
    builder::DocumentBuilder,
    document::{BlockContent, ListItem},
    error::ParseError,
    xml::{XmlEvent, attribute},
};
use quick_xml::events::BytesStart;

/// The parser of a slide, its notes, or a diagram.
#[derive(Default)]
pub(super) struct SlideParser {
    shapes: Vec<Shape>,
    /// The rows of the open table, and those of finished ones in their shapes.
    table: Option<Vec<Vec<String>>>,
    paragraph: Option<Paragraph>,
    is_text: bool,
    skipped_depth: usize,
}

/// A shape with text or a table.
#[derive(Default)]
struct Shape {
    role: ShapeRole,
    paragraphs: Vec<Paragraph>,
    table: Option<Vec<Vec<String>>>,
}

/// The role of a shape on a slide.
#[derive(Clone, Copy, Default, PartialEq)]
enum ShapeRole {
    Title,
    /// A placeholder for text, whose paragraphs usually are a list.
    Body,
    /// The date, the footer or the number of the slide.
    Ignored,
    #[default]
    Other,
}

/// The open paragraph.
#[derive(Default)]
struct Paragraph {
    text: String,
    depth: u8,
}

impl SlideParser {
    pub fn handle_event(
        &mut self,
        event: XmlEvent<'_>,
        builder: &mut DocumentBuilder,
    ) -> Result<(), ParseError> {
        match event {
            XmlEvent::Start { .. } if self.skipped_depth > 0 => self.skipped_depth += 1,
            XmlEvent::End { .. } if self.skipped_depth > 0 => self.skipped_depth -= 1,
            XmlEvent::Start { local_name: "Fallback", .. } => self.skipped_depth = 1,
            XmlEvent::Start { local_name, tag, .. } => self.start_element(local_name, tag),
            XmlEvent::End { local_name, .. } => self.end_element(local_name),
            XmlEvent::Text(text) if self.is_text && self.skipped_depth == 0 => {
                builder.charge(text.len())?;
                self.push_text(text);
            }
            XmlEvent::Text(_) => {}
        }
        Ok(())
    }

    fn start_element(&mut self, name: &str, tag: &BytesStart<'_>) {
        match name {
            "sp" | "graphicFrame" | "pt" => self.shapes.push(Shape::default()),
            "ph" => {
                if let Some(shape) = self.shapes.last_mut() {
                    shape.role = match attribute(tag, "type").as_deref() {
                        Some("title" | "ctrTitle") => ShapeRole::Title,
                        Some("dt" | "ftr" | "hdr" | "sldNum" | "sldImg") => ShapeRole::Ignored,
                        _ => ShapeRole::Body,
                    };
                }
            }
            "tbl" => self.table = Some(Vec::new()),
            "tr" => self.table.iter_mut().for_each(|rows| rows.push(Vec::new())),
            "tc" => {
                self.table.iter_mut().flat_map(|rows| rows.last_mut()).for_each(|row| {
                    row.push(String::new());
                });
            }
            "p" => self.paragraph = Some(Paragraph::default()),
            "pPr" => {
                let depth = attribute(tag, "lvl").and_then(|depth| depth.parse().ok());
                if let (Some(paragraph), Some(depth)) = (self.paragraph.as_mut(), depth) {
                    paragraph.depth = depth;
                }
            }
            "br" => self.push_text("\n"),
            "t" => self.is_text = true,
            _ => {}
        }
    }

    fn end_element(&mut self, name: &str) {
        match name {
            "t" => self.is_text = false,
            "p" => self.close_paragraph(),
            "tbl" => {
                let table = self.table.take();
                if let Some(shape) = self.shapes.last_mut() {
                    shape.table = table;
                }
            }
            _ => {}
        }
    }

    fn push_text(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraph.as_mut() {
            paragraph.text.push_str(text);
        }
    }

    fn close_paragraph(&mut self) {
        let Some(paragraph) = self.paragraph.take() else { return };
        let text = paragraph.text.trim();
        if text.is_empty() {
            return;
        }
        if let Some(rows) = self.table.as_mut() {
            if let Some(cell) = rows.last_mut().and_then(|row| row.last_mut()) {
                if !cell.is_empty() {
                    cell.push('\n');
                }
                cell.push_str(text);
            }
            return;
        }
        if self.shapes.is_empty() {
            self.shapes.push(Shape::default());
        }
        if let Some(shape) = self.shapes.last_mut() {
            let text = text.to_owned();
            shape.paragraphs.push(Paragraph { text, depth: paragraph.depth });
        }
    }

    /// Returns the text of the title.
    pub fn title(&self) -> String {
        let titles = self.shapes.iter().filter(|shape| shape.role == ShapeRole::Title);
        join_paragraphs(titles, " ")
    }

    /// Returns all paragraphs except for those that every slide has.
    pub fn text(&self) -> String {
        join_paragraphs(self.shapes.iter().filter(|shape| shape.role != ShapeRole::Ignored), "\n")
    }

    /// Adds everything but the title to the document.
    pub fn write(self, builder: &mut DocumentBuilder) -> Result<(), ParseError> {
        for shape in self.shapes {
            if let Some(rows) = shape.table {
                builder.push(BlockContent::Table(rows))?;
            }
            match shape.role {
                ShapeRole::Title | ShapeRole::Ignored => {}
                ShapeRole::Body if shape.paragraphs.len() > 1 => {
                    let items = shape.paragraphs.into_iter().map(|paragraph| ListItem {
                        depth: paragraph.depth.min(8),
                        number: None,
                        text: paragraph.text,
                    });
                    builder.push(BlockContent::List(items.collect()))?;
                }
                ShapeRole::Body | ShapeRole::Other => {
                    for paragraph in shape.paragraphs {
                        builder.push_paragraph(&paragraph.text)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn join_paragraphs<'a>(shapes: impl Iterator<Item = &'a Shape>, separator: &str) -> String {
    let texts: Vec<&str> = shapes
        .flat_map(|shape| &shape.paragraphs)
        .map(|paragraph| paragraph.text.as_str())
        .collect();
    texts.join(separator)
}
