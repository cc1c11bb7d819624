//! Reads from error messages of several services how many tokens the input of a chat leaves for its
//! answer.

/// The words before the size of the context.
const CONTEXT_PHRASES: [&str; 4] = [
    "maximum context length is ",
    "maximum context length of ",
    "context length is only ",
    "context window of ",
];

/// Returns how many tokens the input of a chat leaves for its answer; `None` if the message does
/// not tell.
///
/// Example: "maximum context length is 8192 tokens. However, you requested 10000 tokens (6000 in
/// the messages, 4000 in the completion)". `message` is in lower case.
pub fn find_remaining_tokens(message: &str) -> Option<u64> {
    if let Some(limit) = find_claude_limit(message) {
        return limit;
    }
    let context = CONTEXT_PHRASES.iter().find_map(|phrase| number_after(message, phrase))?;
    let input = number_before(message, " in the messages")
        .or_else(|| number_before(message, " input tokens"))
        .or_else(|| number_before(message, " tokens from the input messages"))
        .or_else(|| number_before(message, " of text input"))
        .or_else(|| number_after(message, "prompt contains at least "))
        .or_else(|| number_after(message, "your request has "))?;
    context.checked_sub(input)
}

/// Returns the same of Claude's words, as in "input length and `max_tokens` exceed context limit:
/// 188240 + 21333 > 200000"; the inner `None` if nothing is left.
fn find_claude_limit(message: &str) -> Option<Option<u64>> {
    let (_, sum) = message.split_once("context limit: ")?;
    let (input, rest) = sum.split_once(" + ")?;
    let (_, limit) = rest.split_once(" > ")?;
    let end = limit.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(limit.len());
    Some(parse(limit.get(..end)?)?.checked_sub(parse(input)?))
}

/// Returns the number after this phrase.
pub fn number_after(message: &str, phrase: &str) -> Option<u64> {
    message.match_indices(phrase).find_map(|(place, _)| {
        let rest = message.get(place + phrase.len()..)?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(rest.len());
        parse(rest.get(..end)?)
    })
}

/// Returns the number before a phrase in a message.
fn number_before(message: &str, phrase: &str) -> Option<u64> {
    message.match_indices(phrase).find_map(|(place, _)| {
        let before = message.get(..place)?;
        let start = before.rfind(|c: char| !c.is_ascii_digit() && c != ',').map_or(0, |at| at + 1);
        parse(before.get(start..)?)
    })
}

/// Parses a number that may have commas between its digits.
fn parse(number: &str) -> Option<u64> {
    number.replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_input_leaves_of_the_context_is_read_from_refusals() {
        for (message, remaining) in [
            (
                "this model's maximum context length is 8192 tokens. however, you requested 10000 tokens (6000 in the messages, 4000 in the completion).",
                Some(2192),
            ),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 4000. this model's maximum context length is 8192 tokens and your request has 6000 input tokens (4000 > 8192 - 6000).",
                Some(2192),
            ),
            (
                "this endpoint's maximum context length is 32768 tokens. however, you requested about 40000 tokens (20000 of text input, 20000 in the output).",
                Some(12_768),
            ),
            (
                "input length and max_tokens exceed context limit: 188240 + 21333 > 200000, decrease input length or max_tokens and try again",
                Some(11_760),
            ),
            ("input length and max_tokens exceed context limit: 210000 + 21333 > 200000", None),
            (
                "this model's maximum context length is 8192 tokens. however, your messages resulted in 9000 tokens.",
                None,
            ),
            (
                "this model's maximum context length is 8192 tokens. however, you requested 13000 tokens (9000 in the messages, 4000 in the completion).",
                None,
            ),
        ] {
            assert_eq!(find_remaining_tokens(message), remaining, "{message}");
        }
    }
}
