//! Stability's models: one image a request, whose shape is given as an aspect ratio.

use super::{check_prompt, is_openai_style, unsupported_field};
use pipe_sdk::{ImageCall, ImageFormat, ImageOptions, ImageSize, Result};
use serde_json::{Value, json};

/// One of Stability's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    /// `true` if it takes an initial image.
    takes_pictures: bool,
}

/// The models that take text only.
pub const FROM_WORDS: Model = Model { takes_pictures: false };

/// The models that also take an image to begin from.
pub const FROM_PICTURES: Model = Model { takes_pictures: true };

const MAX_PROMPT_CHARS: usize = 10_000;
const MAX_SEED: u64 = 4_294_967_294;

/// The default distance from the initial image.
const STRENGTH: f64 = 0.7;

/// The shapes that there are, width and height.
const RATIOS: &[(u32, u32)] =
    &[(1, 1), (16, 9), (21, 9), (2, 3), (3, 2), (4, 5), (5, 4), (9, 16), (9, 21)];

impl Model {
    /// Returns the bodies that ask for these pictures, one each.
    pub fn requests(self, call: &ImageCall, id: &str) -> Result<Vec<Value>> {
        check_prompt(call, id, MAX_PROMPT_CHARS)?;
        let body = self.request(call, id)?;
        let numbered = |(number, mut body): (u64, Value)| {
            if let Some(seed) = call.options.seed {
                // The same beginning would give the same picture each time.
                body["seed"] = ((seed + number) % (MAX_SEED + 1)).into();
            }
            body
        };
        let count = u64::from(call.options.count());
        Ok((0..count).map(|number| (number, body.clone())).map(numbered).collect())
    }

    /// Returns the body for a model of Stability AI.
    fn request(self, call: &ImageCall, id: &str) -> Result<Value> {
        let ImageCall { prompt, options, source, .. } = call;
        let format = options.format.unwrap_or_default();
        if format == ImageFormat::Webp {
            return Err(unsupported_field("output_format", id, "makes `png` and `jpeg`"));
        }
        check_options(options, id)?;
        let mut body = json!({"prompt": prompt, "output_format": format});
        if let Some(negative) = &options.negative_prompt {
            body["negative_prompt"] = negative.as_str().into();
        }
        match source {
            None => {
                body["mode"] = "text-to-image".into();
                if let Some(size) = options.size {
                    body["aspect_ratio"] = ratio(size).into();
                }
            }
            Some(source) if self.takes_pictures => {
                body["mode"] = "image-to-image".into();
                body["image"] = source.base64.as_str().into();
                body["strength"] = options.strength.unwrap_or(STRENGTH).into();
            }
            Some(_) => {
                return Err(unsupported_field(
                    "image",
                    id,
                    "begins from words alone: leave the picture out",
                ));
            }
        }
        Ok(body)
    }
}

fn check_options(options: &ImageOptions, id: &str) -> Result<()> {
    if options.cfg_scale.is_some() {
        return Err(unsupported_field("cfg_scale", id, "has no such scale"));
    }
    if options.style.as_deref().is_some_and(|style| !is_openai_style(style)) {
        return Err(unsupported_field("style", id, "knows no styles: put it in the prompt"));
    }
    if options.seed.is_some_and(|seed| seed > MAX_SEED) {
        return Err(unsupported_field("seed", id, format_args!("takes {MAX_SEED} at most")));
    }
    Ok(())
}

/// Returns the shape that is nearest to this size.
fn ratio(ImageSize { width, height }: ImageSize) -> String {
    let shape = |width: u32, height: u32| (f64::from(width) / f64::from(height)).ln();
    let wished = shape(width, height);
    let far = |(width, height): &&(u32, u32)| (shape(*width, *height) - wished).abs();
    let nearest = RATIOS.iter().min_by(|one, other| far(one).total_cmp(&far(other)));
    nearest.map(|(width, height)| format!("{width}:{height}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_shape_is_taken() {
        for (width, height, nearest) in [
            (1024, 1024, "1:1"),
            (1792, 1024, "16:9"),
            (1024, 1792, "9:16"),
            (1536, 1024, "3:2"),
            (1024, 768, "5:4"),
            (4000, 100, "21:9"),
            (1, 100, "9:21"),
        ] {
            assert_eq!(ratio(ImageSize { width, height }), nearest, "{width}x{height}");
        }
    }
}
