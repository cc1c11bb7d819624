//! Files become text with structure: text, Markdown, HTML, PDF and DOCX become [headings, paragraphs, lists, tables and code](Content), in the
//! order in which they are read, with the page for PDF.
//!
//! Files come from anybody, and their parsers are large, so each file is read in a process of its own: with bounds on memory, time, pages and
//! text ([`Limits`]), without the host's environment, and killed when its time is over. Whatever a file does to its parser, the others are not
//! touched, and its owner is told in one sentence ([`Error`]).
//!
//! The process is the host's own program, started again. So the host's `main` begins like this:
//!
//! ```no_run
//! use document_parser::{Limits, Parser, worker};
//! use std::process::ExitCode;
//!
//! fn main() -> ExitCode {
//!     if std::env::args().nth(1).as_deref() == Some("parse-document") {
//!         return worker::run();
//!     }
//!     serve()
//! }
//!
//! #[tokio::main]
//! async fn serve() -> ExitCode {
//!     let Ok(parser) = Parser::of_this_program("parse-document") else { return ExitCode::FAILURE };
//!     match parser.parse(b"# Set up\n\nTurn it on.", "guide.md", &Limits::default()).await {
//!         Ok(document) => {
//!             // "Turn it on." stands under ["Set up"].
//!             for (headings, block) in document.walk() {
//!                 println!("{headings:?}: {block:?}");
//!             }
//!             // Or all of it as one Markdown text, to be cut at its headings; `page_at` tells the page of every place.
//!             println!("{}", document.text().text);
//!         }
//!         // `guide.md` cannot be read: it is empty
//!         Err(error) => println!("{error}"),
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! What is read of which kind (content decides, then the name):
//!
//! | kind | read | not read |
//! |---|---|---|
//! | text | everything, in the encoding that its bytes show (UTF-8, UTF-16, UTF-32, or what [chardetng](https://docs.rs/chardetng) finds); paragraphs end at blank lines | |
//! | Markdown | [CommonMark](https://commonmark.org) with tables, footnotes, task lists and front matter; HTML blocks as HTML | addresses of links |
//! | HTML | what a reader sees; headings, lists, tables, `pre`; alternative texts | navigation, scripts, form fields, drawings; what its own tag hides (style sheets are not read) |
//! | PDF | text in reading order, with columns, tables and headings by their looks, bookmarks and tags; text laid over scans | pictures, form fields, comments, attached files; running heads but for their first time |
//! | DOCX | headings, lists with their numbers, tables, text boxes, formulas' letters, notes where they are referred to | heads and feet, comments, what was deleted or hidden, embedded files |
//!
//! In PDF a table is what stands in columns with wide gaps: borders are not looked at, cells that run together in the file do so here, and cells
//! that span columns go to the nearest. Columns of a page are found where a gutter parts two texts; pages in the manner of newspapers may come in
//! another order.

mod document;
mod docx;
mod draft;
mod encoding;
mod error;
mod html;
mod kind;
mod limits;
mod markdown;
mod parser;
mod pdf;
mod plain;
mod read;
mod render;
pub mod worker;

pub use document::{Block, Content, Document, Item};
pub use error::{Error, Reason};
pub use kind::Kind;
pub use limits::Limits;
pub use parser::Parser;
pub use render::Text;
