//! The compression of RTF in Outlook's e-mails.
//! <https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxrtfcp/>

/// The text that every dictionary begins with (section 2.1.2.1).
const INITIAL_DICTIONARY: &[u8] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

const DICTIONARY_BYTES: usize = 4096;
const HEADER_BYTES: usize = 16;

/// The most bytes that a body unpacks to. Two bytes become 17 at most.
const MAX_BYTES: usize = 64_000_000;

/// Decompresses a body. `None` if it is damaged.
pub(super) fn decompress(bytes: &[u8]) -> Option<Vec<u8>> {
    let (header, packed) = bytes.split_at_checked(HEADER_BYTES)?;
    match header.get(8..12)? {
        b"MELA" => return Some(packed.to_vec()),
        b"LZFu" => {}
        _ => return None,
    }
    let mut dictionary = [b' '; DICTIONARY_BYTES];
    for (place, byte) in dictionary.iter_mut().zip(INITIAL_DICTIONARY) {
        *place = *byte;
    }
    let mut write_at = INITIAL_DICTIONARY.len();
    let mut unpacked = Vec::new();
    let mut packed = packed.iter().copied();
    // A control byte says of the next eight items which are references into the dictionary.
    'blocks: while let Some(control) = packed.next() {
        for bit in 0..8 {
            if unpacked.len() > MAX_BYTES {
                return None;
            }
            let (read_at, length) = if control >> bit & 1 == 0 {
                let Some(byte) = packed.next() else { break 'blocks };
                *dictionary.get_mut(write_at % DICTIONARY_BYTES)? = byte;
                (write_at, 1)
            } else {
                let (Some(high), Some(low)) = (packed.next(), packed.next()) else { break 'blocks };
                let reference = usize::from(u16::from_be_bytes([high, low]));
                let (offset, length) = (reference >> 4, (reference & 15) + 2);
                // A reference to the place of writing ends the text.
                if offset == write_at % DICTIONARY_BYTES {
                    break 'blocks;
                }
                (offset, length)
            };
            for step in 0..length {
                let byte = *dictionary.get((read_at + step) % DICTIONARY_BYTES)?;
                *dictionary.get_mut(write_at % DICTIONARY_BYTES)? = byte;
                write_at += 1;
                unpacked.push(byte);
            }
        }
    }
    Some(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of section 3.1 of the specification.
    const COMPRESSED: &[u8] = b"\x2d\x00\x00\x00\x2b\x00\x00\x00LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125\x42\x32\x0a\xf3 hel\x09\x00 bw\x05\xb0ld}\x0a\x80\x0f\xa0";

    #[test]
    fn the_example_of_the_specification_is_decompressed() {
        let text = decompress(COMPRESSED).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&text),
            "{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
        );
        assert_eq!(INITIAL_DICTIONARY.len(), 207);
    }

    #[test]
    fn what_is_no_compressed_rtf_is_nothing() {
        assert_eq!(decompress(b"LZFu"), None);
        assert_eq!(decompress(&[0; 40]), None);
    }
}
