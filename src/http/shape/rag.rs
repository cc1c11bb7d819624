//! Requests of the document routes: collections, documents and searches.

use super::{
    COUNT, OBJECT,
    Shape::{self, AnyOf, Flag, List, Object, Text, Whole},
    USER,
};

/// A collection to be made.
pub static COLLECTION: Shape = Object(
    &[("name", &Text), ("language", &Text), ("chunk_tokens", &COUNT), ("audience", &AUDIENCE)],
    &[("", "name")],
);

/// The settings of a collection.
pub static RULES: Shape =
    Object(&[("language", &Text), ("chunk_tokens", &COUNT), ("audience", &AUDIENCE)], &[]);

/// A text to be put into a collection.
pub static DOCUMENT: Shape = Object(
    &[
        ("id", &Text),
        ("text", &Text),
        ("title", &Text),
        ("url", &Text),
        ("audience", &AUDIENCE),
        ("metadata", &OBJECT),
    ],
    &[("", "id"), ("", "text")],
);

/// Several at once.
pub static DOCUMENTS: Shape =
    Object(&[("documents", &List("documents", &DOCUMENT))], &[("", "documents")]);

/// The documents to be removed.
pub static REMOVAL: Shape = Object(&[("ids", &List("texts", &Text))], &[("", "ids")]);

/// The search, and the person for whom it is made.
pub static SEARCH: Shape = Object(
    &[("query", &Text), ("top_k", &Whole(1.0, 100.0)), ("user", &USER), ("everything", &Flag)],
    &[("", "query")],
);

static AUDIENCE: Shape = AnyOf(&[
    Text,
    Object(
        &[(
            "only",
            &Object(&[("users", &List("texts", &Text)), ("roles", &List("texts", &Text))], &[]),
        )],
        &[("", "only")],
    ),
]);
