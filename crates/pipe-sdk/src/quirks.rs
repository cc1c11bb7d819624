//! Quirks that are learned from models' refusals: fields to leave out of later requests.
//!
//! A refusal may quote the prompt, so text in quotation marks is ignored ([`without_quotes`]), and
//! a quirk applies only to the caller whose request was refused, until a second caller has met it
//! too ([`LearnedQuirks`]). It expires after a day, and is learned again if it persists.

use crate::CallerId;
use serde::Serialize;
use std::{
    collections::HashMap,
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// The quirks of each model since the start. The `Display` of a quirk is its name for admins (`GET
/// /pipelines/{id}/lessons`), which stays when the type is renamed.
#[derive(Debug)]
pub struct LearnedQuirks<Q>(Mutex<HashMap<String, Vec<LearnedQuirk<Q>>>>);

/// A quirk of a model, and the callers that met it.
#[derive(Debug)]
struct LearnedQuirk<Q> {
    quirk: Q,
    /// The callers that met it; of more than two, the first two.
    callers: Vec<CallerId>,
    /// The time at which it was last met.
    at: Instant,
}

/// One learned quirk, for admins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QuirkState {
    /// The model.
    pub model: String,
    /// The quirk's name.
    pub quirk: String,
    /// `true` if it applies to all callers, `false` if only to the one that met it.
    pub for_all: bool,
    /// The seconds until it expires.
    pub expires_in_seconds: u64,
}

/// The number of callers that must meet a quirk until it applies to all.
const MIN_CALLERS: usize = 2;

/// The time until a quirk expires.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The largest number of quirks of a model, and of models.
const MAX_QUIRKS: usize = 32;
/// The largest number of models whose quirks are kept.
const MAX_MODELS: usize = 1000;

impl<Q> Default for LearnedQuirks<Q> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<Q: Clone + PartialEq + Display> LearnedQuirks<Q> {
    /// Returns the quirks of this model that apply to this caller.
    pub fn for_caller(&self, model: &str, caller: CallerId) -> Vec<Q> {
        let now = Instant::now();
        let known = self.lock();
        let known = known.get(model).into_iter().flatten();
        let holds = |learned: &&LearnedQuirk<Q>| {
            learned.is_fresh(now) && (learned.is_for_all() || learned.callers.contains(&caller))
        };
        known.filter(holds).map(|learned| learned.quirk.clone()).collect()
    }

    /// Records a quirk of this model that this caller's request has met.
    pub fn learn(&self, model: &str, quirk: &Q, caller: CallerId) {
        let now = Instant::now();
        let mut models = self.lock();
        if models.len() >= MAX_MODELS && !models.contains_key(model) {
            return;
        }
        let known = models.entry(model.to_owned()).or_default();
        known.retain(|learned| learned.is_fresh(now));
        if let Some(learned) = known.iter_mut().find(|learned| learned.quirk == *quirk) {
            learned.at = now;
            if learned.callers.len() < MIN_CALLERS && !learned.callers.contains(&caller) {
                learned.callers.push(caller);
                tracing::info!(
                    model,
                    "`{model}` rejected {quirk} for two callers: requests of all callers omit it."
                );
            }
            return;
        }
        // A single caller must not fill the list with quirks that hold only for that caller.
        if known.len() >= MAX_QUIRKS {
            let Some(place) = known.iter().position(|learned| !learned.is_for_all()) else {
                return;
            };
            known.remove(place);
        }
        tracing::info!(model, "`{model}` rejected {quirk} for one caller, whose requests omit it.");
        known.push(LearnedQuirk { quirk: quirk.clone(), callers: vec![caller], at: now });
    }

    /// Returns all quirks, by model.
    pub fn states(&self) -> Vec<QuirkState> {
        let now = Instant::now();
        let models = self.lock();
        let all =
            models.iter().flat_map(|(model, known)| known.iter().map(move |one| (model, one)));
        let state = |(model, learned): (&String, &LearnedQuirk<Q>)| QuirkState {
            model: model.clone(),
            quirk: learned.quirk.to_string(),
            for_all: learned.is_for_all(),
            expires_in_seconds: (learned.at + LIFETIME - now).as_secs(),
        };
        let mut states: Vec<_> = all.filter(|(_, one)| one.is_fresh(now)).map(state).collect();
        states.sort_by(|a, b| (&a.model, &a.quirk).cmp(&(&b.model, &b.quirk)));
        states
    }

