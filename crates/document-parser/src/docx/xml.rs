//! XML as events, with the names of Word's vocabulary, whatever prefix a file gives it.

use crate::error::Reason;
use quick_xml::{
    Error, Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event as Raw},
    name::QName,
};
use std::io::{self, BufRead};

/// What happens next in a part.
#[derive(Clone, Copy)]
pub(super) enum Event<'a> {
    Start {
        /// The name, if it is one of Word's vocabulary.
        word: &'a str,
        /// The name in whatever vocabulary.
        local: &'a str,
        tag: &'a BytesStart<'a>,
    },
    End {
        word: &'a str,
    },
    Text(&'a str),
}

/// Why the reading of a part ended early.
pub(super) enum Stop {
    Heard(Reason),
    Overflow,
    Damaged(String),
}

pub(super) fn each(
    from: impl BufRead,
    part: &str,
    mut hear: impl FnMut(Event<'_>) -> Result<(), Reason>,
) -> Result<(), Stop> {
    let mut reader = Reader::from_reader(from);
    reader.config_mut().expand_empty_elements = true;
    let mut words = Words { prefix: None };
    let mut buffer = Vec::new();
    let mut open = 0_usize;
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|error| stop(&error, part))?;
        match event {
            Raw::Start(tag) => {
                open += 1;
                words.learn(&tag);
                let name = tag.name();
                hear(Event::Start {
                    word: words.word(name),
                    local: name.local_name().into_inner(),
                    tag: &tag,
                })
            }
            Raw::End(tag) => {
                open = open.saturating_sub(1);
                hear(Event::End { word: words.word(tag.name()) })
            }
            Raw::Text(text) => hear(Event::Text(&text.xml10_content())),
            Raw::CData(text) => hear(Event::Text(&text.xml10_content())),
            Raw::GeneralRef(entity) => {
                let char = entity.resolve_char_ref().ok().flatten().map(String::from);
                let text = char
                    .as_deref()
                    .or_else(|| resolve_predefined_entity(&entity.borrow().into_inner()));
                // An entity of the file's own stays unread: it could stand for gigabytes, or for another file.
                text.map_or(Ok(()), |text| hear(Event::Text(text)))
            }
            Raw::Eof if open > 0 => return Err(broken(part)),
            Raw::Eof => return Ok(()),
            Raw::Empty(_) | Raw::Comment(_) | Raw::Decl(_) | Raw::PI(_) | Raw::DocType(_) => Ok(()),
        }
        .map_err(Stop::Heard)?;
    }
}

pub(super) fn attribute(tag: &BytesStart<'_>, local: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().into_inner() == local)?;
    Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

fn stop(error: &Error, part: &str) -> Stop {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => Stop::Overflow,
        _ => broken(part),
    }
}

fn broken(part: &str) -> Stop {
    Stop::Damaged(format!("its part `{part}` is not whole"))
}

/// Which prefix means Word.
struct Words {
    prefix: Option<String>,
}

impl Words {
    const SPACES: [&str; 2] = [
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    ];

    /// The outermost element declares it.
    fn learn(&mut self, tag: &BytesStart<'_>) {
        if self.prefix.is_some() {
            return;
        }
        let mut attributes = tag.attributes();
        let declared = attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| Self::SPACES.contains(&&*attribute.value));
        self.prefix = Some(declared.map_or_else(
            || "w".to_owned(),
            |attribute| {
                if attribute.key.prefix().is_some() {
                    attribute.key.local_name().into_inner().to_owned()
                } else {
                    String::new()
                }
            },
        ));
    }

    fn word<'a>(&self, name: QName<'a>) -> &'a str {
        let prefix = name.prefix().map_or("", |prefix| prefix.into_inner());
        let local = name.local_name().into_inner();
        match prefix {
            _ if self.prefix.as_deref() == Some(prefix) => local,
            // Formulas, and the older form of what stands before.
            "m" if local == "t" => local,
            "mc" if local == "Fallback" => local,
            _ => "",
        }
    }
}
