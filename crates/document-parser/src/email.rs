//! E-mails: the header fields that people read, the text, and the attachments that can be read.

mod compressed_rtf;
pub(crate) mod eml;
pub(crate) mod msg;

use crate::{
    builder::DocumentBuilder,
    document_info::{DocumentInfo, FileContext},
    error::ParseError,
    html, plain_text, rtf,
};
use std::borrow::Cow;

/// The most attachments of an e-mail that are read.
const MAX_ATTACHMENTS: usize = 200;

/// The deepest nesting of e-mails and archives of them.
const MAX_DEPTH: usize = 4;

/// An e-mail.
#[derive(Default)]
struct Email<'a> {
    subject: String,
    /// The sender, the recipients and the date, each as one line.
    fields: Vec<String>,
    bodies: Vec<Body<'a>>,
    attachments: Vec<Attachment<'a>>,
}

/// A text of an e-mail.
enum Body<'a> {
    Text(Cow<'a, str>),
    Html(Cow<'a, str>),
    Rtf(Vec<u8>),
}

/// A file within an e-mail.
struct Attachment<'a> {
    name: String,
    content: AttachmentContent<'a>,
    /// `true` if the text shows it, as it does with logos.
    is_inline: bool,
}

/// The content of an attachment.
enum AttachmentContent<'a> {
    File(Cow<'a, [u8]>),
    Email(Box<Email<'a>>),
}

impl Email<'_> {
    /// Adds the e-mail to the document.
    fn write(
        self,
        context: &FileContext<'_>,
        builder: &mut DocumentBuilder,
    ) -> Result<DocumentInfo, ParseError> {
        let mut info = DocumentInfo::with_title(Some(self.subject.clone()));
        builder.push_heading(1, &self.subject)?;
        builder.push_paragraph(&self.fields.join("\n"))?;
        for body in self.bodies {
            match body {
                Body::Text(text) => plain_text::parse(&text, builder)?,
                Body::Html(text) => html::parse(&text, builder)?,
                Body::Rtf(bytes) => rtf::parse(&bytes, builder)?,
            };
        }
        let offset = builder.heading_offset;
        for (at, attachment) in self.attachments.into_iter().enumerate() {
            if at == MAX_ATTACHMENTS {
                info.warnings.push(format!("Only the first {at} attachments were read."));
                break;
            }
            attachment.write(context, builder, &mut info.warnings)?;
            builder.heading_offset = offset;
        }
        Ok(info)
    }
}

impl Attachment<'_> {
    /// Adds the attachment below a heading with its name, or a warning if it cannot be read.
    fn write(
        self,
        context: &FileContext<'_>,
        builder: &mut DocumentBuilder,
        warnings: &mut Vec<String>,
    ) -> Result<(), ParseError> {
        let Self { name, content, is_inline } = self;
        if context.depth >= MAX_DEPTH {
            warnings
                .push(format!("The attachment `{name}` was not read: it is nested too deeply."));
            return Ok(());
        }
        let (blocks, page) = (builder.blocks.len(), builder.page.take());
        builder.push_heading(2, &format!("Attachment: {name}"))?;
        builder.heading_offset = builder.heading_offset.saturating_add(2);
        let inner = FileContext { depth: context.depth + 1, ..*context };
        let parsed = match content {
            AttachmentContent::Email(email) => email.write(&inner, builder),
            AttachmentContent::File(bytes) => {
                (context.parse_attachment)(bytes.into_owned(), &name, &inner, builder)
                    .map(|(_, info)| info)
            }
        };
        builder.page = page;
        let has_text = builder.blocks.len() > blocks + 1;
        let reason = match parsed {
            Err(error @ ParseError::TooMuchText { .. }) => return Err(error),
            Err(ParseError::UnsupportedFormat(what)) => format!("it is {what}"),
            Err(error) => error.to_string(),
            Ok(info) if has_text => {
                let warnings_of = |warning| format!("The attachment `{name}`: {warning}");
                warnings.extend(info.warnings.into_iter().map(warnings_of));
                return Ok(());
            }
            Ok(_) => ParseError::NoText.to_string(),
        };
        builder.blocks.truncate(blocks);
        if !is_inline {
            warnings.push(format!("The attachment `{name}` was not read: {reason}."));
        }
        Ok(())
    }
}
