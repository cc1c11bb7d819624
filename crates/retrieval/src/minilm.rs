//! Vectors made in this process, with no network: the int8 model all-MiniLM-L6-v2, run by `rten`.

mod wordpiece;

use crate::embedder::{EmbedError, Embedder, Purpose};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rten::{Model, ModelOptions, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensor, NdTensorView};
use std::path::Path;
use std::sync::Arc;
use wordpiece::WordPiece;

/// The model was trained on texts of up to this many pieces; what is longer is cut.
const LONGEST: usize = 256;

/// How many pieces are given to the model at once. More make no text faster, but need more memory.
const BATCH: usize = 512;

/// all-MiniLM-L6-v2 with int8 weights: 384 numbers a text, English.
#[derive(Clone)]
pub struct MiniLm {
    loaded: Arc<Loaded>,
}

struct Loaded {
    model: Model,
    words: WordPiece,
    threads: Arc<ThreadPool>,
}

impl MiniLm {
    /// Reads `model.onnx` and `vocab.txt` from a folder, and will use that many threads.
    pub fn open(folder: &Path, threads: usize) -> Result<Self, EmbedError> {
        let vocabulary = folder.join("vocab.txt");
        let text = std::fs::read_to_string(&vocabulary)
            .map_err(|error| unreadable(&vocabulary, &error))?;
        let words = WordPiece::read(&text)
            .ok_or_else(|| unreadable(&vocabulary, &"it is not the vocabulary of a BERT model"))?;
        let path = folder.join("model.onnx");
        let model = ModelOptions::with_all_ops()
            .prepack_weights(true)
            .load_file(&path)
            .map_err(|error| unreadable(&path, &error))?;
        Ok(Self {
            loaded: Arc::new(Loaded {
                model,
                words,
                threads: Arc::new(ThreadPool::with_num_threads(threads)),
            }),
        })
    }
}

fn unreadable(path: &Path, why: &dyn std::fmt::Display) -> EmbedError {
    EmbedError(format!("the embedding model cannot be read from `{}`: {why}", path.display()))
}

impl Embedder for MiniLm {
    fn model(&self) -> &'static str {
        "all-MiniLM-L6-v2-int8"
    }

    fn embed(
        &self,
        texts: Vec<String>,
        _: Purpose,
    ) -> BoxFuture<'_, Result<Vec<Vec<f32>>, EmbedError>> {
        let loaded = Arc::clone(&self.loaded);
        async move {
            let vectors = tokio::task::spawn_blocking(move || loaded.vectors(&texts)).await;
            vectors.unwrap_or_else(|_| {
                Err(EmbedError("the embedding model stopped in the middle of its work".to_owned()))
            })
        }
        .boxed()
    }
}

impl Loaded {
    /// Texts of like length go together, so that little is computed for padding.
    fn vectors(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let pieces: Vec<Vec<i32>> =
            texts.iter().map(|text| self.words.encode(text, LONGEST)).collect();
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|at| std::cmp::Reverse(pieces[*at].len()));
        let mut vectors = vec![Vec::new(); texts.len()];
        let mut rest = order.as_slice();
        while let Some(longest) = rest.first().map(|at| pieces[*at].len()) {
            let (batch, after) = rest.split_at((BATCH / longest).clamp(1, rest.len()));
            for (at, vector) in batch.iter().zip(self.run(batch, &pieces, longest)?) {
                vectors[*at] = vector;
            }
            rest = after;
        }
        Ok(vectors)
    }

    fn run(
        &self,
        batch: &[usize],
        pieces: &[Vec<i32>],
        longest: usize,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        let mut ids = NdTensor::<i32, 2>::zeros([batch.len(), longest]);
        let mut mask = NdTensor::<i32, 2>::zeros([batch.len(), longest]);
        for (row, at) in batch.iter().enumerate() {
            for (column, piece) in pieces[*at].iter().enumerate() {
                ids[[row, column]] = *piece;
                mask[[row, column]] = 1;
            }
        }
        let kinds = NdTensor::<i32, 2>::zeros([batch.len(), longest]);
        let inputs = [("input_ids", ids), ("attention_mask", mask), ("token_type_ids", kinds)];
        let inputs = inputs
            .into_iter()
            .map(|(name, tensor)| Ok((self.model.node_id(name)?, ValueOrView::from(tensor))));
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(&self.threads)));
        let told =
            |error: rten::RunError| EmbedError(format!("the embedding model failed: {error}"));
        let inputs = inputs.collect::<Result<Vec<_>, _>>().map_err(told)?;
        let output = self.model.node_id("last_hidden_state").map_err(told)?;
        let [states] = self.model.run_n(inputs, [output], Some(options)).map_err(told)?;
        let states: NdTensor<f32, 3> = states.try_into().map_err(|_| {
            EmbedError("the embedding model gave something else than vectors".to_owned())
        })?;
        Ok(batch
            .iter()
            .enumerate()
            .map(|(row, at)| mean(states.slice(row), pieces[*at].len()))
            .collect())
    }
}

/// The mean of the states of a text's own pieces, of length 1.
fn mean(states: NdTensorView<'_, f32, 2>, pieces: usize) -> Vec<f32> {
    let mut sum = vec![0.0; states.size(1)];
    for piece in 0..pieces {
        for (total, state) in sum.iter_mut().zip(states.slice(piece).iter()) {
            *total += state;
        }
    }
    let length =
        sum.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    sum.iter_mut().for_each(|number| *number /= length);
    sum
}
