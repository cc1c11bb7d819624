//! A request of OpenAI's Responses API.

use super::{
    COUNT, OBJECT,
    Shape::{self, Either, Flag, Kind, List, Number, Object, Text, Whole, Word},
    USER,
    chat::{CHOICE, REASONING, STREAM_OPTIONS},
};

/// The whole body.
pub static REQUEST: Shape = Object(
    &[
        ("model", &Text),
        ("input", &Either(&[Text, List("items", &ITEM)])),
        ("instructions", &Text),
        ("stream", &Flag),
        ("stream_options", &STREAM_OPTIONS),
        ("temperature", &Number(0.0, 2.0)),
        ("top_p", &Number(0.0, 1.0)),
        ("max_output_tokens", &COUNT),
        ("max_tool_calls", &COUNT),
        ("top_logprobs", &Whole(0.0, 20.0)),
        ("tools", &List("tools", &TOOL)),
        ("tool_choice", &CHOICE),
        ("parallel_tool_calls", &Flag),
        ("text", &Object(&[("format", &FORMAT), ("verbosity", &Text)], &[])),
        ("reasoning", &REASONING),
        ("include", &List("texts", &Text)),
        ("metadata", &OBJECT),
        ("background", &Flag),
        ("store", &Flag),
        ("truncation", &Word(&["auto", "disabled"])),
        ("context_management", &List("objects", &OBJECT)),
        ("service_tier", &Text),
        ("prompt_cache_key", &Text),
        ("prompt_cache_retention", &Text),
        ("safety_identifier", &Text),
        ("user", &USER),
    ],
    &[("", "model"), ("", "input")],
);

static ITEM: Shape = Object(
    &[
        ("type", &Kind(&["function_call", "function_call_output"])),
        ("id", &Text),
        ("role", &Text),
        ("status", &Text),
        ("content", &Either(&[Text, List("parts", &PART)])),
        ("call_id", &Text),
        ("name", &Text),
        ("arguments", &Text),
        ("output", &Either(&[Text, List("parts", &PART)])),
        ("summary", &List("parts", &PART)),
        ("encrypted_content", &Text),
    ],
    &[
        ("function_call", "call_id"),
        ("function_call", "name"),
        ("function_call", "arguments"),
        ("function_call_output", "call_id"),
        ("function_call_output", "output"),
    ],
);

static PART: Shape = Object(
    &[
        ("type", &Kind(&["input_text", "output_text", "text", "refusal", "summary_text"])),
        ("text", &Text),
        ("refusal", &Text),
        ("annotations", &List("objects", &OBJECT)),
        ("logprobs", &List("objects", &OBJECT)),
        ("image_url", &Text),
        ("detail", &Text),
        ("file_id", &Text),
        ("file_url", &Text),
        ("file_data", &Text),
        ("filename", &Text),
        ("input_audio", &Object(&[("data", &Text), ("format", &Text)], &[])),
    ],
    &[
        ("", "type"),
        ("input_text", "text"),
        ("output_text", "text"),
        ("text", "text"),
        ("summary_text", "text"),
        ("refusal", "refusal"),
    ],
);

static TOOL: Shape = Object(
    &[
        ("type", &Kind(&["function"])),
        ("name", &Text),
        ("description", &Text),
        ("parameters", &OBJECT),
        ("strict", &Flag),
    ],
    &[("function", "name")],
);

const FORMAT: Shape = Object(
    &[
        ("type", &Word(&["text", "json_object", "json_schema"])),
        ("name", &Text),
        ("description", &Text),
        ("schema", &OBJECT),
        ("strict", &Flag),
    ],
    &[("", "type"), ("json_schema", "schema")],
);
