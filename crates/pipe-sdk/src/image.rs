//! Words in, pictures out.

mod options;

pub use options::{ImageOptions, ImageQuality, ImageSize};

use crate::{CallerId, Hints, Host, User};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Pictures to be made.
#[derive(Clone, Debug)]
pub struct ImageCall {
    /// The model's id within the pipe.
    pub model: String,
    /// The description of the image.
    pub prompt: String,
    /// How.
    pub options: ImageOptions,
    /// The picture to begin from, for models that can.
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
    /// One picture of this by the model of this id, with nothing else wished.
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

/// The pictures of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// As many as were wished, unless the model's filters have taken some away.
    pub images: Vec<Image>,
}

/// A picture.
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

    /// Returns the picture as a URL that holds it.
    pub fn data_url(&self) -> String {
        format!("data:image/{};base64,{}", self.format.as_str(), self.base64)
    }

    /// Returns the picture in an answer, with these words for those who do not see it.
    pub fn with_alt_text(&self, words: &str) -> Picture {
        Picture { url: self.data_url(), words: words.into() }
    }
}

/// A picture in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its URL: a `data:` URL that holds it, or a link.
    pub url: String,
    /// The alternative text, for those who do not see it; may be empty.
    pub words: String,
}

impl Picture {
    /// Returns the image behind this URL, without an alternative text.
    pub fn from_url(url: &str) -> Self {
        Self { url: url.into(), words: String::new() }
    }

    /// Returns the picture as Markdown.
    pub fn markdown(&self) -> String {
        let plain = |c: char| if matches!(c, '[' | ']' | '\\' | '\n' | '\r') { ' ' } else { c };
        let words: String = self.words.chars().map(plain).collect();
        format!("![{words}]({})", self.url)
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
