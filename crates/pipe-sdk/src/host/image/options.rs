//! Options of image generation, in OpenAI's words and those of other models.

use super::ImageFormat;
use crate::{PipeError, Result};
use serde_json::{Map, Value};

/// Options of image generation. The model decides about those that are `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageOptions {
    /// The number of images; `None` for one.
    pub n: Option<u32>,
    /// The size; `None` for `auto`.
    pub size: Option<ImageSize>,
    /// The quality.
    pub quality: Option<ImageQuality>,
    /// The style, in the client's own word.
    pub style: Option<String>,
    /// `true` for a transparent background.
    pub transparent: bool,
    /// The file format.
    pub format: Option<ImageFormat>,
    /// The description of what the image must not show.
    pub negative_prompt: Option<String>,
    /// The seed of randomness: the same seed gives the same image.
    pub seed: Option<u64>,
    /// The weight of the description (classifier-free guidance scale).
    pub cfg_scale: Option<f64>,
    /// The distance from the initial image: 0 for none, 1 for any.
    pub strength: Option<f64>,
}

/// Width and height, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageSize {
    /// The width, in pixels.
    pub width: u32,
    /// The height, in pixels.
    pub height: u32,
}

/// The quality of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageQuality {
    /// `standard`, `low` and `medium`.
    Standard,
    /// `hd`, `high` and `premium`.
    High,
}

/// More pictures than OpenAI gives at once are a mistake.
const MAX_IMAGES: u32 = 10;

impl ImageOptions {
    /// Returns the options among the fields of a request's body. Fields that have no meaning for
    /// images are ignored.
    pub fn from_fields(fields: &Map<String, Value>) -> Result<Self> {
        let fields = Fields(fields);
        Ok(Self {
            n: fields.read(&["n"], "a whole number from 1 to 10", count)?,
            size: fields.read(&["size"], "as in `1024x1024`, or `auto`", size)?.flatten(),
            quality: fields.read(&["quality"], QUALITIES, quality)?.flatten(),
            style: fields.read(&["style", "style_preset"], "a text", text)?,
            transparent: fields.read(&["background"], BACKGROUNDS, transparent)?.unwrap_or(false),
            format: fields.read(&["output_format"], "`png`, `jpeg` or `webp`", format)?,
            negative_prompt: fields
                .read(&["negative_prompt", "negativeText"], "a text", text)?
                .filter(|words| !words.trim().is_empty()),
            seed: fields.read(&["seed"], "a whole number, 0 or more", whole_number)?,
            cfg_scale: fields.read(&["cfg_scale", "cfgScale"], "a number", number)?,
            strength: fields.read(&["strength"], "a number from 0 to 1", share)?,
        })
    }

    /// Returns the number of images.
    pub fn count(&self) -> u32 {
        self.n.unwrap_or(1)
    }
}

/// The accepted values of `quality`, for error messages.
const QUALITIES: &str = "`auto`, `standard` (or `low`, `medium`) or `hd` (or `high`, `premium`)";
/// The accepted values of `background`, for error messages.
const BACKGROUNDS: &str = "`auto`, `opaque` or `transparent`";

/// The fields of a body. `null` and empty texts are as good as missing: forms send them.
struct Fields<'a>(&'a Map<String, Value>);

impl Fields<'_> {
    /// Returns the value of the first of these names that is present.
    fn read<T>(
        &self,
        names: &[&'static str],
        rule: &str,
        reading: fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let said = |name: &'static str| {
            let value = self.0.get(name)?;
            (!value.is_null() && value != "").then_some((name, value))
        };
        let Some((name, value)) = names.iter().copied().find_map(said) else { return Ok(None) };
        let misfit = || PipeError::bad_field(name, format!("{name}: must be {rule}"));
        reading(value).map(Some).ok_or_else(misfit)
    }
}

/// Parses a text.
fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Parses a number, which Open WebUI's own parameters may have as text.
fn number(value: &Value) -> Option<f64> {
    let number = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok());
    number.filter(|number| number.is_finite())
}

/// Parses a whole number, which may be a text.
fn whole_number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Parses a number of images.
fn count(value: &Value) -> Option<u32> {
    let number = number(value).filter(|number| number.fract() == 0.0)?;
    (1..=MAX_IMAGES).find(|count| f64::from(*count) == number)
}

/// Parses a number from 0 to 1.
fn share(value: &Value) -> Option<f64> {
    number(value).filter(|number| (0.0..=1.0).contains(number))
}

fn size(value: &Value) -> Option<Option<ImageSize>> {
    let words = value.as_str()?.trim().to_ascii_lowercase();
    if words == "auto" {
        return Some(None);
    }
    let (width, height) = words.split_once(['x', '×', '*'])?;
    let side = |side: &str| side.trim().parse().ok().filter(|pixels| *pixels > 0);
    Some(Some(ImageSize { width: side(width)?, height: side(height)? }))
}

/// Parses `quality`; the inner `None` leaves it to the model.
fn quality(value: &Value) -> Option<Option<ImageQuality>> {
    match value.as_str()? {
        "auto" => Some(None),
        "standard" | "low" | "medium" => Some(Some(ImageQuality::Standard)),
        "hd" | "high" | "premium" => Some(Some(ImageQuality::High)),
        _ => None,
    }
}

/// Parses `background`: whether it is transparent.
fn transparent(value: &Value) -> Option<bool> {
    match value.as_str()? {
        "auto" | "opaque" => Some(false),
        "transparent" => Some(true),
        _ => None,
    }
}

/// Parses `output_format`.
fn format(value: &Value) -> Option<ImageFormat> {
    match value.as_str()? {
        "png" => Some(ImageFormat::Png),
        "jpeg" | "jpg" => Some(ImageFormat::Jpeg),
        "webp" => Some(ImageFormat::Webp),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn options(fields: &Value) -> Result<ImageOptions> {
        ImageOptions::from_fields(fields.as_object().unwrap())
    }

    #[test]
    fn wishes_are_read_in_any_of_their_words() {
        let size = |width, height| Some(ImageSize { width, height });
        for (fields, wishes) in [
            (json!({"n": null, "size": "auto", "quality": "", "x": 1}), ImageOptions::default()),
            (
                json!({"size": "1024X768"}),
                ImageOptions { size: size(1024, 768), ..ImageOptions::default() },
            ),
            (
                json!({"quality": "hd", "seed": "7", "negativeText": "cats", "cfgScale": "6.5"}),
                ImageOptions {
                    quality: Some(ImageQuality::High),
                    seed: Some(7),
                    negative_prompt: Some("cats".into()),
                    cfg_scale: Some(6.5),
                    ..ImageOptions::default()
                },
            ),
        ] {
            assert_eq!(options(&fields).unwrap(), wishes, "{fields}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (fields, field) in [
            (json!({"n": 0}), "n"),
            (json!({"n": 11}), "n"),
            (json!({"n": 1.5}), "n"),
            (json!({"size": "large"}), "size"),
            (json!({"size": "0x5"}), "size"),
            (json!({"quality": "best"}), "quality"),
            (json!({"background": "blue"}), "background"),
            (json!({"output_format": "gif"}), "output_format"),
            (json!({"seed": -1}), "seed"),
            (json!({"cfgScale": "much"}), "cfgScale"),
            (json!({"strength": 2}), "strength"),
            (json!({"style": 7}), "style"),
        ] {
            let error = options(&fields).unwrap_err();
            let PipeError::BadRequest { param, message, .. } = error else { panic!("{error}") };
            assert_eq!(param.as_deref(), Some(field));
            assert!(message.starts_with(field), "{message}");
        }
    }
}
