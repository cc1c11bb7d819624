//! The interface of the embedding models in this process.

use crate::embedder::{EmbeddingPurpose, InferenceError};
use rten::ThreadPool;
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

/// A model that turns texts into vectors.
pub(crate) trait TextEncoder: Send + Sync {
    /// Returns the id of the model and its weights.
    fn id(&self) -> &'static str;

    /// Returns the cosine below which a text has nothing to do with a question.
    fn cosine_floor(&self) -> f32;

    /// Returns the cosine below which a text in another language than the question has nothing to
    /// do with it.
    fn cosine_floor_across_languages(&self) -> f32 {
        self.cosine_floor()
    }

    /// Returns the cosine that counts as 0 in the fusion.
    fn least_cosine(&self) -> f32 {
        -1.0
    }

    /// Embeds texts in these threads.
    fn encode(
        &self,
        texts: &[String],
        purpose: EmbeddingPurpose,
        threads: &Arc<ThreadPool>,
    ) -> Result<Vec<Vec<f32>>, InferenceError>;
}

/// Returns the error of a file of a model.
pub(crate) fn file_error(path: &Path, why: &dyn Display) -> InferenceError {
    InferenceError(format!("the embedding model cannot be read from `{}`: {why}", path.display()))
}

/// Gives a vector the length 1.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length =
        vector.iter().map(|number| number * number).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|number| *number /= length);
}
