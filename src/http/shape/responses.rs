//! A request of OpenAI's Responses API.

use super::{
    COUNT, OBJECT,
    Shape::{self, Any, AnyOf, Flag, Kind, List, Number, Object, Text, Whole, Word},
    USER,
    chat::{CHOICE, REASONING, STREAM_OPTIONS},
};

/// The whole body.
pub static REQUEST: Shape = Object(
    &[
        ("model", &Text),
        ("input", &AnyOf(&[Text, List("items", &ITEM)])),
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
        ("context_management", &Any),
        ("service_tier", &Text),
        ("prompt_cache_key", &Text),
        ("prompt_cache_retention", &Text),
        ("safety_identifier", &Text),
        ("user", &USER),
    ],
    &[("", "model"), ("", "input")],
);

/// An item of `input`. Items of unknown types become texts, so only the fields that all items share
/// are checked.
static ITEM: Shape = Object(
    &[
        ("type", &Kind(&["function_call", "function_call_output", "custom_tool_call"])),
        ("id", &Text),
        ("role", &Text),
        ("content", &Any),
        ("call_id", &Text),
        ("name", &Text),
        ("arguments", &Any),
        ("output", &Any),
        ("encrypted_content", &Text),
    ],
    &[
        ("function_call", "call_id"),
        ("function_call", "name"),
        ("function_call_output", "call_id"),
        ("function_call_output", "output"),
        ("custom_tool_call", "call_id"),
        ("custom_tool_call", "name"),
    ],
);

static TOOL: Shape = Object(
    &[
        ("type", &Kind(&["function"])),
        ("name", &Text),
        ("description", &Text),
        ("parameters", &OBJECT),
        ("input_schema", &OBJECT),
        ("inputSchema", &OBJECT),
        ("strict", &Flag),
    ],
    &[],
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
