//! A request of Anthropic's Messages API.

use super::{
    COUNT, MAX_INTEGER, OBJECT,
    Shape::{self, Any, AnyOf, Flag, Kind, List, Number, Object, Text, Whole, Word},
};

/// The whole body.
pub static REQUEST: Shape = Object(
    &[
        ("model", &Text),
        ("max_tokens", &COUNT),
        ("system", &CONTENT),
        ("messages", &List("messages", &TURN)),
        ("tools", &List("tools", &TOOL)),
        ("tool_choice", &CHOICE),
        ("stop_sequences", &List("texts", &Text)),
        ("temperature", &Number(0.0, 1.0)),
        ("top_p", &Number(0.0, 1.0)),
        ("top_k", &COUNT),
        ("thinking", &THINKING),
        ("metadata", &Object(&[("user_id", &Text)], &[])),
        ("service_tier", &Text),
        ("cache_control", &CACHE),
        ("output_config", &Object(&[("effort", &EFFORT), ("format", &FORMAT)], &[])),
        // A word says nothing of a schema, and is passed over.
        ("output_format", &AnyOf(&[Text, FORMAT])),
        ("context_management", &Any),
        ("container", &AnyOf(&[Text, OBJECT])),
        ("mcp_servers", &List("objects", &OBJECT)),
        ("stream", &Flag),
    ],
    &[("", "model"), ("", "messages")],
);

/// A message of the conversation.
static TURN: Shape =
    Object(&[("role", &Text), ("content", &CONTENT)], &[("", "role"), ("", "content")]);

/// The content of a message.
static CONTENT: Shape = AnyOf(&[Text, List("blocks", &BLOCK)]);

/// Blocks of the server's tools have an object there.
static WITHIN: Shape = AnyOf(&[Text, OBJECT, List("blocks", &BLOCK)]);

/// A content block.
static BLOCK: Shape = Object(
    &[
        (
            "type",
            &Kind(&[
                "text",
                "image",
                "document",
                "search_result",
                "tool_use",
                "tool_result",
                "thinking",
                "redacted_thinking",
            ]),
        ),
        ("text", &Text),
        ("source", &SOURCE),
        ("title", &Text),
        ("context", &Text),
        // A document says whether, a text what it has cited.
        ("citations", &AnyOf(&[Object(&[("enabled", &Flag)], &[]), List("objects", &OBJECT)])),
        ("id", &Text),
        ("name", &Text),
        ("input", &OBJECT),
        ("tool_use_id", &Text),
        ("content", &WITHIN),
        ("is_error", &Flag),
        ("thinking", &Text),
        ("signature", &Text),
        ("data", &Text),
        ("cache_control", &CACHE),
    ],
    &[
        ("", "type"),
        ("text", "text"),
        ("image", "source"),
        ("document", "source"),
        ("search_result", "source"),
        ("search_result", "title"),
        ("search_result", "content"),
        ("tool_use", "id"),
        ("tool_use", "name"),
        ("tool_result", "tool_use_id"),
        ("thinking", "thinking"),
        ("redacted_thinking", "data"),
    ],
);

/// The source of an image or a document; that of a search result is an address.
static SOURCE: Shape = AnyOf(&[
    Text,
    Object(
        &[
            ("type", &Word(&["base64", "text", "url", "content", "file"])),
            ("media_type", &Text),
            ("data", &Text),
            ("url", &Text),
            ("content", &CONTENT),
            ("file_id", &Text),
        ],
        &[
            ("", "type"),
            ("content", "content"),
            ("base64", "media_type"),
            ("base64", "data"),
            ("text", "media_type"),
            ("text", "data"),
            ("url", "url"),
        ],
    ),
]);

/// A tool.
static TOOL: Shape = Object(
    &[
        ("type", &Text),
        ("name", &Text),
        ("description", &Text),
        ("input_schema", &OBJECT),
        ("strict", &Flag),
        ("cache_control", &CACHE),
    ],
    &[],
);

/// The tool choice.
static CHOICE: Shape = Object(
    &[
        ("type", &Word(&["auto", "any", "tool", "none"])),
        ("name", &Text),
        ("disable_parallel_tool_use", &Flag),
    ],
    &[("tool", "name")],
);

/// The settings of extended thinking.
static THINKING: Shape = Object(
    &[
        ("type", &Word(&["enabled", "disabled", "adaptive"])),
        ("budget_tokens", &Whole(1024.0, MAX_INTEGER)),
        ("display", &Text),
    ],
    &[("", "type"), ("enabled", "budget_tokens")],
);

/// The effort.
const EFFORT: Shape = Word(&["low", "medium", "high", "xhigh", "max"]);

/// A cache breakpoint.
const CACHE: Shape =
    Object(&[("type", &Word(&["ephemeral"])), ("ttl", &Word(&["5m", "1h"]))], &[("", "type")]);

/// The format of an answer in JSON.
const FORMAT: Shape = Object(
    &[("type", &Word(&["json_schema"])), ("schema", &OBJECT)],
    &[("", "type"), ("", "schema")],
);
