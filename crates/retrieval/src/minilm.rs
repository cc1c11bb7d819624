//! The embedding model all-MiniLM-L6-v2 in int8, run by `rten`.

mod wordpiece;

use crate::embedder::{EmbeddingPurpose, InferenceError};
use crate::text_encoder::{TextEncoder, file_error, normalize};
use rten::{Model, ModelOptions, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};
use std::path::Path;
use std::sync::Arc;
use wordpiece::WordPieceTokenizer;

/// The model was trained on texts of up to this many word pieces; longer texts are cut.
const MAX_PIECES: usize = 256;

/// The number of word pieces in one run of the model. More would need more memory without being
/// faster.
const PIECES_PER_BATCH: usize = 512;

/// The model all-MiniLM-L6-v2 with int8 weights: 384 dimensions, English.
pub struct MiniLm {
    model: Model,
    tokenizer: WordPieceTokenizer,
}

impl MiniLm {
    /// Returns true if a folder has the files of the model.
    pub fn is_in(folder: &Path) -> bool {
        ["model.onnx", "vocab.txt"].iter().all(|file| folder.join(file).is_file())
    }

    /// Reads `model.onnx` and `vocab.txt` from a folder.
    pub fn open(folder: &Path) -> Result<Self, InferenceError> {
        let vocabulary = folder.join("vocab.txt");
        let text = std::fs::read_to_string(&vocabulary)
            .map_err(|error| file_error(&vocabulary, &error))?;
        let tokenizer = WordPieceTokenizer::parse(&text)
            .ok_or_else(|| file_error(&vocabulary, &"it is not the vocabulary of a BERT model"))?;
        let path = folder.join("model.onnx");
        let model = ModelOptions::with_all_ops()
            .prepack_weights(true)
            .load_file(&path)
            .map_err(|error| file_error(&path, &error))?;
        Ok(Self { model, tokenizer })
    }
}

impl TextEncoder for MiniLm {
    fn id(&self) -> &'static str {
        "all-MiniLM-L6-v2-int8"
    }

    fn cosine_floor(&self) -> f32 {
        0.2
    }

    /// Embeds texts. Texts of similar length share a batch, which keeps padding short.
    fn encode(
        &self,
        texts: &[String],
        _: EmbeddingPurpose,
        threads: &Arc<ThreadPool>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let pieces: Vec<Vec<i32>> =
            texts.iter().map(|text| self.tokenizer.encode(text, MAX_PIECES)).collect();
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(pieces[*at].len()));
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut rest = order.as_slice();
        while let Some(longest) = rest.first().map(|at| pieces[*at].len()) {
            let (batch, after) = rest.split_at((PIECES_PER_BATCH / longest).clamp(1, rest.len()));
            for (at, vector) in batch.iter().zip(self.run_batch(batch, &pieces, longest, threads)?)
            {
                vectors[*at] = vector;
            }
            rest = after;
        }
        Ok(vectors)
    }
}

impl MiniLm {
    fn run_batch(
        &self,
        batch: &[usize],
        pieces: &[Vec<i32>],
        longest: usize,
        threads: &Arc<ThreadPool>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let mut ids = NdTensor::<i32, 2>::zeros([batch.len(), longest]);
        let mut mask = NdTensor::<i32, 2>::zeros([batch.len(), longest]);
        for (row, at) in batch.iter().enumerate() {
            for (column, piece) in pieces[*at].iter().enumerate() {
                ids[[row, column]] = *piece;
                mask[[row, column]] = 1;
            }
        }
        let token_types = NdTensor::<i32, 2>::zeros([batch.len(), longest]);
        let inputs =
            [("input_ids", ids), ("attention_mask", mask), ("token_type_ids", token_types)];
        let inputs = inputs
            .into_iter()
            .map(|(name, tensor)| Ok((self.model.node_id(name)?, ValueOrView::from(tensor))));
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(threads)));
        let run_error =
            |error: rten::RunError| InferenceError(format!("the embedding model failed: {error}"));
        let inputs = inputs.collect::<Result<Vec<_>, _>>().map_err(run_error)?;
        let output = self.model.node_id("last_hidden_state").map_err(run_error)?;
        let [states] = self.model.run_n(inputs, [output], Some(options)).map_err(run_error)?;
        let states: NdTensor<f32, 3> = states.try_into().map_err(|_| {
            InferenceError("the embedding model gave something else than vectors".to_owned())
        })?;
        Ok(batch
            .iter()
            .enumerate()
            .map(|(row, at)| mean_pool(states.slice(row), pieces[*at].len()))
            .collect())
    }
}

/// Returns the normalized mean of the hidden states of a text's own word pieces.
fn mean_pool(states: NdTensorView<'_, f32, 2>, pieces: usize) -> Vec<f32> {
    let mut sum = vec![0.0; states.size(1)];
    for piece in 0..pieces {
        for (total, state) in sum.iter_mut().zip(states.slice(piece).iter()) {
            *total += state;
        }
    }
    normalize(&mut sum);
    sum
}
