//! A document under way: blocks, counted as they come.

use crate::{
    document::{Block, Content, Item},
    encoding,
    error::Reason,
};

/// What an empty block, item or cell counts: it takes memory too.
const FRAME: usize = 24;

/// The blocks that were read so far.
pub(crate) struct Draft {
    pub blocks: Vec<Block>,
    /// The page that the next block begins on.
    pub page: Option<u32>,
    limit: usize,
    left: usize,
}

impl Draft {
    pub fn new(limit: usize) -> Self {
        Self { blocks: Vec::new(), page: None, limit, left: limit }
    }

    /// Adds a block, without what is empty in it.
    pub fn push(&mut self, content: Content) -> Result<(), Reason> {
        let Some(mut content) = filled(content) else { return Ok(()) };
        texts(&mut content).into_iter().for_each(encoding::clean_in_place);
        self.spend(weight(&content))?;
        self.blocks.push(Block { page: self.page, content });
        Ok(())
    }

    pub fn heading(&mut self, level: u8, text: &str) -> Result<(), Reason> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        self.push(Content::Heading { level: level.clamp(1, 6), text })
    }

    pub fn paragraph(&mut self, text: &str) -> Result<(), Reason> {
        self.push(Content::Paragraph(text.to_owned()))
    }

    /// Adds an item to the list that is under way.
    pub fn item(&mut self, mut item: Item) -> Result<(), Reason> {
        encoding::clean_in_place(&mut item.text);
        if let Some(Block { content: Content::List(items), .. }) = self.blocks.last_mut() {
            if item.text.trim().is_empty() {
                return Ok(());
            }
            let weight = item.text.len() + FRAME;
            items.push(item);
            return self.spend(weight);
        }
        self.push(Content::List(vec![item]))
    }

    /// Adds a paragraph to the last item, or a new item where there is none at that depth.
    pub fn more_of_item(&mut self, depth: u8, text: &str) -> Result<(), Reason> {
        if let Some(Block { content: Content::List(items), .. }) = self.blocks.last_mut()
            && let Some(item) = items.last_mut().filter(|item| item.depth == depth)
        {
            item.text.push('\n');
            item.text.push_str(text);
            return self.spend(text.len() + 1);
        }
        self.item(Item { depth, number: None, text: text.to_owned() })
    }

    /// Takes so much from what may still come. Parsers call it for what they hold back, too.
    pub fn spend(&mut self, weight: usize) -> Result<(), Reason> {
        self.left =
            self.left.checked_sub(weight).ok_or(Reason::TooMuchText { limit: self.limit })?;
        Ok(())
    }
}

fn filled(content: Content) -> Option<Content> {
    let empty = |text: &str| text.trim().is_empty();
    let content = match content {
        Content::List(mut items) => {
            items.retain(|item| !empty(&item.text));
            Content::List(items)
        }
        Content::Table(mut rows) => {
            rows.retain(|row| row.iter().any(|cell| !empty(cell)));
            Content::Table(rows)
        }
        Content::Heading { .. } | Content::Paragraph(_) | Content::Code { .. } => content,
    };
    let something = match &content {
        Content::Heading { text, .. } | Content::Paragraph(text) | Content::Code { text, .. } => {
            !empty(text)
        }
        Content::List(items) => !items.is_empty(),
        Content::Table(rows) => !rows.is_empty(),
    };
    something.then_some(content)
}

fn texts(content: &mut Content) -> Vec<&mut String> {
    match content {
        Content::Heading { text, .. } | Content::Paragraph(text) | Content::Code { text, .. } => {
            vec![text]
        }
        Content::List(items) => items.iter_mut().map(|item| &mut item.text).collect(),
        Content::Table(rows) => rows.iter_mut().flatten().collect(),
    }
}

fn weight(content: &Content) -> usize {
    FRAME
        + match content {
            Content::Heading { text, .. }
            | Content::Paragraph(text)
            | Content::Code { text, .. } => text.len(),
            Content::List(items) => items.iter().map(|item| item.text.len() + FRAME).sum(),
            Content::Table(rows) => rows.iter().flatten().map(|cell| cell.len() + FRAME).sum(),
        }
}
