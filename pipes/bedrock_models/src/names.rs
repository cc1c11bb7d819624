//! Names and ids that fit Bedrock's patterns, and the way back to the ones that were given (`docs/reference/bedrock.md`, "Converse request").

use crate::family::Family;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// What the pipe is called on the wire.
pub const PIPE: &str = "bedrock_models";

/// A model's id without the pipe's own name before it, with which clients see it.
pub fn bare(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix(PIPE).and_then(|id| id.strip_prefix('.')).unwrap_or(id)
}

/// The longest name of a tool, and the longest id of a call.
const LONGEST: usize = 64;

/// Tool names that Bedrock does not take, by the names that stand in their place.
#[derive(Clone, Debug, Default)]
pub struct Names {
    originals: HashMap<String, String>,
    /// Whether hyphens have stand-ins too.
    without_hyphens: bool,
}

impl Names {
    /// Names for a model of this family.
    pub fn of(family: &Family) -> Self {
        Self { originals: HashMap::new(), without_hyphens: !family.hyphens }
    }

    /// The name to send for this tool. The same name always has the same stand-in.
    pub fn fit<'a>(&mut self, name: &'a str) -> Cow<'a, str> {
        let hyphens = !self.without_hyphens;
        let fitted = fitted(name, |byte| byte == b'_' || byte == b'-' && hyphens);
        if let Cow::Owned(stand_in) = &fitted {
            self.originals.insert(stand_in.clone(), name.to_owned());
        }
        fitted
    }

    /// The name that was given, for one that Bedrock sends.
    pub fn original(&self, name: String) -> String {
        self.originals.get(&name).cloned().unwrap_or(name)
    }
}

/// The ids of the calls in one conversation, none twice.
#[derive(Debug, Default)]
pub struct Ids {
    taken: HashSet<String>,
    /// How often each has come.
    times: HashMap<String, usize>,
}

impl Ids {
    /// The id to send for a call. Some models number their calls anew in each turn, so ids come again.
    pub fn fit(&mut self, id: &str) -> String {
        let fitted = fitted(id, |byte| matches!(byte, b'_' | b'-' | b'.' | b':')).into_owned();
        let times = self.times.entry(fitted.clone()).or_default();
        loop {
            *times += 1;
            let ending = times.to_string();
            let unique = if *times == 1 { fitted.clone() } else { suffixed(&fitted, &ending) };
            if self.taken.insert(unique.clone()) {
                return unique;
            }
        }
    }
}

/// A name that fits, for what nobody asks back.
pub fn fitted_name(name: &str) -> String {
    fitted(name, |byte| matches!(byte, b'_' | b'-')).into_owned()
}

/// The text itself if it fits, else its fitting part and a checksum that tells it from others.
fn fitted(text: &str, mark: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || mark(byte);
    if !text.is_empty() && text.len() <= LONGEST && text.bytes().all(fits) {
        return Cow::Borrowed(text);
    }
    let replaced = |c: char| match u8::try_from(c) {
        Ok(byte) if fits(byte) => c,
        _ => '_',
    };
    let kept: String = text.chars().map(replaced).collect();
    Cow::Owned(suffixed(&kept, &format!("{:08x}", crc32fast::hash(text.as_bytes()))))
}

/// The text with an ending, cut where the two would be too long. The text is ASCII.
fn suffixed(text: &str, ending: &str) -> String {
    let kept: String = text.chars().take(LONGEST - 1 - ending.len()).collect();
    format!("{kept}_{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_fit_are_left_alone() {
        let mut names = Names::default();
        assert!(matches!(names.fit("get_weather-2"), Cow::Borrowed("get_weather-2")));
    }

    #[test]
    fn a_long_dotted_name_comes_back_as_it_was() {
        let name = "server.tools.".repeat(8);
        let mut names = Names::default();
        let sent = names.fit(&name).into_owned();
        assert_eq!(sent.len(), 64);
        assert_eq!(names.original(sent), name);
    }

    #[test]
    fn ids_that_come_again_are_told_apart() {
        let mut ids = Ids::default();
        let sent: Vec<_> = ["call_0", "call_0", "call_0", ""].map(|id| ids.fit(id)).into();
        assert_eq!(sent, ["call_0", "call_0_2", "call_0_3", "_00000000"]);
    }

    proptest! {
        #[test]
        fn any_name_and_any_id_fit_in_the_end(text in any::<String>()) {
            let name = Names::default().fit(&text).into_owned();
            prop_assert!((1..=64).contains(&name.len()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
            let id = Ids::default().fit(&text);
            prop_assert!((1..=64).contains(&id.len()));
            prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b)));
        }
    }
}
