//! The transformer encoder of multilingual-e5-small: BERT's, with 4-bit weights.
//!
//! The weights stay in four bits; `rten-gemm` unpacks them block by block. Everything else is
//! computed in `f32`.

use super::model_file::{BLOCK_WEIGHTS, Block, ModelFile, ModelSizes, split_block};
use crate::text_encoder::normalize;
use rten_gemm::{
    BiasVector, BlockQuantizedMatrix, GemmError, GemmExecutor, GemmInputA, GemmInputB, GemmOptions,
};
use rten_simd::{SimdOp, SimdUnaryOp};
use rten_tensor::prelude::*;
use rten_tensor::{Contiguous, NdTensor, NdTensorView};
use rten_vecmath::{Gelu, Normalize, NormalizeOptions, Softmax, Sum, SumSquareSub};
use std::ops::Range;

/// The weights of the model.
pub struct Encoder {
    sizes: ModelSizes,
    /// The vectors of the vocabulary, in the blocks of the file.
    words: Vec<Block>,
    positions: Vec<f32>,
    segment: Vec<f32>,
    normalization: Normalization,
    layers: Vec<Layer>,
}

/// A layer of the transformer.
struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attention: Linear,
    attention_normalization: Normalization,
    expansion: Linear,
    contraction: Linear,
    output_normalization: Normalization,
}

/// A matrix of 4-bit weights, and a bias.
struct Linear {
    /// One row for each output: blocks of two weights a byte.
    weights: NdTensor<u8, 3>,
    scales: NdTensor<f32, 2>,
    bias: Vec<f32>,
}

/// A layer normalization.
struct Normalization {
    scale: Vec<f32>,
    bias: Vec<f32>,
}

impl Encoder {
    /// Takes the weights out of a file; returns `None` if one is missing or has another size.
    pub fn load(file: &ModelFile<'_>) -> Option<Self> {
        let sizes = file.sizes;
        let ModelSizes { hidden, vocabulary, positions, .. } = sizes;
        let layers = (0..sizes.layers).map(|layer| Layer::load(file, layer)).collect::<Option<_>>();
        Some(Self {
            sizes,
            words: file.blocks("emb.word", vocabulary, hidden)?.to_vec(),
            positions: file.floats("emb.pos", positions * hidden)?,
            segment: file.floats("emb.type", 2 * hidden)?,
            normalization: Normalization::load(file, "emb.ln")?,
            layers: layers?,
        })
    }

    /// Returns the most pieces that a text may have.
    pub fn max_pieces(&self) -> usize {
        self.sizes.positions
    }

