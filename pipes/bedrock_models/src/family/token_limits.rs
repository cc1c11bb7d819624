//! The token limits of models, a row each.
//!
//! AWS publishes no list of them. The figures are those of its model cards and price lists, as the
//! map of models in the package `litellm` 1.109.1 gathers them.

/// The token limits of a model; `None` if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenLimits {
    /// The most that it reads.
    pub context_length: Option<u32>,
    /// The most that it writes.
    pub max_output_tokens: Option<u32>,
}

/// The placeholder of an unknown limit.
const UNKNOWN: u32 = 0;

/// The prefix of a base id, the input limit and the output limit. The first row that matches
/// counts, so longer prefixes come before shorter ones.
const TOKEN_LIMITS: &[(&str, u32, u32)] = &[
    ("ai21.j2", 8_191, 8_191),
    ("ai21.jamba-1-5", 256_000, 4_096),
    ("ai21.jamba-instruct", 70_000, 4_096),
    ("amazon.nova-2-lite", 1_000_000, 64_000),
    ("amazon.nova-2-multimodal-embeddings", 8_172, UNKNOWN),
    ("amazon.nova-2-pro", 1_000_000, 64_000),
    ("amazon.nova-lite", 300_000, 10_000),
    ("amazon.nova-micro", 128_000, 10_000),
    ("amazon.nova-premier", 1_000_000, 10_000),
    ("amazon.nova-pro", 300_000, 10_000),
    ("amazon.rerank", 32_000, UNKNOWN),
    ("amazon.titan-embed-image", 128, UNKNOWN),
    ("amazon.titan-embed", 8_192, UNKNOWN),
    ("amazon.titan-text-express", 42_000, 8_000),
    ("amazon.titan-text-lite", 42_000, 4_000),
    ("amazon.titan-text-premier", 42_000, 32_000),
    ("anthropic.claude-3-5-haiku", 200_000, 8_192),
    ("anthropic.claude-3-5-sonnet-20240620", 200_000, 4_096),
    ("anthropic.claude-3-5-sonnet", 200_000, 8_192),
    ("anthropic.claude-3-7-sonnet", 200_000, 64_000),
    ("anthropic.claude-3", 200_000, 4_096),
    ("anthropic.claude-fable", 1_000_000, 128_000),
    ("anthropic.claude-haiku-4-5", 200_000, 64_000),
    ("anthropic.claude-haiku-5", 1_000_000, 128_000),
    ("anthropic.claude-instant", 100_000, 8_191),
    ("anthropic.claude-mythos", 1_000_000, 128_000),
    ("anthropic.claude-opus-4-1", 200_000, 32_000),
    ("anthropic.claude-opus-4-2025", 200_000, 32_000),
    ("anthropic.claude-opus-4-5", 200_000, 64_000),
    ("anthropic.claude-opus", 1_000_000, 128_000),
    ("anthropic.claude-sonnet-4-2025", 200_000, 64_000),
    ("anthropic.claude-sonnet-4-5", 200_000, 64_000),
    ("anthropic.claude-sonnet-4-6", 1_000_000, 64_000),
    ("anthropic.claude-sonnet-5", 1_000_000, 128_000),
    ("anthropic.claude-v", 100_000, 8_191),
    ("cohere.command-light-text", 4_096, 4_096),
    ("cohere.command-text", 4_096, 4_096),
    ("cohere.embed-v4", 128_000, UNKNOWN),
    ("cohere.embed", 512, UNKNOWN),
    ("cohere.rerank", 4_096, UNKNOWN),
    ("deepseek.r1", 128_000, 8_192),
    ("deepseek.v3-v1", 128_000, 8_000),
    ("deepseek.v3.2", 163_840, UNKNOWN),
    ("google.gemma-3", 128_000, 8_000),
    ("meta.llama2", 4_096, 4_096),
    ("meta.llama3-1", 128_000, 4_096),
    ("meta.llama3-2", 128_000, 4_096),
    ("meta.llama3-3", 128_000, 4_096),
    ("meta.llama3", 8_192, 8_192),
    ("meta.llama4-maverick", 1_000_000, 8_192),
    ("meta.llama4-scout", 10_000_000, 8_192),
    ("minimax.minimax-m2.", 196_000, 8_000),
    ("minimax.minimax-m2", 1_000_000, 8_000),
    ("mistral.devstral", 256_000, 32_000),
    ("mistral.magistral-small", 128_000, 40_000),
    ("mistral.ministral-3", 128_000, 8_000),
    ("mistral.mistral-7b", 32_000, 4_096),
    ("mistral.mistral-large-2402", 32_000, 4_096),
    ("mistral.mistral-large-2407", 128_000, 8_191),
    ("mistral.mistral-large-3", 256_000, 32_000),
    ("mistral.mistral-small-2402", 32_000, 4_096),
    ("mistral.mixtral-8x7b", 32_000, 4_096),
    ("mistral.pixtral-large", 128_000, 16_384),
    ("mistral.voxtral", 32_768, 8_192),
    ("moonshot.kimi-k2", 256_000, 16_000),
    ("moonshotai.kimi-k2", 256_000, 16_000),
    ("moonshotai.kimi-k3", 1_000_000, 131_072),
    ("nvidia.nemotron-nano-12b", 128_000, 8_000),
    ("nvidia.nemotron-nano-3", 256_000, 8_000),
    ("nvidia.nemotron-nano-9b", 128_000, 8_000),
    ("nvidia.nemotron-super-3", 256_000, 32_000),
    ("openai.gpt-6.1-sol", 1_000_000, 131_072),
    ("openai.gpt-oss-safeguard", 128_000, 16_000),
    ("openai.gpt-oss", 128_000, 16_384),
    ("openai.gpt-5", 922_000, 128_000),
    ("openai.gpt-6", 922_000, 128_000),
    ("qwen.qwen3-235b", 262_144, 8_192),
    ("qwen.qwen3-32b", 32_768, 8_192),
    ("qwen.qwen3-coder-next", 256_000, 16_000),
    ("qwen.qwen3-coder", 262_144, 16_384),
    ("qwen.qwen3-next", 256_000, 8_000),
    ("qwen.qwen3-vl", 256_000, 8_000),
    ("writer.palmyra-vision", 4_096, 4_096),
    ("writer.palmyra-x", 128_000, 8_192),
    ("xai.grok-4.6", 500_000, 500_000),
    ("xai.grok-4.7", 524_288, 524_288),
    ("zai.glm-4.7", 203_000, 128_000),
    ("zai.glm-5.3", 1_000_000, 128_000),
    ("zai.glm-5", 200_000, 128_000),
];

