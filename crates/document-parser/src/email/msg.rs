//! E-mails as Outlook saves them (MSG), a compound file of properties.
//! <https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxmsg/>

use super::{Attachment, AttachmentContent, Body, Email, compressed_rtf};
use crate::{
    builder::DocumentBuilder,
    document_info::{DocumentInfo, FileContext},
    encoding,
    error::ParseError,
};
use cfb::CompoundFile;
use std::{
    borrow::Cow,
    io::{Cursor, Read as _},
};

/// The deepest nesting of e-mails that are attached to e-mails.
const MAX_DEPTH: usize = 3;

/// The number of 100 ns intervals in a second, in which Windows counts time.
const TICKS_PER_SECOND: u64 = 10_000_000;

/// The seconds from 1601, where Windows begins to count, to 1970.
const SECONDS_TO_1970: u64 = 11_644_473_600;

/// The properties that are read (MS-OXPROPS).
mod property {
    /// The subject.
    pub const SUBJECT: &str = "0037";
    pub const SUBMIT_TIME: u32 = 0x0039_0040;
    pub const TRANSPORT_HEADERS: &str = "007D";
    pub const SENDER_NAME: &str = "0C1A";
    pub const SENDER_ADDRESS: &str = "5D01";
    pub const DISPLAY_CC: &str = "0E03";
    pub const DISPLAY_TO: &str = "0E04";
    pub const DELIVERY_TIME: u32 = 0x0E06_0040;
    /// The body as plain text.
    pub const BODY: &str = "1000";
    pub const RTF_COMPRESSED: &str = "1009";
    /// The body as HTML.
    pub const HTML: &str = "1013";
    pub const ATTACH_DATA: &str = "3701";
    pub const ATTACH_FILE_NAME: &str = "3704";
    pub const ATTACH_LONG_FILE_NAME: &str = "3707";
    pub const ATTACH_CONTENT_ID: &str = "3712";
    pub const DISPLAY_NAME: &str = "3001";
}

/// Parses an e-mail.
pub(crate) fn parse(
    bytes: &[u8],
    context: &FileContext<'_>,
    builder: &mut DocumentBuilder,
) -> Result<DocumentInfo, ParseError> {
    let file = CompoundFile::open(Cursor::new(bytes))
        .map_err(|_| ParseError::Damaged("its compound file is incomplete".to_owned()))?;
    let mut message = MsgFile { file };
    message.read_email("/", 0).write(context, builder)
}

/// An e-mail in a compound file.
struct MsgFile<'a> {
    file: CompoundFile<Cursor<&'a [u8]>>,
}

