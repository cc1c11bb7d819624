//! Whether JSON that is passed on as it came is such that Bedrock can read it.

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// Whether every text and number of it can be read, and it is not nested beyond measure.
pub fn is_sound(json: &str) -> bool {
    depth(json) <= DEEPEST && serde_json::from_str::<Sound>(json).is_ok()
}

/// How deep it may be nested: with what stands around it, still within what readers of JSON take.
const DEEPEST: usize = 100;

/// How deep this JSON is nested.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut is_escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// A value that is read and not kept.
struct Sound;

impl<'de> Deserialize<'de> for Sound {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Sound;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_str<E>(self, _: &str) -> Result<Sound, E> {
        Ok(Sound)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sound, A::Error> {
        while items.next_element::<Sound>()?.is_some() {}
        Ok(Sound)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Sound, A::Error> {
        while members.next_entry::<Sound, Sound>()?.is_some() {}
        Ok(Sound)
    }
}

#[cfg(test)]
mod tests {
    use super::is_sound;

    #[test]
    fn what_cannot_be_read_is_not_sound() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for (json, sound) in [
            (r#"{"a":[1,-2.5e3,"\u00e4",null,true,{}]}"#, true),
            (r#"{"a":1e999}"#, false),
            (r#"{"a":"\ud800"}"#, false),
            (r#"{"\ud800":1}"#, false),
            ("{", false),
            (&deep(100), true),
            (&deep(200), false),
            (&deep(100_000), false),
        ] {
            assert_eq!(is_sound(json), sound, "{json:.40}");
        }
    }
}
