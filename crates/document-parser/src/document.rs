//! A document as a list of blocks: headings, and the blocks under them.

use crate::format::FileFormat;
use serde::{Deserialize, Serialize};

/// The content of a file, in reading order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// The detected format of the file.
    pub format: FileFormat,
    /// The title in the metadata of the file.
    pub title: Option<String>,
    /// The number of pages, for formats with pages.
    pub pages: Option<u32>,
    /// The text, block by block.
    pub blocks: Vec<Block>,
    /// Sentences about parts that could not be read, such as pages with only pictures.
    pub warnings: Vec<String>,
}

/// A heading, a paragraph, a list, a table or a piece of code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The page on which the block begins, from 1, for formats with pages.
    pub page: Option<u32>,
    /// The content of the block.
    pub content: BlockContent,
}

/// The content of a block, by its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockContent {
    /// A heading of the blocks that follow.
    Heading {
        /// The level, from 1 (outermost) to 6.
        level: u8,
        /// The text, on one line.
        text: String,
    },
    /// Running text, with the line breaks of the file where they have a meaning.
    Paragraph(String),
    /// A list. The items of a list within it have a greater depth.
    List(Vec<ListItem>),
    /// A table as rows of cells. Rows may differ in length.
    Table(Vec<Vec<String>>),
    /// Preformatted text.
    Code {
        /// The programming language as the file names it.
        language: Option<String>,
        /// The lines.
        text: String,
    },
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListItem {
    /// The depth of its list, 0 for the outermost.
    pub depth: u8,
    /// The number, if the list is numbered.
    pub number: Option<u64>,
    /// The text.
    pub text: String,
}

impl Document {
    /// Returns every block with the headings above it, outermost first. For a heading, these
    /// exclude the heading itself.
    pub fn blocks_with_headings(&self) -> impl Iterator<Item = (Vec<&str>, &Block)> {
        let mut open: Vec<(u8, &str)> = Vec::new();
        self.blocks.iter().map(move |block| {
            let heading = match &block.content {
                BlockContent::Heading { level, text } => Some((*level, text.as_str())),
                BlockContent::Paragraph(_)
                | BlockContent::List(_)
                | BlockContent::Table(_)
                | BlockContent::Code { .. } => None,
            };
            if let Some((level, _)) = heading {
                open.retain(|(above, _)| *above < level);
            }
            let path = open.iter().map(|(_, text)| *text).collect();
            open.extend(heading);
            (path, block)
        })
    }
}
