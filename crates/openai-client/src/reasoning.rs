//! Reasoning blocks, assembled from their pieces: signed and encrypted ones have to be sent back in
//! the next turn (<https://openrouter.ai/docs/guides/best-practices/reasoning-tokens>).

use pipe_sdk::{Chunk, ReasoningDetail, ReasoningKind};
use serde_json::Value;

/// The reasoning blocks of one answer.
#[derive(Debug, Default)]
pub(crate) struct ReasoningAssembler {
    /// The blocks that have not been emitted.
    blocks: Vec<Block>,
    emitted: usize,
}

/// A block of reasoning.
#[derive(Debug)]
struct Block {
    index: u64,
    format: Option<String>,
    content: BlockContent,
}

/// The content of a block of reasoning.
#[derive(Debug)]
enum BlockContent {
    Text { text: String, signature: String },
    Encrypted(String),
}

/// The most blocks that are kept of an answer.
const MAX_BLOCKS: usize = 256;

impl ReasoningAssembler {
    /// Adds the pieces in `reasoning_details`, and returns their text.
    pub fn add(&mut self, pieces: &Value) -> String {
        let pieces = pieces.as_array().into_iter().flatten();
        pieces.filter_map(|piece| self.add_piece(piece)).collect()
    }

    fn add_piece<'a>(&mut self, piece: &'a Value) -> Option<&'a str> {
        let text = |name: &str| piece[name].as_str().unwrap_or_default();
        match piece["type"].as_str()? {
            "reasoning.text" => {
                if let Some(BlockContent::Text { text: all, signature }) = self.block(piece, true) {
                    all.push_str(text("text"));
                    signature.push_str(text("signature"));
                }
                piece["text"].as_str()
            }
            "reasoning.encrypted" => {
                if let Some(BlockContent::Encrypted(data)) = self.block(piece, false) {
                    data.push_str(text("data"));
                }
                None
            }
            "reasoning.summary" => piece["summary"].as_str(),
            _ => None,
        }
    }

    /// Returns the block that a piece belongs to.
    fn block(&mut self, piece: &Value, is_text: bool) -> Option<&mut BlockContent> {
        let index = piece["index"].as_u64().unwrap_or_default();
        let known = self.blocks.iter().position(|block| {
            block.index == index && matches!(block.content, BlockContent::Text { .. }) == is_text
        });
        if let Some(known) = known {
            return Some(&mut self.blocks[known].content);
        }
        if self.blocks.len() >= MAX_BLOCKS {
            return None;
        }
        let content = match is_text {
            true => BlockContent::Text { text: String::new(), signature: String::new() },
            false => BlockContent::Encrypted(String::new()),
        };
        let format = piece["format"].as_str().map(str::to_owned);
        self.blocks.push(Block { index, format, content });
        self.blocks.last_mut().map(|block| &mut block.content)
    }

    /// Emits the complete blocks, once other output follows or the answer ends. A block that is
    /// neither signed nor encrypted need not be sent back; it waits for a signature.
    pub fn emit_complete(&mut self, emit: &mut impl FnMut(Chunk)) {
        for Block { format, content, .. } in self.blocks.extract_if(.., |block| block.is_complete())
        {
            let kind = match content {
                BlockContent::Text { text, signature } => {
                    ReasoningKind::Text { text, signature: Some(signature) }
                }
                BlockContent::Encrypted(data) => ReasoningKind::Encrypted { data },
            };
            emit(Chunk::ReasoningDetail(ReasoningDetail { kind, format, index: self.emitted }));
            self.emitted += 1;
        }
    }
}

impl Block {
    fn is_complete(&self) -> bool {
        match &self.content {
            BlockContent::Text { signature, .. } => !signature.is_empty(),
            BlockContent::Encrypted(data) => !data.is_empty(),
        }
    }
}
