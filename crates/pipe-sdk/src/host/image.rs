//! Image generation: a description becomes images.

mod options;

pub use options::{ImageOptions, ImageQuality, ImageSize};

use crate::{CallerId, Hints, Host, Picture, User};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Images to be generated.
#[derive(Clone, Debug)]
pub struct ImageCall {
    /// The model's id within the pipe.
    pub model: String,
    /// The description of the image.
    pub prompt: String,
    /// The size, the number, and other options.
    pub options: ImageOptions,
    /// The image to begin from, for models that accept one.
    pub source: Option<Image>,
    /// The user, if known. [`Host::images`](crate::Host::images) sets it.
    pub user: Option<Arc<User>>,
    /// The same as a number, for what must tell callers apart. The host fills it in.
    pub caller: CallerId,
    /// The hints for the pipe, beside the body. The host sets them.
    pub hints: Hints,
    /// The way to other models. The host fills it in.
    pub host: Option<Host>,
}

impl ImageCall {
    /// Creates a call for one image of this description, with the model's defaults.
    pub fn new(model: impl Into<String>, prompt: impl Into<String>) -> Self {
        let (model, prompt) = (model.into(), prompt.into());
        Self {
            model,
            prompt,
            options: ImageOptions::default(),
            source: None,
            user: None,
            caller: CallerId::default(),
            hints: Hints::default(),
            host: None,
        }
    }
}

/// The images of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// The images: as many as were requested, unless the model's filters removed some.
    pub images: Vec<Image>,
}

/// An image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The file format.
    pub format: ImageFormat,
    /// The file, in base64.
    pub base64: String,
}

/// The kinds of files that pictures come in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// PNG.
    #[default]
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl ImageFormat {
    /// Returns the word for it in media types and in OpenAI's `output_format`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Webp => "webp",
        }
    }
}

impl Image {
    /// Returns the image in this base64. Its first bytes show the format; PNG is assumed if they
    /// show none.
    pub fn from_base64(base64: String) -> Self {
        let format = match base64.as_bytes() {
            [b'/', b'9', b'j', b'/', ..] => ImageFormat::Jpeg,
            [b'U', b'k', b'l', b'G', ..] => ImageFormat::Webp,
            _ => ImageFormat::Png,
        };
        Self { format, base64 }
    }

    /// Returns the image as a `data:` URL.
    pub fn data_url(&self) -> String {
        format!("data:image/{};base64,{}", self.format.as_str(), self.base64)
    }

    /// Returns the image as a picture of an answer, with an alternative text.
    pub fn with_alt_text(&self, words: &str) -> Picture {
        Picture { url: self.data_url(), words: words.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_what_its_first_letters_say() {
        for (base64, format) in
            [("iVBORw0KGgo", "png"), ("/9j/4AAQ", "jpeg"), ("UklGRh4", "webp"), ("", "png")]
        {
            assert_eq!(Image::from_base64(base64.into()).format.as_str(), format);
        }
    }

    #[test]
    fn words_cannot_break_out_of_the_markdown() {
        let markdown = Image::from_base64("iVBO".into()).with_alt_text("a](x)\n[b").markdown();
        assert_eq!(markdown, "![a (x)  b](data:image/png;base64,iVBO)");
    }
}
