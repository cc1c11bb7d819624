//! The limit of tokens in refusals, in the words of several servers.

use pipe_sdk::number_after;

/// The words before the largest number of tokens of an answer.
const MAX_TOKENS_PHRASES: [&str; 7] = [
    "supports at most ",
    "must be at most ",
    "less than or equal to ",
    "less or equal to ",
    "<= ",
    "maximum value of ",
    "maximum of ",
];

/// Returns the most tokens of an answer that a refusal of `max_tokens` names, as in "This model
/// supports at most 4096 completion tokens". `message` is in lower case.
pub(super) fn find_max_tokens(message: &str) -> Option<u64> {
    let is_named = ["max_tokens", "max_completion_tokens", "completion tokens", "max_new_tokens"]
        .iter()
        .any(|name| message.contains(name));
    if !is_named {
        return None;
    }
    MAX_TOKENS_PHRASES.iter().find_map(|phrase| number_after(message, phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_tokens_of_an_answer_are_read_from_refusals() {
        for (message, limit) in [
            (
                "max_tokens is too large: 100000. this model supports at most 4096 completion tokens, whereas you provided 100000.",
                Some(4096),
            ),
            ("`max_tokens` must be less than or equal to `32768`", None),
            ("max_tokens must be less than or equal to 32,768, the maximum", Some(32_768)),
            ("max_completion_tokens must be at most 8192", Some(8192)),
            ("temperature must be at most 2", None),
        ] {
            assert_eq!(find_max_tokens(message), limit, "{message}");
        }
    }
}
