//! The body of one request for vectors, in the words of each family.

use super::{EmbeddingFamily, RequestFormat};
use bytes::Bytes;
use pipe_sdk::{EmbedCall, EmbedInput, PipeError, Result, Truncate};
use serde_json::{Value, json};

/// Returns the body that asks this family for the vectors of these texts; there is one, where the
/// family takes no more.
pub fn to_body(
    texts: &[String],
    family: EmbeddingFamily,
    purpose: EmbedInput,
    call: &EmbedCall,
) -> Result<Bytes> {
    let text = texts.first();
    let truncate = call.truncate.unwrap_or(Truncate::End);
    let size = call.dimensions.filter(|_| family.sizes.len() > 1);
    let mut body = match family.format {
        RequestFormat::Titan | RequestFormat::TitanMultimodal => json!({"inputText": text}),
        RequestFormat::Titan2 => json!({"inputText": text, "normalize": true}),
        RequestFormat::Cohere => {
            json!({"texts": texts, "input_type": purpose, "truncate": truncate})
        }
        RequestFormat::Nova => nova(text, purpose, truncate),
    };
    if let Some(size) = size {
        *dimensions_field(&mut body, family.format) = size.into();
    }
    serde_json::to_vec(&body).map(Bytes::from).map_err(PipeError::internal)
}

/// Returns the body for Nova Multimodal Embeddings.
fn nova(text: Option<&String>, purpose: EmbedInput, truncate: Truncate) -> Value {
    let purpose = match purpose {
        EmbedInput::SearchDocument => "GENERIC_INDEX",
        EmbedInput::SearchQuery => "TEXT_RETRIEVAL",
        EmbedInput::Classification => "CLASSIFICATION",
        EmbedInput::Clustering => "CLUSTERING",
    };
    json!({
        "schemaVersion": "nova-multimodal-embed-v1",
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {
            "embeddingPurpose": purpose,
            "text": {"truncationMode": truncate, "value": text},
        },
    })
}

fn dimensions_field(body: &mut Value, format: RequestFormat) -> &mut Value {
    match format {
        RequestFormat::Titan | RequestFormat::Titan2 => &mut body["dimensions"],
        RequestFormat::TitanMultimodal => &mut body["embeddingConfig"]["outputEmbeddingLength"],
        RequestFormat::Cohere => &mut body["output_dimension"],
        RequestFormat::Nova => &mut body["singleEmbeddingParams"]["embeddingDimension"],
    }
}
