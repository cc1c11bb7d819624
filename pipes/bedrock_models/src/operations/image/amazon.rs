//! Nova Canvas and Titan: several images a request, of sizes that the models allow.

use super::{check_prompt, is_openai_style, unsupported_field};
use pipe_sdk::{ImageCall, ImageFormat, ImageOptions, ImageQuality, ImageSize, Result};
use serde_json::{Value, json};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Model {
    max_prompt_chars: usize,
    sizes: Sizes,
    styles: &'static [&'static str],
}

/// The allowed sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sizes {
    /// Any within limits.
    Within,
    /// These alone.
    Of(&'static [(u32, u32)]),
}

/// Nova Canvas.
pub const NOVA_CANVAS: Model = Model {
    max_prompt_chars: 1024,
    sizes: Sizes::Within,
    styles: &[
        "3D_ANIMATED_FAMILY_FILM",
        "DESIGN_SKETCH",
        "FLAT_VECTOR_ILLUSTRATION",
        "GRAPHIC_NOVEL_ILLUSTRATION",
        "MAXIMALISM",
        "MIDCENTURY_RETRO",
        "PHOTOREALISM",
        "SOFT_DIGITAL_PAINTING",
    ],
};

/// Titan Image Generator, both versions.
pub const TITAN: Model =
    Model { max_prompt_chars: 512, sizes: Sizes::Of(TITAN_SIZES), styles: &[] };

const TITAN_SIZES: &[(u32, u32)] = &[
    (1024, 1024),
    (768, 768),
    (512, 512),
    (768, 1152),
    (384, 576),
    (1152, 768),
    (576, 384),
    (768, 1280),
    (384, 640),
    (1280, 768),
    (640, 384),
    (896, 1152),
    (448, 576),
    (1152, 896),
    (576, 448),
    (768, 1408),
    (384, 704),
    (1408, 768),
    (704, 384),
    (640, 1408),
    (320, 704),
    (1408, 640),
    (704, 320),
    (1152, 640),
    (1173, 640),
];

/// The largest number of images of a request.
const MAX_IMAGES: u32 = 5;
const MAX_SEED: u64 = 2_147_483_646;

impl Model {
    /// Returns the body that asks for these pictures.
    pub fn request(self, call: &ImageCall, id: &str) -> Result<Value> {
        check_prompt(call, id, self.max_prompt_chars)?;
        let ImageCall { prompt, options, source, .. } = call;
        if options.format.is_some_and(|format| format != ImageFormat::Png) {
            return Err(unsupported_field("output_format", id, "makes `png` only"));
        }
        let mut params = json!({"text": prompt});
        if let Some(negative) = &options.negative_prompt {
            params["negativeText"] = negative.as_str().into();
        }
        let mut body = match source {
            None => {
                if let Some(style) = self.style(options, id)? {
                    params["style"] = style.into();
                }
                json!({"taskType": "TEXT_IMAGE", "textToImageParams": params})
            }
            Some(source) if source.format == ImageFormat::Webp => {
                return Err(unsupported_field("image", id, "begins from a PNG or a JPEG"));
            }
            Some(source) => {
                params["images"] = json!([source.base64]);
                if let Some(strength) = options.strength {
                    params["similarityStrength"] = (1.0 - strength).clamp(0.2, 1.0).into();
                }
                json!({"taskType": "IMAGE_VARIATION", "imageVariationParams": params})
            }
        };
        body["imageGenerationConfig"] = self.config(options, id)?;
        Ok(body)
    }

    /// Returns the style by its name at Amazon.
    fn style(self, options: &ImageOptions, id: &str) -> Result<Option<String>> {
        let Some(style) = options.style.as_deref().filter(|style| !is_openai_style(style)) else {
            return Ok(None);
        };
        let named = style.trim().to_ascii_uppercase().replace([' ', '-'], "_");
        if self.styles.contains(&named.as_str()) {
            return Ok(Some(named));
        }
        Err(match self.styles {
            [] => unsupported_field("style", id, "knows no styles"),
            styles => unsupported_field("style", id, format_args!("knows {}", styles.join(", "))),
        })
    }

    /// Returns `imageGenerationConfig`.
    fn config(self, options: &ImageOptions, id: &str) -> Result<Value> {
        let n = options.count();
        if n > MAX_IMAGES {
            return Err(unsupported_field(
                "n",
                id,
                format_args!("makes {MAX_IMAGES} pictures at most"),
            ));
        }
        let ImageSize { width, height } = self.size(options.size, id)?;
        let quality = match options.quality {
            Some(ImageQuality::High) => "premium",
            Some(ImageQuality::Standard) | None => "standard",
        };
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(0..=MAX_SEED));
        if seed > MAX_SEED {
            return Err(unsupported_field("seed", id, format_args!("takes {MAX_SEED} at most")));
        }
        // Left to themselves, these models begin at the same number each time, and so make the same
        // picture again.
        let mut config = json!({"numberOfImages": n, "width": width, "height": height, "quality": quality, "seed": seed});
        if let Some(scale) = options.cfg_scale {
            if !(1.1..=10.0).contains(&scale) {
                return Err(unsupported_field("cfg_scale", id, "takes numbers from 1.1 to 10"));
            }
            config["cfgScale"] = scale.into();
        }
        Ok(config)
    }

    fn size(self, size: Option<ImageSize>, id: &str) -> Result<ImageSize> {
        let Some(size) = size else { return Ok(ImageSize { width: 1024, height: 1024 }) };
        let ImageSize { width, height } = size;
        match self.sizes {
            Sizes::Within if is_nova_size(size) => Ok(size),
            Sizes::Within => Err(unsupported_field(
                "size",
                id,
                "takes widths and heights from 320 to 4096 that can be divided by 16, no side longer than four times the \
                 other, and 4,194,304 pixels at most",
            )),
            Sizes::Of(sizes) if sizes.contains(&(width, height)) => Ok(size),
            Sizes::Of(sizes) => {
                let sizes: Vec<_> = sizes.iter().map(|(w, h)| format!("{w}x{h}")).collect();
                Err(unsupported_field("size", id, format_args!("makes {}", sizes.join(", "))))
            }
        }
    }
}

fn is_nova_size(ImageSize { width, height }: ImageSize) -> bool {
    let fits = |side: u32| (320..=4096).contains(&side) && side.is_multiple_of(16);
    fits(width)
        && fits(height)
        && width.max(height) <= 4 * width.min(height)
        && width * height <= 4_194_304
}
