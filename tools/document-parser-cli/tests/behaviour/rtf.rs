//! RTF files.

use crate::{error_text, markdown_of, parse};

#[tokio::test]
async fn headings_letters_items_tables_and_notes_are_read() {
    let text = r"{\rtf1\ansi\ansicpg1252\uc1{\fonttbl{\f0 Arial;}{\f1\fcharset204 Cyr;}}{\colortbl;\red0;}
{\stylesheet{\s1\outlinelevel1 heading 2;}}{\info{\title My title}{\author Somebody}}
\pard\s1 Chap
ter\par\pard Caf\'e9 \u8364? \u-10179?\u-8704? {\f1\'cf\'f0}{\*\generator Word}{\v hidden}\par
{\listtext 2.\tab}An item\par\pard\trowd\intbl a\cell b\cell\row\trowd\intbl 1\cell 2\cell\row
\pard End{\footnote A note.} of it \{\\\}.\par{\pict\bin4 }}}{ffd8}}";
    let document = parse(text.as_bytes(), "a.rtf").await.unwrap();
    assert_eq!(document.title.as_deref(), Some("My title"));
    assert_eq!(
        document.to_markdown().text,
        "## Chapter\n\nCafé € 😀 Пр\n\n2. An item\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\nEnd[1] of it {\\}.\n\n[1] A note.\n"
    );
}

#[tokio::test]
async fn page_headers_footers_and_styles_named_as_headings_are_read() {
    let text = r"{\rtf1{\stylesheet{\s0 Normal;}{\s2\b Heading 2;}}{\header ACME\par Page {\field{\*\fldinst PAGE}{\fldrslt 1}}\par}
{\headerf ACME\par}{\footer Secret\par 3\par}\pard\s2 Scope\par\pard\s0 Text.\par\sect{\header Annex\par}\pard More.\par}";
    assert_eq!(
        markdown_of(text.as_bytes(), "a.rtf").await,
        "ACME\n\nPage 1\n\n## Scope\n\nText.\n\nAnnex\n\nMore.\n\nSecret\n"
    );
}

#[tokio::test]
async fn unbalanced_and_deep_groups_end() {
    assert_eq!(markdown_of(b"{\\rtf1 a}}}} b", "a.rtf").await, "a b\n");
    let deep = format!("{{\\rtf1 a{}", "{".repeat(1_000_000));
    assert_eq!(
        error_text(deep.as_bytes(), "a.rtf").await,
        "`a.rtf` cannot be read: it is damaged: its groups are nested too deeply"
    );
}
