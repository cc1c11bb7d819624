//! Vectors for texts, each family's body checked as its model checks it.

use super::{known, one_of, required, text, texts};
use crate::body::list;
use crate::fault::Fault;
use crate::tokens;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What the model of this id answers.
pub(super) fn answer(id: &str, body: &Value) -> Result<Value, Fault> {
    match id {
        _ if id.starts_with("amazon.titan-embed-text-v2") => titan_2(body),
        _ if id.starts_with("amazon.titan-embed-image") => titan_multimodal(body),
        _ if id.starts_with("amazon.titan-embed") => titan(body),
        _ if id.starts_with("amazon.nova-2-multimodal") => nova(body),
        _ if id.starts_with("cohere.embed-v4") => cohere(body, &[256, 512, 1024, 1536]),
        _ if id.starts_with("cohere.embed") => cohere(body, &[1024]),
        _ => Err(Fault::validation(format!("The emulator knows no embeddings of {id}."))),
    }
}

fn titan(body: &Value) -> Result<Value, Fault> {
    known(body, &["inputText"])?;
    let text = titan_text(body)?;
    Ok(one(&vector(&text, 1536), &text))
}

fn titan_2(body: &Value) -> Result<Value, Fault> {
    known(body, &["inputText", "dimensions", "normalize", "embeddingTypes"])?;
    let text = titan_text(body)?;
    let size = size(body.get("dimensions"), "dimensions", &[256, 512, 1024], 1024)?;
    let vector = vector(&text, size);
    let mut answer = one(&vector, &text);
    answer["embeddingsByType"] = json!({ "float": vector });
    Ok(answer)
}

/// A text that is not too long.
fn titan_text(body: &Value) -> Result<String, Fault> {
    const MOST_CHARACTERS: usize = 50_000;
    const MOST_TOKENS: u64 = 8192;
    let text = text(required(body, "inputText")?, "inputText")?;
    let length = text.chars().count();
    if length > MOST_CHARACTERS {
        return Err(Fault::malformed(format_args!(
            "#/inputText: expected maxLength: {MOST_CHARACTERS}, actual: {length}"
        )));
    }
    let found = tokens::of(&text.as_str().into());
    if found > MOST_TOKENS {
        return Err(Fault::validation(format!(
            "400 Bad Request: Too many input tokens. Max input tokens: {MOST_TOKENS}, request input token count: {found} "
        )));
    }
    Ok(text)
}

fn titan_multimodal(body: &Value) -> Result<Value, Fault> {
    known(body, &["inputText", "inputImage", "embeddingConfig"])?;
    let text = text(required(body, "inputText")?, "inputText")?;
    let wished = body.pointer("/embeddingConfig/outputEmbeddingLength");
    let name = "embeddingConfig/outputEmbeddingLength";
    let mut answer = one(&vector(&text, size(wished, name, &[256, 384, 1024], 1024)?), &text);
    answer["message"] = Value::Null;
    Ok(answer)
}

/// What any Titan answers.
fn one(vector: &[f64], text: &str) -> Value {
    json!({ "embedding": vector, "inputTextTokenCount": tokens::of(&text.into()) })
}

