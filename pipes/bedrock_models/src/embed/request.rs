//! The body of one request for vectors, in the words of each family.

use super::{Family, Form};
use bytes::Bytes;
use pipe_sdk::{EmbedCall, EmbedInput, PipeError, Result, Truncate};
use serde_json::{Value, json};

/// The body that asks this family for the vectors of these texts; there is one, where the family takes no more.
pub fn request(
    texts: &[String],
    family: Family,
    purpose: EmbedInput,
    call: &EmbedCall,
) -> Result<Bytes> {
    let text = texts.first();
    let truncate = call.truncate.unwrap_or(Truncate::End);
    let size = call.dimensions.filter(|_| family.sizes.len() > 1);
    let mut body = match family.form {
        Form::Titan | Form::TitanMultimodal => json!({"inputText": text}),
        Form::Titan2 => json!({"inputText": text, "normalize": true}),
        Form::Cohere => json!({"texts": texts, "input_type": purpose, "truncate": truncate}),
        Form::Nova => nova(text, purpose, truncate),
    };
    if let Some(size) = size {
        *place_of_size(&mut body, family.form) = size.into();
    }
    serde_json::to_vec(&body).map(Bytes::from).map_err(PipeError::internal)
}

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

fn place_of_size(body: &mut Value, form: Form) -> &mut Value {
    match form {
        Form::Titan | Form::Titan2 => &mut body["dimensions"],
        Form::TitanMultimodal => &mut body["embeddingConfig"]["outputEmbeddingLength"],
        Form::Cohere => &mut body["output_dimension"],
        Form::Nova => &mut body["singleEmbeddingParams"]["embeddingDimension"],
    }
}
