//! Names of tools and ids of calls that fit the patterns of services, and the way back to those
//! that the client gave. OpenAI and Bedrock accept 64 letters, digits, `_` and `-`
//! (`docs/reference/bedrock.md`, "Converse request";
//! <https://platform.openai.com/docs/api-reference/chat/create>).

use crate::ArgumentShape;
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

/// The longest name of a tool, and the longest id of a tool call.
const MAX_LENGTH: usize = 64;

/// The tools of a chat that a service does not accept as they come, and what is sent instead.
///
/// `server.tools/search` is sent as `server_tools_search_1a2b3c4d`, with a checksum that keeps
/// it apart from `server/tools.search`.
#[derive(Clone, Debug, Default)]
pub struct SentTools {
    /// The client's names, by those that are sent instead.
    originals: HashMap<String, String>,
    /// The shapes of arguments that are sent in another form, by the client's name of the tool.
    shapes: HashMap<String, ArgumentShape>,
    replaces_hyphens: bool,
}

impl SentTools {
    /// Creates the map for a model whose tools have names of letters, digits and `_`, with a letter
    /// at the beginning.
    pub fn without_hyphens() -> Self {
        Self { replaces_hyphens: true, ..Self::default() }
    }

    /// Returns whether all tools are sent as they came.
    pub fn are_unchanged(&self) -> bool {
        self.originals.is_empty() && self.shapes.is_empty()
    }

    /// Returns the name to send for a tool. The same name always gives the same result.
    pub fn to_service<'a>(&mut self, name: &'a str) -> Cow<'a, str> {
        let allows_hyphens = !self.replaces_hyphens;
        let fits = |byte| byte == b'_' || byte == b'-' && allows_hyphens;
        let begins_well = allows_hyphens || name.starts_with(|c: char| c.is_ascii_alphabetic());
        let sanitized = if begins_well {
            sanitize(name, fits)
        } else {
            let checksum = format!("{:08x}", crc32fast::hash(name.as_bytes()));
            Cow::Owned(with_suffix(&sanitize(&format!("tool_{name}"), fits), &checksum))
        };
        if let Cow::Owned(sent) = &sanitized {
            self.originals.insert(sent.clone(), name.to_owned());
        }
        sanitized
    }

    /// Returns the client's name for a tool name that the service sends.
    pub fn to_client(&self, name: String) -> String {
        self.originals.get(&name).cloned().unwrap_or(name)
    }

    /// Keeps the shape of the arguments of the client's tool with this name.
    pub fn add_shape(&mut self, name: &str, shape: ArgumentShape) {
        if !shape.is_unchanged() {
            self.shapes.insert(name.to_owned(), shape);
        }
    }

    /// Returns the arguments that the service expects for a call of the client's tool with this
    /// name; `None` if they are sent as they are.
    pub fn arguments_to_service(&self, name: &str, arguments: &str) -> Option<String> {
        self.shapes.get(name).map(|shape| shape.to_service(arguments))
    }

    /// Returns the shape of the arguments of the client's tool with this name, if it was changed.
    pub(crate) fn shape(&self, name: &str) -> Option<&ArgumentShape> {
        self.shapes.get(name)
    }
}

/// The ids of the tool calls in one conversation, each of them unique.
#[derive(Debug, Default)]
pub struct ToolUseIds {
    taken: HashSet<String>,
    occurrences: HashMap<String, usize>,
}

impl ToolUseIds {
    /// Returns the id to send for a tool call. Some models count their calls from zero in each
    /// turn, so clients send the same id several times.
    pub fn make_unique(&mut self, id: &str) -> String {
        let sanitized = sanitize(id, |byte| matches!(byte, b'_' | b'-' | b'.' | b':')).into_owned();
        let occurrences = self.occurrences.entry(sanitized.clone()).or_default();
        loop {
            *occurrences += 1;
            let unique = match *occurrences {
                1 => sanitized.clone(),
                number => with_suffix(&sanitized, &number.to_string()),
            };
            if self.taken.insert(unique.clone()) {
                return unique;
            }
        }
    }
}

