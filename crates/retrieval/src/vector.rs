//! Vectors of length 1: in half precision for storing, in eight bits for scanning.

use half::f16;
use half::slice::HalfFloatSliceExt;
use rten_simd::{Isa, SimdOp};

/// A vector of length 1 in half precision.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Vector(Vec<f16>);

impl Vector {
    /// Normalizes a vector; returns `None` if it is empty, all zero or not finite.
    pub(crate) fn normalized(numbers: &[f32]) -> Option<Self> {
        let length = numbers.iter().map(|number| number * number).sum::<f32>().sqrt();
        let usable = length.is_finite() && length > 0.0;
        usable.then(|| Self(numbers.iter().map(|number| f16::from_f32(number / length)).collect()))
    }

    /// Returns the number of dimensions.
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

    /// Converts numbers that are normalized already.
    pub(crate) fn from_normalized(numbers: &[f32]) -> Self {
        Self(numbers.iter().copied().map(f16::from_f32).collect())
    }

    /// Returns the numbers.
    pub(crate) fn numbers(&self) -> Vec<f32> {
        self.0.to_f32_vec()
    }

    /// Returns the cosine of the angle to another vector, within half precision.
    pub(crate) fn cosine(&self, other: &Self) -> f32 {
        let (left, right) = (self.0.to_f32_vec(), other.0.to_f32_vec());
        left.iter().zip(&right).map(|(left, right)| left * right).sum()
    }
}

/// Vectors in eight bits, stored contiguously: every number is `scale` times an integer between
/// -127 and 127.
#[derive(Default)]
pub(crate) struct QuantizedVectors {
    dimensions: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
}

impl QuantizedVectors {
    /// Appends a vector, whose numbers become eight-bit integers.
    pub(crate) fn push(&mut self, vector: &Vector) {
        let numbers = vector.0.to_f32_vec();
        let largest =
            numbers.iter().fold(f32::MIN_POSITIVE, |largest, number| largest.max(number.abs()));
        self.dimensions = numbers.len();
        self.codes.extend(numbers.iter().map(|number| quantize(number / largest)));
        self.scales.push(largest / 127.0);
    }

    /// Removes a vector, and moves the last one into its slot.
    pub(crate) fn swap_remove(&mut self, at: usize) {
        let last = self.scales.len() - 1;
        self.codes.copy_within(last * self.dimensions.., at * self.dimensions);
        self.codes.truncate(last * self.dimensions);
        self.scales.swap_remove(at);
    }

    /// Returns the approximate cosine of each vector to the query, in their order.
    pub(crate) fn scan(&self, query: &Vector) -> Vec<f32> {
        let mut quantized_query = Self::default();
        quantized_query.push(query);
        if self.dimensions != quantized_query.dimensions {
            return vec![0.0; self.scales.len()];
        }
        let query: Vec<i16> = quantized_query.codes.iter().map(|code| i16::from(*code)).collect();
        let mut cosines = ScanOp { codes: &self.codes, query: &query }.dispatch();
        for (cosine, scale) in cosines.iter_mut().zip(&self.scales) {
            *cosine *= scale * quantized_query.scales[0];
        }
        cosines
    }
}

/// Returns a number between -1 and 1 as an eight-bit integer.
#[expect(clippy::cast_possible_truncation, reason = "what is at most 1 times 127 fits")]
fn quantize(fraction: f32) -> i8 {
    (fraction * 127.0).round() as i8
}

/// Computes the dot product of each vector with the query. The compiler vectorizes the plain loops
/// for each kind of processor.
struct ScanOp<'a> {
    codes: &'a [i8],
    query: &'a [i16],
}

impl SimdOp for ScanOp<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn eval<I: Isa>(self, _: I) -> Vec<f32> {
        self.codes
            .chunks_exact(self.query.len())
            .map(|codes| dot_product(codes, self.query))
            .collect()
    }
}

/// 384 × 127² is far below the limit of 32 bits.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "24 bits of it are more than enough to order by")]
fn dot_product(codes: &[i8], query: &[i16]) -> f32 {
    codes
        .iter()
        .zip(query)
        .map(|(code, query)| i32::from(i16::from(*code)) * i32::from(*query))
        .sum::<i32>() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(seed: usize) -> Vector {
        Vector::normalized(&(0..384).map(|at| ((at * seed) as f32).sin()).collect::<Vec<_>>())
            .unwrap()
    }

    #[test]
    fn eight_bits_are_near_the_cosine() {
        let mut codes = QuantizedVectors::default();
        (2..9).for_each(|seed| codes.push(&sample(seed)));
        codes.swap_remove(1);
        let expected: Vec<f32> =
            [2, 8, 4, 5, 6, 7].map(|seed| sample(seed).cosine(&sample(7))).to_vec();
        for (near, exact) in codes.scan(&sample(7)).into_iter().zip(expected) {
            assert!((near - exact).abs() < 0.01, "{near} {exact}");
        }
    }

    #[test]
    fn what_has_no_direction_is_no_vector() {
        for numbers in [&[][..], &[0.0, 0.0], &[f32::NAN, 1.0], &[f32::INFINITY, 1.0]] {
            assert!(Vector::normalized(numbers).is_none(), "{numbers:?}");
        }
    }

    #[test]
    fn bytes_are_the_same_vector() {
        assert_eq!(Vector::from_bytes(&sample(3).to_bytes()), sample(3));
    }
}
