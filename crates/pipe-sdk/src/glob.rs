//! Patterns of names in which `*` matches any text.

/// Returns whether a text matches this pattern, in which `*` matches any text.
pub fn matches_glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middles, tail) =
        rest.rsplit_once('*').map_or(("", rest), |(middles, tail)| (middles, tail));
    let Some(text) = text.strip_prefix(head).and_then(|text| text.strip_suffix(tail)) else {
        return false;
    };
    // Each piece is looked for behind the one before: taking the first place leaves the most to the
    // others.
    let find = |text: &'_ str, piece: &str| text.find(piece).map(|at| at + piece.len());
    let mut text = text;
    for piece in middles.split('*') {
        let Some(end) = find(text, piece) else { return false };
        text = text.get(end..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::matches_glob;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fit) in [
            ("a.b", "a.b", true),
            ("a.b", "a.bc", false),
            ("*", "", true),
            ("us.*", "us.x", true),
            ("us.*", "eu.us.x", false),
            ("*claude*-v1:0", "us.claude-3-v1:0", true),
            ("*claude*-v1:0", "us.claude-3-v1:0x", false),
            ("a*a", "a", false),
            ("a*b*c", "axxbxxc", true),
            ("ab*ba", "aba", false),
            ("", "a", false),
            ("*b*a*", "abba", true),
            ("*a*b*a*", "abb", false),
            (&"*".repeat(10_000), "anything", true),
            (&("*".repeat(10_000) + "z"), "anything", false),
        ] {
            assert_eq!(matches_glob(pattern, text), fit, "{pattern} {text}");
        }
    }
}
