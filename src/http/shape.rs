//! The schemas of request bodies, one for each API, as tables of their fields.
//!
//! serde's readers take a list for an object, and pass over what they have no field for; so a body
//! is held against its shape before it is read. Fields that a shape does not know are passed over,
//! and `null` is as good as missing.

pub mod chat;
pub mod messages;
pub mod rag;
mod relax;
pub mod responses;
mod walk;

pub use relax::relax;
pub use walk::{SchemaViolation, check, unreadable};

/// The rule for a value.
#[derive(Debug)]
pub enum Shape {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A text that says what its object is, as a block's `type` does. Others than these are told by
    /// who reads the object.
    Kind(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A number from here to there.
    Number(f64, f64),
    /// A whole number from here to there.
    Whole(f64, f64),
    /// A number, or a text that spells it: Open WebUI's own parameters come so.
    Spelled(&'static Shape),
    /// A list of these, which are called so.
    List(&'static str, &'static Shape),
    /// An object with some of these fields, and all that it needs.
    Object(&'static [Field], &'static [Need]),
    /// An object of any fields, each of this shape.
    Map(&'static Shape),
    /// One of these; no two of them are told by the same JSON.
    Either(&'static [Shape]),
}

/// A field and its shape.
pub type Field = (&'static str, &'static Shape);

/// A field that objects of this `type` need; all of them, where it is empty.
pub type Need = (&'static str, &'static str);

/// No number is too small.
pub const LEAST: f64 = f64::NEG_INFINITY;

/// No number is too large.
pub const MOST: f64 = f64::INFINITY;

/// More cannot be counted without a gap.
pub const COUNTABLE: f64 = 9_007_199_254_740_992.0;

/// Returns how many of these a list may hold. The number of pieces in a whole body has a limit of
/// its own.
const fn longest(items: &str) -> usize {
    match items.as_bytes() {
        b"messages" | b"items" | b"parts" | b"blocks" => 20_000,
        b"tools" | b"functions" | b"calls" => 2000,
        _ => usize::MAX,
    }
}

/// An object whose fields are not looked at.
pub const OBJECT: Shape = Shape::Object(&[], &[]);

/// A number of things.
pub const COUNT: Shape = Shape::Whole(0.0, COUNTABLE);

/// The user: OpenAI's text, or Open WebUI's object.
pub const USER: Shape = Shape::Either(&[
    Shape::Text,
    Shape::Object(
        &[
            ("id", &Shape::Text),
            ("name", &Shape::Text),
            ("email", &Shape::Text),
            ("role", &Shape::Text),
        ],
        &[],
    ),
]);

/// The retention of the prompt cache.
pub const CACHE: Shape =
    Shape::Object(&[("type", &Shape::Text), ("ttl", &Shape::Word(&["5m", "1h"]))], &[]);

impl Shape {
    /// The words for it, as they stand after "must be".
    fn expected(&self) -> String {
        let word = |word: &&str| format!("`{word}`");
        match self {
            Self::Any => "there".into(),
            Self::Text | Self::Kind(_) => "a text".into(),
            Self::Word(words) => words.iter().map(word).collect::<Vec<_>>().join(" or "),
            Self::Flag => "true or false".into(),
            Self::Number(least, most) => format!("a number{}", range(*least, *most)),
            Self::Whole(least, most) => format!("a whole number{}", range(*least, *most)),
            Self::Spelled(number) => number.expected(),
            Self::List(items, _) => format!("a list of {items}"),
            Self::Object(..) | Self::Map(_) => "an object".into(),
            Self::Either(all) => all.iter().map(Self::expected).collect::<Vec<_>>().join(" or "),
        }
    }
}

fn range(least: f64, most: f64) -> String {
    match (least == LEAST, most >= COUNTABLE) {
        (true, _) => String::new(),
        (false, true) => format!(", {least} or more"),
        (false, false) => format!(" from {least} to {most}"),
    }
}
