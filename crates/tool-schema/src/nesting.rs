//! Schemas that are nested deeper than readers of JSON accept.

use std::borrow::Cow;

/// Returns JSON with at most this number of levels: an object or a list that is deeper is empty.
pub fn limit_nesting(json: &str, max_depth: usize) -> Cow<'_, str> {
    let mut limited = String::new();
    let (mut depth, mut in_text, mut is_escaped, mut copied) = (0_usize, false, false, 0);
    for (place, byte) in json.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                if depth == max_depth + 1 {
                    limited.push_str(json.get(copied..=place).unwrap_or_default());
                }
            }
            b'}' | b']' if !in_text => {
                if depth == max_depth + 1 {
                    copied = place;
                }
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
    }
    if limited.is_empty() {
        return Cow::Borrowed(json);
    }
    limited.push_str(json.get(copied..).unwrap_or_default());
    Cow::Owned(limited)
}

#[cfg(test)]
mod tests {
    use super::limit_nesting;

    #[test]
    fn values_beyond_the_largest_depth_are_left_out() {
        for (json, limited) in [
            (r#"{"a":[1,{"b":2}],"c":"]["}"#, r#"{"a":[1,{}],"c":"]["}"#),
            (r#"{"a":[{"b":2},{"b":{}}]}"#, r#"{"a":[{},{}]}"#),
            (r#"{"a":[1,"\\"]}"#, r#"{"a":[1,"\\"]}"#),
        ] {
            assert_eq!(limit_nesting(json, 2), limited);
        }
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        assert_eq!(limit_nesting(&deep, 100).len(), 202);
    }
}
