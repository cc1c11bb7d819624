//! The embedding model all-MiniLM-L6-v2
//! (<https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2>, Apache-2.0), for English: 384
//! dimensions.

use super::{BertModel, PieceRow, VOCABULARY, batch_rows};
use crate::embedder::{EmbeddingPurpose, InferenceError};
use crate::text_encoder::{TextEncoder, normalize};
use rten::ThreadPool;
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};
use std::path::Path;
use std::sync::Arc;

/// The number of word pieces in one run of the model. More would need more memory without being
/// faster.
const PIECES_PER_BATCH: usize = 512;

/// The file of the model.
const FILE: &str = "model.onnx";

/// The model was trained on texts of up to this many word pieces; longer texts are cut.
const MAX_PIECES: usize = 256;

/// The model with its tokenizer.
pub struct MiniLm(BertModel);

impl MiniLm {
    /// Returns true if a folder has the files of the model.
    pub fn is_in(folder: &Path) -> bool {
        [FILE, VOCABULARY].iter().all(|file| folder.join(file).is_file())
    }

    /// Reads `model.onnx` and `vocab.txt` from a folder.
    pub fn open(folder: &Path) -> Result<Self, InferenceError> {
        Ok(Self(BertModel::open(folder, FILE)?))
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
        let row = |text: &String| {
            let pieces = self.0.tokenizer.encode(text, MAX_PIECES);
            PieceRow { first_length: pieces.len(), pieces }
        };
        let rows: Vec<PieceRow> = texts.iter().map(row).collect();
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in batch_rows(&rows, PIECES_PER_BATCH) {
            let batch_of_rows: Vec<&PieceRow> = batch.iter().map(|at| &rows[*at]).collect();
            let states = self.0.run(&batch_of_rows, "last_hidden_state", threads)?;
            let states: NdTensor<f32, 3> = states.try_into().map_err(|_| {
                InferenceError("the embedding model gave something else than vectors".to_owned())
            })?;
            for (row, at) in batch.into_iter().enumerate() {
                vectors[at] = mean_pool(&states.slice(row), rows[at].pieces.len());
            }
        }
        Ok(vectors)
    }
}

/// Returns the normalized mean of the hidden states of a text's own word pieces.
fn mean_pool(states: &NdTensorView<'_, f32, 2>, pieces: usize) -> Vec<f32> {
    let mut sum = vec![0.0; states.size(1)];
    for piece in 0..pieces {
        for (total, state) in sum.iter_mut().zip(states.slice(piece).iter()) {
            *total += state;
        }
    }
    normalize(&mut sum);
    sum
}
