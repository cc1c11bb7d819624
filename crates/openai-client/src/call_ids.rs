//! The ids of the calls in a conversation, in the form that a server accepts.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    iter,
};
use tool_schema::shorten_id;

/// The form of the ids of calls that a server accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CallIdForm {
    /// Ids of any form.
    #[default]
    Any,
    /// Ids of at most 40 characters, as OpenAI accepts them.
    Short,
    /// Ids of nine letters and digits, as Mistral accepts them
    /// (<https://docs.mistral.ai/capabilities/function_calling>).
    NineLetters,
}

/// The ids of the calls that a conversation has so far.
pub(super) struct CallIds<'a> {
    form: CallIdForm,
    /// The number of calls that have an id of the client's.
    occurrences: HashMap<&'a str, usize>,
    sent: HashSet<Cow<'a, str>>,
}

/// The longest id of a call that OpenAI accepts.
const MAX_LENGTH: usize = 40;

/// The base of the id of a call to which the client has given none.
const UNNAMED: &str = "call";

impl<'a> CallIds<'a> {
    pub fn new(form: CallIdForm) -> Self {
        Self { form, occurrences: HashMap::new(), sent: HashSet::new() }
    }

    /// Returns an id of its own for a call that has this id of the client's. Some models count
    /// their calls from zero in each turn, and some give no ids, but servers join a call and its
    /// result by their id.
    pub fn add(&mut self, given: &'a str) -> Cow<'a, str> {
        let occurrences = self.occurrences.entry(given).or_default();
        loop {
            *occurrences += 1;
            let id = match *occurrences {
                1 if !given.is_empty() => self.form.fit(given),
                number if given.is_empty() => self.form.fit_owned(&format!("{UNNAMED}_{number}")),
                number => self.form.fit_owned(&format!("{given}_{number}")),
            };
            if self.sent.insert(id.clone()) {
                return id;
            }
        }
    }
}

impl CallIdForm {
    /// Returns the id in this form; the same id always gives the same result.
    fn fit(self, id: &str) -> Cow<'_, str> {
        match self {
            Self::Any => id.into(),
            Self::Short => shorten_id(id, MAX_LENGTH),
            Self::NineLetters => to_nine_letters(id),
        }
    }

    fn fit_owned<'a>(self, id: &str) -> Cow<'a, str> {
        self.fit(id).into_owned().into()
    }
}

/// Returns the id itself if it has nine letters and digits, else nine that follow from it.
fn to_nine_letters(id: &str) -> Cow<'_, str> {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.into();
    }
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    let numbers = iter::successors(Some(hasher.finish()), |number| Some(number / 36));
    numbers.take(9).map(|number| char::from(LETTERS[(number % 36) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_an_id_of_its_own_in_the_form_of_the_server() {
        let given = ["a", "a", "", "a_2", "", &"x".repeat(50), &"x".repeat(50), "abcdefgh1"];
        for (form, length) in [
            (CallIdForm::Any, 1..=52),
            (CallIdForm::Short, 1..=40),
            (CallIdForm::NineLetters, 9..=9),
        ] {
            let mut ids = CallIds::new(form);
            let sent: Vec<_> = given.iter().map(|id| ids.add(id)).collect();
            assert!(sent.iter().all(|id| length.contains(&id.len())), "{sent:?}");
            assert_eq!(sent.iter().collect::<HashSet<_>>().len(), given.len(), "{sent:?}");
            assert_eq!(sent[7], "abcdefgh1");
        }
    }

    #[test]
    fn ids_that_fit_are_sent_as_they_are() {
        let mut ids = CallIds::new(CallIdForm::Any);
        let sent = ["call_0", "call_0", "call_1"].map(|id| ids.add(id));
        assert_eq!(sent, ["call_0", "call_0_2", "call_1"]);
    }
}
