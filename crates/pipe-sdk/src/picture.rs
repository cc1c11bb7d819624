//! A picture in an answer.

/// A picture in an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// The URL: a `data:` URL that holds it, or a link.
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
