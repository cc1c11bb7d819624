//! Inputs made from a corpus.

use fastrand::Rng;

/// The largest length of an input.
const LONGEST: usize = 64 << 10;

/// Makes inputs by changing those of a corpus.
pub struct Mutator {
    /// At least one input.
    pub corpus: Vec<Vec<u8>>,
    /// The words of the format.
    pub words: &'static [&'static [u8]],
}

impl Mutator {
    /// Returns an input of the corpus with one to eight changes.
    pub fn input(&self, random: &mut Rng) -> Vec<u8> {
        let mut input = self.any(random).to_vec();
        for _ in 0..random.u8(1..=8) {
            self.change(&mut input, random);
            input.truncate(LONGEST);
        }
        input
    }

    fn any(&self, random: &mut Rng) -> &[u8] {
        random.choice(&self.corpus).map(Vec::as_slice).unwrap_or_default()
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut Rng) {
        let at = random.usize(..=input.len());
        let end = (at + random.usize(..=input.len().min(64))).min(input.len());
        match random.u8(..9) {
            0 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.u8(..8);
                }
            }
            1 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = *random.choice(b"\0\x01\x7f\x80\xff \n\r\t\"'<>{}[]:,\\").unwrap_or(&0);
                }
            }
            2 => {
                let word = random.choice(self.words).copied().unwrap_or_default();
                input.splice(at..at, word.iter().copied());
            }
            3 => drop(input.drain(at..end)),
            4 => {
                let again = input.get(at..end).unwrap_or_default().repeat(random.usize(1..=40));
                input.splice(at..at, again);
            }
            5 => {
                let other = self.any(random);
                let from = random.usize(..=other.len());
                input.splice(at.., other.get(from..).unwrap_or_default().iter().copied());
            }
            6 => input.truncate(at),
            7 => {
                let bytes: Vec<u8> = (0..random.usize(1..8)).map(|_| random.u8(..)).collect();
                input.splice(at..at, bytes);
            }
            _ => {
                // A number of four bytes: a length, or a checksum.
                let number = *random
                    .choice(&[0u32, 1, 12, 15, 16, 0x7fff_ffff, 0x8000_0000, u32::MAX])
                    .unwrap_or(&0);
                for (byte, new) in input.iter_mut().skip(at).zip(number.to_be_bytes()) {
                    *byte = new;
                }
            }
        }
    }
}
