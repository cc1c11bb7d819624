//! The content of a turn: plain text, or blocks.

use pipe_sdk::text_of_part;
use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};
use serde_json::{Map, Value, value::RawValue};
use std::fmt;

/// Plain text, or blocks.
pub enum Content {
    /// Plain text.
    Text(String),
    /// Blocks, in order.
    Blocks(Vec<Block>),
    /// An object, as results of Anthropic's server tools have it.
    Object(Value),
}

impl Content {
    /// Returns whether it is empty.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Blocks(blocks) => blocks.is_empty(),
            Self::Object(_) => false,
        }
    }
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// One block, with the fields of all types.
///
/// Derived deserialization of tagged variants would lose the text of a tool's input, and the path
/// of an error.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Block {
    /// `text`, `image`, `tool_use`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a `text` block.
    pub text: Option<String>,
    /// The source of an `image` or `document` block.
    pub source: Option<Value>,
    /// The title of a `document` block.
    pub title: Option<String>,
    /// The context of a `document` block: what the model should know about the document.
    pub context: Option<String>,
    /// In a `document` block: whether citations are enabled. In a `text` block: the citations.
    pub citations: Option<Value>,
    /// The id of a `tool_use` block.
    pub id: Option<String>,
    /// The tool's name in a `tool_use` block.
    pub name: Option<String>,
    /// The arguments in a `tool_use` block.
    pub input: Option<Box<RawValue>>,
    /// The id of the call that a `tool_result` block answers.
    pub tool_use_id: Option<String>,
    /// The output of the tool in a `tool_result` block.
    pub content: Option<Content>,
    /// `true` in a `tool_result` block if the tool has failed.
    pub is_error: Option<bool>,
    /// The text of a `thinking` block.
    pub thinking: Option<String>,
    /// The signature of a `thinking` block, which proves that its text is unchanged.
    pub signature: Option<String>,
    /// The encrypted content of a `redacted_thinking` block.
    pub data: Option<String>,
    /// The `cache_control` of the block: the prompt is cached up to its end.
    pub cache_control: Option<Value>,
    /// The fields that only blocks of other types have.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Block {
    /// Returns the text of a block of an unknown type.
    pub fn words(mut self) -> Option<String> {
        let content = match self.content.take() {
            Some(Content::Text(text)) => Some(text),
            Some(Content::Object(object)) => text_of_part(&object),
            Some(Content::Blocks(blocks)) => {
                let words: Vec<_> = blocks.into_iter().filter_map(Self::words).collect();
                (!words.is_empty()).then(|| words.join("\n"))
            }
            None => None,
        };
        let input = self.input.as_deref().and_then(|raw| serde_json::from_str(raw.get()).ok());
        let own = [self.name, self.title, self.text, input.as_ref().and_then(text_of_part)];
        let rest = text_of_part(&Value::Object(self.rest));
        let words: Vec<_> = own.into_iter().chain([content, rest]).flatten().collect();
        let words = words.join("\n");
        (!words.trim().is_empty()).then(|| match self.kind.as_str() {
            "text" => words.clone(),
            kind => format!("[{kind}] {words}"),
        })
    }
}

/// Written by hand for the same reasons.
impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of blocks")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content::Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content::Text(text))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, blocks: A) -> Result<Content, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(blocks)).map(Content::Blocks)
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Content, A::Error> {
                Value::deserialize(MapAccessDeserializer::new(fields)).map(Content::Object)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