impl MsgFile<'_> {
    /// Reads the e-mail in a storage.
    fn read_email(&mut self, storage: &str, depth: usize) -> Email<'static> {
        let sender = [property::SENDER_NAME, property::SENDER_ADDRESS]
            .into_iter()
            .filter_map(|property| self.read_text(storage, property))
            .collect::<Vec<_>>();
        let sender = match sender.as_slice() {
            [name, address] if name != address => format!("{name} <{address}>"),
            _ => sender.first().cloned().unwrap_or_default(),
        };
        let to = self.read_text(storage, property::DISPLAY_TO).unwrap_or_default();
        let cc = self.read_text(storage, property::DISPLAY_CC).unwrap_or_default();
        let date = self.read_date(storage).unwrap_or_default();
        let fields = [("From", sender), ("To", to), ("Cc", cc), ("Date", date)];
        Email {
            subject: self.read_text(storage, property::SUBJECT).unwrap_or_default(),
            fields: fields
                .into_iter()
                .filter(|(_, value)| !value.trim().is_empty())
                .map(|(name, value)| format!("{name}: {}", value.trim_end_matches('\0')))
                .collect(),
            bodies: self.read_body(storage).into_iter().collect(),
            attachments: self.read_attachments(storage, depth),
        }
    }

    /// Reads the plain text, or else one of its richer forms.
    fn read_body(&mut self, storage: &str) -> Option<Body<'static>> {
        let text = self.read_text(storage, property::BODY).filter(|text| !text.trim().is_empty());
        if let Some(text) = text {
            return Some(Body::Text(Cow::Owned(text)));
        }
        if let Some(bytes) = self.read_binary(storage, property::HTML) {
            let text = encoding::decode(&bytes, crate::html::declared_encoding(&bytes));
            return Some(Body::Html(Cow::Owned(text.into_owned())));
        }
        let compressed = self.read_binary(storage, property::RTF_COMPRESSED)?;
        compressed_rtf::decompress(&compressed).map(Body::Rtf)
    }

    fn read_attachments(&mut self, storage: &str, depth: usize) -> Vec<Attachment<'static>> {
        let Ok(entries) = self.file.read_storage(storage) else { return Vec::new() };
        let mut storages: Vec<String> = entries
            .filter(|entry| entry.is_storage() && entry.name().starts_with("__attach_version1.0_"))
            .map(|entry| format!("{}/{}", storage.trim_end_matches('/'), entry.name()))
            .collect();
        storages.sort();
        storages.iter().filter_map(|storage| self.read_attachment(storage, depth)).collect()
    }

    fn read_attachment(&mut self, storage: &str, depth: usize) -> Option<Attachment<'static>> {
        let names =
            [property::ATTACH_LONG_FILE_NAME, property::ATTACH_FILE_NAME, property::DISPLAY_NAME];
        let name = names.into_iter().find_map(|property| self.read_text(storage, property));
        let is_inline = self.read_text(storage, property::ATTACH_CONTENT_ID).is_some();
        let embedded = format!("{storage}/__substg1.0_{}000D", property::ATTACH_DATA);
        let content = match self.read_binary(storage, property::ATTACH_DATA) {
            Some(bytes) => AttachmentContent::File(Cow::Owned(bytes)),
            None if depth < MAX_DEPTH && self.file.is_storage(&embedded) => {
                AttachmentContent::Email(Box::new(self.read_email(&embedded, depth + 1)))
            }
            None => return None,
        };
        Some(Attachment { name: name.unwrap_or_else(|| "unnamed".to_owned()), content, is_inline })
    }

    /// Reads a text property, which is in UTF-16 or in a code page.
    fn read_text(&mut self, storage: &str, property: &str) -> Option<String> {
        let unicode = self.read_stream(&format!("{storage}/__substg1.0_{property}001F"));
        if let Some(bytes) = unicode {
            let (text, _) = encoding_rs::UTF_16LE.decode_without_bom_handling(&bytes);
            return Some(text.into_owned());
        }
        let bytes = self.read_stream(&format!("{storage}/__substg1.0_{property}001E"))?;
        Some(encoding::decode(&bytes, None).into_owned())
    }

    fn read_binary(&mut self, storage: &str, property: &str) -> Option<Vec<u8>> {
        self.read_stream(&format!("{storage}/__substg1.0_{property}0102"))
    }

    fn read_stream(&mut self, path: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.open_stream(path.replace("//", "/")).ok()?.read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Reads the time of sending from the properties of fixed length: a header, which is longer in
    /// the outermost e-mail, and 16 bytes a property.
    fn read_date(&mut self, storage: &str) -> Option<String> {
        let bytes = self.read_stream(&format!("{storage}/__properties_version1.0"))?;
        let header = if storage == "/" { 32 } else { 24 };
        let (entries, _) = bytes.get(header..)?.as_chunks::<16>();
        let ticks = |wanted: u32| {
            let entry = entries.iter().find(|entry| entry.starts_with(&wanted.to_le_bytes()))?;
            entry.last_chunk::<8>().map(|ticks| u64::from_le_bytes(*ticks))
        };
        let Some(ticks) = ticks(property::SUBMIT_TIME).or_else(|| ticks(property::DELIVERY_TIME))
        else {
            return self.read_date_header(storage);
        };
        let seconds = (ticks / TICKS_PER_SECOND).checked_sub(SECONDS_TO_1970)?;
        let date = mail_parser::DateTime::from_timestamp(i64::try_from(seconds).ok()?);
        Some(date.to_rfc3339())
    }

    fn read_date_header(&mut self, storage: &str) -> Option<String> {
        let headers = self.read_text(storage, property::TRANSPORT_HEADERS)?;
        headers.lines().find_map(|line| line.strip_prefix("Date: ")).map(str::to_owned)
    }
}
