//! Markdown.

use crate::parse;
use document_parser::BlockContent;

const GUIDE: &str = "\
---
title: \"The guide\"
---
# Set up

Get the *thing*,
then [put](https://example.org) it there.

## Linux

3. first
4. second
   - deep

| a | b |
|---|---|
| 1 | `2\\|` |

```sh
# no heading
```

<p>Raw <b>words</b></p>

# Use
";

#[tokio::test]
async fn every_block_knows_its_headings() {
    let document = parse(GUIDE.as_bytes(), "guide.md").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("The guide"));
    let paths: Vec<String> = document
        .blocks_with_headings()
        .map(|(path, block)| format!("{} | {}", path.join(" > "), kind(&block.content)))
        .collect();
    assert_eq!(
        paths,
        [
            " | heading",
            "Set up | paragraph",
            "Set up | heading",
            "Set up > Linux | list",
            "Set up > Linux | table",
            "Set up > Linux | code",
            "Set up > Linux | paragraph",
            " | heading",
        ]
    );
}

fn kind(content: &BlockContent) -> &'static str {
    match content {
        BlockContent::Heading { .. } => "heading",
        BlockContent::Paragraph(_) => "paragraph",
        BlockContent::List(_) => "list",
        BlockContent::Table(_) => "table",
        BlockContent::Code { .. } => "code",
    }
}

#[tokio::test]
async fn rendered_markdown_parses_to_the_same() {
    let document = parse(GUIDE.as_bytes(), "guide.md").await.unwrap();
    let text = document.to_markdown().text;
    assert_eq!(
        text,
        "\
# Set up

Get the thing, then put it there.

## Linux

3. first
4. second
    - deep

| a | b |
| --- | --- |
| 1 | 2\\| |

```sh
# no heading
```

Raw words

# Use
"
    );
    let again = parse(text.as_bytes(), "again.md").await.unwrap();
    assert_eq!(again.to_markdown().text, text);
}