impl TokenLimits {
    /// Returns the size of the model with this base id. Some say in it how much they read, as in
    /// `…-v1:0:48k`.
    pub fn for_model(base: &str) -> Self {
        let row = TOKEN_LIMITS.iter().find(|(beginning, ..)| base.starts_with(beginning));
        let known = |figure: u32| Some(figure).filter(|figure| *figure != UNKNOWN);
        let limits = row.map(|(_, reads, writes)| Self {
            context_length: known(*reads),
            max_output_tokens: known(*writes),
        });
        let limits = limits.unwrap_or_default();
        Self { context_length: context_length_in_id(base).or(limits.context_length), ..limits }
    }
}

/// Returns the context length that an id names.
fn context_length_in_id(base: &str) -> Option<u32> {
    let (_, ending) = base.rsplit_once(':')?;
    ending.strip_suffix('k')?.parse::<u32>().ok()?.checked_mul(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_not_hidden_by_a_shorter_one_above_it() {
        for (place, (beginning, ..)) in TOKEN_LIMITS.iter().enumerate() {
            let first = TOKEN_LIMITS.iter().position(|(above, ..)| beginning.starts_with(above));
            assert_eq!(first, Some(place), "{beginning}");
        }
    }

    #[test]
    fn an_id_may_say_how_much_its_model_reads() {
        for (base, reads, writes) in [
            ("anthropic.claude-3-haiku-20240307-v1:0", Some(200_000), Some(4_096)),
            ("anthropic.claude-3-haiku-20240307-v1:0:48k", Some(48_000), Some(4_096)),
            ("cohere.embed-v4:0", Some(128_000), None),
            ("acme.unheard-of-v1:0", None, None),
        ] {
            let limits = TokenLimits { context_length: reads, max_output_tokens: writes };
            assert_eq!(TokenLimits::for_model(base), limits, "{base}");
        }
    }
}