    /// Returns the normalized mean of the hidden states of each text.
    pub fn encode(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, GemmError> {
        let hidden = self.sizes.hidden;
        let mut ranges: Vec<Range<usize>> = Vec::with_capacity(texts.len());
        let mut states = Vec::new();
        for pieces in texts {
            let start = states.len() / hidden;
            for (piece, position) in pieces.iter().zip(self.positions.chunks_exact(hidden)) {
                self.push_embedding(*piece, position, &mut states);
            }
            ranges.push(start..states.len() / hidden);
        }
        let (epsilon, gemm) = (self.sizes.epsilon, GemmExecutor::new());
        self.normalization.apply(&mut states, epsilon);
        for layer in &self.layers {
            let attended = self.attend(&gemm, layer, &states, &ranges)?;
            add(&mut states, &layer.attention.multiply(&gemm, &attended)?);
            layer.attention_normalization.apply(&mut states, epsilon);
            let mut expanded = layer.expansion.multiply(&gemm, &states)?;
            Gelu {}.map_mut(&mut expanded);
            add(&mut states, &layer.contraction.multiply(&gemm, &expanded)?);
            layer.output_normalization.apply(&mut states, epsilon);
        }
        Ok(ranges.into_iter().map(|range| mean_row(&states, hidden, range)).collect())
    }

    /// Appends the sum of the embeddings of a piece, its position, and its segment.
    fn push_embedding(&self, piece: u32, position: &[f32], states: &mut Vec<f32>) {
        let hidden = self.sizes.hidden;
        let row = (piece as usize).min(self.sizes.vocabulary - 1) * (hidden / BLOCK_WEIGHTS);
        let blocks = &self.words[row..row + hidden / BLOCK_WEIGHTS];
        let mut others = position.iter().zip(&self.segment).map(|(one, other)| one + other);
        for block in blocks {
            let (scale, bytes) = split_block(block);
            let low = bytes.iter().map(|byte| byte & 15);
            let weights = low.chain(bytes.iter().map(|byte| byte >> 4));
            states.extend(
                weights
                    .zip(others.by_ref())
                    .map(|(weight, other)| (f32::from(weight) - 8.0) * scale + other),
            );
        }
    }

    /// Computes self-attention, each text by itself.
    fn attend(
        &self,
        gemm: &GemmExecutor,
        layer: &Layer,
        states: &[f32],
        ranges: &[Range<usize>],
    ) -> Result<Vec<f32>, GemmError> {
        let ModelSizes { hidden, heads, .. } = self.sizes;
        let width = hidden / heads;
        let multiply = |linear: &Linear| {
            let numbers = linear.multiply(gemm, states)?;
            Ok(NdTensor::from_data([numbers.len() / hidden, hidden], numbers))
        };
        let (query, key, value) =
            (multiply(&layer.query)?, multiply(&layer.key)?, multiply(&layer.value)?);
        let mut attended = vec![0.0; states.len()];
        for range in ranges {
            for head in 0..heads {
                let columns = head * width..(head + 1) * width;
                let part = |states: &NdTensor<f32, 2>| {
                    states.slice((range.clone(), columns.clone())).to_tensor()
                };
                let mixed = attend_head(gemm, &part(&query), &part(&key), &part(&value))?;
                let rows =
                    attended[range.start * hidden..range.end * hidden].chunks_exact_mut(hidden);
                for (row, mixed) in rows.zip(mixed.chunks_exact(width)) {
                    row[columns.clone()].copy_from_slice(mixed);
                }
            }
        }
        Ok(attended)
    }
}

/// Returns the values, mixed for each query by how well the keys fit it.
fn attend_head(
    gemm: &GemmExecutor,
    query: &NdTensor<f32, 2>,
    key: &NdTensor<f32, 2>,
    value: &NdTensor<f32, 2>,
) -> Result<Vec<f32>, GemmError> {
    let [length, width] = query.shape();
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    let scale = 1.0 / (width as f32).sqrt();
    let mut weights = vec![0.0; length * length];
    gemm.gemm(
        &mut weights,
        GemmInputA::Unpacked(query.view()),
        GemmInputB::Unpacked(key.transposed()),
        GemmOptions { alpha: scale, ..GemmOptions::default() },
    )?;
    for row in weights.chunks_exact_mut(length) {
        Softmax::new_mut(row).dispatch();
    }
    let mut mixed = vec![0.0; length * width];
    gemm.gemm(
        &mut mixed,
        GemmInputA::Unpacked(NdTensorView::from_data([length, length], weights.as_slice())),
        GemmInputB::Unpacked(value.view()),
        GemmOptions::default(),
    )?;
    Ok(mixed)
}

impl Layer {
    /// Takes the weights of a layer out of a file.
    fn load(file: &ModelFile<'_>, layer: usize) -> Option<Self> {
        let ModelSizes { hidden, feed_forward, .. } = file.sizes;
        let linear = |name: &str, inputs, outputs| {
            Linear::load(file, &format!("l{layer}.{name}"), inputs, outputs)
        };
        let normalization = |name: &str| Normalization::load(file, &format!("l{layer}.{name}"));
        Some(Self {
            query: linear("q", hidden, hidden)?,
            key: linear("k", hidden, hidden)?,
            value: linear("v", hidden, hidden)?,
            attention: linear("ao", hidden, hidden)?,
            attention_normalization: normalization("aln")?,
            expansion: linear("fi", hidden, feed_forward)?,
            contraction: linear("fo", feed_forward, hidden)?,
            output_normalization: normalization("oln")?,
        })
    }
}

impl Linear {
    /// Takes the weights of a linear layer out of a file.
    fn load(file: &ModelFile<'_>, name: &str, inputs: usize, outputs: usize) -> Option<Self> {
        let blocks = file.blocks(&format!("{name}.w"), outputs, inputs)?;
        let mut weights = Vec::with_capacity(blocks.len() * BLOCK_WEIGHTS / 2);
        let mut scales = Vec::with_capacity(blocks.len());
        for block in blocks {
            let (scale, bytes) = split_block(block);
            scales.push(scale);
            // `rten-gemm` wants neighbours in a byte, the first one in its lower half.
            let (pairs, _) = bytes.as_chunks::<2>();
            weights.extend(pairs.iter().map(|[first, second]| (first & 15) | (second << 4)));
            weights.extend(pairs.iter().map(|[first, second]| (first >> 4) | (second & 0xf0)));
        }
        let row = inputs / BLOCK_WEIGHTS;
        Some(Self {
            weights: NdTensor::from_data([outputs, row, BLOCK_WEIGHTS / 2], weights),
            scales: NdTensor::from_data([outputs, row], scales),
            bias: file.floats(&format!("{name}.b"), outputs)?,
        })
    }

