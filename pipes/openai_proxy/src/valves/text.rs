//! The lists and header values that valves hold as text.

use http::HeaderValue;

/// Splits a text at commas and line breaks, and leaves out blank items.
pub(crate) fn split_items(text: Option<&str>) -> impl Iterator<Item = &str> {
    let items = text.unwrap_or_default().split([',', '\n']);
    items.map(str::trim).filter(|item| !item.is_empty())
}

/// Returns whether a header can hold this text.
pub(crate) fn is_header_value(text: &str) -> bool {
    HeaderValue::try_from(text).is_ok_and(|value| value.to_str().is_ok())
}
