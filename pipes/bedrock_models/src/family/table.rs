//! The families, a row each (`docs/reference/bedrock.md`, "Model families").

use super::{Cache, Family, Samplers, Schema, Thinking, ToolSchema, Tools, TopK};

/// A model that no row knows is taken for one that can do the usual things.
pub(super) const UNKNOWN: Family = Family {
    samplers: Samplers::Both,
    top_k: TopK::No,
    stop: true,
    blank_stops: true,
    least_tokens: 1,
    most_tokens: i32::MAX as u32,
    streams: true,
    tools: Tools::Yes,
    tool_choice: false,
    strict: false,
    one_call: false,
    seeing_results: false,
    system: true,
    system_turns: false,
    prefill: false,
    thinking: Thinking::No,
    signed: false,
    schema: Schema::No,
    cache: Cache::No,
    documents: false,
    either_schema: true,
    tool_schema: ToolSchema::Any,
    hyphens: true,
    most_media: usize::MAX,
    mixed_turns: true,
    calls_as_text: false,
    grounding: false,
};
const CHOOSING: Family = Family { tool_choice: true, ..UNKNOWN };
const TALKING: Family = Family { tools: Tools::No, ..UNKNOWN };
const PLAIN: Family = Family { system: false, ..TALKING };
const LLAMA: Family = Family { tools: Tools::Unstreamed, prefill: true, ..UNKNOWN };

const NOVA: Family = Family {
    top_k: TopK::Nova,
    seeing_results: true,
    cache: Cache::Talk,
    documents: true,
    tool_schema: ToolSchema::Plain,
    // It produces no valid call of a tool with one (https://github.com/SEMOSS/Semoss/pull/2892).
    hyphens: false,
    calls_as_text: true,
    most_media: 25_000_000,
    ..CHOOSING
};

const EFFORT: Thinking = Thinking::Word("reasoning_effort");
const SCHEMA: Family = Family { schema: Schema::Any, ..UNKNOWN };
const QWEN: Family = Family { tool_choice: true, thinking: EFFORT, ..SCHEMA };
const OPENAI: Family = Family {
    samplers: Samplers::None,
    least_tokens: 16,
    thinking: Thinking::Object("reasoning"),
    ..CHOOSING
};
const OPENAI_UNSTOPPED: Family = Family { stop: false, ..OPENAI };

const CLAUDE_2: Family = Family { blank_stops: false, prefill: true, ..TALKING };
const CLAUDE_3: Family = Family {
    blank_stops: false,
    either_schema: false,
    top_k: TopK::Field("top_k"),
    strict: true,
    seeing_results: true,
    prefill: true,
    documents: true,
    ..CHOOSING
};
const CLAUDE_3_5: Family = Family { cache: Cache::All, ..CLAUDE_3 };
const CLAUDE_3_7: Family = Family { thinking: Thinking::Budget, signed: true, ..CLAUDE_3_5 };
const CLAUDE_4_1: Family = Family { samplers: Samplers::One, ..CLAUDE_3_7 };
const CLAUDE_4_5: Family =
    Family { one_call: true, schema: Schema::Plain, cache: Cache::Hour, ..CLAUDE_4_1 };
const CLAUDE_4_6: Family = Family {
    prefill: false,
    thinking: Thinking::Adaptive { always: false, xhigh: false },
    ..CLAUDE_4_5
};
/// What stands here of the newest is taken for true of those to come too.
const CLAUDE_4_7: Family = Family {
    samplers: Samplers::None,
    strict: false,
    thinking: Thinking::Adaptive { always: false, xhigh: true },
    schema: Schema::No,
    ..CLAUDE_4_6
};
const CLAUDE_5: Family = Family { system_turns: true, ..CLAUDE_4_7 };
const CLAUDE_THINKER: Family =
    Family { thinking: Thinking::Adaptive { always: true, xhigh: true }, ..CLAUDE_5 };
const CLAUDE_UNFORCED: Family = Family { tool_choice: false, ..CLAUDE_THINKER };

/// How the ids of families begin that take no words in one turn with a call or a result
/// (<https://github.com/pydantic/pydantic-ai/pull/6098>, <https://github.com/langchain-ai/langchain-aws/pull/1118>).
pub(super) const APART: &[&str] = &["meta.llama", "mistral."];

