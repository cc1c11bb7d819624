//! The families, a row each (`docs/reference/bedrock.md`, "Model families").

use super::{
    CacheSupport, Family, JsonSchemaSupport, ReasoningControl, Samplers, ToolSchema, ToolSupport,
    TopK,
};

/// A model that no row knows is taken for one that can do the usual things.
pub(super) const UNKNOWN: Family = Family {
    samplers: Samplers::Both,
    top_k: TopK::Unsupported,
    stop_sequences: true,
    blank_stop_sequences: true,
    min_tokens: 1,
    max_tokens_limit: i32::MAX as u32,
    streaming: true,
    slow_whole_answers: false,
    tools: ToolSupport::Supported,
    tool_choice: false,
    strict: false,
    single_tool_call: false,
    images_in_results: false,
    system_prompt: true,
    system_messages: false,
    prefill: false,
    reasoning: ReasoningControl::Unsupported,
    signed_reasoning: false,
    json_schema: JsonSchemaSupport::Unsupported,
    cache: CacheSupport::Unsupported,
    documents: false,
    schema_unions: true,
    any_property_names: true,
    tool_schema: ToolSchema::Any,
    hyphenated_tool_names: true,
    max_media_bytes: usize::MAX,
    mixed_turns: true,
    textual_tool_calls: false,
    web_grounding: false,
};
/// Models of unknown families that accept `toolChoice`.
const WITH_TOOL_CHOICE: Family = Family { tool_choice: true, ..UNKNOWN };
/// Models that accept no tools.
const WITHOUT_TOOLS: Family = Family { tools: ToolSupport::Unsupported, ..UNKNOWN };
/// Models that accept neither a system prompt nor tools.
const WITHOUT_SYSTEM_PROMPT: Family = Family { system_prompt: false, ..WITHOUT_TOOLS };
const LLAMA: Family = Family { tools: ToolSupport::NotStreamed, prefill: true, ..UNKNOWN };

const NOVA: Family = Family {
    top_k: TopK::Nova,
    images_in_results: true,
    cache: CacheSupport::Messages,
    documents: true,
    tool_schema: ToolSchema::Simple,
    // It produces no valid call of a tool with one (https://github.com/SEMOSS/Semoss/pull/2892).
    hyphenated_tool_names: false,
    textual_tool_calls: true,
    max_media_bytes: 25_000_000,
    ..WITH_TOOL_CHOICE
};

/// The control of reasoning by a field `reasoning_effort`.
const REASONING_EFFORT: ReasoningControl = ReasoningControl::Word("reasoning_effort");
/// Models that accept `outputConfig` with a JSON Schema.
const WITH_JSON_SCHEMA: Family = Family { json_schema: JsonSchemaSupport::Any, ..UNKNOWN };
const QWEN: Family = Family { tool_choice: true, reasoning: REASONING_EFFORT, ..WITH_JSON_SCHEMA };
const OPENAI: Family = Family {
    samplers: Samplers::None,
    min_tokens: 16,
    reasoning: ReasoningControl::Object("reasoning"),
    ..WITH_TOOL_CHOICE
};
const OPENAI_WITHOUT_STOP: Family = Family { stop_sequences: false, ..OPENAI };

const CLAUDE_2: Family = Family { blank_stop_sequences: false, prefill: true, ..WITHOUT_TOOLS };
const CLAUDE_3: Family = Family {
    blank_stop_sequences: false,
    schema_unions: false,
    any_property_names: false,
    top_k: TopK::Field("top_k"),
    strict: true,
    images_in_results: true,
    prefill: true,
    documents: true,
    ..WITH_TOOL_CHOICE
};
const CLAUDE_3_5: Family = Family { cache: CacheSupport::WithTools, ..CLAUDE_3 };
const CLAUDE_3_7: Family =
    Family { reasoning: ReasoningControl::Budget, signed_reasoning: true, ..CLAUDE_3_5 };
