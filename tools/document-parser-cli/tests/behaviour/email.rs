//! E-mails.

use crate::{
    docx_writer::{paragraph, write_docx},
    markdown_of, parse,
};
use std::io::{Cursor, Write as _};

/// Writes bytes in base64, as attachments are.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (at, group) in bytes.chunks(3).enumerate() {
        let bits =
            (0..3).fold(0_u32, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        for digit in 0..4 {
            let index = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
            text.push(if digit <= group.len() { char::from(DIGITS[index]) } else { '=' });
        }
        if at % 19 == 18 {
            text.push_str("\r\n");
        }
    }
    text
}

/// Returns an e-mail with these attachments.
fn write_eml(text: &str, attachments: &[(&str, &[u8])]) -> Vec<u8> {
    let mut mail = format!(
        "From: Ada <ada@example.com>\r\nTo: bob@example.com\r\nSubject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\nDate: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n{text}\r\n"
    );
    for (name, bytes) in attachments {
        mail += &format!(
            "--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n",
            base64(bytes)
        );
    }
    (mail + "--b--\r\n").into_bytes()
}

#[tokio::test]
async fn the_text_and_readable_attachments_of_an_email_are_read() {
    let docx = write_docx(&paragraph("berschrift1", "Terms"));
    let inner = write_eml("Content-Type: text/html\r\n\r\n<p>Inner <b>text</b></p>", &[]);
    let mail = write_eml(
        "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe aus K=F6ln",
        &[("terms.docx", &docx), ("photo.png", b"\x89PNG 1234"), ("inner.eml", &inner)],
    );
    let document = parse(&mail, "a.eml").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("Größe"));
    let text = document.to_markdown().text;
    let fields =
        "From: Ada <ada@example.com>\nTo: bob@example.com\nDate: 2024-01-01T10:00:00+01:00";
    assert_eq!(
        text,
        format!(
            "# Größe\n\n{fields}\n\nGrüße aus Köln\n\n## Attachment: terms.docx\n\n### Terms\n\n## Attachment: inner.eml\n\n### Größe\n\n{fields}\n\nInner text\n"
        )
    );
    assert_eq!(
        document.warnings,
        ["The attachment `photo.png` was not read: it is a picture (PNG)."]
    );
}

#[tokio::test]
async fn emails_in_emails_in_emails_end() {
    let mut mail = write_eml("Content-Type: text/plain\r\n\r\nthe innermost", &[]);
    for _ in 0..10 {
        mail = write_eml("Content-Type: text/plain\r\n\r\nlevel", &[("inner.eml", &mail)]);
    }
    let document = parse(&mail, "a.eml").await.unwrap();
    assert!(!document.to_markdown().text.contains("innermost"));
    assert!(document.warnings.iter().any(|warning| warning.contains("nested too deeply")));
}

/// Returns an e-mail as Outlook saves it.
fn write_msg(streams: &[(&str, &[u8])], storages: &[&str]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/__properties_version1.0").unwrap().write_all(&[0; 32]).unwrap();
    for storage in storages {
        file.create_storage_all(storage).unwrap();
    }
    for (path, bytes) in streams {
        file.create_stream(path).unwrap().write_all(bytes).unwrap();
    }
    file.into_inner().into_inner()
}

#[tokio::test]
async fn emails_of_outlook_are_read_with_their_attachments() {
    let utf_16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let (subject, sender, name) = (utf_16("Größe"), utf_16("Ada"), utf_16("notes.md"));
    let file = write_msg(
        &[
            ("/__substg1.0_0037001F", &subject),
            ("/__substg1.0_0C1A001F", &sender),
            ("/__substg1.0_1000001E", b"Hello there."),
            ("/__attach_version1.0_#00000000/__substg1.0_3707001F", &name),
            ("/__attach_version1.0_#00000000/__substg1.0_37010102", b"# Notes\n\nOne."),
            ("/__attach_version1.0_#00000001/__substg1.0_3701000D/__substg1.0_1000001E", b"Inner."),
        ],
        &["/__attach_version1.0_#00000000", "/__attach_version1.0_#00000001/__substg1.0_3701000D"],
    );
    assert_eq!(
        markdown_of(&file, "a.msg").await,
        "# Größe\n\nFrom: Ada\n\nHello there.\n\n## Attachment: notes.md\n\n### Notes\n\nOne.\n\n## Attachment: unnamed\n\nInner.\n"
    );
}

#[tokio::test]
async fn an_email_that_is_all_rtf_or_html_is_read() {
    let html = write_msg(&[("/__substg1.0_10130102", b"<p>Hello <b>there</b></p>")], &[]);
    assert_eq!(markdown_of(&html, "a.msg").await, "Hello there\n");
    let mut rtf = vec![0; 8];
    rtf.extend_from_slice(b"MELA\0\0\0\0{\\rtf1 Hello {\\b there}}");
    let rtf = write_msg(&[("/__substg1.0_10090102", &rtf)], &[]);
    assert_eq!(markdown_of(&rtf, "a.msg").await, "Hello there\n");
}

#[tokio::test]
async fn every_email_of_a_mailbox_is_read() {
    let mailbox = "From ada@example.com Mon Jan  1 10:00:00 2024\nFrom: ada@example.com\nSubject: One\nMessage-ID: <1@x>\n\n>From the start.\n\nFrom bob@example.com Mon Jan  1 11:00:00 2024\nFrom: bob@example.com\nSubject: Two\nMessage-ID: <2@x>\n\nThe end.\n";
    let text = "# One\n\nFrom: ada@example.com\n\nFrom the start.\n\n# Two\n\nFrom: bob@example.com\n\nThe end.\n";
    assert_eq!(markdown_of(mailbox.as_bytes(), "archive.mbox").await, text);
    assert_eq!(markdown_of(mailbox.as_bytes(), "archive").await, text);
}
