//! A file or text that was sent becomes a document.

use crate::library::seen_by;
use pipe_sdk::library::{Content, Upload};
use retrieval::Document;

/// A document that could not be read, and why.
pub(crate) struct Unread {
    pub document: Document,
    pub reason: String,
}

/// The document without its text, and what is to be read.
pub(crate) fn apart(upload: Upload) -> (Document, Content) {
    let Upload { id, title, url, audience, metadata, content } = upload;
    let (audience, title, text) = (seen_by(audience), title.unwrap_or_default(), String::new());
    (Document { id, title, text, url, audience, metadata }, content)
}

/// The document that this says.
pub(crate) async fn document(upload: Upload) -> Result<Document, Box<Unread>> {
    let (document, content) = apart(upload);
    let read = match content {
        Content::Text(text) => Ok(Read { title: None, text }),
        Content::File { name, bytes } => file(&name, bytes).await,
    };
    let read = read.and_then(|read| match read.text.trim().is_empty() {
        true => Err("it holds no text".to_owned()),
        false => Ok(read),
    });
    match read {
        Ok(Read { title, text }) => {
            let title = [
                document.title.clone(),
                title.unwrap_or_default(),
                heading(&text),
                name(&document.id),
            ];
            let title = title.into_iter().find(|title| !title.trim().is_empty());
            Ok(Document { title: title.unwrap_or_default(), text, ..document })
        }
        Err(reason) => Err(Box::new(Unread { document, reason })),
    }
}

/// What a file says.
struct Read {
    title: Option<String>,
    text: String,
}

async fn file(name: &str, bytes: Vec<u8>) -> Result<Read, String> {
    let _ = name;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Read { title: None, text }),
        Err(_) => Err("it is not text".into()),
    }
}

/// The first heading of a Markdown text, if it begins with one.
fn heading(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let heading = first.and_then(|line| line.strip_prefix("# "));
    heading.map(|heading| heading.trim().to_owned()).unwrap_or_default()
}

/// The last part of an id that is a path, without what tells the kind.
fn name(id: &str) -> String {
    let name = id.rsplit('/').next().unwrap_or(id);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { name.to_owned() } else { stem.to_owned() }
}
