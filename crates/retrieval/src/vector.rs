//! Vectors as they are kept: of length 1, in half precision, and for the scan in eight bits.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rten_simd::{Isa, SimdOp};

/// A vector of length 1 in half precision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vector(Vec<f16>);

impl Vector {
    /// `None` if there is no direction in it: it is empty, all zero, or holds what is no number.
    pub(crate) fn of(numbers: &[f32]) -> Option<Self> {
        let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        let usable = length.is_finite() && length > 0.0;
        usable.then(|| Self(numbers.iter().map(|number| f16::from_f32(number / length)).collect()))
    }

    pub(crate) fn dimensions(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let (pairs, _) = bytes.as_chunks::<2>();
        Self(pairs.iter().map(|pair| f16::from_le_bytes(*pair)).collect())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// Numbers that were one of ours.
    pub(crate) fn as_is(numbers: &[f32]) -> Self {
        Self(numbers.iter().copied().map(f16::from_f32).collect())
    }

    pub(crate) fn numbers(&self) -> Vec<f32> {
        self.0.to_f32_vec()
    }

    /// The cosine of the angle to another one, exact to what half precision holds.
    pub(crate) fn cosine(&self, other: &Self) -> f32 {
        let (left, right) = (self.0.to_f32_vec(), other.0.to_f32_vec());
        left.iter().zip(&right).map(|(left, right)| left * right).sum()
    }
}

/// Vectors in eight bits, one after the other: every number is `scale` times a whole one between -127 and 127.
#[derive(Default)]
pub(crate) struct Codes {
    dimensions: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl Codes {
    pub(crate) fn push(&mut self, vector: &Vector) {
        let numbers = vector.0.to_f32_vec();
        let largest =
            numbers.iter().fold(f32::MIN_POSITIVE, |largest, number| largest.max(number.abs()));
        self.dimensions = numbers.len();
        self.codes.extend(numbers.iter().map(|number| rounded(number / largest)));
        self.scales.push(largest / 127.0);
    }

    /// Puts the last one in the place of this one.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let last = self.scales.len() - 1;
        self.codes.copy_within(last * self.dimensions.., at * self.dimensions);
        self.codes.truncate(last * self.dimensions);
        self.scales.swap_remove(at);
    }

    /// About the cosine of each one to the query, in their order.
    pub(crate) fn scan(&self, query: &Vector) -> Vec<f32> {
        let mut one = Self::default();
        one.push(query);
        if self.dimensions != one.dimensions {
            return vec![0.0; self.scales.len()];
        }
        let query: Vec<i16> = one.codes.iter().map(|code| i16::from(*code)).collect();
        let mut cosines = Scan { codes: &self.codes, query: &query }.dispatch();
        for (cosine, scale) in cosines.iter_mut().zip(&self.scales) {
            *cosine *= scale * one.scales[0];
        }
        cosines
    }
}

#[expect(clippy::cast_possible_truncation, reason = "what is at most 1 times 127 fits")]
fn rounded(part: f32) -> i8 {
    (part * 127.0).round() as i8
}

/// The products of each vector with the query. Plain loops, which the compiler makes wide ones for each kind of processor.
struct Scan<'a> {
    codes: &'a [i8],
    query: &'a [i16],
}

impl SimdOp for Scan<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) -> Vec<f32> {
        self.codes.chunks_exact(self.query.len()).map(|codes| product(codes, self.query)).collect()
    }
}

/// 384 times 127 squared is far from the end of 32 bits.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "24 bits of it are more than enough to order by")]
fn product(codes: &[i8], query: &[i16]) -> f32 {
    codes
        .iter()
        .zip(query)
        .map(|(code, query)| i32::from(i16::from(*code)) * i32::from(*query))
        .sum::<i32>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(seed: usize) -> Vector {
        Vector::of(&(0..384).map(|at| ((at * seed) as f32).sin()).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn eight_bits_are_near_the_cosine() {
        let mut codes = Codes::default();
        (2..9).for_each(|seed| codes.push(&some(seed)));
        codes.swap_remove(1);
        let expected: Vec<f32> =
            [2, 8, 4, 5, 6, 7].map(|seed| some(seed).cosine(&some(7))).to_vec();
        for (near, exact) in codes.scan(&some(7)).into_iter().zip(expected) {
            assert!((near - exact).abs() < 0.01, "{near} {exact}");
        }
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        for numbers in [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0]] {
            assert!(Vector::of(numbers).is_none(), "{numbers:?}");
        }
    }

    #[test]
    fn bytes_are_the_same_vector() {
        assert_eq!(Vector::from_bytes(&some(3).to_bytes()), some(3));
    }
}