/// Returns a name that services accept, for a name that is not mapped back.
pub fn sanitize_name(name: &str) -> String {
    sanitize(name, |byte| matches!(byte, b'_' | b'-')).into_owned()
}

/// Returns an id that fits into this many characters: the id itself, or its beginning and a
/// checksum.
pub fn shorten_id(id: &str, max_length: usize) -> Cow<'_, str> {
    if id.len() <= max_length {
        return Cow::Borrowed(id);
    }
    let letters = id.chars().filter(|c| c.is_ascii_graphic()).take(max_length.saturating_sub(9));
    Cow::Owned(format!("{}_{:08x}", letters.collect::<String>(), crc32fast::hash(id.as_bytes())))
}

/// Returns the text itself if it fits, else its accepted characters and a checksum.
fn sanitize(text: &str, is_mark: impl Fn(u8) -> bool) -> Cow<'_, str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || is_mark(byte);
    if !text.is_empty() && text.len() <= MAX_LENGTH && text.bytes().all(fits) {
        return Cow::Borrowed(text);
    }
    let replaced = |c: char| match u8::try_from(c) {
        Ok(byte) if fits(byte) => c,
        _ => '_',
    };
    let ascii: String = text.chars().map(replaced).collect();
    Cow::Owned(with_suffix(&ascii, &format!("{:08x}", crc32fast::hash(text.as_bytes()))))
}

/// Appends a suffix to an ASCII text, which is shortened where the two are too long.
fn with_suffix(text: &str, suffix: &str) -> String {
    let shortened: String = text.chars().take(MAX_LENGTH - 1 - suffix.len()).collect();
    format!("{shortened}_{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted_names_are_not_changed() {
        let mut names = SentTools::default();
        assert!(matches!(names.to_service("get_weather-2"), Cow::Borrowed("get_weather-2")));
    }

    #[test]
    fn a_long_dotted_name_is_mapped_back() {
        let name = "server.tools.".repeat(8);
        let mut names = SentTools::default();
        let sent = names.to_service(&name).into_owned();
        assert_eq!(sent.len(), 64);
        assert_eq!(names.to_client(sent), name);
    }

    #[test]
    fn a_name_begins_with_a_letter_where_it_has_to() {
        for name in ["_read", "9lives", "", "-x"] {
            let mut names = SentTools::without_hyphens();
            let sent = names.to_service(name).into_owned();
            assert!(sent.starts_with("tool_") && sent.len() <= 64 && !sent.contains('-'), "{sent}");
            assert_eq!(names.to_client(sent), name);
        }
    }

    #[test]
    fn a_long_id_is_always_shortened_to_the_same() {
        assert_eq!(shorten_id("call_1", 40), "call_1");
        let (one, other) = ("x".repeat(80) + "1", "x".repeat(80) + "2");
        assert_eq!(shorten_id(&one, 40).len(), 40);
        assert_eq!(shorten_id(&one, 40), shorten_id(&one, 40));
        assert_ne!(shorten_id(&one, 40), shorten_id(&other, 40));
    }

    #[test]
    fn repeated_ids_become_unique() {
        let mut ids = ToolUseIds::default();
        let sent: Vec<_> = ["call_0", "call_0", "call_0", ""].map(|id| ids.make_unique(id)).into();
        assert_eq!(sent, ["call_0", "call_0_2", "call_0_3", "_00000000"]);
    }

    proptest! {
        #[test]
        fn any_name_and_any_id_become_valid(text in any::<String>()) {
            let name = SentTools::default().to_service(&text).into_owned();
            prop_assert!((1..=64).contains(&name.len()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)));
            let id = ToolUseIds::default().make_unique(&text);
            prop_assert!((1..=64).contains(&id.len()));
            prop_assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b)));
        }
    }
}
