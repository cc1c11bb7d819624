//! The kinds of input, each of which has a model of its own.

/// The kind of a section, which is a part of a chat that a model of its own reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SectionKind {
    Text,
    Images,
    Files,
    Audio,
}

impl SectionKind {
    pub const ALL: [Self; 4] = [Self::Text, Self::Images, Self::Files, Self::Audio];

    /// Returns the word for it in headings and placeholders.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Images => "images",
            Self::Files => "files",
            Self::Audio => "audio",
        }
    }

    /// Returns the name of one item.
    pub fn item(self) -> &'static str {
        match self {
            Self::Text => "Text",
            Self::Images => "Image",
            Self::Files => "File",
            Self::Audio => "Audio",
        }
    }

    /// Returns the sentence that tells a model what to do with the items.
    pub fn task(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Images => "Look at these images from a conversation.",
            Self::Files => "Read these files from a conversation.",
            Self::Audio => "Listen to this audio from a conversation.",
        }
    }
}
