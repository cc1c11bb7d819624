//! Checks that JSON which is passed on unchanged can be read by Bedrock.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::{borrow::Cow, fmt};
use tool_schema::limit_nesting;

/// Returns whether every text and number of it can be read, and it is not nested beyond measure.
pub fn is_valid_json(json: &str) -> bool {
    let is_shallow = matches!(limit_nesting(json, MAX_DEPTH), Cow::Borrowed(_));
    is_shallow && serde_json::from_str::<IgnoredValue>(json).is_ok()
}

/// The largest depth of nesting: with the JSON around it, still within the limits of JSON parsers.
pub const MAX_DEPTH: usize = 100;

/// A value that is read and not kept.
struct IgnoredValue;

impl<'de> Deserialize<'de> for IgnoredValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// Deserializes any JSON, and refuses what the service cannot parse.
struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = IgnoredValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<IgnoredValue, E> {
        Ok(IgnoredValue)
    }

    fn visit_bool<E>(self, _: bool) -> Result<IgnoredValue, E> {
        Ok(IgnoredValue)
    }

    fn visit_u64<E>(self, _: u64) -> Result<IgnoredValue, E> {
        Ok(IgnoredValue)
    }

    fn visit_i64<E>(self, _: i64) -> Result<IgnoredValue, E> {
        Ok(IgnoredValue)
    }

    fn visit_f64<E>(self, _: f64) -> Result<IgnoredValue, E> {
        Ok(IgnoredValue)
    }

    fn visit_str<E>(self, _: &str) -> Result<IgnoredValue, E> {
        Ok(IgnoredValue)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<IgnoredValue, A::Error> {
        while items.next_element::<IgnoredValue>()?.is_some() {}
        Ok(IgnoredValue)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<IgnoredValue, A::Error> {
        while members.next_entry::<IgnoredValue, IgnoredValue>()?.is_some() {}
        Ok(IgnoredValue)
    }
}

#[cfg(test)]
mod tests {
    use super::is_valid_json;

    #[test]
    fn unreadable_json_is_invalid() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for (json, is_valid) in [
            (r#"{"a":[1,-2.5e3,"\u00e4",null,true,{}]}"#, true),
            (r#"{"a":1e999}"#, false),
            (r#"{"a":"\ud800"}"#, false),
            (r#"{"\ud800":1}"#, false),
            ("{", false),
            (&deep(100), true),
            (&deep(200), false),
            (&deep(100_000), false),
        ] {
            assert_eq!(is_valid_json(json), is_valid, "{json:.40}");
        }
    }
}