const CLAUDE_4_1: Family = Family { samplers: Samplers::One, ..CLAUDE_3_7 };
const CLAUDE_4_5: Family = Family {
    single_tool_call: true,
    json_schema: JsonSchemaSupport::WithoutLimits,
    cache: CacheSupport::OneHour,
    ..CLAUDE_4_1
};
const CLAUDE_4_6: Family = Family {
    prefill: false,
    reasoning: ReasoningControl::Adaptive { always: false, xhigh: false },
    ..CLAUDE_4_5
};
/// These capabilities are assumed for later models too.
const CLAUDE_4_7: Family = Family {
    samplers: Samplers::None,
    strict: false,
    reasoning: ReasoningControl::Adaptive { always: false, xhigh: true },
    json_schema: JsonSchemaSupport::Unsupported,
    ..CLAUDE_4_6
};
const CLAUDE_5: Family = Family { system_messages: true, ..CLAUDE_4_7 };
/// Claude models that always reason.
const CLAUDE_ALWAYS_REASONING: Family =
    Family { reasoning: ReasoningControl::Adaptive { always: true, xhigh: true }, ..CLAUDE_5 };
const CLAUDE_WITHOUT_TOOL_CHOICE: Family = Family { tool_choice: false, ..CLAUDE_ALWAYS_REASONING };

/// The prefixes of families whose turns must not mix text with a call or a result
/// (<https://github.com/pydantic/pydantic-ai/pull/6098>,
/// <https://github.com/langchain-ai/langchain-aws/pull/1118>).
pub(super) const SEPARATE_TOOL_TURNS: &[&str] = &["meta.llama", "mistral."];

