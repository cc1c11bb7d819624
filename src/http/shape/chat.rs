//! A chat of OpenAI's, with what Open WebUI, Anthropic's clients and other gateways have put into
//! it over time.

use super::{
    CACHE, COUNT, COUNTABLE, LEAST, MOST, OBJECT,
    Shape::{self, Any, Either, Flag, Kind, List, Map, Number, Object, Spelled, Text, Whole, Word},
    USER,
};

/// The whole body.
pub static CHAT: Shape = Object(
    &[
        ("model", &Text),
        ("messages", &List("messages", &MESSAGE)),
        ("stream", &Flag),
        ("stream_options", &STREAM_OPTIONS),
        ("temperature", &Spelled(&Number(0.0, 2.0))),
        ("top_p", &Spelled(&Number(0.0, 1.0))),
        ("frequency_penalty", &Spelled(&Number(-2.0, 2.0))),
        ("presence_penalty", &Spelled(&Number(-2.0, 2.0))),
        ("max_tokens", &Spelled(&COUNT)),
        ("max_completion_tokens", &Spelled(&COUNT)),
        ("n", &Spelled(&Number(LEAST, MOST))),
        ("seed", &Spelled(&Whole(LEAST, MOST))),
        ("stop", &Either(&[Text, List("texts", &Text)])),
        ("tools", &List("tools", &TOOL)),
        ("tool_choice", &CHOICE),
        ("parallel_tool_calls", &Flag),
        ("functions", &List("functions", &TOOL)),
        ("function_call", &Either(&[Text, Object(&[("name", &Text)], &[("", "name")])])),
        ("response_format", &RESPONSE_FORMAT),
        ("reasoning", &REASONING),
        ("reasoning_effort", &Either(&[Text, COUNT])),
        ("thinking", &Either(&[Text, THINKING])),
        ("metadata", &OBJECT),
        ("service_tier", &Either(&[Text, Object(&[("type", &Text)], &[])])),
        ("store", &Flag),
        ("logprobs", &Flag),
        ("top_logprobs", &Spelled(&Whole(0.0, 20.0))),
        ("logit_bias", &Map(&Spelled(&Number(-100.0, 100.0)))),
        ("modalities", &List("texts", &Text)),
        ("audio", &OBJECT),
        ("prediction", &OBJECT),
        ("verbosity", &Word(&["low", "medium", "high"])),
        ("web_search_options", &OBJECT),
        ("prompt_cache_key", &Text),
        ("prompt_cache_retention", &Text),
        ("safety_identifier", &Text),
        ("user", &USER),
        ("extra_body", &OBJECT),
    ],
    &[("", "model"), ("", "messages")],
);

static MESSAGE: Shape = Object(
    &[
        ("role", &Text),
        ("content", &Either(&[Text, List("parts", &PART)])),
        ("name", &Text),
        ("tool_calls", &List("calls", &CALL)),
        ("tool_call_id", &Text),
        ("function_call", &FUNCTION_CALL),
        ("refusal", &Text),
        ("reasoning_content", &Text),
        ("reasoning_details", &List("objects", &OBJECT)),
        ("thinking_blocks", &List("objects", &OBJECT)),
        ("audio", &OBJECT),
        ("is_error", &Flag),
        ("cache_control", &CACHE),
    ],
    &[("", "role")],
);

static CALL: Shape = Object(
    &[
        ("id", &Text),
        ("type", &Word(&["function", "custom"])),
        ("index", &COUNT),
        ("function", &FUNCTION_CALL),
        ("custom", &Object(&[("name", &Text), ("input", &Text)], &[("", "name")])),
    ],
    &[("function", "function"), ("custom", "custom")],
);

/// Some models' templates want the arguments as an object, and so do some clients.
const FUNCTION_CALL: Shape =
    Object(&[("name", &Text), ("arguments", &Either(&[Text, OBJECT]))], &[("", "name")]);

static PART: Shape = Object(
    &[
        ("type", &Kind(&["text", "image_url", "file", "input_audio", "video_url", "refusal"])),
        ("text", &Text),
        ("image_url", &LINK),
        ("video_url", &LINK),
        ("audio_url", &LINK),
        ("input_audio", &Object(&[("data", &Text), ("format", &Text), ("url", &Text)], &[])),
        ("file", &FILE),
        ("file_data", &Text),
        ("file_id", &Text),
        ("file_url", &Text),
        ("filename", &Text),
        ("refusal", &Text),
        ("thinking", &Text),
        ("signature", &Text),
        ("data", &Text),
        ("source", &SOURCE),
        ("title", &Text),
        ("context", &Text),
        (
            "citations",
            &Either(&[Flag, Object(&[("enabled", &Flag)], &[]), List("objects", &OBJECT)]),
        ),
        ("cache_control", &CACHE),
    ],
    &[
        ("image_url", "image_url"),
        ("file", "file"),
        ("input_audio", "input_audio"),
        ("video_url", "video_url"),
    ],
);

