//! BERT models of English texts as 8-bit ONNX, run by `rten`.

mod cross_encoder;
mod encoder;
mod wordpiece;

pub use cross_encoder::LocalReranker;
pub use encoder::MiniLm;

use crate::embedder::InferenceError;
use crate::text_encoder::file_error;
use rten::{Model, ModelOptions, RunError, RunOptions, ThreadPool, Value, ValueOrView};
use rten_tensor::NdTensor;
use std::path::Path;
use std::sync::Arc;
use wordpiece::WordPieceTokenizer;

/// The file of the vocabulary, which all of these models share.
pub const VOCABULARY: &str = "vocab.txt";

/// A BERT model with its tokenizer.
struct BertModel {
    model: Model,
    tokenizer: WordPieceTokenizer,
}

/// A text, or a pair of texts, as the model reads it.
struct PieceRow {
    pieces: Vec<i32>,
    /// The number of pieces of the first text of a pair; all pieces of a single text.
    first_length: usize,
}

impl BertModel {
    /// Reads a model and `vocab.txt` from a folder.
    fn open(folder: &Path, file: &str) -> Result<Self, InferenceError> {
        let vocabulary = folder.join(VOCABULARY);
        let text = std::fs::read_to_string(&vocabulary)
            .map_err(|error| file_error(&vocabulary, &error))?;
        let tokenizer = WordPieceTokenizer::parse(&text)
            .ok_or_else(|| file_error(&vocabulary, &"it is not the vocabulary of a BERT model"))?;
        let path = folder.join(file);
        let model = ModelOptions::with_all_ops()
            .prepack_weights(true)
            .load_file(&path)
            .map_err(|error| file_error(&path, &error))?;
        Ok(Self { model, tokenizer })
    }

    /// Runs the model over rows, and returns this output of it.
    fn run(
        &self,
        rows: &[&PieceRow],
        output: &str,
        threads: &Arc<ThreadPool>,
    ) -> Result<Value, InferenceError> {
        let longest = rows.iter().map(|row| row.pieces.len()).max().unwrap_or_default();
        let shape = [rows.len(), longest];
        let mut ids = NdTensor::<i32, 2>::zeros(shape);
        let mut mask = NdTensor::<i32, 2>::zeros(shape);
        let mut segments = NdTensor::<i32, 2>::zeros(shape);
        for (at, row) in rows.iter().enumerate() {
            for (column, piece) in row.pieces.iter().enumerate() {
                ids[[at, column]] = *piece;
                mask[[at, column]] = 1;
                segments[[at, column]] = i32::from(column >= row.first_length);
            }
        }
        let inputs = [("input_ids", ids), ("attention_mask", mask), ("token_type_ids", segments)];
        let inputs = inputs
            .into_iter()
            .map(|(name, tensor)| Ok((self.model.node_id(name)?, ValueOrView::from(tensor))));
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(threads)));
        let run_error = |error: RunError| InferenceError(format!("the model failed: {error}"));
        let inputs = inputs.collect::<Result<Vec<_>, _>>().map_err(run_error)?;
        let output = self.model.node_id(output).map_err(run_error)?;
        let [value] = self.model.run_n(inputs, [output], Some(options)).map_err(run_error)?;
        Ok(value)
    }
}

/// Splits rows into batches of rows of similar length, which keeps padding short, the longest
/// first; the batches hold indexes of rows.
fn batch_rows(rows: &[PieceRow], pieces_per_batch: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(rows[*at].pieces.len()));
    let mut batches = Vec::new();
    let mut rest = order.as_slice();
    while let Some(longest) = rest.first().map(|at| rows[*at].pieces.len()) {
        let (batch, after) = rest.split_at((pieces_per_batch / longest).clamp(1, rest.len()));
        batches.push(batch.to_vec());
        rest = after;
    }
    batches
}
