//! Removes images in the text of an assistant: megabytes of base64 that no model could read.

use std::borrow::Cow;

/// The beginning of an image's data in Markdown.
const DATA_URL: &str = "](data:image/";

/// Returns the same text, in which each picture that it holds as data is a word or two.
pub fn without_inline_images(text: &str) -> Cow<'_, str> {
    if !text.contains(DATA_URL) {
        return Cow::Borrowed(text);
    }
    let (mut output, mut rest) = (String::new(), text);
    while let Some((before, data)) = rest.split_once(DATA_URL) {
        let picture = before.rsplit_once("![").filter(|(_, words)| !words.contains("]("));
        let Some((text, words)) = picture else {
            output.push_str(before);
            output.push_str(DATA_URL);
            rest = data;
            continue;
        };
        output.push_str(text);
        output.push_str("[image");
        if !words.trim().is_empty() {
            output.push_str(": ");
            output.push_str(words.trim());
        }
        output.push(']');
        rest = data.split_once(')').map_or("", |(_, after)| after);
    }
    output.push_str(rest);
    Cow::Owned(output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_become_words_and_all_else_stays() {
        for (text, expected) in [
            ("![a](https://x/a.png) b](c)", "![a](https://x/a.png) b](c)"),
            (
                "Here: ![a fox](data:image/png;base64,iVBO==) and more",
                "Here: [image: a fox] and more",
            ),
            ("![](data:image/png;base64,A)![b](data:image/webp;base64,B)", "[image][image: b]"),
            ("cut ![a](data:image/png;base64,iVBO", "cut [image: a]"),
            ("![a](x) [b](data:image/png;base64,B)", "![a](x) [b](data:image/png;base64,B)"),
            ("[a link](data:image/png;base64,iVBO)", "[a link](data:image/png;base64,iVBO)"),
        ] {
            assert_eq!(without_inline_images(text), expected);
        }
    }
}