const LINK: Shape = Either(&[Text, Object(&[("url", &Text), ("detail", &Text)], &[("", "url")])]);

const FILE: Shape = Object(
    &[
        ("file_data", &Text),
        ("file_id", &Text),
        ("file_url", &Text),
        ("filename", &Text),
        ("name", &Text),
        ("data", &Text),
        ("format", &Text),
        ("mime_type", &Text),
        ("context", &Text),
    ],
    &[],
);

const SOURCE: Shape = Object(
    &[
        ("type", &Kind(&["base64", "url", "text"])),
        ("media_type", &Text),
        ("data", &Text),
        ("url", &Text),
    ],
    &[("base64", "data"), ("url", "url"), ("text", "data")],
);

static TOOL: Shape = Object(
    &[
        ("type", &Text),
        ("function", &Object(FUNCTION, &[("", "name")])),
        ("name", &Text),
        ("description", &Text),
        ("parameters", &OBJECT),
        ("input_schema", &OBJECT),
        ("strict", &Flag),
        ("cache_control", &CACHE),
    ],
    &[],
);

/// The definition of a function.
const FUNCTION: &[super::Field] =
    &[("name", &Text), ("description", &Text), ("parameters", &OBJECT), ("strict", &Flag)];

/// The choice of tools: a word, or an object that names a tool or several.
pub const CHOICE: Shape = Either(&[
    Text,
    Object(
        &[
            ("type", &Text),
            ("name", &Text),
            ("function", &Object(&[("name", &Text)], &[("", "name")])),
            ("allowed_tools", &Object(&[("mode", &Text), ("tools", &NAMED)], &[("", "tools")])),
            ("mode", &Text),
            ("tools", &NAMED),
        ],
        &[],
    ),
]);

const NAMED: Shape = List(
    "tools",
    &Object(
        &[("type", &Text), ("name", &Text), ("function", &Object(&[("name", &Text)], &[]))],
        &[],
    ),
);

/// The shape that an answer is to have.
const RESPONSE_FORMAT: Shape = Object(
    &[
        ("type", &Word(&["text", "json_object", "json_schema"])),
        (
            "json_schema",
            &Object(
                &[("name", &Text), ("description", &Text), ("schema", &OBJECT), ("strict", &Flag)],
                &[("", "schema")],
            ),
        ),
    ],
    &[("", "type"), ("json_schema", "json_schema")],
);

/// A request of OpenAI's older completions.
pub static COMPLETION: Shape = Object(
    &[
        ("model", &Text),
        ("prompt", &Either(&[Text, List("texts", &Any)])),
        ("suffix", &Text),
        ("echo", &Flag),
        ("n", &Spelled(&Number(LEAST, MOST))),
        ("best_of", &Spelled(&Number(LEAST, MOST))),
        ("stream", &Flag),
        ("stream_options", &STREAM_OPTIONS),
        ("temperature", &Spelled(&Number(0.0, 2.0))),
        ("top_p", &Spelled(&Number(0.0, 1.0))),
        ("max_tokens", &Spelled(&COUNT)),
        ("stop", &Either(&[Text, List("texts", &Text)])),
        ("user", &USER),
    ],
    &[("", "model"), ("", "prompt")],
);

/// The options of a stream.
pub const STREAM_OPTIONS: Shape =
    Object(&[("include_usage", &Flag), ("include_obfuscation", &Flag)], &[]);

/// The effort of reasoning, in the words of OpenAI and of `OpenRouter`.
pub const REASONING: Shape = Object(
    &[
        ("effort", &Either(&[Text, COUNT])),
        ("max_tokens", &COUNT),
        ("enabled", &Flag),
        ("exclude", &Flag),
        ("summary", &Text),
        ("generate_summary", &Text),
    ],
    &[],
);

/// The effort of reasoning, in the words of Claude.
const THINKING: Shape = Object(
    &[("type", &Text), ("budget_tokens", &Spelled(&Whole(0.0, COUNTABLE))), ("display", &Text)],
    &[],
);
