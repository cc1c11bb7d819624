//! A document as blocks: headings and what stands under them.

use crate::kind::Kind;
use serde::{Deserialize, Serialize};

/// What a file says, in its own order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// What the file turned out to be.
    pub kind: Kind,
    /// The title that the file gives itself, apart from its text.
    pub title: Option<String>,
    /// How many pages it has, where it has pages.
    pub pages: Option<u32>,
    /// Its text.
    pub blocks: Vec<Block>,
    /// What was not read, one sentence each: pages that hold only pictures, say.
    pub notes: Vec<String>,
}

/// A part of a document that belongs together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// The page that it begins on, from 1, where there are pages.
    pub page: Option<u32>,
    /// What it is.
    pub content: Content,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// The heading of what follows.
    Heading {
        /// 1 is the outermost, 6 the innermost.
        level: u8,
        /// Its text, on one line.
        text: String,
    },
    /// Running text. Lines are kept where the file means them.
    Paragraph(String),
    /// A list; lists within it are items that stand deeper.
    List(Vec<Item>),
    /// A table as rows of cells; rows may differ in length.
    Table(Vec<Vec<String>>),
    /// Text whose every space counts.
    Code {
        /// As the file names it.
        language: Option<String>,
        /// The lines.
        text: String,
    },
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// 0 for the outermost list.
    pub depth: u8,
    /// Its number, where the list has numbers.
    pub number: Option<u64>,
    /// Its text.
    pub text: String,
}

impl Document {
    /// Every block with the headings that it stands under, outermost first. A heading does not stand under itself.
    pub fn walk(&self) -> impl Iterator<Item = (Vec<&str>, &Block)> {
        let mut open: Vec<(u8, &str)> = Vec::new();
        self.blocks.iter().map(move |block| {
            let heading = match &block.content {
                Content::Heading { level, text } => Some((*level, text.as_str())),
                Content::Paragraph(_)
                | Content::List(_)
                | Content::Table(_)
                | Content::Code { .. } => None,
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