/// GPT-6 and GLM-5.3 are said to cache too, but not at cache points: AWS documents those for Claude
/// and Nova.
///
/// The first row that matches counts, so longer prefixes come before shorter ones.
pub(super) const FAMILIES: &[(&str, Family)] = &[
    ("ai21.j2", WITHOUT_SYSTEM_PROMPT),
    ("ai21.jamba-instruct", WITHOUT_TOOLS),
    ("ai21.jamba", Family { tools: ToolSupport::NotStreamed, ..UNKNOWN }),
    (
        "amazon.nova-2",
        Family {
            reasoning: ReasoningControl::Nova,
            web_grounding: true,
            tool_schema: ToolSchema::SimpleRoot,
            ..NOVA
        },
    ),
    ("amazon.nova-micro", Family { documents: false, images_in_results: false, ..NOVA }),
    ("amazon.nova-premier", Family { web_grounding: true, ..NOVA }),
    ("amazon.nova", NOVA),
    ("amazon.titan-text", WITHOUT_SYSTEM_PROMPT),
    ("anthropic.claude-3-5-sonnet-20240620", CLAUDE_3),
    ("anthropic.claude-3-5", CLAUDE_3_5),
    ("anthropic.claude-3-7", CLAUDE_3_7),
    ("anthropic.claude-3", CLAUDE_3),
    ("anthropic.claude-fable-5-1", Family { strict: true, ..CLAUDE_WITHOUT_TOOL_CHOICE }),
    ("anthropic.claude-fable", Family { strict: true, ..CLAUDE_ALWAYS_REASONING }),
    ("anthropic.claude-haiku-4-5", CLAUDE_4_5),
    ("anthropic.claude-haiku-5", CLAUDE_5),
    ("anthropic.claude-instant", CLAUDE_2),
    (
        "anthropic.claude-mythos-preview",
        Family { strict: true, documents: false, ..CLAUDE_ALWAYS_REASONING },
    ),
    (
        "anthropic.claude-mythos",
        Family {
            strict: true,
            json_schema: JsonSchemaSupport::WithoutLimits,
            ..CLAUDE_ALWAYS_REASONING
        },
    ),
    ("anthropic.claude-opus-4-1", CLAUDE_4_1),
    ("anthropic.claude-opus-4-2025", CLAUDE_3_7),
    ("anthropic.claude-opus-4-5", CLAUDE_4_5),
    ("anthropic.claude-opus-4-6", CLAUDE_4_6),
    ("anthropic.claude-opus-4-8", CLAUDE_5),
    ("anthropic.claude-opus-5-5", CLAUDE_WITHOUT_TOOL_CHOICE),
    ("anthropic.claude-opus-5", CLAUDE_5),
    ("anthropic.claude-sonnet-4-2025", Family { strict: false, ..CLAUDE_3_7 }),
    ("anthropic.claude-sonnet-4-5", CLAUDE_4_5),
    ("anthropic.claude-sonnet-4-6", CLAUDE_4_6),
    ("anthropic.claude-sonnet-5-5", CLAUDE_WITHOUT_TOOL_CHOICE),
    ("anthropic.claude-sonnet-5", CLAUDE_5),
    ("anthropic.claude-v", CLAUDE_2),
    ("anthropic.claude", CLAUDE_4_7),
    ("cohere.command-r", Family { top_k: TopK::Field("k"), ..UNKNOWN }),
    ("cohere.command", WITHOUT_SYSTEM_PROMPT),
    ("deepseek.r1", WITHOUT_TOOLS),
    ("deepseek.", QWEN),
    ("meta.llama3-1", LLAMA),
    ("meta.llama3-2", LLAMA),
    ("meta.llama3-3", LLAMA),
    ("meta.llama4", LLAMA),
    ("meta.llama", Family { prefill: true, ..WITHOUT_TOOLS }),
    ("minimax.minimax-m2.", WITH_TOOL_CHOICE),
    ("minimax.minimax-m2", WITH_JSON_SCHEMA),
    ("mistral.devstral", WITH_TOOL_CHOICE),
    ("mistral.ministral-3", WITH_JSON_SCHEMA),
    ("mistral.mistral-7b", WITHOUT_SYSTEM_PROMPT),
    ("mistral.mistral-large-2407", WITH_TOOL_CHOICE),
    ("mistral.mistral-large-3", WITH_JSON_SCHEMA),
    ("mistral.mixtral", WITHOUT_SYSTEM_PROMPT),
    ("mistral.voxtral", Family { json_schema: JsonSchemaSupport::Any, ..WITHOUT_TOOLS }),
    ("moonshot.kimi-k2-thinking", WITH_JSON_SCHEMA),
    ("moonshotai.kimi-k2.", WITH_TOOL_CHOICE),
    ("moonshotai.kimi-k3", Family { min_tokens: 16, ..WITH_TOOL_CHOICE }),
    ("nvidia.nemotron-nano-3", Family { json_schema: JsonSchemaSupport::Any, ..WITH_TOOL_CHOICE }),
    ("nvidia.nemotron-super", WITH_TOOL_CHOICE),
    ("openai.gpt-5.6", OPENAI_WITHOUT_STOP),
    ("openai.gpt-5", OPENAI),
    ("openai.gpt-oss-safeguard", Family { reasoning: REASONING_EFFORT, ..UNKNOWN }),
    ("openai.gpt-oss", Family { reasoning: REASONING_EFFORT, ..WITH_TOOL_CHOICE }),
    ("openai.", OPENAI_WITHOUT_STOP),
    ("qwen.qwen3-coder-next", Family { reasoning: REASONING_EFFORT, ..WITH_TOOL_CHOICE }),
    ("qwen.qwen3-next", Family { reasoning: REASONING_EFFORT, ..WITH_JSON_SCHEMA }),
    ("qwen.qwen3-vl", Family { reasoning: REASONING_EFFORT, ..WITH_JSON_SCHEMA }),
    ("qwen.", QWEN),
    ("writer.palmyra-vision", WITHOUT_TOOLS),
    ("writer.", Family { documents: true, ..UNKNOWN }),
    ("xai.", Family { samplers: Samplers::NotWhileReasoning, ..OPENAI_WITHOUT_STOP }),
    ("zai.glm-5", Family { json_schema: JsonSchemaSupport::Any, ..WITH_TOOL_CHOICE }),
    ("zai.", WITH_TOOL_CHOICE),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_not_hidden_by_a_shorter_one_above_it() {
        for (place, (beginning, _)) in FAMILIES.iter().enumerate() {
            let first = FAMILIES.iter().position(|(above, _)| beginning.starts_with(above));
            assert_eq!(first, Some(place), "{beginning}");
        }
    }
}
