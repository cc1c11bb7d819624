//! E-mails as they are sent (RFC 5322, MIME).

use super::{Attachment, AttachmentContent, Body, Email};
use crate::{
    builder::DocumentBuilder,
    document_info::{DocumentInfo, FileContext},
    error::ParseError,
};
use mail_parser::{
    Addr, Address, Message, MessageParser, MimeHeaders as _, PartType,
    mailbox::mbox::MessageIterator,
};
use std::borrow::Cow;

/// The beginning of the line before each e-mail of a mailbox (RFC 4155).
const MBOX_SEPARATOR: &[u8] = b"From ";

/// Parses an e-mail, or a mailbox of several.
pub(crate) fn parse(
    bytes: &[u8],
    context: &FileContext<'_>,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    if bytes.starts_with(MBOX_SEPARATOR) {
        return parse_mailbox(bytes, context, builder);
    }
    let message = MessageParser::default()
        .parse(bytes)
        .ok_or_else(|| ParseError::Damaged("it has no header fields".to_owned()))?;
    to_email(&message).write(context, builder)
}

/// Parses all e-mails of a mailbox, in the order of the file.
fn parse_mailbox(
    bytes: &[u8],
    context: &FileContext<'_>,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let mut info = DocumentInfo::with_title(None);
    for (number, stored) in (1..).zip(MessageIterator::new(bytes)) {
        let stored = stored.map_err(|error| ParseError::Damaged(error.to_string()))?;
        match MessageParser::default().parse(stored.contents()) {
            Some(message) => {
                info.warnings.extend(to_email(&message).write(context, builder)?.warnings);
            }
            None => info.warnings.push(format!("The e-mail {number} has no header fields.")),
        }
    }
    Ok(info)
}

/// Returns whether a text begins with header fields that every e-mail has some of.
pub(crate) fn is_email(text: &str) -> bool {
    /// Header fields of which every e-mail has some.
    const FIELDS: [&str; 9] = [
        "received",
        "return-path",
        "delivered-to",
        "message-id",
        "mime-version",
        "from",
        "to",
        "date",
        "subject",
    ];
    let names = text
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with([' ', '\t']))
        .map_while(|line| Some(line.split_once(':')?.0.to_ascii_lowercase()))
        .filter(|name| FIELDS.contains(&name.as_str()));
    let names: Vec<String> = names.take(40).collect();
    names.len() >= 3
        && names
            .iter()
            .any(|name| matches!(name.as_str(), "message-id" | "mime-version" | "received"))
}

fn to_email<'a>(message: &'a Message<'a>) -> Email<'a> {
    let date = message.date().map(|date| format!("Date: {}", date.to_rfc3339()));
    let addresses = [("From", message.from()), ("To", message.to()), ("Cc", message.cc())];
    let addresses = addresses
        .into_iter()
        .filter_map(|(name, address)| Some(format!("{name}: {}", format_addresses(address?))));
    let bodies = message.text_bodies().filter_map(|part| match &part.body {
        PartType::Text(text) => Some(Body::Text(Cow::Borrowed(&**text))),
        PartType::Html(text) => Some(Body::Html(Cow::Borrowed(&**text))),
        _ => None,
    });
    let attachments = message.attachments().map(|part| {
        let name = part.attachment_name().unwrap_or_default().to_owned();
        let subject = part.message().and_then(Message::subject).unwrap_or_default();
        let names = [name.as_str(), subject, "unnamed"];
        Attachment {
            name: names.into_iter().find(|name| !name.is_empty()).unwrap_or_default().to_owned(),
            is_inline: part.content_id().is_some(),
            content: match part.message() {
                Some(message) => AttachmentContent::Email(Box::new(to_email(message))),
                None => AttachmentContent::File(Cow::Borrowed(part.contents())),
            },
        }
    });
    Email {
        subject: message.subject().unwrap_or_default().to_owned(),
        fields: addresses.chain(date).collect(),
        bodies: bodies.collect(),
        attachments: attachments.collect(),
    }
}

/// Formats addresses as `Ada Lovelace <ada@example.com>, …`.
fn format_addresses(address: &Address<'_>) -> String {
    let format = |address: &Addr<'_>| match (&address.name, &address.address) {
        (Some(name), Some(address)) => format!("{name} <{address}>"),
        (name, address) => {
            name.as_ref().or(address.as_ref()).map_or_else(String::new, ToString::to_string)
        }
    };
    address.iter().map(format).collect::<Vec<_>>().join(", ")
}