fn cohere(body: &Value, sizes: &[u64]) -> Result<Value, Fault> {
    const FIELDS: [&str; 4] = ["texts", "input_type", "truncate", "embedding_types"];
    const NEWER: [&str; 6] =
        ["texts", "input_type", "truncate", "embedding_types", "output_dimension", "max_tokens"];
    let is_newer = sizes.len() > 1;
    known(body, if is_newer { &NEWER } else { &FIELDS })?;
    let texts = texts(body, "texts", 96)?;
    let purposes = ["search_document", "search_query", "classification", "clustering"];
    one_of(Some(required(body, "input_type")?), "input_type", &purposes)?;
    one_of(body.get("truncate"), "truncate", &["NONE", "START", "END", "LEFT", "RIGHT"])?;
    for kind in list(&body["embedding_types"]) {
        one_of(Some(kind), "embedding_types", &["float", "int8", "uint8", "binary", "ubinary"])?;
    }
    let usual = sizes.last().copied().unwrap_or_default();
    let size = size(body.get("output_dimension"), "output_dimension", sizes, usual)?;
    if body.get("truncate").is_none_or(|truncate| truncate == "NONE") {
        too_long(&texts)?;
    }
    let vectors: Vec<_> = texts.iter().map(|text| vector(text, size)).collect();
    // The newer one says of which type its vectors are, asked or not.
    let typed = is_newer || body.get("embedding_types").is_some();
    Ok(json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "texts": texts,
        "embeddings": if typed { json!({ "float": vectors }) } else { json!(vectors) },
        "response_type": if typed { "embeddings_by_type" } else { "embeddings_floats" },
    }))
}

fn too_long(texts: &[String]) -> Result<(), Fault> {
    const MOST: usize = 2048;
    match texts.iter().map(|text| text.chars().count()).find(|count| *count > MOST) {
        Some(found) => Err(Fault::malformed(format_args!(
            "#/texts/0: expected maxLength: {MOST}, actual: {found}"
        ))),
        None => Ok(()),
    }
}

fn nova(body: &Value) -> Result<Value, Fault> {
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
    known(body, &["schemaVersion", "taskType", "singleEmbeddingParams"])?;
    one_of(body.get("schemaVersion"), "schemaVersion", &["nova-multimodal-embed-v1"])?;
    one_of(Some(required(body, "taskType")?), "taskType", &["SINGLE_EMBEDDING"])?;
    let params = required(body, "singleEmbeddingParams")?;
    known(params, &["embeddingPurpose", "embeddingDimension", "text"])?;
    one_of(Some(required(params, "embeddingPurpose")?), "embeddingPurpose", &PURPOSES)?;
    let wished = params.get("embeddingDimension");
    let size = size(wished, "embeddingDimension", &[256, 384, 1024, 3072], 3072)?;
    let words = required(params, "text")?;
    known(words, &["truncationMode", "value", "source"])?;
    let truncation = required(words, "truncationMode")?;
    one_of(Some(truncation), "truncationMode", &["START", "END", "NONE"])?;
    let text = text(required(words, "value")?, "value")?;
    let vector = vector(&text, size);
    Ok(json!({ "embeddings": [{ "embeddingType": "TEXT", "embedding": vector }] }))
}

fn size(wished: Option<&Value>, name: &str, sizes: &[u64], usual: u64) -> Result<u64, Fault> {
    let Some(wished) = wished else { return Ok(usual) };
    wished.as_u64().filter(|size| sizes.contains(size)).ok_or_else(|| {
        Fault::malformed(format_args!("#/{name}: {wished} is not a valid enum value"))
    })
}

/// A unit vector that depends on the words alone, so that texts with words in common are near each other.
fn vector(text: &str, size: u64) -> Vec<f64> {
    let mut sum = vec![0.0; usize::try_from(size).unwrap_or(1)];
    for word in text.to_lowercase().split_whitespace() {
        let mut seed = Sha256::digest(word)
            .iter()
            .fold(1_u64, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
        for place in &mut sum {
            seed = shuffled(seed);
            *place += f64::from(u32::try_from(seed >> 32).unwrap_or(0)) / f64::from(u32::MAX) - 0.5;
        }
    }
    let length = sum.iter().map(|place| place * place).sum::<f64>().sqrt();
    sum.iter().map(|place| if length > 0.0 { place / length } else { 0.0 }).collect()
}

/// The next of Marsaglia's xorshift numbers.
fn shuffled(mut seed: u64) -> u64 {
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
            let fault = answer(id, &body).unwrap_err();
            assert!(fault.message().contains(words), "{id}: {fault}");
        }
    }
}
