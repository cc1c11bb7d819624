//! The texts of page headers and footers, which page styles hold.

use crate::xml::XmlEvent;
use std::collections::HashSet;

/// The reader of page styles.
#[derive(Default)]
pub(super) struct PageTexts {
    /// The paragraphs of the page headers, each once.
    pub headers: Vec<String>,
    /// The paragraphs of the page footers, each once.
    pub footers: Vec<String>,
    seen: HashSet<String>,
    /// `true` in a header, `false` in a footer.
    is_header: Option<bool>,
    text: Option<String>,
}

impl PageTexts {
    pub fn handle_event(&mut self, event: XmlEvent<'_>) {
        match event {
            XmlEvent::Start { local_name, .. } => match local_name {
                "header" | "header-left" | "header-first" => self.is_header = Some(true),
                "footer" | "footer-left" | "footer-first" => self.is_header = Some(false),
                "p" if self.is_header.is_some() => self.text = Some(String::new()),
                "tab" | "s" | "line-break" => {
                    self.text.iter_mut().for_each(|text| text.push(' '));
                }
                _ => {}
            },
            XmlEvent::End { local_name, .. } => match local_name {
                "p" => self.end_paragraph(),
                "header" | "header-left" | "header-first" | "footer" | "footer-left"
                | "footer-first" => self.is_header = None,
                _ => {}
            },
            XmlEvent::Text(part) => self.text.iter_mut().for_each(|text| text.push_str(part)),
        }
    }

    fn end_paragraph(&mut self) {
        let text = self.text.take().unwrap_or_default().trim().to_owned();
        if text.contains(char::is_alphabetic) && self.seen.insert(text.clone()) {
            let texts =
                if self.is_header == Some(true) { &mut self.headers } else { &mut self.footers };
            texts.push(text);
        }
    }
}
