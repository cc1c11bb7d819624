//! Image generation, with the request checks of each model family.

use super::{check_known_fields, check_one_of, parse_text, png, require_field, wrong_type};
use crate::exception::BedrockException;
use aws_smithy_types::base64;
use serde_json::{Value, json};

/// A word in a prompt that the input filter blocks.
const BLOCKED_WORD: &str = "gore";

/// A word in a prompt for which the output filter removes the first image.
const REMOVED_WORD: &str = "nude";

/// Returns whether this model generates images.
pub(super) fn generates_images(id: &str) -> bool {
    is_amazon(id) || is_stability(id)
}

fn is_amazon(id: &str) -> bool {
    id.starts_with("amazon.nova-canvas") || id.starts_with("amazon.titan-image-generator")
}

fn is_stability(id: &str) -> bool {
    ["stability.sd3", "stability.stable-image-core", "stability.stable-image-ultra"]
        .iter()
        .any(|beginning| id.starts_with(beginning))
}

/// Answers a request to this model.
pub(super) fn respond(id: &str, body: &Value) -> Result<Value, BedrockException> {
    if is_stability(id) { stability(id, body) } else { amazon(id, body) }
}

/// Answers a request of Titan Image Generator or Nova Canvas.
fn amazon(id: &str, body: &Value) -> Result<Value, BedrockException> {
    let is_nova = id.starts_with("amazon.nova-canvas");
    let task = require_field(body, "taskType")?;
    check_one_of(Some(task), "taskType", &["TEXT_IMAGE", "IMAGE_VARIATION"])?;
    let (name, fields): (_, &[&str]) = match task.as_str() {
        Some("TEXT_IMAGE") if is_nova => ("textToImageParams", &["text", "negativeText", "style"]),
        Some("TEXT_IMAGE") => ("textToImageParams", &["text", "negativeText"]),
        _ => ("imageVariationParams", &["images", "text", "negativeText", "similarityStrength"]),
    };
    check_known_fields(body, &["taskType", name, "imageGenerationConfig"])?;
    let params = require_field(body, name)?;
    check_known_fields(params, fields)?;
    let longest = if is_nova { 1024 } else { 512 };
    let words = parse_limited_text(require_field(params, "text")?, "text", longest)?;
    if let Some(negative) = params.get("negativeText") {
        parse_limited_text(negative, "negativeText", longest)?;
    }
    if name == "imageVariationParams" {
        let images = require_field(params, "images")?.as_array();
        let images = images.ok_or_else(|| wrong_type("images", "JSONArray"))?;
        images.iter().try_for_each(|image| check_image(image, "images"))?;
        check_range(params, "similarityStrength", 0.2, 1.0)?;
    }
    let empty = json!({});
    let config = body.get("imageGenerationConfig").unwrap_or(&empty);
    let fields = ["numberOfImages", "width", "height", "quality", "cfgScale", "seed"];
    check_known_fields(config, &fields)?;
    check_one_of(config.get("quality"), "quality", &["standard", "premium"])?;
    check_range(config, "cfgScale", 1.1, 10.0)?;
    check_range(config, "seed", 0.0, 2_147_483_646.0)?;
    let count = parse_integer(config, "numberOfImages", 1, 5)?.unwrap_or(1);
    let (width, height) = parse_size(config, is_nova)?;
    if words.contains(BLOCKED_WORD) {
        return Err(BedrockException::validation(
            "This request has been blocked by our content filters. Our filters automatically flagged this prompt because it may \
             conflict our AUP or AWS Responsible AI Policy. Please adjust your text prompt to submit a new request.",
        ));
    }
    let removed = u32::from(words.contains(REMOVED_WORD));
    let seed = &config["seed"];
    let images = (removed..count).map(|n| png::base64(width, height, &format!("{words}{seed}{n}")));
    let error = (removed > 0).then_some(
        "One or more generated images were removed because they may conflict with the AWS Responsible AI Policy.",
    );
    Ok(json!({ "images": images.collect::<Vec<_>>(), "error": error }))
}

fn parse_size(config: &Value, is_nova: bool) -> Result<(u32, u32), BedrockException> {
    let least = if is_nova { 320 } else { 256 };
    let side = |name| Ok(parse_integer(config, name, least, 4096)?.unwrap_or(1024));
    let (width, height) = (side("width")?, side("height")?);
    let is_even = width % 16 == 0 && height % 16 == 0 || !is_nova;
    let is_slim = width.max(height) > 4 * width.min(height);
    if !is_even || is_slim || width * height > 4_194_304 {
        return Err(BedrockException::validation(
            "Invalid width or height: each must be divisible by 16, with an aspect ratio between 1:4 and 4:1 and at most \
             4,194,304 pixels.",
        ));
    }
    Ok((width, height))
}

