//! A chat of OpenAI's, with what Open WebUI, Anthropic's clients and other gateways have put into
//! it over time.

use super::{
    CACHE, COUNT, MAX_INTEGER, NO_MAXIMUM, NO_MINIMUM, OBJECT,
    Shape::{
        self, Any, AnyOf, Flag, Kind, List, Map, Number, NumberOrText, Object, Text, Whole, Word,
    },
    USER,
};

/// The whole body.
pub static CHAT: Shape = Object(
    &[
        ("model", &Text),
        ("messages", &List("messages", &MESSAGE)),
        ("stream", &Flag),
        ("stream_options", &STREAM_OPTIONS),
        ("temperature", &NumberOrText(&Number(0.0, 2.0))),
        ("top_p", &NumberOrText(&Number(0.0, 1.0))),
        ("frequency_penalty", &NumberOrText(&Number(-2.0, 2.0))),
        ("presence_penalty", &NumberOrText(&Number(-2.0, 2.0))),
        ("max_tokens", &NumberOrText(&COUNT)),
        ("max_completion_tokens", &NumberOrText(&COUNT)),
        ("n", &NumberOrText(&Number(NO_MINIMUM, NO_MAXIMUM))),
        ("seed", &NumberOrText(&Whole(NO_MINIMUM, NO_MAXIMUM))),
        ("stop", &AnyOf(&[Text, List("texts", &Text)])),
        ("stop_sequences", &AnyOf(&[Text, List("texts", &Text)])),
        ("tools", &List("tools", &TOOL)),
        ("tool_choice", &CHOICE),
        ("parallel_tool_calls", &Flag),
        ("functions", &List("functions", &TOOL)),
        ("function_call", &AnyOf(&[Text, Object(&[("name", &Text)], &[("", "name")])])),
        ("response_format", &RESPONSE_FORMAT),
        ("reasoning", &REASONING),
        ("reasoning_effort", &AnyOf(&[Text, COUNT])),
        ("thinking", &AnyOf(&[Text, THINKING])),
        ("metadata", &OBJECT),
        ("service_tier", &AnyOf(&[Text, Object(&[("type", &Text)], &[])])),
        ("store", &Flag),
        ("logprobs", &Flag),
        ("top_logprobs", &NumberOrText(&Whole(0.0, 20.0))),
        ("logit_bias", &Map(&NumberOrText(&Number(-100.0, 100.0)))),
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

/// A message of a chat.
static MESSAGE: Shape = Object(
    &[
        ("role", &Text),
        ("content", &AnyOf(&[Text, List("parts", &PART)])),
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

/// A tool call.
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
    Object(&[("name", &Text), ("arguments", &AnyOf(&[Text, OBJECT]))], &[("", "name")]);

/// A part of a message.
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
            &AnyOf(&[Flag, Object(&[("enabled", &Flag)], &[]), List("objects", &OBJECT)]),
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

/// The address of an image, alone or in an object.
const LINK: Shape = AnyOf(&[Text, Object(&[("url", &Text), ("detail", &Text)], &[("", "url")])]);

/// A file.
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

/// The source of an image or a document, as Anthropic writes it.
const SOURCE: Shape = Object(
    &[
        ("type", &Kind(&["base64", "url", "text"])),
        ("media_type", &Text),
        ("data", &Text),
        ("url", &Text),
    ],
    &[("base64", "data"), ("url", "url"), ("text", "data")],
);

/// A tool.
static TOOL: Shape = Object(
    &[
        ("type", &Text),
        ("function", &Object(FUNCTION, &[("", "name")])),
        ("name", &Text),
        ("description", &Text),
        ("parameters", &OBJECT),
        ("input_schema", &OBJECT),
        ("inputSchema", &OBJECT),
        ("strict", &Flag),
        ("cache_control", &CACHE),
    ],
    &[],
);

/// The definition of a function.
const FUNCTION: &[super::Field] = &[
    ("name", &Text),
    ("description", &Text),
    ("parameters", &OBJECT),
    ("input_schema", &OBJECT),
    ("inputSchema", &OBJECT),
    ("strict", &Flag),
];

/// The choice of tools: a word, or an object that names a tool or several.
pub const CHOICE: Shape = AnyOf(&[
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
        ("prompt", &AnyOf(&[Text, List("texts", &Any)])),
        ("suffix", &Text),
        ("echo", &Flag),
        ("n", &NumberOrText(&Number(NO_MINIMUM, NO_MAXIMUM))),
        ("best_of", &NumberOrText(&Number(NO_MINIMUM, NO_MAXIMUM))),
        ("stream", &Flag),
        ("stream_options", &STREAM_OPTIONS),
        ("temperature", &NumberOrText(&Number(0.0, 2.0))),
        ("top_p", &NumberOrText(&Number(0.0, 1.0))),
        ("max_tokens", &NumberOrText(&COUNT)),
        ("stop", &AnyOf(&[Text, List("texts", &Text)])),
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
        ("effort", &AnyOf(&[Text, COUNT])),
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
    &[
        ("type", &Text),
        ("budget_tokens", &NumberOrText(&Whole(0.0, MAX_INTEGER))),
        ("display", &Text),
    ],
    &[],
);
