//! XML as events. Names are also resolved against the namespace of `WordprocessingML`.

use crate::{encoding, error::ParseError, html};
use quick_xml::{
    Error, Reader, XmlVersion,
    escape::resolve_predefined_entity,
    events::{BytesStart, Event as RawEvent},
    name::QName,
};
use std::io::{self, BufRead};

/// An event of an XML text.
#[derive(Clone, Copy)]
pub(crate) enum XmlEvent<'a> {
    Start {
        /// The local name if the element is in Word's namespace, else empty.
        word_name: &'a str,
        /// The local name in any namespace.
        local_name: &'a str,
        tag: &'a BytesStart<'a>,
    },
    End {
        word_name: &'a str,
        local_name: &'a str,
    },
    Text(&'a str),
}

/// The error that ended the reading of an XML text.
pub(crate) enum XmlError {
    Handler(ParseError),
    TooLarge,
    Damaged(String),
}

/// Reads the XML of a whole file, and passes each event to the handler.
pub(crate) fn read_file(
    bytes: &[u8],
    handle: impl FnMut(XmlEvent<'_>) -> Result<(), ParseError>,
) -> Result<(), ParseError> {
    let text = encoding::decode(bytes, html::declared_encoding(bytes));
    read_events(text.as_bytes(), "XML", handle).map_err(|error| match error {
        XmlError::Handler(error) => error,
        XmlError::TooLarge | XmlError::Damaged(_) => {
            ParseError::Damaged("its XML is incomplete".to_owned())
        }
    })
}

/// Reads a part of a package, and passes each event to the handler.
pub(crate) fn read_events(
    from: impl BufRead,
    part: &str,
    mut handle: impl FnMut(XmlEvent<'_>) -> Result<(), ParseError>,
) -> Result<(), XmlError> {
    let mut reader = Reader::from_reader(from);
    reader.config_mut().expand_empty_elements = true;
    let mut namespace = WordNamespace { prefix: None };
    let mut buffer = Vec::new();
    let mut open = 0_usize;
    loop {
        buffer.clear();
        let event =
            reader.read_event_into(&mut buffer).map_err(|error| convert_error(&error, part))?;
        match event {
            RawEvent::Start(tag) => {
                open += 1;
                namespace.detect_prefix(&tag);
                let name = tag.name();
                handle(XmlEvent::Start {
                    word_name: namespace.word_name(name),
                    local_name: name.local_name().into_inner(),
                    tag: &tag,
                })
            }
            RawEvent::End(tag) => {
                open = open.saturating_sub(1);
                let name = tag.name();
                handle(XmlEvent::End {
                    word_name: namespace.word_name(name),
                    local_name: name.local_name().into_inner(),
                })
            }
            RawEvent::Text(text) => handle(XmlEvent::Text(&text.xml10_content())),
            RawEvent::CData(text) => handle(XmlEvent::Text(&text.xml10_content())),
            RawEvent::GeneralRef(entity) => {
                let char = entity.resolve_char_ref().ok().flatten().map(String::from);
                let text = char
                    .as_deref()
                    .or_else(|| resolve_predefined_entity(&entity.borrow().into_inner()));
                // An entity that the file defines is ignored: it could expand to gigabytes, or name
                // a file of this machine.
                text.map_or(Ok(()), |text| handle(XmlEvent::Text(text)))
            }
            RawEvent::Eof if open > 0 => return Err(damaged_part(part)),
            RawEvent::Eof => return Ok(()),
            RawEvent::Empty(_)
            | RawEvent::Comment(_)
            | RawEvent::Decl(_)
            | RawEvent::PI(_)
            | RawEvent::DocType(_) => Ok(()),
        }
        .map_err(XmlError::Handler)?;
    }
}

/// Returns the value of the attribute with this local name.
pub(crate) fn attribute(tag: &BytesStart<'_>, local: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let found = attributes
        .with_checks(false)
        .flatten()
        .find(|attribute| attribute.key.local_name().into_inner() == local)?;
    Some(found.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

fn convert_error(error: &Error, part: &str) -> XmlError {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => XmlError::TooLarge,
        _ => damaged_part(part),
    }
}

fn damaged_part(part: &str) -> XmlError {
    XmlError::Damaged(format!("its part `{part}` is incomplete"))
}

/// The prefix that a part uses for Word's namespace.
struct WordNamespace {
    prefix: Option<String>,
}

impl WordNamespace {
    /// The URIs of the namespace.
    const URIS: [&str; 2] = [
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    ];

    /// Reads the prefix from the outermost element, which declares it.
    fn detect_prefix(&mut self, tag: &BytesStart<'_>) {
        if self.prefix.is_some() {
            return;
        }
        let mut attributes = tag.attributes();
        let declaration = attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| Self::URIS.contains(&&*attribute.value));
        self.prefix = Some(declaration.map_or_else(
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

    fn word_name<'a>(&self, name: QName<'a>) -> &'a str {
        let prefix = name.prefix().map_or("", |prefix| prefix.into_inner());
        let local = name.local_name().into_inner();
        match prefix {
            _ if self.prefix.as_deref() == Some(prefix) => local,
            // Text of formulas, and the alternative for older programs.
            "m" if local == "t" => local,
            "mc" if local == "Fallback" => local,
            _ => "",
        }
    }
}
