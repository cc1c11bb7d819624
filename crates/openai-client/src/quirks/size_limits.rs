//! The limits of lists and texts in refusals, in the words of several servers.

use crate::ApiError;
use pipe_sdk::number_after;

/// A field of a chat whose size a server limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SizedField {
    /// The list of tools.
    Tools,
    /// The list of stop sequences.
    Stop,
    /// The description of a tool.
    Description,
    /// The id of a call.
    CallId,
}

/// The words before the largest size.
const LIMIT_PHRASES: [&str; 10] = [
    "maximum length ",
    "maximum length of ",
    "maximum number of items is ",
    "maximum number of tools is ",
    "maximum of ",
    "maximum is ",
    "at most ",
    "no more than ",
    "limit of ",
    "up to ",
];

/// The words that say that a list or a text is too long.
const TOO_LONG_PHRASES: [&str; 8] =
    ["too long", "too many", "maximum", "at most", "no more than", "exceed", "limit of", "up to"];

/// Returns the field that a refusal calls too long, and its largest size, as in "Invalid 'tools':
/// array too long. Expected an array with maximum length 128".
///
/// The field is that of the error, or the first word of the message: a message may also quote the
/// prompt.
pub(super) fn find_size_limit(api_error: &ApiError) -> Option<(SizedField, usize)> {
    let message = api_error.message.to_ascii_lowercase();
    let first = message.trim_start_matches("invalid ").trim_start();
    let first = first.split([':', ' ']).next().unwrap_or_default();
    let first = first.trim_matches(['\'', '`', '"']);
    let named = api_error.param.as_deref().unwrap_or(first);
    let field = match named {
        "tools" => SizedField::Tools,
        "stop" => SizedField::Stop,
        path if path.starts_with("tools") && path.ends_with(".description") => {
            SizedField::Description
        }
        path if path.contains("tool_call") && path.ends_with("id") => SizedField::CallId,
        _ => return None,
    };
    if !TOO_LONG_PHRASES.iter().any(|phrase| message.contains(phrase)) {
        return None;
    }
    let limit = LIMIT_PHRASES.iter().find_map(|phrase| number_after(&message, phrase))?;
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0)?;
    Some((field, limit))
}

/// Returns whether a refusal wants ids of nine letters and digits, as Mistral's `Tool call id was
/// call_0 but must be a-z, A-Z, 0-9, with a length of 9`.
pub(super) fn wants_nine_letter_ids(api_error: &ApiError) -> bool {
    let message = api_error.message.to_ascii_lowercase();
    message.trim_start().starts_with("tool call id was ") && message.contains("length of 9")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_size_of_a_field_is_read_from_refusals() {
        let tools = Some((SizedField::Tools, 128));
        for (param, message, found) in [
            (
                Some("tools"),
                "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length 200 instead.",
                tools,
            ),
            (None, "'tools' : maximum number of items is 128", tools),
            (
                Some("stop"),
                "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 9 instead.",
                Some((SizedField::Stop, 4)),
            ),
            (
                Some("tools[3].function.description"),
                "Invalid 'tools[3].function.description': string too long. Expected a string with maximum length 1024, but got a string with length 1500 instead.",
                Some((SizedField::Description, 1024)),
            ),
            (
                Some("messages[1].tool_calls[0].id"),
                "Invalid 'messages[1].tool_calls[0].id': string too long. Expected a string with maximum length 40, but got a string with length 64 instead.",
                Some((SizedField::CallId, 40)),
            ),
            (None, "messages: 'tools: maximum length 3'", None),
            (Some("tools"), "tools must be a list", None),
        ] {
            let error = ApiError {
                message: message.into(),
                param: param.map(str::to_owned),
                ..ApiError::default()
            };
            assert_eq!(find_size_limit(&error), found, "{message}");
        }
    }
}
