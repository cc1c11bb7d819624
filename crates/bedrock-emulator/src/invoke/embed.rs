//! Embeddings, with the request checks of each model family.

use super::{check_known_fields, check_one_of, parse_text, parse_texts, require_field};
use crate::body::list;
use crate::exception::BedrockException;
use crate::tokens;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Answers a request to this model.
pub(super) fn respond(id: &str, body: &Value) -> Result<Value, BedrockException> {
    match id {
        _ if id.starts_with("amazon.titan-embed-text-v2") => titan_2(body),
        _ if id.starts_with("amazon.titan-embed-image") => titan_multimodal(body),
        _ if id.starts_with("amazon.titan-embed") => titan(body),
        _ if id.starts_with("amazon.nova-2-multimodal") => nova(body),
        _ if id.starts_with("cohere.embed-v4") => cohere(body, &[256, 512, 1024, 1536]),
        _ if id.starts_with("cohere.embed") => cohere(body, &[1024]),
        _ => {
            Err(BedrockException::validation(format!("The emulator knows no embeddings of {id}.")))
        }
    }
}

/// Answers a request of Titan Text Embeddings, version 1.
fn titan(body: &Value) -> Result<Value, BedrockException> {
    check_known_fields(body, &["inputText"])?;
    let text = titan_text(body)?;
    Ok(titan_response(&vector(&text, 1536), &text))
}

/// Answers a request of Titan Text Embeddings, version 2.
fn titan_2(body: &Value) -> Result<Value, BedrockException> {
    check_known_fields(body, &["inputText", "dimensions", "normalize", "embeddingTypes"])?;
    let text = titan_text(body)?;
    let size = parse_size(body.get("dimensions"), "dimensions", &[256, 512, 1024], 1024)?;
    let vector = vector(&text, size);
    let mut answer = titan_response(&vector, &text);
    answer["embeddingsByType"] = json!({ "float": vector });
    Ok(answer)
}

/// Returns the input text, or an error if it is too long.
fn titan_text(body: &Value) -> Result<String, BedrockException> {
    const MAX_CHARS: usize = 50_000;
    const MAX_TOKENS: u64 = 8192;
    let text = parse_text(require_field(body, "inputText")?, "inputText")?;
    let length = text.chars().count();
    if length > MAX_CHARS {
        return Err(BedrockException::malformed(format_args!(
            "#/inputText: expected maxLength: {MAX_CHARS}, actual: {length}"
        )));
    }
    let found = tokens::estimate(&text.as_str().into());
    if found > MAX_TOKENS {
        return Err(BedrockException::validation(format!(
            "400 Bad Request: Too many input tokens. Max input tokens: {MAX_TOKENS}, request input token count: {found} "
        )));
    }
    Ok(text)
}

/// Answers a request of Titan Multimodal Embeddings.
fn titan_multimodal(body: &Value) -> Result<Value, BedrockException> {
    check_known_fields(body, &["inputText", "inputImage", "embeddingConfig"])?;
    let text = parse_text(require_field(body, "inputText")?, "inputText")?;
    let requested = body.pointer("/embeddingConfig/outputEmbeddingLength");
    let name = "embeddingConfig/outputEmbeddingLength";
    let mut answer = titan_response(
        &vector(&text, parse_size(requested, name, &[256, 384, 1024], 1024)?),
        &text,
    );
    answer["message"] = Value::Null;
    Ok(answer)
}

/// Returns the response of Titan models.
fn titan_response(vector: &[f64], text: &str) -> Value {
    json!({ "embedding": vector, "inputTextTokenCount": tokens::estimate(&text.into()) })
}

/// Answers a request of Cohere Embed, whose vectors have one of these sizes.
fn cohere(body: &Value, sizes: &[u64]) -> Result<Value, BedrockException> {
    /// The fields of the first models.
    const FIELDS: [&str; 4] = ["texts", "input_type", "truncate", "embedding_types"];
    /// The fields of the models whose vectors have several sizes.
    const NEWER: [&str; 6] =
        ["texts", "input_type", "truncate", "embedding_types", "output_dimension", "max_tokens"];
    let is_newer = sizes.len() > 1;
    check_known_fields(body, if is_newer { &NEWER } else { &FIELDS })?;
    let texts = parse_texts(body, "texts", 96)?;
    let purposes = ["search_document", "search_query", "classification", "clustering"];
    check_one_of(Some(require_field(body, "input_type")?), "input_type", &purposes)?;
    check_one_of(body.get("truncate"), "truncate", &["NONE", "START", "END", "LEFT", "RIGHT"])?;
    for kind in list(&body["embedding_types"]) {
        check_one_of(
            Some(kind),
            "embedding_types",
            &["float", "int8", "uint8", "binary", "ubinary"],
        )?;
    }
    let usual = sizes.last().copied().unwrap_or_default();
    let size = parse_size(body.get("output_dimension"), "output_dimension", sizes, usual)?;
    if body.get("truncate").is_none_or(|truncate| truncate == "NONE") {
        check_length(&texts)?;
    }
    let vectors: Vec<_> = texts.iter().map(|text| vector(text, size)).collect();
    // Embed v4 always groups the vectors by type; older models only on request.
    let typed = is_newer || body.get("embedding_types").is_some();
    Ok(json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "texts": texts,
        "embeddings": if typed { json!({ "float": vectors }) } else { json!(vectors) },
        "response_type": if typed { "embeddings_by_type" } else { "embeddings_floats" },
    }))
}

fn check_length(texts: &[String]) -> Result<(), BedrockException> {
    const MAX_CHARS: usize = 2048;
    match texts.iter().map(|text| text.chars().count()).find(|count| *count > MAX_CHARS) {
        Some(found) => Err(BedrockException::malformed(format_args!(
            "#/texts/0: expected maxLength: {MAX_CHARS}, actual: {found}"
        ))),
        None => Ok(()),
    }
}

