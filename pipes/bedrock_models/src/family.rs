//! What families of models can and cannot take, as data.
//!
//! AWS does not tell it, so it is written down here, by the beginning of a model's base id (bedrock.md §1B). The first row that fits
//! counts; a model that no row knows is taken for one that can do the usual things.

/// What one family takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Which of `temperature` and `topP`.
    pub samplers: Samplers,
    /// Whether tools, and how.
    pub tools: Tools,
    /// Whether a certain tool, or any, may be demanded.
    pub tool_choice: bool,
    /// Whether a system prompt. Without, it goes before the first question.
    pub system: bool,
    /// Whether the conversation may end with words of the assistant, to be continued.
    pub prefill: bool,
}

/// Which of `temperature` and `topP` a family takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samplers {
    /// Both in one request.
    Both,
    /// One of them; then it is the temperature.
    One,
    /// None.
    None,
}

/// How a family takes tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tools {
    /// Not at all.
    No,
    /// Only when the answer is not streamed.
    Unstreamed,
    /// Always.
    Yes,
}

const USUAL: Family = Family {
    samplers: Samplers::Both,
    tools: Tools::Yes,
    tool_choice: false,
    system: true,
    prefill: false,
};
const CHOOSING: Family = Family { tool_choice: true, ..USUAL };
const TALKING: Family = Family { tools: Tools::No, ..USUAL };
const PLAIN: Family = Family { system: false, ..TALKING };
const CLAUDE: Family = Family { samplers: Samplers::None, ..CHOOSING };
const LLAMA: Family = Family { tools: Tools::Unstreamed, prefill: true, ..USUAL };

/// Longer beginnings stand before shorter ones that they begin with.
const FAMILIES: &[(&str, Family)] = &[
    ("amazon.titan-text", PLAIN),
    ("amazon.nova", CHOOSING),
    ("anthropic.claude-instant", Family { prefill: true, ..TALKING }),
    ("anthropic.claude-v", Family { prefill: true, ..TALKING }),
    ("anthropic.claude-3", Family { prefill: true, ..CHOOSING }),
    ("anthropic.claude-opus-4-2025", Family { prefill: true, ..CHOOSING }),
    ("anthropic.claude-sonnet-4-2025", Family { prefill: true, ..CHOOSING }),
    ("anthropic.claude-opus-4-1", Family { samplers: Samplers::One, prefill: true, ..CHOOSING }),
    ("anthropic.claude-opus-4-5", Family { samplers: Samplers::One, prefill: true, ..CHOOSING }),
    ("anthropic.claude-sonnet-4-5", Family { samplers: Samplers::One, prefill: true, ..CHOOSING }),
    ("anthropic.claude-haiku-4-5", Family { samplers: Samplers::One, prefill: true, ..CHOOSING }),
    ("anthropic.claude-opus-4-6", Family { samplers: Samplers::One, ..CHOOSING }),
    ("anthropic.claude-sonnet-4-6", Family { samplers: Samplers::One, ..CHOOSING }),
    ("anthropic.claude-fable-5-1", Family { tool_choice: false, ..CLAUDE }),
    ("anthropic.claude-opus-5-5", Family { tool_choice: false, ..CLAUDE }),
    ("anthropic.claude-sonnet-5-5", Family { tool_choice: false, ..CLAUDE }),
    ("anthropic.claude", CLAUDE),
    ("meta.llama3-1", LLAMA),
    ("meta.llama3-2", LLAMA),
    ("meta.llama3-3", LLAMA),
    ("meta.llama4", LLAMA),
    ("meta.llama", Family { prefill: true, ..TALKING }),
    ("mistral.mistral-7b", PLAIN),
    ("mistral.mixtral", PLAIN),
    ("mistral.mistral-large-2407", CHOOSING),
    ("deepseek.r1", TALKING),
    ("deepseek.", CHOOSING),
    ("qwen.qwen3-next", USUAL),
    ("qwen.qwen3-vl", USUAL),
    ("qwen.", CHOOSING),
    ("openai.gpt-oss-safeguard", USUAL),
    ("openai.gpt-oss", CHOOSING),
    ("openai.", Family { samplers: Samplers::None, ..CHOOSING }),
    ("xai.", Family { samplers: Samplers::None, ..CHOOSING }),
    ("cohere.command-r", USUAL),
    ("cohere.command", PLAIN),
    ("ai21.j2", PLAIN),
    ("ai21.jamba-instruct", TALKING),
    ("ai21.jamba", Family { tools: Tools::Unstreamed, ..USUAL }),
    ("writer.palmyra-vision", TALKING),
    ("minimax.minimax-m2.", CHOOSING),
    ("moonshotai.kimi-k2.", CHOOSING),
    ("moonshotai.kimi-k3", CHOOSING),
    ("nvidia.nemotron-nano-3", CHOOSING),
    ("nvidia.nemotron-super", CHOOSING),
    ("zai.", CHOOSING),
];