/// GPT-6 and GLM-5.3 are said to cache too, but not at cache points: AWS documents those for Claude and Nova.
///
/// The first row that fits counts, so longer beginnings stand before shorter ones that they begin with.
pub(super) const FAMILIES: &[(&str, Family)] = &[
    ("ai21.j2", PLAIN),
    ("ai21.jamba-instruct", TALKING),
    ("ai21.jamba", Family { tools: Tools::Unstreamed, ..UNKNOWN }),
    (
        "amazon.nova-2",
        Family {
            thinking: Thinking::Nova,
            grounding: true,
            tool_schema: ToolSchema::PlainRoot,
            ..NOVA
        },
    ),
    ("amazon.nova-micro", Family { documents: false, seeing_results: false, ..NOVA }),
    ("amazon.nova-premier", Family { grounding: true, ..NOVA }),
    ("amazon.nova", NOVA),
    ("amazon.titan-text", PLAIN),
    ("anthropic.claude-3-5-sonnet-20240620", CLAUDE_3),
    ("anthropic.claude-3-5", CLAUDE_3_5),
    ("anthropic.claude-3-7", CLAUDE_3_7),
    ("anthropic.claude-3", CLAUDE_3),
    ("anthropic.claude-fable-5-1", Family { strict: true, ..CLAUDE_UNFORCED }),
    ("anthropic.claude-fable", Family { strict: true, ..CLAUDE_THINKER }),
    ("anthropic.claude-haiku-4-5", CLAUDE_4_5),
    ("anthropic.claude-haiku-5", CLAUDE_5),
    ("anthropic.claude-instant", CLAUDE_2),
    (
        "anthropic.claude-mythos-preview",
        Family { strict: true, documents: false, ..CLAUDE_THINKER },
    ),
    ("anthropic.claude-mythos", Family { strict: true, schema: Schema::Plain, ..CLAUDE_THINKER }),
    ("anthropic.claude-opus-4-1", CLAUDE_4_1),
    ("anthropic.claude-opus-4-2025", CLAUDE_3_7),
    ("anthropic.claude-opus-4-5", CLAUDE_4_5),
    ("anthropic.claude-opus-4-6", CLAUDE_4_6),
    ("anthropic.claude-opus-4-8", CLAUDE_5),
    ("anthropic.claude-opus-5-5", CLAUDE_UNFORCED),
    ("anthropic.claude-opus-5", CLAUDE_5),
    ("anthropic.claude-sonnet-4-2025", Family { strict: false, ..CLAUDE_3_7 }),
    ("anthropic.claude-sonnet-4-5", CLAUDE_4_5),
    ("anthropic.claude-sonnet-4-6", CLAUDE_4_6),
    ("anthropic.claude-sonnet-5-5", CLAUDE_UNFORCED),
    ("anthropic.claude-sonnet-5", CLAUDE_5),
    ("anthropic.claude-v", CLAUDE_2),
    ("anthropic.claude", CLAUDE_4_7),
    ("cohere.command-r", Family { top_k: TopK::Field("k"), ..UNKNOWN }),
    ("cohere.command", PLAIN),
    ("deepseek.r1", TALKING),
    ("deepseek.", QWEN),
    ("meta.llama3-1", LLAMA),
    ("meta.llama3-2", LLAMA),
    ("meta.llama3-3", LLAMA),
    ("meta.llama4", LLAMA),
    ("meta.llama", Family { prefill: true, ..TALKING }),
    ("minimax.minimax-m2.", CHOOSING),
    ("minimax.minimax-m2", SCHEMA),
    ("mistral.devstral", CHOOSING),
    ("mistral.ministral-3", SCHEMA),
    ("mistral.mistral-7b", PLAIN),
    ("mistral.mistral-large-2407", CHOOSING),
    ("mistral.mistral-large-3", SCHEMA),
    ("mistral.mixtral", PLAIN),
    ("mistral.voxtral", Family { schema: Schema::Any, ..TALKING }),
    ("moonshot.kimi-k2-thinking", SCHEMA),
    ("moonshotai.kimi-k2.", CHOOSING),
    ("moonshotai.kimi-k3", Family { least_tokens: 16, ..CHOOSING }),
    ("nvidia.nemotron-nano-3", Family { schema: Schema::Any, ..CHOOSING }),
    ("nvidia.nemotron-super", CHOOSING),
    ("openai.gpt-5.6", OPENAI_UNSTOPPED),
    ("openai.gpt-5", OPENAI),
    ("openai.gpt-oss-safeguard", Family { thinking: EFFORT, ..UNKNOWN }),
    ("openai.gpt-oss", Family { thinking: EFFORT, ..CHOOSING }),
    ("openai.", OPENAI_UNSTOPPED),
    ("qwen.qwen3-coder-next", Family { thinking: EFFORT, ..CHOOSING }),
    ("qwen.qwen3-next", Family { thinking: EFFORT, ..SCHEMA }),
    ("qwen.qwen3-vl", Family { thinking: EFFORT, ..SCHEMA }),
    ("qwen.", QWEN),
    ("writer.palmyra-vision", TALKING),
    ("writer.", Family { documents: true, ..UNKNOWN }),
    ("xai.", Family { samplers: Samplers::Unthinking, ..OPENAI_UNSTOPPED }),
    ("zai.glm-5", Family { schema: Schema::Any, ..CHOOSING }),
    ("zai.", CHOOSING),
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
