//! A builder for the blocks of a document, which limits their size.

use crate::{
    document::{Block, BlockContent, ListItem},
    encoding,
    error::ParseError,
};

/// The size that each block, item and cell counts beside its text, because it takes memory too.
const BLOCK_OVERHEAD: usize = 24;

/// A builder for the blocks of a document. It returns an error when their size exceeds the limit.
pub(crate) struct DocumentBuilder {
    pub blocks: Vec<Block>,
    /// The page on which the next block begins.
    pub page: Option<u32>,
    /// The number of levels by which headings are lowered, within an attachment.
    pub heading_offset: u8,
    limit: usize,
    /// The part of the limit that is not used yet.
    remaining: usize,
}

impl DocumentBuilder {
    pub fn new(limit: usize) -> Self {
        Self { blocks: Vec::new(), page: None, heading_offset: 0, limit, remaining: limit }
    }

    /// Adds a block, without its empty items and rows. An empty block is left out.
    pub fn push(&mut self, content: BlockContent) -> Result<(), ParseError> {
        let Some(content) = remove_empty_parts(content) else { return Ok(()) };
        self.charge(content_size(&content))?;
        self.push_cleaned(content);
        Ok(())
    }

    /// Adds a block whose texts were counted against the limit while they were read.
    pub fn push_counted(&mut self, content: BlockContent) -> Result<(), ParseError> {
        let Some(content) = remove_empty_parts(content) else { return Ok(()) };
        self.charge(BLOCK_OVERHEAD)?;
        self.push_cleaned(content);
        Ok(())
    }

    fn push_cleaned(&mut self, mut content: BlockContent) {
        texts_mut(&mut content).into_iter().for_each(encoding::remove_control_chars_in_place);
        self.blocks.push(Block { page: self.page, content });
    }

    /// Adds a heading, with its text on one line.
    pub fn push_heading(&mut self, level: u8, text: &str) -> Result<(), ParseError> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let level = level.saturating_add(self.heading_offset).clamp(1, 6);
        self.push(BlockContent::Heading { level, text })
    }

    /// Adds a paragraph.
    pub fn push_paragraph(&mut self, text: &str) -> Result<(), ParseError> {
        self.push(BlockContent::Paragraph(text.to_owned()))
    }

    /// Adds an item to the last block if that is a list, else to a new list.
    pub fn push_item(&mut self, mut item: ListItem) -> Result<(), ParseError> {
        encoding::remove_control_chars_in_place(&mut item.text);
        if let Some(Block { content: BlockContent::List(items), .. }) = self.blocks.last_mut() {
            if item.text.trim().is_empty() {
                return Ok(());
            }
            let size = item.text.len() + BLOCK_OVERHEAD;
            items.push(item);
            return self.charge(size);
        }
        self.push(BlockContent::List(vec![item]))
    }

    /// Adds a paragraph to the last item, or a new item if the last one has another depth.
    pub fn append_to_item(&mut self, depth: u8, text: &str) -> Result<(), ParseError> {
        if let Some(Block { content: BlockContent::List(items), .. }) = self.blocks.last_mut()
            && let Some(item) = items.last_mut().filter(|item| item.depth == depth)
        {
            item.text.push('\n');
            item.text.push_str(text);
            return self.charge(text.len() + 1);
        }
        self.push_item(ListItem { depth, number: None, text: text.to_owned() })
    }

    /// Counts a size against the limit. Parsers also call this for text that they still hold back.
    pub fn charge(&mut self, size: usize) -> Result<(), ParseError> {
        self.remaining = self
            .remaining
            .checked_sub(size)
            .ok_or(ParseError::TooMuchText { limit: self.limit })?;
        Ok(())
    }
}

/// Removes empty items and rows. Returns `None` if nothing is left.
fn remove_empty_parts(content: BlockContent) -> Option<BlockContent> {
    let is_empty = |text: &str| text.trim().is_empty();
    let content = match content {
        BlockContent::List(mut items) => {
            items.retain(|item| !is_empty(&item.text));
            BlockContent::List(items)
        }
        BlockContent::Table(mut rows) => {
            rows.retain(|row| row.iter().any(|cell| !is_empty(cell)));
            BlockContent::Table(rows)
        }
        BlockContent::Heading { .. } | BlockContent::Paragraph(_) | BlockContent::Code { .. } => {
            content
        }
    };
    let has_text = match &content {
        BlockContent::Heading { text, .. }
        | BlockContent::Paragraph(text)
        | BlockContent::Code { text, .. } => !is_empty(text),
        BlockContent::List(items) => !items.is_empty(),
        BlockContent::Table(rows) => !rows.is_empty(),
    };
    has_text.then_some(content)
}

/// Returns all texts of a block.
fn texts_mut(content: &mut BlockContent) -> Vec<&mut String> {
    match content {
        BlockContent::Heading { text, .. }
        | BlockContent::Paragraph(text)
        | BlockContent::Code { text, .. } => {
            vec![text]
        }
        BlockContent::List(items) => items.iter_mut().map(|item| &mut item.text).collect(),
        BlockContent::Table(rows) => rows.iter_mut().flatten().collect(),
    }
}

/// Returns the size that a block counts.
fn content_size(content: &BlockContent) -> usize {
    BLOCK_OVERHEAD
        + match content {
            BlockContent::Heading { text, .. }
            | BlockContent::Paragraph(text)
            | BlockContent::Code { text, .. } => text.len(),
            BlockContent::List(items) => {
                items.iter().map(|item| item.text.len() + BLOCK_OVERHEAD).sum()
            }
            BlockContent::Table(rows) => {
                rows.iter().flatten().map(|cell| cell.len() + BLOCK_OVERHEAD).sum()
            }
        }
}
