//! The regular expressions of the keyword `pattern`.

/// Returns whether a pattern has a look-around assertion, as in `a(?=b)`.
pub fn has_lookaround(pattern: &str) -> bool {
    ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|assertion| pattern.contains(assertion))
}

/// Returns whether a regular expression is valid: its groups and classes are closed, it does not
/// end within an escape, and each quantifier has something before it. Services that validate
/// schemas refuse others.
pub fn is_valid_pattern(pattern: &str) -> bool {
    let (mut groups, mut is_in_class, mut has_atom) = (0_usize, false, false);
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                if chars.next().is_none() {
                    return false;
                }
                has_atom = true;
            }
            ']' if is_in_class => (is_in_class, has_atom) = (false, true),
            _ if is_in_class => {}
            '[' => {
                is_in_class = true;
            }
            '(' => {
                groups += 1;
                has_atom = false;
                if chars.next_if_eq(&'?').is_some() {
                    // The next character gives the kind of the group, and is no quantifier.
                    chars.next();
                }
            }
            ')' => {
                let Some(outer) = groups.checked_sub(1) else { return false };
                (groups, has_atom) = (outer, true);
            }
            '|' => has_atom = false,
            '*' | '+' | '?' if !has_atom => return false,
            // A second `?` or `+` makes a quantifier lazy or possessive.
            '*' | '+' | '?' => {}
            _ => has_atom = true,
        }
    }
    groups == 0 && !is_in_class
}

#[cfg(test)]
mod tests {
    use super::is_valid_pattern;

    #[test]
    fn patterns_are_valid_or_not() {
        for pattern in
            ["", "^a$", "[^\\]]*", "(?<name>a)?", "(?!a)b{2}", "a+?", "\\p{L}", "a|b", "{"]
        {
            assert!(is_valid_pattern(pattern), "{pattern}");
        }
        for pattern in ["[", "(", ")", "a(b", "*a", "a|*", "\\", "(+)", "[a"] {
            assert!(!is_valid_pattern(pattern), "{pattern}");
        }
    }
}
