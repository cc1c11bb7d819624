//! Scripts: the responses that a test sets for the next requests.

use crate::event::StreamEvent;
use crate::exception::BedrockException;
use crate::model_answer::ModelAnswer;
use std::time::Duration;

/// A pattern that matches every model and region.
pub const ANY: &str = "*";

/// The response to a request, with optional delays and injected faults.
///
/// ```
/// use bedrock_emulator::{ModelAnswer, BedrockException, InjectedFault, Script};
/// use std::time::Duration;
///
/// let slow = Script::answer(ModelAnswer::with_text(["Hel", "lo"])).delay(Duration::from_secs(2));
/// let throttling = BedrockException::throttling("Too many tokens").header("retry-after", "7");
/// let busy = Script::fault(throttling).times(2);
/// let reset = Script::answer(ModelAnswer::with_text(["Hel", "lo"]))
///     .fail_after(2, InjectedFault::Reset);
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    pub(crate) reply: ScriptedReply,
    pub(crate) times: usize,
    pub(crate) delay: Duration,
    pub(crate) pace: Option<Duration>,
    pub(crate) inserted: Vec<(usize, StreamEvent)>,
    pub(crate) fault: Option<(usize, InjectedFault)>,
}

/// The reply of a script.
#[derive(Clone, Debug)]
pub(crate) enum ScriptedReply {
    Demo,
    Answer(ModelAnswer),
    Exception(BedrockException),
    Html(u16),
    Hang,
}

/// A fault that ends an answer early.
#[derive(Clone, Debug)]
pub enum InjectedFault {
    /// The emulator sends nothing more and keeps the connection open.
    Hang,
    /// The response ends with an exception frame.
    Exception(BedrockException),
    /// The response ends with a frame of message type `error`, which is for undeclared errors.
    Error {
        /// The `:error-code`.
        code: String,
        /// The `:error-message`.
        message: String,
    },
    /// The connection is reset.
    Reset,
    /// The response ends properly, but without a `messageStop`.
    Close,
    /// The response ends within a frame.
    TruncatedFrame,
    /// The last frame has a wrong message checksum.
    BadMessageCrc,
    /// The last frame has a wrong prelude checksum.
    BadPreludeCrc,
}

impl Script {
    /// Creates a script with this answer.
    pub fn answer(answer: ModelAnswer) -> Self {
        Self::reply(ScriptedReply::Answer(answer))
    }

    /// Creates a script with the answer of the demo, to which delays and faults can be added.
    pub fn demo() -> Self {
        Self::reply(ScriptedReply::Demo)
    }

    /// Creates a script that fails with this exception.
    pub fn fault(fault: BedrockException) -> Self {
        Self::reply(ScriptedReply::Exception(fault))
    }

    /// Creates a script that fails with Bedrock's usual 429.
    pub fn throttle() -> Self {
        Self::fault(BedrockException::throttling(
            "Too many requests, please wait before trying again.",
        ))
    }

    /// Creates a script that fails with an HTML page, as a proxy in front of Bedrock does.
    pub fn html(status: u16) -> Self {
        Self::reply(ScriptedReply::Html(status))
    }

    /// Creates a script that never responds.
    pub fn hang() -> Self {
        Self::reply(ScriptedReply::Hang)
    }

    /// Creates a script of one reply, without delay and without fault.
    fn reply(reply: ScriptedReply) -> Self {
        Self {
            reply,
            times: 1,
            delay: Duration::ZERO,
            pace: None,
            inserted: Vec::new(),
            fault: None,
        }
    }

    /// Uses the script for this many requests instead of one.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Uses the script for all further requests.
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

    /// Inserts an event after this many events of the answer.
    #[must_use]
    pub fn insert(mut self, after: usize, event: StreamEvent) -> Self {
        self.inserted.push((after, event));
        self
    }

    /// Injects a fault after this many events. `Converse` has no events, so its whole response
    /// fails: with the exception, without the end of the message, cut in half, or as something that
    /// is not JSON where a frame would have a wrong checksum.
    #[must_use]
    pub fn fail_after(self, events: usize, fault: InjectedFault) -> Self {
        Self { fault: Some((events, fault)), ..self }
    }
}

/// The queued scripts, in order.
#[derive(Debug, Default)]
pub(crate) struct ScriptQueue(Vec<QueuedScript>);

/// A script that waits for a request to this region and model.
#[derive(Debug)]
struct QueuedScript {
    region: String,
    model: String,
    script: Script,
}

impl ScriptQueue {
    pub(crate) fn add(&mut self, region: &str, model: &str, script: Script) {
        if script.times > 0 {
            self.0.push(QueuedScript {
                region: region.to_owned(),
                model: model.to_owned(),
                script,
            });
        }
    }

    /// Returns the first script for a model with any of these names in this region, and counts its
    /// use.
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

impl QueuedScript {
    fn is_for(&self, region: &str, names: &[&str]) -> bool {
        matches(&self.region, region) && names.iter().any(|name| matches(&self.model, name))
    }
}

/// Returns whether a name matches a pattern, in which `*` matches any text.
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
        let mut book = ScriptQueue::default();
        book.add("us-*", "amazon.*", Script::throttle().times(2));
        book.add(ANY, ANY, Script::html(502));
        let mut next = |region, model| book.next(region, &[model]).map(|script| script.reply);
        assert!(matches!(next("us-east-1", "meta.llama"), Some(ScriptedReply::Html(502))));
        assert!(next("us-east-1", "meta.llama").is_none());
        assert!(next("eu-west-1", "amazon.nova").is_none());
        assert!(next("us-east-1", "amazon.nova").is_some());
        assert!(next("us-west-2", "amazon.nova").is_some());
        assert!(next("us-east-1", "amazon.nova").is_none());
    }
}
