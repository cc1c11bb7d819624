//! Parses the answers of all families of embedding models.

use serde::Deserialize;

/// Vectors in the order of their texts.
#[derive(Debug, Deserialize)]
#[serde(from = "WireAnswer")]
pub struct Answer {
    /// The vectors.
    pub vectors: Vec<Vec<f32>>,
    /// The tokens of the texts, if the model reports them.
    pub tokens: Option<u64>,
}

/// The vectors of a response, in the form of each family.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireAnswer {
    /// Titan's.
    One {
        embedding: Vec<f32>,
        #[serde(rename = "inputTextTokenCount")]
        tokens: Option<u64>,
    },
    /// Cohere's and Nova's.
    Many { embeddings: Many },
}

/// The vectors of several texts.
#[derive(Deserialize)]
#[serde(untagged)]
enum Many {
    Plain(Vec<Vec<f32>>),
    /// The form of Cohere's models, if several embedding types are available.
    ByType {
        float: Vec<Vec<f32>>,
    },
    /// The form of Nova's models.
    Named(Vec<Named>),
}

/// A vector in an object.
#[derive(Deserialize)]
struct Named {
    embedding: Vec<f32>,
}

impl From<WireAnswer> for Answer {
    fn from(answer: WireAnswer) -> Self {
        let embeddings = match answer {
            WireAnswer::One { embedding, tokens } => {
                return Self { vectors: vec![embedding], tokens };
            }
            WireAnswer::Many { embeddings } => embeddings,
        };
        let vectors = match embeddings {
            Many::Plain(vectors) | Many::ByType { float: vectors } => vectors,
            Many::Named(named) => named.into_iter().map(|one| one.embedding).collect(),
        };
        Self { vectors, tokens: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_read_in_any_familys_answer() {
        for (json, tokens) in [
            (r#"{"embedding": [1, 0.5], "inputTextTokenCount": 3}"#, Some(3)),
            (r#"{"embedding": [1, 0.5], "embeddingsByType": {"float": [1, 0.5]}}"#, None),
            (r#"{"embeddings": [[1, 0.5]], "response_type": "embeddings_floats"}"#, None),
            (r#"{"embeddings": {"float": [[1, 0.5]], "int8": [[7, 3]]}}"#, None),
            (r#"{"embeddings": [{"embeddingType": "TEXT", "embedding": [1, 0.5]}]}"#, None),
        ] {
            let answer: Answer = serde_json::from_str(json).unwrap();
            assert_eq!((answer.vectors, answer.tokens), (vec![vec![1.0, 0.5]], tokens), "{json}");
        }
    }
}
