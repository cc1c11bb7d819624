//! The body of a Converse request, as far as we fill it (bedrock.md §2.3). What has a text borrows it.

use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The whole body.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Converse<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Block<'a>>,
    pub messages: Vec<Turn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_config: Option<Inference<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig<'a>>,
}

/// One turn of the conversation.
#[derive(Debug, Serialize)]
pub struct Turn<'a> {
    pub role: Speaker,
    pub content: Vec<Block<'a>>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    User,
    Assistant,
}

/// One block of a turn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Image<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
}

/// A picture.
#[derive(Debug, Serialize)]
pub struct Image<'a> {
    pub format: &'static str,
    pub source: Source<'a>,
}

/// Where a picture is: here, in base64.
#[derive(Debug, Serialize)]
pub struct Source<'a> {
    pub bytes: &'a str,
}

/// A call that the model made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse<'a> {
    pub tool_use_id: String,
    pub name: Cow<'a, str>,
    pub input: Json<'a>,
}

/// What came of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult<'a> {
    pub tool_use_id: String,
    pub content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

/// How the model is to write.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inference<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<&'a str>,
}

/// What the model may call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolConfig<'a> {
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
}

/// One thing that the model may call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tool<'a> {
    ToolSpec(ToolSpec<'a>),
}

/// A tool's name, what it does, and what it wants.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSpec<'a> {
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    pub input_schema: InputSchema<'a>,
}

/// The JSON Schema of a tool's arguments.
#[derive(Debug, Serialize)]
pub struct InputSchema<'a> {
    pub json: Json<'a>,
}

/// What must be called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice<'a> {
    Any {},
    Tool { name: Cow<'a, str> },
}

/// JSON that is passed on as the text in which it came, or a constant.
#[derive(Debug)]
pub enum Json<'a> {
    AsItCame(&'a RawValue),
    Mended(Box<RawValue>),
    Empty,
    EmptySchema,
}

impl Serialize for Json<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Empty {}
        #[derive(Serialize)]
        struct EmptySchema {
            r#type: &'static str,
            properties: Empty,
        }
        match self {
            Self::AsItCame(json) => json.serialize(serializer),
            Self::Mended(json) => json.serialize(serializer),
            Self::Empty => Empty {}.serialize(serializer),
            Self::EmptySchema => {
                EmptySchema { r#type: "object", properties: Empty {} }.serialize(serializer)
            }
        }
    }
}
