//! The control words of RTF that stand for characters, or begin a part of the file.

/// The part of the file that a group belongs to.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Destination {
    Body,
    Fonts,
    Styles,
    Title,
    Footnote,
    /// The header of pages.
    Header,
    /// The footer of pages.
    Footer,
    /// The number or bullet of a list item.
    ListMarker,
    Ignored,
}

/// Returns a heading level, which RTF counts from 0; 9 is body text.
pub(super) fn to_level(number: Option<i32>) -> Option<u8> {
    let level = number.and_then(|number| u8::try_from(number).ok())?;
    (level < 9).then_some(level + 1)
}

/// Returns the level of a style with the name of a heading, as in `heading 2`.
pub(super) fn level_of_style(name: &str) -> Option<u8> {
    let name = name.trim().to_ascii_lowercase();
    let level = name.strip_prefix("heading ")?.parse().ok()?;
    (1..=9).contains(&level).then_some(level)
}

/// Returns the text of a control word that stands for a character.
pub(super) fn special_character(word: &str) -> Option<&'static str> {
    Some(match word {
        "tab" => "\t",
        "lquote" => "‘",
        "rquote" => "’",
        "ldblquote" => "“",
        "rdblquote" => "”",
        "bullet" => "•",
        "endash" => "–",
        "emdash" => "—",
        "enspace" | "emspace" | "qmspace" => " ",
        _ => return None,
    })
}

/// Returns the destination that a control word begins.
pub(super) fn destination(word: &str) -> Option<Destination> {
    Some(match word {
        "fonttbl" => Destination::Fonts,
        "stylesheet" => Destination::Styles,
        "title" => Destination::Title,
        "listtext" | "pntext" => Destination::ListMarker,
        // `info` holds the title, which a group of its own begins.
        "header" | "headerl" | "headerr" | "headerf" => Destination::Header,
        "footer" | "footerl" | "footerr" | "footerf" => Destination::Footer,
        "colortbl" | "pict" | "objdata" | "author" | "operator" | "keywords" | "subject"
        | "comment" | "doccomm" | "company" | "manager" | "category" | "hlinkbase" | "creatim"
        | "revtim" | "printim" | "buptim" | "nonesttables" | "sp" | "shprslt" | "ftnsep"
        | "ftnsepc" | "aftnsep" | "aftnsepc" | "xe" | "tc" | "rxe" | "fldinst" | "deleted"
        | "atnid" | "atnauthor" | "annotation" | "listtable" | "listoverridetable" | "revtbl"
        | "generator" | "themedata" | "datastore" | "latentstyles" | "mmathPr" => {
            Destination::Ignored
        }
        _ => return None,
    })
}
