//! What a test tells the emulator to do with the next calls.

use crate::answer::Answer;
use crate::event::Event;
use crate::fault::Fault;
use std::time::Duration;

/// Matches every model.
pub const ANY: &str = "*";

/// How one call is to be answered: a reply, and what goes wrong on the way.
///
/// ```
/// use bedrock_emulator::{Answer, Fault, Mishap, Script};
/// use std::time::Duration;
///
/// let slow = Script::answer(Answer::says(["Hel", "lo"])).delay(Duration::from_secs(2));
/// let busy = Script::fault(Fault::throttling("Too many tokens").header("retry-after", "7")).times(2);
/// let torn = Script::answer(Answer::says(["Hel", "lo"])).after(2, Mishap::Reset);
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) reply: Reply,
    pub(crate) times: usize,
    pub(crate) delay: Duration,
    pub(crate) pace: Option<Duration>,
    pub(crate) inserted: Vec<(usize, Event)>,
    pub(crate) mishap: Option<(usize, Mishap)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Demo,
    Answer(Answer),
    Fault(Fault),
    Html(u16),
    Hang,
}

/// What cuts an answer short.
#[derive(Clone, Debug)]
pub enum Mishap {
    /// Nothing more comes, and the connection stays open.
    Hang,
    /// An exception frame, and the end.
    Exception(Fault),
    /// A frame of message type `error`, as for failures no model declares, and the end.
    Error {
        /// The `:error-code`.
        code: String,
        /// The `:error-message`.
        message: String,
    },
    /// The connection is reset.
    Reset,
    /// The response ends in good order, without a `messageStop`.
    Close,
    /// Half a frame, and the response ends.
    CutFrame,
    /// A frame whose last checksum is wrong.
    BadMessageCrc,
    /// A frame whose first checksum is wrong.
    BadPreludeCrc,
}

impl Script {
    /// Gives this answer.
    pub fn answer(answer: Answer) -> Self {
        Self::reply(Reply::Answer(answer))
    }

    /// Answers as it would have unscripted; for delays and mishaps.
    pub fn demo() -> Self {
        Self::reply(Reply::Demo)
    }

    /// Refuses with this fault.
    pub fn fault(fault: Fault) -> Self {
        Self::reply(Reply::Fault(fault))
    }

    /// Refuses with Bedrock's usual 429.
    pub fn throttle() -> Self {
        Self::fault(Fault::throttling("Too many requests, please wait before trying again."))
    }

    /// Refuses with a page of HTML, as a proxy in front of Bedrock would.
    pub fn html(status: u16) -> Self {
        Self::reply(Reply::Html(status))
    }

    /// Never sends as much as a header.
    pub fn hang() -> Self {
        Self::reply(Reply::Hang)
    }

    fn reply(reply: Reply) -> Self {
        Self {
            reply,
            times: 1,
            delay: Duration::ZERO,
            pace: None,
            inserted: Vec::new(),
            mishap: None,
        }
    }

    /// Serves for this many calls instead of one.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Serves for all calls from now on.
    #[must_use]
    pub fn always(self) -> Self {
        self.times(usize::MAX)
    }

    /// Waits this long before the headers.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Waits this long before each delta.
    #[must_use]
    pub fn pace(self, pace: Duration) -> Self {
        Self { pace: Some(pace), ..self }
    }

    /// Sends this event after so many of the answer's own.
    #[must_use]
    pub fn insert(mut self, after: usize, event: Event) -> Self {
        self.inserted.push((after, event));
        self
    }

    /// Lets this befall the answer after so many events. `Converse` has no events: it fails whole.
    #[must_use]
    pub fn after(self, events: usize, mishap: Mishap) -> Self {
        Self { mishap: Some((events, mishap)), ..self }
    }
}

/// The scripts not yet played, in the order they were given.
#[derive(Debug, Default)]
pub(crate) struct Playbook(Vec<Page>);

#[derive(Debug)]
struct Page {
    region: String,
    model: String,
    script: Script,
}

impl Playbook {
    pub(crate) fn add(&mut self, region: &str, model: &str, script: Script) {
        if script.times > 0 {
            self.0.push(Page { region: region.to_owned(), model: model.to_owned(), script });
        }
    }

    /// Takes the first script for a model of any of these names in this region, once.
    pub(crate) fn next(&mut self, region: &str, names: &[&str]) -> Option<Script> {
        let at = self.0.iter().position(|page| page.is_for(region, names))?;
        let script = self.0[at].script.clone();
        match script.times {
            usize::MAX => {}
            1 => drop(self.0.remove(at)),
            _ => self.0[at].script.times -= 1,
        }
        Some(script)
    }
}

impl Page {
    fn is_for(&self, region: &str, names: &[&str]) -> bool {
        matches(&self.region, region) && names.iter().any(|name| matches(&self.model, name))
    }
}

/// Whether a name fits a pattern, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(tail) = name.strip_prefix(head) else { return false };
    rest.is_empty()
        || tail.char_indices().any(|(at, _)| tail.get(at..).is_some_and(|from| matches(rest, from)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, name, fits) in [
            ("*", "anything", true),
            ("anthropic.*", "anthropic.claude", true),
            ("*.anthropic.*", "us.anthropic.claude", true),
            ("*haiku*", "anthropic.claude-haiku-4-5", true),
            ("*haiku", "anthropic.claude-haiku-4-5", false),
            ("amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", true),
            ("amazon.nova", "amazon.nova-lite-v1:0", false),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn scripts_are_used_up_in_order_and_only_by_their_models_in_their_regions() {
        let mut book = Playbook::default();
        book.add("us-*", "amazon.*", Script::throttle().times(2));
        book.add(ANY, ANY, Script::html(502));
        let mut next = |region, model| book.next(region, &[model]).map(|script| script.reply);
        assert!(matches!(next("us-east-1", "meta.llama"), Some(Reply::Html(502))));
        assert!(next("us-east-1", "meta.llama").is_none());
        assert!(next("eu-west-1", "amazon.nova").is_none());
        assert!(next("us-east-1", "amazon.nova").is_some());
        assert!(next("us-west-2", "amazon.nova").is_some());
        assert!(next("us-east-1", "amazon.nova").is_none());
    }
}
