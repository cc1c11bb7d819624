//! The supported file formats.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The supported file formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileFormat {
    /// Plain text, in any encoding.
    Text,
    /// Markdown.
    Markdown,
    /// HTML.
    Html,
    /// PDF.
    Pdf,
    /// The format of Word since 2007 (Office Open XML).
    Docx,
    /// The format of Excel since 2007 (Office Open XML).
    Xlsx,
    /// The binary format of Excel since 2007.
    Xlsb,
    /// The format of Excel before 2007.
    Xls,
    /// The format of `PowerPoint` since 2007 (Office Open XML).
    Pptx,
    /// An `OpenDocument` text.
    Odt,
    /// An `OpenDocument` spreadsheet.
    Ods,
    /// An `OpenDocument` presentation.
    Odp,
    /// An e-book.
    Epub,
    /// Rich Text Format.
    Rtf,
    /// Values that commas, semicolons, tabs or bars separate.
    Csv,
    /// An e-mail as it is sent.
    Eml,
    /// An e-mail as Outlook saves it.
    Msg,
    /// A Jupyter notebook.
    Notebook,
    /// A news feed (RSS, Atom).
    Feed,
    /// Any other XML.
    Xml,
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Markdown => "Markdown",
            Self::Html => "HTML",
            Self::Pdf => "PDF",
            Self::Docx => "DOCX",
            Self::Xlsx => "XLSX",
            Self::Xlsb => "XLSB",
            Self::Xls => "XLS",
            Self::Pptx => "PPTX",
            Self::Odt => "ODT",
            Self::Ods => "ODS",
            Self::Odp => "ODP",
            Self::Epub => "EPUB",
            Self::Rtf => "RTF",
            Self::Csv => "CSV",
            Self::Eml => "EML",
            Self::Msg => "MSG",
            Self::Notebook => "Jupyter notebook",
            Self::Feed => "news feed",
            Self::Xml => "XML",
        })
    }
}
