//! The body of a Converse request, with the fields that this pipe sends
//! (`docs/reference/bedrock.md`, "Converse request"). What has a text borrows it.

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value, value::RawValue};
use std::borrow::Cow;

/// The whole body.
///
/// Parts that the model reads first are written first, so that the bytes of two turns of one
/// conversation share a prefix.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConverseBody<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_config: Option<ToolConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<Block<'a>>,
    pub messages: Vec<ConverseMessage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inference_config: Option<Inference<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub additional_model_request_fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub additional_model_response_field_paths: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_config: Option<OutputConfig>,
    #[serde(flatten)]
    pub service: ServiceSettings<'a>,
}

impl ConverseBody<'_> {
    /// Returns the part that is counted: the model's input.
    pub fn without_generation_settings(self) -> Self {
        Self {
            inference_config: None,
            additional_model_response_field_paths: Vec::new(),
            output_config: None,
            service: ServiceSettings::default(),
            ..self
        }
    }
}

/// The body of a request that counts.
#[derive(Debug, Serialize)]
pub struct CountTokensBody<'a> {
    pub input: CountTokensInput<'a>,
}

/// The input of a count.
#[derive(Debug, Serialize)]
pub struct CountTokensInput<'a> {
    pub converse: ConverseBody<'a>,
}

/// The settings for Bedrock itself rather than the model.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceSettings<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail_config: Option<GuardrailConfig<'a>>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub request_metadata: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub performance_config: Option<PerformanceConfig<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_tier: Option<ServiceTier<'a>>,
}

/// The guardrail of the chat.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailConfig<'a> {
    pub guardrail_identifier: &'a str,
    pub guardrail_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<&'a str>,
    /// The mode in which a guardrail checks a streamed answer; not set for whole answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_processing_mode: Option<&'a str>,
}

/// The latency of the answer.
#[derive(Debug, Serialize)]
pub struct PerformanceConfig<'a> {
    pub latency: &'a str,
}

/// The service tier.
#[derive(Debug, Serialize)]
pub struct ServiceTier<'a> {
    pub r#type: &'a str,
}

/// The shape that the answer is to have.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputConfig {
    pub text_format: TextFormat,
}

/// A JSON schema for the answer.
#[derive(Debug, Serialize)]
pub struct TextFormat {
    pub r#type: &'static str,
    pub structure: Structure,
}

/// The schema's place.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Structure {
    pub json_schema: JsonSchema,
}

/// The schema, as text.
#[derive(Debug, Serialize)]
pub struct JsonSchema {
    pub schema: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// One turn of the conversation.
#[derive(Debug, Serialize)]
pub struct ConverseMessage<'a> {
    pub role: ConverseRole,
    pub content: Vec<Block<'a>>,
}

/// The role of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ConverseRole {
    User,
    Assistant,
    System,
}

/// One block of a turn.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Block<'a> {
    Text(Cow<'a, str>),
    Image(Media<'a>),
    Document(Document<'a>),
    Video(Media<'a>),
    Audio(Media<'a>),
    GuardContent(GuardedContent<'a>),
    ReasoningContent(ReasoningBlock<'a>),
    ToolUse(ToolUse<'a>),
    ToolResult(ToolResult<'a>),
    CachePoint(CachePoint),
}

/// An image, a video or an audio file.
#[derive(Debug, Serialize)]
pub struct Media<'a> {
    pub format: &'static str,
    pub source: MediaSource<'a>,
}

/// The source of an image or a file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MediaSource<'a> {
    /// Here, in base64.
    Bytes(Cow<'a, str>),
    /// Here, as text.
    Text(Cow<'a, str>),
    /// A file in S3.
    S3Location { uri: &'a str },
}

/// A file.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    pub format: &'static str,
    pub name: String,
    pub source: MediaSource<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub citations: Option<Citations>,
}

/// The switch for citations.
#[derive(Debug, Serialize)]
pub struct Citations {
    pub enabled: bool,
}

/// Text that the guardrail is to look at.
#[derive(Debug, Serialize)]
pub struct GuardedContent<'a> {
    pub text: GuardedText<'a>,
}

/// The text itself.
#[derive(Debug, Serialize)]
pub struct GuardedText<'a> {
    pub text: Cow<'a, str>,
}

/// A block of reasoning.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ReasoningBlock<'a> {
    /// Words and the proof that they are unchanged.
    ReasoningText { text: &'a str, signature: &'a str },
    /// Encrypted reasoning.
    RedactedContent(&'a str),
}

/// A place up to which the request is kept for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CachePoint {
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<&'static str>,
}

impl CachePoint {
    /// Returns a point of the usual five minutes, or of an hour.
    pub fn new(hour: bool) -> Self {
        Self { r#type: "default", ttl: hour.then_some("1h") }
    }
}

/// A call that the model made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse<'a> {
    pub tool_use_id: String,
    pub name: Cow<'a, str>,
    pub input: Json<'a>,
}

/// The result of a call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult<'a> {
    pub tool_use_id: String,
    pub content: Vec<Block<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
}

/// The inference parameters.
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

/// The tools that the model may call.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolConfig<'a> {
    pub tools: Vec<Tool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice<'a>>,
}

/// An entry of `tools`, AWS's `Tool`: a tool of the client, a tool of the model, or a cache point.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Tool<'a> {
    ToolSpec(ToolSpec<'a>),
    /// A tool that the model itself provides.
    #[serde(rename = "systemTool")]
    System {
        name: &'static str,
    },
    CachePoint(CachePoint),
}

/// A tool's name, what it does, and what it wants.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSpec<'a> {
    pub name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<Cow<'a, str>>,
    pub input_schema: InputSchema<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

/// The JSON Schema of a tool's arguments.
#[derive(Debug, Serialize)]
pub struct InputSchema<'a> {
    pub json: Json<'a>,
}

/// The tool that must be called.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice<'a> {
    Any {},
    Tool { name: Cow<'a, str> },
}

/// JSON that is passed on in the client's own text, or a value that replaces it.
#[derive(Debug)]
pub enum Json<'a> {
    /// JSON in the client's own text.
    Raw(&'a RawValue),
    /// An object of these members, each as it came, after `"type": "object"`.
    WithType(Vec<(Cow<'a, str>, &'a RawValue)>),
    /// Made here.
    Value(Value),
    /// An object without members.
    Empty,
    /// The schema of an object without members.
    EmptySchema,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        /// An empty object.
        #[derive(Serialize)]
        struct Empty {}
        /// The schema of a tool without parameters.
        #[derive(Serialize)]
        struct EmptySchema {
            r#type: &'static str,
            properties: Empty,
        }
        match self {
            Self::Raw(json) => json.serialize(serializer),
            Self::Value(json) => json.serialize(serializer),
            Self::WithType(members) => {
                let mut object = serializer.serialize_map(Some(members.len() + 1))?;
                object.serialize_entry("type", "object")?;
                for (name, json) in members {
                    object.serialize_entry(name, json)?;
                }
                object.end()
            }
            Self::Empty => Empty {}.serialize(serializer),
            Self::EmptySchema => {
                EmptySchema { r#type: "object", properties: Empty {} }.serialize(serializer)
            }
        }
    }
}
