//! The reranking model ms-marco-MiniLM-L-12-v2
//! (<https://huggingface.co/cross-encoder/ms-marco-MiniLM-L12-v2>, Apache-2.0), for English.

use super::{BertModel, PieceRow, VOCABULARY, batch_rows};
use crate::analyzer::Analyzer;
use crate::embedder::InferenceError;
use crate::language::Language;
use crate::rerank::Reranker;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rten::ThreadPool;
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

/// The file of the model.
const FILE: &str = "ms-marco-MiniLM-L-12-v2.onnx";

/// The subfolder of a folder of models that is looked into.
const SUBFOLDER: &str = "ms-marco-MiniLM-L-12-v2-int8";

/// The output of the model: one number for each pair.
const OUTPUT: &str = "logits";

/// The maximum word pieces of a question and its text together; the rest of the text is cut.
const MAX_PIECES: usize = 512;

/// The maximum word pieces of a question.
const MAX_QUESTION_PIECES: usize = 128;

/// The number of word pieces in one run of the model.
const PIECES_PER_BATCH: usize = 1024;

/// A reranking model in this process, without network. It knows English.
#[derive(Clone)]
pub struct LocalReranker {
    model: Arc<BertModel>,
    threads: Arc<ThreadPool>,
}

impl LocalReranker {
    /// Returns the folder that has the files of the model: this one, or its subfolder
    /// `ms-marco-MiniLM-L-12-v2-int8`.
    pub fn find_in(folder: &Path) -> Option<PathBuf> {
        let is_model =
            |folder: &PathBuf| [FILE, VOCABULARY].iter().all(|file| folder.join(file).is_file());
        [folder.to_owned(), folder.join(SUBFOLDER)].into_iter().find(is_model)
    }

    /// Reads `ms-marco-MiniLM-L-12-v2.onnx` and `vocab.txt` from a folder. The model uses this many
    /// threads.
    pub fn open(folder: &Path, threads: usize) -> Result<Self, InferenceError> {
        let model = Arc::new(BertModel::open(folder, FILE)?);
        let threads = Arc::new(ThreadPool::with_num_threads(threads));
        Ok(Self { model, threads })
    }
}

impl LocalReranker {
    /// Returns true for a question in English.
    pub fn knows_language_of(question: &str) -> bool {
        static ANALYZER: LazyLock<Analyzer> = LazyLock::new(|| Analyzer::new(Language::Auto));
        let language = ANALYZER.question_language(question, &[Language::English]);
        language == Some(Language::English)
    }
}

impl Reranker for LocalReranker {
    fn accepts(&self, question: &str) -> bool {
        Self::knows_language_of(question)
    }

    /// Scores texts between 0 and 1.
    fn rerank(
        &self,
        question: String,
        texts: Vec<String>,
    ) -> BoxFuture<'_, Result<Vec<f32>, InferenceError>> {
        let Self { model, threads } = self.clone();
        async move {
            let score = move || model.score(&question, &texts, &threads);
            tokio::task::spawn_blocking(score).await.unwrap_or_else(|_| {
                Err(InferenceError("the model stopped in the middle of its work".to_owned()))
            })
        }
        .boxed()
    }
}

impl BertModel {
    /// Returns how well each text answers the question, between 0 and 1.
    fn score(
        &self,
        question: &str,
        texts: &[String],
        threads: &Arc<ThreadPool>,
    ) -> Result<Vec<f32>, InferenceError> {
        let question = self.tokenizer.encode(question, MAX_QUESTION_PIECES);
        let row = |text: &String| {
            let text = self.tokenizer.encode(text, MAX_PIECES - question.len() + 1);
            // The second text has no mark of its beginning.
            let pieces = question.iter().chain(text.iter().skip(1)).copied().collect();
            PieceRow { pieces, first_length: question.len() }
        };
        let rows: Vec<PieceRow> = texts.iter().map(row).collect();
        let mut scores = vec![0.0; texts.len()];
        for batch in batch_rows(&rows, PIECES_PER_BATCH) {
            let pairs: Vec<&PieceRow> = batch.iter().map(|at| &rows[*at]).collect();
            let logits: NdTensor<f32, 2> =
                self.run(&pairs, OUTPUT, threads)?.try_into().map_err(|_| {
                    InferenceError(
                        "the reranking model gave something else than numbers".to_owned(),
                    )
                })?;
            for (at, logit) in batch.into_iter().zip(logits.iter()) {
                scores[at] = 1.0 / (1.0 + (-logit).exp());
            }
        }
        Ok(scores)
    }
}
