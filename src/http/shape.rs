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
pub use walk::{SchemaViolation, check, describe_unreadable};

/// The schema of a value.
#[derive(Debug)]
pub enum Shape {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A text that names the type of its object, as a block's `type` does. The code that reads the
    /// object refuses other types than these.
    Kind(&'static [&'static str]),
    /// One of these words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A number from here to there.
    Number(f64, f64),
    /// A whole number from here to there.
    Whole(f64, f64),
    /// A number, or a text that spells it: Open WebUI sends its own parameters so.
    NumberOrText(&'static Shape),
    /// A list of values with this schema, and the name of the values.
    List(&'static str, &'static Shape),
    /// An object with its known fields and the fields that it needs.
    Object(&'static [Field], &'static [Need]),
    /// An object of any fields, each of this shape.
    Map(&'static Shape),
    /// One of these. No two of them take the same type of JSON.
    AnyOf(&'static [Shape]),
}

/// A field and its schema.
pub type Field = (&'static str, &'static Shape);

/// A `type` of objects, and a field that objects of this type need. An empty type means all
/// objects.
pub type Need = (&'static str, &'static str);

/// The minimum of a number that has none.
pub const NO_MINIMUM: f64 = f64::NEG_INFINITY;

/// The maximum of a number that has none.
pub const NO_MAXIMUM: f64 = f64::INFINITY;

/// The largest number up to which every whole number is an `f64`.
pub const MAX_INTEGER: f64 = 9_007_199_254_740_992.0;

/// Returns the maximum length of a list of these items. The number of pieces in a whole body has a
/// limit of its own.
const fn max_items(items: &str) -> usize {
    match items.as_bytes() {
        b"messages" | b"items" | b"parts" | b"blocks" => 20_000,
        b"tools" | b"functions" | b"calls" => 2000,
        _ => usize::MAX,
    }
}

/// An object whose fields are not looked at.
pub const OBJECT: Shape = Shape::Object(&[], &[]);

/// A whole number, 0 or more.
pub const COUNT: Shape = Shape::Whole(0.0, MAX_INTEGER);

/// The user: OpenAI's text, or Open WebUI's object.
pub const USER: Shape = Shape::AnyOf(&[
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
    /// Returns the words for the shape that follow "must be" in errors.
    fn describe(&self) -> String {
        let word = |word: &&str| format!("`{word}`");
        match self {
            Self::Any => "there".into(),
            Self::Text | Self::Kind(_) => "a text".into(),
            Self::Word(words) => words.iter().map(word).collect::<Vec<_>>().join(" or "),
            Self::Flag => "true or false".into(),
            Self::Number(least, most) => format!("a number{}", range(*least, *most)),
            Self::Whole(least, most) => format!("a whole number{}", range(*least, *most)),
            Self::NumberOrText(number) => number.describe(),
            Self::List(items, _) => format!("a list of {items}"),
            Self::Object(..) | Self::Map(_) => "an object".into(),
            Self::AnyOf(all) => all.iter().map(Self::describe).collect::<Vec<_>>().join(" or "),
        }
    }
}

/// Describes a range of numbers: ` from 0 to 2`.
fn range(least: f64, most: f64) -> String {
    match (least == NO_MINIMUM, most >= MAX_INTEGER) {
        (true, _) => String::new(),
        (false, true) => format!(", {least} or more"),
        (false, false) => format!(" from {least} to {most}"),
    }
}
