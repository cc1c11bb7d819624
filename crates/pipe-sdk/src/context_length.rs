//! Refusals of chats that are too long for a model, in the words of several services.

/// Words of the errors for chats that are too long. The message must contain all words of a row.
const PHRASES: &[&[&str]] = &[
    &["input is too long"],
    &["prompt is too long"],
    &["prompt too long"],
    &["conversation is too long"],
    &["too many total text bytes"],
    &["too many tokens"],
    &["too many input tokens"],
    &["input length and max_tokens exceed"],
    &["exceed", "context limit"],
    &["exceed", "context length"],
    &["exceed", "context size"],
    &["exceeds the maximum", "token"],
    &["exceeds the maximum", "context"],
    &["exceeds", "maximum length"],
    &["exceeds", "maximum input length"],
    &["longer than", "maximum model length"],
    &["longer than", "context length"],
    &["greater than the context length"],
    &["inputs tokens", "max_new_tokens must be"],
    &["inputs must have less than"],
    &["exceed", "model maximum"],
    &["prompt tokens", "exceed"],
    &["number of input tokens", "exceed"],
    &["input token", "exceed"],
    &["maximum context length"],
    &["max context length"],
    &["maximum prompt length"],
    &["context_length_exceeded"],
    &["context window"],
    &["reduce the length of the messages"],
    &["reduce the length of the prompt"],
];

/// Returns whether a refusal says that a chat is too long for its model, as in "prompt is too long:
/// 210000 tokens > 200000 maximum".
pub fn is_context_overflow(message: &str) -> bool {
    let message = message.replace('`', "").to_ascii_lowercase();
    PHRASES.iter().any(|words| words.iter().all(|word| message.contains(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_that_is_too_long_is_known_by_the_words_of_every_service() {
        for message in [
            "prompt is too long: 210000 tokens > 200000 maximum",
            "Input is too long for requested model.",
            "prompt tokens (131073) exceed model maximum (128000)",
            "Number of input tokens exceeds maximum length",
            "Too many input tokens. Max input tokens: 8192, request input token count: 9000",
            "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
            "This model's maximum context length is 8192 tokens. However, you requested 9000",
            "input length and `max_tokens` exceed context limit: 210000 + 20000 > 200000",
            "The input token count (300000) exceeds the maximum number of tokens allowed (256000).",
            "This model maximum prompt length is 131072 but the request contains 140000 tokens.",
            "Prompt contains 33000 tokens, too large for model with 32768 maximum context length",
            "Please reduce the length of the messages or completion.",
            "the request exceeds the available context size (4096 tokens), try increasing it",
            "prompt too long; exceeded max context length by 12 tokens",
            "too many total text bytes: 9000001 > 9000000",
            "max_tokens + prompt exceeds the context window of this model",
            "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
            "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
            "The number of tokens to keep from the initial prompt is greater than the context length",
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 `inputs` tokens and 20 `max_new_tokens`",
            "Input validation error: `inputs` must have less than 4096 tokens. Given: 5000",
            "Prompt length of 9000 tokens exceeds maximum input length of 8192 tokens",
        ] {
            assert!(is_context_overflow(message), "{message}");
        }
        for message in [
            "The maximum tokens you requested exceeds the model limit of 8192.",
            "max_tokens is too large: 9000. This model supports at most 4096 completion tokens",
            "Invalid 'stop': array too long. Expected an array with maximum length 4",
            "tools[0].function.description: string too long",
        ] {
            assert!(!is_context_overflow(message), "{message}");
        }
    }
}