/// Words in the base ids of models that give text or none, but do not chat.
const MUTE: &[&str] =
    &["embed", "rerank", "stability.", "canvas", "nova-reel", "sonic", "-image", "twelvelabs."];

const GEOGRAPHIES: &[&str] =
    &["us-gov.", "us.", "eu.", "apac.", "jp.", "au.", "ca.", "sa.", "in.", "global."];

impl Family {
    /// The family of the model with this base id.
    pub fn of(base: &str) -> Self {
        let row = FAMILIES.iter().find(|(beginning, _)| base.starts_with(beginning));
        row.map_or(USUAL, |(_, family)| *family)
    }
}

/// Whether the model with this base id chats, as far as its name tells.
pub fn chats(base: &str) -> bool {
    !MUTE.iter().any(|word| base.contains(word))
}

/// The model's own id, out of an ARN or the id of a cross-region profile.
pub fn base_id(id: &str) -> &str {
    let id = id.rsplit_once('/').map_or(id, |(_, last)| last);
    GEOGRAPHIES.iter().find_map(|geography| id.strip_prefix(geography)).unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_ids_come_out_of_arns_and_profiles() {
        for (id, base) in [
            ("anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("us-gov.anthropic.claude-opus-5", "anthropic.claude-opus-5"),
            ("global.amazon.nova-2-lite-v1:0", "amazon.nova-2-lite-v1:0"),
            ("arn:aws:bedrock:us-east-1::foundation-model/meta.llama4-x", "meta.llama4-x"),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/eu.meta.llama4-x", "meta.llama4-x"),
        ] {
            assert_eq!(base_id(id), base);
        }
    }

    #[test]
    fn claude_takes_both_samplers_then_one_then_none() {
        for (base, samplers) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", Samplers::Both),
            ("anthropic.claude-sonnet-4-20250514-v1:0", Samplers::Both),
            ("anthropic.claude-opus-4-1-20250805-v1:0", Samplers::One),
            ("anthropic.claude-sonnet-4-6", Samplers::One),
            ("anthropic.claude-opus-4-7", Samplers::None),
            ("anthropic.claude-opus-9-of-the-future", Samplers::None),
        ] {
            assert_eq!(Family::of(base).samplers, samplers, "{base}");
        }
    }

    #[test]
    fn a_row_is_not_hidden_by_a_shorter_one_above_it() {
        for (place, (beginning, _)) in FAMILIES.iter().enumerate() {
            let first = FAMILIES.iter().position(|(above, _)| beginning.starts_with(above));
            assert_eq!(first, Some(place), "{beginning}");
        }
    }

    #[test]
    fn models_that_only_embed_or_paint_do_not_chat() {
        for base in ["cohere.embed-v4:0", "amazon.rerank-v1:0", "stability.sd3-5-large-v1:0"] {
            assert!(!chats(base));
        }
        assert!(chats("amazon.nova-pro-v1:0") && chats("cohere.command-r-v1:0"));
    }
}
