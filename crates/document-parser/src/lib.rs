//! Parses PDF, Office, `OpenDocument`, e-book, e-mail, HTML and text files into [headings,
//! paragraphs, lists, tables and code](BlockContent), in reading order, with page numbers for PDF
//! and slides.
//!
//! Files are untrusted and their parsers are large, so a process of its own parses each file. The
//! process has limits on memory, time, pages and text ([`Limits`]) and does not get the host's
//! environment. The host kills it when its time is over. A file that crashes the parser does not
//! affect other files; its owner gets one sentence ([`FileError`]).
//!
//! The process is the host's own program, started again. So the host's `main` begins like this:
//!
//! ```no_run
//! use document_parser::{DocumentParser, Limits, worker};
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
//!     let Ok(parser) = DocumentParser::from_current_program("parse-document") else {
//!         return ExitCode::FAILURE;
//!     };
//!     match parser.parse(b"# Set up\n\nTurn it on.", "guide.md", &Limits::default()).await {
//!         Ok(document) => {
//!             // "Turn it on." stands under ["Set up"].
//!             for (headings, block) in document.blocks_with_headings() {
//!                 println!("{headings:?}: {block:?}");
//!             }
//!             // Or the whole as Markdown; `page_at` returns the page of any offset in it.
//!             println!("{}", document.to_markdown().text);
//!         }
//!         // `guide.md` cannot be read: it is empty
//!         Err(error) => println!("{error}"),
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! The format is detected by the content first, then by the file name; a text that is named as a
//! PDF or a DOCX file is refused. These parts of a file are read:
//!
//! - **Text**: everything, in the encoding that is detected from its bytes (UTF-8, UTF-16, UTF-32,
//!   or what [chardetng](https://docs.rs/chardetng) finds); paragraphs end at blank lines.
//! - **Markdown**: [CommonMark](https://commonmark.org) with tables, footnotes, task lists and
//!   front matter; HTML blocks as HTML. Not read: addresses of links.
//! - **HTML**: visible text; headings, lists, tables, `pre`; alternative texts. Not read:
//!   navigation, scripts, form fields, drawings; elements that their own tag hides (style sheets
//!   are not read).
//! - **PDF**: text in reading order, with columns, tables and headings by their looks, bookmarks
//!   and tags; text from text recognition over scans. Not read: pictures, form fields, comments,
//!   attached files; repetitions of page headers and footers.
//! - **DOCX**: headings, lists with their numbers, tables, text boxes, letters of formulas, notes
//!   after their first reference; charts as tables, and page footers, after the body, headers
//!   before it, each once. Not read: comments, deleted and hidden text, embedded files.
//! - **XLSX, XLSB, XLS, ODS**: the values of all cells, dates as in ISO 8601; every sheet as tables
//!   under its name. Not read: formulas, charts, comments.
//! - **PPTX, ODP**: every slide under its number and title: texts, lists, tables, diagrams, charts
//!   of PPTX as tables, notes. Not read: charts of ODP, comments.
//! - **ODT**, also in its flat form: as DOCX. Not read: numbers of lists, comments, deleted text.
//! - **EPUB**: the chapters in reading order, as HTML. Not read: books with copy protection.
//! - **RTF**: headings by outline level or the name of their style, lists, tables, footnotes; page
//!   headers and footers, each once. Not read: embedded files.
//! - **EML, MSG**: subject, sender, recipients, date, text, attachments in any of these formats;
//!   all e-mails of a mailbox (mbox). Not read: attachments in other formats; each is named in a
//!   warning.
//! - **CSV**: all records as one table; commas, semicolons, tabs or bars separate.
//! - **Jupyter notebooks**: texts, code, printed texts. Not read: pictures.
//! - **RSS, Atom**: every entry under its title.
//! - **Other XML**: texts of elements, with the element's name where they are no sentences. Not
//!   read: comments, attributes of elements with text.
//!
//! In PDF, lines whose cells stand in columns with wide gaps become a table. Borders are not
//! evaluated, cells without a gap between them are merged, and a cell that spans columns goes to
//! the nearest one. A page has text columns where a gutter separates two texts; pages laid out like
//! newspapers may come in another order.
//!
//! The tests with whole files are in `tools/document-parser-cli/tests/`, because they need a
//! program as worker.

mod builder;
mod chart;
mod csv_table;
mod document;
mod document_info;
mod docx;
mod email;
mod encoding;
mod epub;
mod error;
mod feed;
mod format;
mod format_detection;
mod html;
mod limits;
mod markdown;
mod notebook;
mod open_document;
mod package;
mod parse;
mod parser;
mod pdf;
mod plain_text;
mod presentation;
mod render;
mod rtf;
mod spreadsheet;
pub mod worker;
mod xml;
mod xml_text;

pub use document::{Block, BlockContent, Document, ListItem};
pub use error::{FileError, ParseError};
pub use format::FileFormat;
pub use limits::Limits;
pub use parser::DocumentParser;
pub use render::MarkdownText;
