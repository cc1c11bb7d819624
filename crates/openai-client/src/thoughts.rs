//! Blocks of reasoning, put together from their pieces: what has to come back in the next turn.

use pipe_sdk::{Chunk, ReasoningDetail, ReasoningKind};
use serde_json::Value;

/// The blocks of one answer.
#[derive(Debug, Default)]
pub(crate) struct Thoughts {
    /// Those that have not been told.
    blocks: Vec<Block>,
    /// How many have been.
    told: usize,
}

#[derive(Debug)]
struct Block {
    number: u64,
    format: Option<String>,
    what: What,
}

#[derive(Debug)]
enum What {
    Text { text: String, signature: String },
    Encrypted(String),
}

/// More blocks than these in one answer are a fault of the server; further ones are not kept.
const MOST: usize = 256;

impl Thoughts {
    /// Takes in pieces of blocks, and gives the words in them.
    pub fn add(&mut self, pieces: &Value) -> String {
        pieces.as_array().into_iter().flatten().filter_map(|piece| self.piece(piece)).collect()
    }

    fn piece<'a>(&mut self, piece: &'a Value) -> Option<&'a str> {
        let text = |name: &str| piece[name].as_str().unwrap_or_default();
        match piece["type"].as_str()? {
            "reasoning.text" => {
                if let Some(What::Text { text: all, signature }) = self.block(piece, true) {
                    all.push_str(text("text"));
                    signature.push_str(text("signature"));
                }
                piece["text"].as_str()
            }
            "reasoning.encrypted" => {
                if let Some(What::Encrypted(data)) = self.block(piece, false) {
                    data.push_str(text("data"));
                }
                None
            }
            "reasoning.summary" => piece["summary"].as_str(),
            _ => None,
        }
    }

    /// The block that the piece belongs to.
    fn block(&mut self, piece: &Value, is_text: bool) -> Option<&mut What> {
        let number = piece["index"].as_u64().unwrap_or_default();
        let is_meant = |block: &Block| {
            block.number == number && matches!(block.what, What::Text { .. }) == is_text
        };
        if let Some(place) = self.blocks.iter().position(is_meant) {
            return Some(&mut self.blocks[place].what);
        }
        if self.blocks.len() >= MOST {
            return None;
        }
        let what = match is_text {
            true => What::Text { text: String::new(), signature: String::new() },
            false => What::Encrypted(String::new()),
        };
        let format = piece["format"].as_str().map(str::to_owned);
        self.blocks.push(Block { number, format, what });
        self.blocks.last_mut().map(|block| &mut block.what)
    }

    /// Tells the blocks that are whole, because something else has come or nothing more will. What is neither signed nor sealed need not come
    /// back; it waits for a signature that may follow.
    pub fn settle(&mut self, tell: &mut impl FnMut(Chunk)) {
        for Block { format, what, .. } in self.blocks.extract_if(.., |block| block.is_whole()) {
            let kind = match what {
                What::Text { text, signature } => {
                    ReasoningKind::Text { text, signature: Some(signature) }
                }
                What::Encrypted(data) => ReasoningKind::Encrypted { data },
            };
            tell(Chunk::ReasoningDetail(ReasoningDetail { kind, format, index: self.told }));
            self.told += 1;
        }
    }
}

impl Block {
    fn is_whole(&self) -> bool {
        match &self.what {
            What::Text { signature, .. } => !signature.is_empty(),
            What::Encrypted(data) => !data.is_empty(),
        }
    }
}