/// Answers a request of Nova Multimodal Embeddings.
fn nova(body: &Value) -> Result<Value, BedrockException> {
    /// The values of `embeddingPurpose`.
    const PURPOSES: [&str; 9] = [
        "GENERIC_INDEX",
        "GENERIC_RETRIEVAL",
        "TEXT_RETRIEVAL",
        "IMAGE_RETRIEVAL",
        "VIDEO_RETRIEVAL",
        "DOCUMENT_RETRIEVAL",
        "AUDIO_RETRIEVAL",
        "CLASSIFICATION",
        "CLUSTERING",
    ];
    check_known_fields(body, &["schemaVersion", "taskType", "singleEmbeddingParams"])?;
    check_one_of(body.get("schemaVersion"), "schemaVersion", &["nova-multimodal-embed-v1"])?;
    check_one_of(Some(require_field(body, "taskType")?), "taskType", &["SINGLE_EMBEDDING"])?;
    let params = require_field(body, "singleEmbeddingParams")?;
    check_known_fields(params, &["embeddingPurpose", "embeddingDimension", "text"])?;
    check_one_of(Some(require_field(params, "embeddingPurpose")?), "embeddingPurpose", &PURPOSES)?;
    let requested = params.get("embeddingDimension");
    let size = parse_size(requested, "embeddingDimension", &[256, 384, 1024, 3072], 3072)?;
    let words = require_field(params, "text")?;
    check_known_fields(words, &["truncationMode", "value", "source"])?;
    let truncation = require_field(words, "truncationMode")?;
    check_one_of(Some(truncation), "truncationMode", &["START", "END", "NONE"])?;
    let text = parse_text(require_field(words, "value")?, "value")?;
    let vector = vector(&text, size);
    Ok(json!({ "embeddings": [{ "embeddingType": "TEXT", "embedding": vector }] }))
}

fn parse_size(
    requested: Option<&Value>,
    name: &str,
    sizes: &[u64],
    usual: u64,
) -> Result<u64, BedrockException> {
    let Some(requested) = requested else { return Ok(usual) };
    requested.as_u64().filter(|size| sizes.contains(size)).ok_or_else(|| {
        BedrockException::malformed(format_args!("#/{name}: {requested} is not a valid enum value"))
    })
}

/// Returns a unit vector that is a function of the words, so texts with common words are similar.
fn vector(text: &str, size: u64) -> Vec<f64> {
    let mut sum = vec![0.0; usize::try_from(size).unwrap_or(1)];
    for word in text.to_lowercase().split_whitespace() {
        let mut seed = Sha256::digest(word)
            .iter()
            .fold(1_u64, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
        for place in &mut sum {
            seed = next_random(seed);
            *place += f64::from(u32::try_from(seed >> 32).unwrap_or(0)) / f64::from(u32::MAX) - 0.5;
        }
    }
    let length = sum.iter().map(|place| place * place).sum::<f64>().sqrt();
    sum.iter().map(|place| if length > 0.0 { place / length } else { 0.0 }).collect()
}

/// Returns the next number of Marsaglia's xorshift generator.
fn next_random(mut seed: u64) -> u64 {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^ (seed << 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(one: &str, other: &str) -> f64 {
        vector(one, 256).iter().zip(vector(other, 256)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_with_words_in_common_are_near() {
        assert_eq!(vector("The cat", 8), vector("the CAT", 8));
        assert!(
            nearness("the cat sat", "the cat sleeps")
                > nearness("the cat sat", "markets fell sharply")
        );
    }

    #[test]
    fn what_a_family_does_not_take_is_refused_by_name() {
        let nova =
            |params| json!({ "taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params });
        let purpose = "GENERIC_INDEX";
        for (id, body, words) in [
            (
                "amazon.titan-embed-text-v1",
                json!({ "inputText": "a", "dimensions": 256 }),
                "[dimensions]",
            ),
            ("amazon.titan-embed-text-v2:0", json!({ "inputText": "" }), "minLength"),
            ("amazon.titan-embed-text-v2:0", json!({ "inputText": "a", "dimensions": 300 }), "300"),
            (
                "amazon.titan-embed-image-v1",
                json!({ "inputText": "a", "embeddingConfig": { "outputEmbeddingLength": 512 } }),
                "512",
            ),
            ("cohere.embed-english-v3", json!({ "texts": ["a"] }), "[input_type]"),
            (
                "cohere.embed-english-v3",
                json!({ "texts": vec!["a"; 97], "input_type": "clustering" }),
                "found: 97",
            ),
            (
                "cohere.embed-english-v3",
                json!({ "texts": ["a"], "input_type": "clustering", "output_dimension": 256 }),
                "[output_dimension]",
            ),
            (
                "cohere.embed-english-v3",
                json!({ "texts": ["a".repeat(2049)], "input_type": "clustering" }),
                "maxLength",
            ),
            (
                "cohere.embed-v4:0",
                json!({ "texts": ["a"], "input_type": "clustering", "output_dimension": 300 }),
                "300",
            ),
            (
                "amazon.nova-2-multimodal-embeddings-v1:0",
                nova(json!({ "embeddingPurpose": purpose, "text": { "value": "a" } })),
                "[truncationMode]",
            ),
            (
                "amazon.nova-2-multimodal-embeddings-v1:0",
                nova(
                    json!({ "embeddingPurpose": "FUN", "text": { "truncationMode": "END", "value": "a" } }),
                ),
                "FUN",
            ),
        ] {
            let fault = respond(id, &body).unwrap_err();
            assert!(fault.message().contains(words), "{id}: {fault}");
        }
    }
}