    /// Locks the quirks of all models.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<LearnedQuirk<Q>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q> LearnedQuirk<Q> {
    fn is_for_all(&self) -> bool {
        self.callers.len() >= MIN_CALLERS
    }

    fn is_fresh(&self, now: Instant) -> bool {
        now.duration_since(self.at) < LIFETIME
    }
}

/// Returns this text without the text in quotation marks, except for names of fields, as in ``
/// `temperature` ``. What is quoted and does not end is left out too.
pub fn without_quotes(text: &str) -> String {
    let (mut kept, mut rest) = (String::new(), text);
    while let Some((place, open)) = rest.char_indices().find(|(_, c)| closing_quote(*c).is_some()) {
        let (before, quoted) = rest.split_at(place);
        kept.push_str(before);
        let quoted = quoted.get(open.len_utf8()..).unwrap_or_default();
        // An apostrophe within a word quotes nothing.
        if open == '\'' && before.chars().next_back().is_some_and(char::is_alphanumeric) {
            kept.push(open);
            rest = quoted;
            continue;
        }
        let Some(end) = find_quote_end(quoted, open) else { return kept };
        let (name, after) = quoted.split_at(end);
        if is_field_name(name) {
            kept.push_str(name);
        }
        rest = after.get(after.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
    }
    kept + rest
}

/// Returns the end of a quote that begins with this mark.
fn find_quote_end(quoted: &str, open: char) -> Option<usize> {
    let close = closing_quote(open)?;
    let mut is_escaped = false;
    let mut chars = quoted.char_indices().peekable();
    while let Some((place, c)) = chars.next() {
        let is_in_word = close == '\'' && chars.peek().is_some_and(|(_, c)| c.is_alphanumeric());
        if c == close && !is_escaped && !is_in_word {
            return Some(place);
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    None
}

/// Returns the quotation mark that closes a quotation.
fn closing_quote(open: char) -> Option<char> {
    match open {
        '\'' | '"' | '`' => Some(open),
        '“' => Some('”'),
        '«' => Some('»'),
        _ => None,
    }
}

fn is_field_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_.-[]".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(number: u8) -> CallerId {
        CallerId::from_name(&number)
    }

    #[test]
    fn what_is_quoted_is_left_out_except_for_names() {
        for (text, kept) in [
            ("`temperature` isn't supported", "temperature isn't supported"),
            ("Value 'temperature is not supported' at 'a.b' failed", "Value  at a.b failed"),
            (r#"got "a \"b\" c d" here"#, "got  here"),
            ("it says 'don't stop' now", "it says  now"),
            ("it says “a b” and «c d»", "it says  and "),
            ("it says \"a b", "it says "),
            ("'", ""),
            ("", ""),
        ] {
            assert_eq!(without_quotes(text), kept, "{text}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_quirk_holds_for_whom_it_was_taught_and_for_all_when_two_were_and_for_a_day() {
        let quirks = LearnedQuirks::<&str>::default();
        for _ in 0..3 {
            quirks.learn("m", &"stop", caller(1));
            assert_eq!(quirks.for_caller("m", caller(1)), ["stop"]);
            assert!(
                quirks.for_caller("m", caller(2)).is_empty()
                    && quirks.for_caller("n", caller(1)).is_empty()
            );
        }
        quirks.learn("m", &"stop", caller(2));
        assert_eq!(quirks.for_caller("m", caller(3)), ["stop"]);
        let [state] = &quirks.states()[..] else { panic!("one is known") };
        assert_eq!((state.for_all, state.expires_in_seconds), (true, 86400));
        tokio::time::advance(LIFETIME).await;
        assert!(quirks.for_caller("m", caller(1)).is_empty() && quirks.states().is_empty());
    }

    #[test]
    fn one_caller_does_not_push_out_what_holds_for_all() {
        let quirks = LearnedQuirks::<usize>::default();
        quirks.learn("m", &0, caller(1));
        quirks.learn("m", &0, caller(2));
        (1..1000).for_each(|number| quirks.learn("m", &number, caller(3)));
        assert_eq!(quirks.for_caller("m", caller(9)), [0]);
        assert_eq!(quirks.states().len(), MAX_QUIRKS);
        (0..2000).for_each(|number| quirks.learn(&number.to_string(), &0, caller(1)));
        assert!(quirks.states().len() < MAX_QUIRKS + MAX_MODELS);
    }
}
