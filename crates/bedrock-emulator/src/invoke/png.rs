//! Writes a PNG of any size: a pattern in two colours, derived from the prompt.

use aws_smithy_types::base64;
use sha2::{Digest as _, Sha256};

/// The number of squares in a row.
const SQUARES_PER_ROW: u32 = 8;

/// The largest stored block in DEFLATE, in bytes (RFC 1951, section 3.2.4).
const MAX_BLOCK_BYTES: usize = 0xffff;

/// Returns an image of this size in base64. Each seed gives another image.
pub(super) fn base64(width: u32, height: u32, seed: &str) -> String {
    let hash = Sha256::digest(seed);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[1, 3, 0, 0, 0]].concat();
    chunk(&mut file, *b"IHDR", &header);
    chunk(&mut file, *b"PLTE", &hash[..6]);
    chunk(&mut file, *b"IDAT", &store_uncompressed(&rows(width, height, &hash[6..])));
    chunk(&mut file, *b"IEND", &[]);
    base64::encode(file)
}

/// Returns the rows with one bit per pixel, each after its filter byte (none).
fn rows(width: u32, height: u32, pattern: &[u8]) -> Vec<u8> {
    let square = |at: u32, all: u32| (at * SQUARES_PER_ROW / all) as usize;
    let row = |y: u32| {
        let is_lit = |x: u32| pattern[square(y, height)] >> square(x, width) & 1;
        let bits = |byte: u32| {
            let pixels = (byte * 8..byte * 8 + 8).map(|x| if x < width { is_lit(x) } else { 0 });
            pixels.fold(0, |bits, lit| bits << 1 | lit)
        };
        [0].into_iter().chain((0..width.div_ceil(8)).map(bits)).collect::<Vec<u8>>()
    };
    // Rows with the same squares are equal, so each is computed once.
    let mut rows = Vec::new();
    let mut last: Option<(usize, Vec<u8>)> = None;
    for y in 0..height {
        let squares = square(y, height);
        if last.as_ref().is_none_or(|(of, _)| *of != squares) {
            last = Some((squares, row(y)));
        }
        rows.extend(last.iter().flat_map(|(_, row)| row));
    }
    rows
}

/// Wraps data in zlib's format without compression.
fn store_uncompressed(data: &[u8]) -> Vec<u8> {
    let mut stream = vec![0x78, 0x01];
    let mut blocks = data.chunks(MAX_BLOCK_BYTES).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        stream.push(u8::from(blocks.peek().is_none()));
        stream.extend(length.to_le_bytes());
        stream.extend((!length).to_le_bytes());
        stream.extend(block);
    }
    stream.extend(adler32(data).to_be_bytes());
    stream
}

/// Returns the Adler-32 checksum of data.
fn adler32(data: &[u8]) -> u32 {
    let (low, high) = data.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65521;
        (low, (high + low) % 65521)
    });
    high << 16 | low
}

/// Appends a chunk of this type to a PNG file.
fn chunk(file: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    let named = [&kind[..], data].concat();
    file.extend(&named);
    file.extend(crc32fast::hash(&named).to_be_bytes());
}