    /// Returns the outputs for each row of inputs.
    fn multiply(&self, gemm: &GemmExecutor, inputs: &[f32]) -> Result<Vec<f32>, GemmError> {
        let [outputs, blocks] = self.scales.shape();
        let columns = blocks * BLOCK_WEIGHTS;
        let rows = inputs.len() / columns;
        let unfit = |_| GemmError::BlockQuantizedInputNotSupported;
        let weights = BlockQuantizedMatrix::new(
            Contiguous::new(self.weights.view())
                .ok_or(GemmError::BlockQuantizedInputNotSupported)?,
            Contiguous::new(self.scales.view())
                .ok_or(GemmError::BlockQuantizedInputNotSupported)?,
            4,
        )
        .map_err(unfit)?;
        let mut result = vec![0.0; rows * outputs];
        gemm.gemm(
            &mut result,
            GemmInputA::Unpacked(NdTensorView::from_data([rows, columns], inputs)),
            GemmInputB::BlockQuantized(weights),
            GemmOptions { bias: Some(BiasVector::Row(&self.bias)), ..GemmOptions::default() },
        )?;
        Ok(result)
    }
}

impl Normalization {
    /// Takes the weights of a normalization out of a file.
    fn load(file: &ModelFile<'_>, name: &str) -> Option<Self> {
        let hidden = file.sizes.hidden;
        Some(Self {
            scale: file.floats(&format!("{name}.w"), hidden)?,
            bias: file.floats(&format!("{name}.b"), hidden)?,
        })
    }

    /// Gives each row the mean 0 and the variance 1, then this scale and bias.
    #[expect(clippy::cast_precision_loss, reason = "a small number")]
    fn apply(&self, states: &mut [f32], epsilon: f32) {
        let width = self.scale.len();
        for row in states.chunks_exact_mut(width) {
            let mean = Sum::new(row).dispatch() / width as f32;
            let variance = SumSquareSub::new(row, mean).dispatch() / width as f32;
            let options = NormalizeOptions {
                pre_scale_bias: mean,
                scale: 1.0 / (variance + epsilon).sqrt(),
                element_scale: Some(&self.scale),
                element_bias: Some(&self.bias),
                ..NormalizeOptions::default()
            };
            Normalize::new_mut(row, options).dispatch();
        }
    }
}

fn add(states: &mut [f32], others: &[f32]) {
    states.iter_mut().zip(others).for_each(|(state, other)| *state += other);
}

/// Returns the normalized mean of these rows.
fn mean_row(states: &[f32], width: usize, rows: Range<usize>) -> Vec<f32> {
    let mut sum = vec![0.0; width];
    for row in states[rows.start * width..rows.end * width].chunks_exact(width) {
        add(&mut sum, row);
    }
    normalize(&mut sum);
    sum
}