/// Answers a request of a model of Stability AI.
fn stability(id: &str, body: &Value) -> Result<Value, BedrockException> {
    /// The values of `aspect_ratio`.
    const RATIOS: [&str; 9] = ["16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"];
    let common = ["prompt", "mode", "aspect_ratio", "negative_prompt", "seed", "output_format"];
    let from_words = id.contains("-core");
    let fields = [&common[..], if from_words { &[] } else { &["image", "strength"] }].concat();
    check_known_fields(body, &fields)?;
    let words = parse_limited_text(require_field(body, "prompt")?, "prompt", 10_000)?;
    let modes: &[&str] =
        if from_words { &["text-to-image"] } else { &["text-to-image", "image-to-image"] };
    check_one_of(body.get("mode"), "mode", modes)?;
    check_one_of(body.get("aspect_ratio"), "aspect_ratio", &RATIOS)?;
    check_one_of(body.get("output_format"), "output_format", &["png", "jpeg"])?;
    check_range(body, "seed", 0.0, 4_294_967_294.0)?;
    check_range(body, "strength", 0.0, 1.0)?;
    if body.get("mode").is_some_and(|mode| mode == "image-to-image") {
        check_image(require_field(body, "image")?, "image")?;
        require_field(body, "strength")?;
        if body.get("aspect_ratio").is_some() {
            return Err(BedrockException::validation(
                "aspect_ratio: not allowed when the mode is image-to-image",
            ));
        }
    }
    let seed = body["seed"].as_u64().unwrap_or(7);
    let refused = |reason| json!({ "seeds": [seed], "finish_reasons": [reason], "images": [] });
    if words.contains(BLOCKED_WORD) {
        return Ok(refused("Filter reason: prompt"));
    }
    if words.contains(REMOVED_WORD) {
        return Ok(refused("Filter reason: output image"));
    }
    let ratio = body["aspect_ratio"].as_str().unwrap_or("1:1").split_once(':').unwrap_or_default();
    let side = |side: &str| side.parse().map_or(64, |side: u32| 64 * side);
    let image = png::base64(side(ratio.0), side(ratio.1), &format!("{words}{seed}"));
    Ok(json!({ "seeds": [seed], "finish_reasons": [null], "images": [image] }))
}

fn parse_limited_text(value: &Value, name: &str, most: usize) -> Result<String, BedrockException> {
    let words = parse_text(value, name)?;
    match words.chars().count() {
        found if found > most => Err(BedrockException::malformed(format_args!(
            "#/{name}: expected maxLength: {most}, actual: {found}"
        ))),
        _ => Ok(words.to_lowercase()),
    }
}

fn check_image(value: &Value, name: &str) -> Result<(), BedrockException> {
    let bytes = base64::decode(parse_text(value, name)?).unwrap_or_default();
    if bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(());
    }
    Err(BedrockException::validation(format!("{name}: must be a PNG or a JPEG in base64")))
}

fn check_range(body: &Value, name: &str, least: f64, most: f64) -> Result<(), BedrockException> {
    let Some(value) = body.get(name) else { return Ok(()) };
    let number = value.as_f64().ok_or_else(|| wrong_type(name, "Number"))?;
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(BedrockException::malformed(format_args!(
        "#/{name}: {value} is not between {least} and {most}"
    )))
}

fn parse_integer(
    body: &Value,
    name: &str,
    least: u32,
    most: u32,
) -> Result<Option<u32>, BedrockException> {
    check_range(body, name, f64::from(least), f64::from(most))?;
    let Some(value) = body.get(name) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| wrong_type(name, "Integer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOVA: &str = "amazon.nova-canvas-v1:0";
    const CORE: &str = "stability.stable-image-core-v1:1";

    fn nova(params: &Value, config: &Value) -> Value {
        json!({ "taskType": "TEXT_IMAGE", "textToImageParams": params, "imageGenerationConfig": config })
    }

    #[test]
    fn what_a_family_does_not_take_is_refused_by_name() {
        let fox = json!({ "text": "a fox" });
        for (id, body, words) in [
            (NOVA, nova(&json!({ "text": "a", "seed": 1 }), &json!({})), "[seed] is not permitted"),
            (NOVA, nova(&json!({ "text": "a".repeat(1025) }), &json!({})), "maxLength: 1024"),
            (NOVA, nova(&fox, &json!({ "numberOfImages": 6 })), "numberOfImages"),
            (NOVA, nova(&fox, &json!({ "width": 1000 })), "divisible by 16"),
            (NOVA, nova(&fox, &json!({ "quality": "hd" })), "hd"),
            (NOVA, nova(&fox, &json!({ "style": "VIVID" })), "[style]"),
            (
                "amazon.titan-image-generator-v2:0",
                nova(&json!({ "text": "a", "style": "X" }), &json!({})),
                "[style]",
            ),
            (CORE, json!({ "prompt": "a", "image": "iVBO" }), "[image]"),
            (CORE, json!({ "prompt": "a", "aspect_ratio": "4:3" }), "4:3"),
            (
                "stability.sd3-5-large-v1:0",
                json!({ "prompt": "a", "mode": "image-to-image" }),
                "[image]",
            ),
        ] {
            let fault = respond(id, &body).unwrap_err();
            assert!(fault.message().contains(words), "{id}: {fault}");
        }
    }

    #[test]
    fn a_picture_has_the_size_that_was_asked_for_and_its_seed_decides_it() {
        let made = |config: &Value| {
            let made = respond(NOVA, &nova(&json!({ "text": "a fox" }), config)).unwrap();
            base64::decode(made["images"][0].as_str().unwrap()).unwrap()
        };
        let config = |seed: u64| json!({ "width": 640, "height": 320, "seed": seed });
        let picture = made(&config(1));
        assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
        assert_eq!(picture[16..24], [0, 0, 2, 128, 0, 0, 1, 64]);
        assert_eq!(made(&config(1)), picture);
        assert_ne!(made(&config(2)), picture);
    }
}
