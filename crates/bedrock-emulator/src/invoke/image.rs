//! Pictures for words, each family's body checked as its model checks it.

use super::{expected, known, one_of, png, required, text};
use crate::fault::Fault;
use aws_smithy_types::base64;
use serde_json::{Value, json};

/// A prompt with this word is refused as it comes in.
const REFUSED: &str = "gore";

/// Of a prompt with this word, the first picture is taken away as it goes out.
const REMOVED: &str = "nude";

/// Whether the model of this id makes pictures of words.
pub(super) fn paints(id: &str) -> bool {
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

/// What the model of this id answers.
pub(super) fn answer(id: &str, body: &Value) -> Result<Value, Fault> {
    if is_stability(id) { stability(id, body) } else { amazon(id, body) }
}

fn amazon(id: &str, body: &Value) -> Result<Value, Fault> {
    let is_nova = id.starts_with("amazon.nova-canvas");
    let task = required(body, "taskType")?;
    one_of(Some(task), "taskType", &["TEXT_IMAGE", "IMAGE_VARIATION"])?;
    let (name, fields): (_, &[&str]) = match task.as_str() {
        Some("TEXT_IMAGE") if is_nova => ("textToImageParams", &["text", "negativeText", "style"]),
        Some("TEXT_IMAGE") => ("textToImageParams", &["text", "negativeText"]),
        _ => ("imageVariationParams", &["images", "text", "negativeText", "similarityStrength"]),
    };
    known(body, &["taskType", name, "imageGenerationConfig"])?;
    let params = required(body, name)?;
    known(params, fields)?;
    let longest = if is_nova { 1024 } else { 512 };
    let words = limited(required(params, "text")?, "text", longest)?;
    if let Some(negative) = params.get("negativeText") {
        limited(negative, "negativeText", longest)?;
    }
    if name == "imageVariationParams" {
        let images = required(params, "images")?.as_array();
        let images = images.ok_or_else(|| expected("images", "JSONArray"))?;
        images.iter().try_for_each(|image| picture(image, "images"))?;
        within(params, "similarityStrength", 0.2, 1.0)?;
    }
    let empty = json!({});
    let config = body.get("imageGenerationConfig").unwrap_or(&empty);
    let fields = ["numberOfImages", "width", "height", "quality", "cfgScale", "seed"];
    known(config, &fields)?;
    one_of(config.get("quality"), "quality", &["standard", "premium"])?;
    within(config, "cfgScale", 1.1, 10.0)?;
    within(config, "seed", 0.0, 2_147_483_646.0)?;
    let count = whole(config, "numberOfImages", 1, 5)?.unwrap_or(1);
    let (width, height) = size(config, is_nova)?;
    if words.contains(REFUSED) {
        return Err(Fault::validation(
            "This request has been blocked by our content filters. Our filters automatically flagged this prompt because it may \
             conflict our AUP or AWS Responsible AI Policy. Please adjust your text prompt to submit a new request.",
        ));
    }
    let removed = u32::from(words.contains(REMOVED));
    let seed = &config["seed"];
    let images = (removed..count).map(|n| png::base64(width, height, &format!("{words}{seed}{n}")));
    let error = (removed > 0).then_some(
        "One or more generated images were removed because they may conflict with the AWS Responsible AI Policy.",
    );
    Ok(json!({ "images": images.collect::<Vec<_>>(), "error": error }))
}

fn size(config: &Value, is_nova: bool) -> Result<(u32, u32), Fault> {
    let least = if is_nova { 320 } else { 256 };
    let side = |name| Ok(whole(config, name, least, 4096)?.unwrap_or(1024));
    let (width, height) = (side("width")?, side("height")?);
    let is_even = width % 16 == 0 && height % 16 == 0 || !is_nova;
    let is_slim = width.max(height) > 4 * width.min(height);
    if !is_even || is_slim || width * height > 4_194_304 {
        return Err(Fault::validation(
            "Invalid width or height: each must be divisible by 16, with an aspect ratio between 1:4 and 4:1 and at most \
             4,194,304 pixels.",
        ));
    }
    Ok((width, height))
}

fn stability(id: &str, body: &Value) -> Result<Value, Fault> {
    const RATIOS: [&str; 9] = ["16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"];
    let common = ["prompt", "mode", "aspect_ratio", "negative_prompt", "seed", "output_format"];
    let from_words = id.contains("-core");
    let fields = [&common[..], if from_words { &[] } else { &["image", "strength"] }].concat();
    known(body, &fields)?;
    let words = limited(required(body, "prompt")?, "prompt", 10_000)?;
    let modes: &[&str] =
        if from_words { &["text-to-image"] } else { &["text-to-image", "image-to-image"] };
    one_of(body.get("mode"), "mode", modes)?;
    one_of(body.get("aspect_ratio"), "aspect_ratio", &RATIOS)?;
    one_of(body.get("output_format"), "output_format", &["png", "jpeg"])?;
    within(body, "seed", 0.0, 4_294_967_294.0)?;
    within(body, "strength", 0.0, 1.0)?;
    if body.get("mode").is_some_and(|mode| mode == "image-to-image") {
        picture(required(body, "image")?, "image")?;
        required(body, "strength")?;
        if body.get("aspect_ratio").is_some() {
            return Err(Fault::validation(
                "aspect_ratio: not allowed when the mode is image-to-image",
            ));
        }
    }
    let seed = body["seed"].as_u64().unwrap_or(7);
    let refused = |reason| json!({ "seeds": [seed], "finish_reasons": [reason], "images": [] });
    if words.contains(REFUSED) {
        return Ok(refused("Filter reason: prompt"));
    }
    if words.contains(REMOVED) {
        return Ok(refused("Filter reason: output image"));
    }
    let ratio = body["aspect_ratio"].as_str().unwrap_or("1:1").split_once(':').unwrap_or_default();
    let side = |side: &str| side.parse().map_or(64, |side: u32| 64 * side);
    let image = png::base64(side(ratio.0), side(ratio.1), &format!("{words}{seed}"));
    Ok(json!({ "seeds": [seed], "finish_reasons": [null], "images": [image] }))
}

fn limited(value: &Value, name: &str, most: usize) -> Result<String, Fault> {
    let words = text(value, name)?;
    match words.chars().count() {
        found if found > most => Err(Fault::malformed(format_args!(
            "#/{name}: expected maxLength: {most}, actual: {found}"
        ))),
        _ => Ok(words.to_lowercase()),
    }
}

fn picture(value: &Value, name: &str) -> Result<(), Fault> {
    let bytes = base64::decode(text(value, name)?).unwrap_or_default();
    if bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(());
    }
    Err(Fault::validation(format!("{name}: must be a PNG or a JPEG in base64")))
}

fn within(body: &Value, name: &str, least: f64, most: f64) -> Result<(), Fault> {
    let Some(value) = body.get(name) else { return Ok(()) };
    let number = value.as_f64().ok_or_else(|| expected(name, "Number"))?;
    if (least..=most).contains(&number) {
        return Ok(());
    }
    Err(Fault::malformed(format_args!("#/{name}: {value} is not between {least} and {most}")))
}

fn whole(body: &Value, name: &str, least: u32, most: u32) -> Result<Option<u32>, Fault> {
    within(body, name, f64::from(least), f64::from(most))?;
    let Some(value) = body.get(name) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| expected(name, "Integer"))
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
            let fault = answer(id, &body).unwrap_err();
            assert!(fault.message().contains(words), "{id}: {fault}");
        }
    }

    #[test]
    fn a_picture_has_the_size_that_was_asked_for_and_its_seed_decides_it() {
        let made = |config: &Value| {
            let made = answer(NOVA, &nova(&json!({ "text": "a fox" }), config)).unwrap();
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
