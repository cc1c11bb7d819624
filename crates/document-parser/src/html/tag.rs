//! The roles of elements, and attributes of tags.

use html5ever::tokenizer::Tag;

/// The role of an element for the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// An element whose text is not read.
    Ignored,
    Title,
    Heading(u8),
    List,
    NumberedList,
    Item,
    Pre,
    Table,
    Row,
    Cell,
    /// A block on lines of its own.
    Block,
    /// A part of a line.
    Inline,
}

/// Returns the role of an element.
pub(super) fn role(name: &str) -> Role {
    match name {
        "script" | "style" | "template" | "noscript" | "iframe" | "noembed" | "noframes"
        | "textarea" | "select" | "datalist" | "canvas" | "audio" | "video" | "object" | "svg"
        | "nav" => Role::Ignored,
        "title" => Role::Title,
        "h1" => Role::Heading(1),
        "h2" => Role::Heading(2),
        "h3" => Role::Heading(3),
        "h4" => Role::Heading(4),
        "h5" => Role::Heading(5),
        "h6" => Role::Heading(6),
        "ul" | "menu" => Role::List,
        "ol" => Role::NumberedList,
        "li" => Role::Item,
        "pre" | "listing" | "xmp" => Role::Pre,
        "table" => Role::Table,
        "tr" => Role::Row,
        "td" | "th" => Role::Cell,
        "address" | "article" | "aside" | "blockquote" | "body" | "caption" | "center" | "dd"
        | "details" | "dialog" | "dir" | "div" | "dl" | "dt" | "fieldset" | "figcaption"
        | "figure" | "footer" | "form" | "head" | "header" | "hgroup" | "hr" | "html"
        | "legend" | "main" | "optgroup" | "option" | "p" | "search" | "section" | "summary"
        | "tbody" | "tfoot" | "thead" => Role::Block,
        _ => Role::Inline,
    }
}

/// Returns whether an element has no end tag.
pub(super) fn is_void(name: &str) -> bool {
    matches!(
        name,
        "area"
            | "base"
            | "br"
            | "col"
            | "embed"
            | "hr"
            | "img"
            | "input"
            | "link"
            | "meta"
            | "param"
            | "source"
            | "track"
            | "wbr"
    )
}

/// Returns the value of an attribute.
pub(super) fn attribute<'a>(tag: &'a Tag, name: &str) -> Option<&'a str> {
    tag.attrs
        .iter()
        .find(|attribute| &*attribute.name.local == name)
        .map(|attribute| &*attribute.value)
}

/// Returns whether the tag's own attributes hide its text. Style sheets are not evaluated.
pub(super) fn is_hidden(tag: &Tag) -> bool {
    const HIDING_STYLES: [&str; 5] =
        ["display:none", "visibility:hidden", "visibility:collapse", "font-size:0", "opacity:0"];
    if attribute(tag, "hidden").is_some()
        || &*tag.name == "dialog" && attribute(tag, "open").is_none()
    {
        return true;
    }
    let Some(style) = attribute(tag, "style") else { return false };
    let style: String =
        style.chars().filter(|char| !char.is_whitespace()).collect::<String>().to_ascii_lowercase();
    style.split(';').any(|rule| {
        let rule = rule.strip_suffix("!important").unwrap_or(rule);
        // `0`, `0px`, `0.0`, but not `0.5`.
        HIDING_STYLES.iter().any(|style| {
            rule.strip_prefix(style).is_some_and(|rest| {
                rest.is_empty()
                    || style.ends_with('0')
                        && !rest.contains(|char: char| matches!(char, '1'..='9'))
            })
        })
    })
}
