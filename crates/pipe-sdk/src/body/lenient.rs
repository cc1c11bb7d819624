//! Reads what clients really send: numbers as text, one where many are meant, `null` for nothing.

use super::{Content, FunctionCall, Part, ToolCall};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Value, value::RawValue};
use std::fmt;

/// Reads a value; `null` is its default.
pub(super) fn deserialize_or_default<'de, T: Deserialize<'de> + Default, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads the kind of a tool; `null` is a function.
pub(super) fn deserialize_tool_kind<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_else(super::function))
}

/// A number, or a text that is one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Float(f64),
    Text(String),
}

/// Reads a number, or a text that spells one; `null` is `None`.
pub(super) fn deserialize_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    let expected = || D::Error::custom("must be a number");
    match Option::<Number>::deserialize(deserializer).map_err(|_| expected())? {
        None => Ok(None),
        Some(Number::Float(number)) => Ok(Some(number)),
        Some(Number::Text(text)) => match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(expected()),
        },
    }
}

/// Reads a whole number that is not negative, or a text that spells one; `7.0` is accepted.
pub(super) fn deserialize_u64<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    let expected = "must be a whole number, 0 or more";
    match deserialize_number(deserializer).map_err(|_| D::Error::custom(expected))? {
        None => Ok(None),
        Some(number) if number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(53) => {
            Ok(Some(number as u64))
        }
        Some(_) => Err(D::Error::custom(expected)),
    }
}

/// Deserializes a list of texts, or one text.
pub(super) fn deserialize_texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    /// A text, or a list of texts.
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    match Option::<Texts>::deserialize(deserializer) {
        Ok(None) => Ok(Vec::new()),
        Ok(Some(Texts::One(text))) => Ok(vec![text]),
        Ok(Some(Texts::Many(texts))) => Ok(texts),
        Err(_) => Err(D::Error::custom("must be a text or a list of texts")),
    }
}

/// A function as clients define it: Anthropic's name of the schema is `input_schema`, MCP's is
/// `inputSchema`.
#[derive(Deserialize)]
pub(super) struct FunctionTool {
    name: String,
    description: Option<String>,
    parameters: Option<Box<RawValue>>,
    input_schema: Option<Box<RawValue>>,
    #[serde(rename = "inputSchema")]
    mcp_schema: Option<Box<RawValue>>,
    strict: Option<bool>,
}

impl From<FunctionTool> for super::FunctionTool {
    fn from(tool: FunctionTool) -> Self {
        let FunctionTool { name, description, parameters, input_schema, mcp_schema, strict } = tool;
        let parameters = parameters.or(input_schema).or(mcp_schema);
        Self { name, description, parameters, strict }
    }
}

/// A call as clients send it: of a function, or of a custom tool, whose text becomes the argument
/// `input` of a function.
#[derive(Deserialize)]
pub(super) struct Call {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<FunctionCall>,
    #[serde(default)]
    custom: Option<CustomCall>,
}

/// A call of a custom tool, whose input is a text.
#[derive(Deserialize)]
struct CustomCall {
    name: String,
    #[serde(default)]
    input: String,
}

impl TryFrom<Call> for ToolCall {
    type Error = &'static str;

    fn try_from(Call { id, function, custom }: Call) -> Result<Self, Self::Error> {
        let custom = custom.map(|CustomCall { name, input }| {
            let arguments = serde_json::json!({"input": input}).to_string();
            FunctionCall { name, arguments }
        });
        let function = function.or(custom).ok_or("missing field `function`")?;
        Ok(Self { id: id.unwrap_or_default(), kind: super::function(), function })
    }
}

/// Deserializes JSON that is written in a text, or JSON, as a text.
pub(super) fn json_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

/// Deserializes the content of a message.
struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of parts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
        Vec::<Part>::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
    }
}

/// Read by hand: a derived reader of tagged variants would copy the megabytes of a picture once
/// more.
impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = Map::deserialize(deserializer)?;
        match rest.get("type").and_then(Value::as_str) {
            // A part that says nothing of itself but a text is one.
            None if !rest.get("text").is_some_and(Value::is_string) => Ok(Self::Other(rest)),
            None | Some("text") => {
                rest.shift_remove("type");
                match rest.shift_remove("text") {
                    Some(Value::String(text)) => Ok(Self::Text { text, rest: trim_value(rest) }),
                    None | Some(Value::Null) => {
                        Ok(Self::Text { text: String::new(), rest: trim_value(rest) })
                    }
                    Some(_) => Err(D::Error::custom("text must be a text")),
                }
            }
            Some("image_url") => {
                rest.shift_remove("type");
                let mut image = rest.shift_remove("image_url");
                if let Some(Value::Object(object)) = &mut image {
                    let detail = object.shift_remove("detail").filter(|detail| !detail.is_null());
                    rest.extend(detail.map(|detail| ("detail".to_owned(), detail)));
                    image = object.shift_remove("url");
                }
                match image {
                    Some(Value::String(image_url)) => {
                        Ok(Self::ImageUrl { image_url, rest: trim_value(rest) })
                    }
                    _ => Err(D::Error::custom("image_url must be an object with a url")),
                }
            }
            _ => Ok(Self::Other(rest)),
        }
    }
}

/// Gives back the memory of a map that holds nothing any more: a body may have a hundred thousand
/// parts.
fn trim_value(rest: Map<String, Value>) -> Map<String, Value> {
    if rest.is_empty() { Map::new() } else { rest }
}
