//! Plays an answer's events as frames, with whatever the script lets befall them.

use crate::event::{Event, Events};
use crate::fault::Fault;
use crate::frame;
use crate::script::{Mishap, Script};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::future::ready;
use std::io;

/// The body of a streamed response, a frame at a time. An `Err` resets the connection.
pub(crate) type Frames = BoxStream<'static, io::Result<Bytes>>;

pub(crate) fn frames(events: Events, script: Script) -> Frames {
    let sound = until_fault(with_inserted(events, script.inserted)).map(|event| match event {
        Ok(event) => frame::event(&event),
        Err(fault) => frame::exception(&fault),
    });
    let Some((after, mishap)) = script.mishap else { return one_by_one(sound.boxed()) };
    one_by_one(sound.take(after).chain(last_frames(mishap)).boxed())
}

fn with_inserted(events: Events, inserted: Vec<(usize, Event)>) -> Events {
    let numbered = events.enumerate().flat_map(move |(at, event)| {
        let before =
            inserted.iter().filter(|(after, _)| *after == at).map(|(_, extra)| Ok(extra.clone()));
        stream::iter(before.chain([event]).collect::<Vec<_>>())
    });
    numbered.boxed()
}

fn until_fault(events: Events) -> Events {
    let until = |failed: &mut bool, event: Result<Event, Fault>| {
        let over = std::mem::replace(failed, event.is_err());
        ready((!over).then_some(event))
    };
    events.scan(false, until).boxed()
}

fn last_frames(mishap: Mishap) -> Frames {
    let frame = match mishap {
        Mishap::Hang => return stream::pending().boxed(),
        Mishap::Close => return stream::empty().boxed(),
        Mishap::Exception(fault) => frame::exception(&fault),
        Mishap::Error { code, message } => frame::error(&code, &message),
        Mishap::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        Mishap::CutFrame => frame::cut(),
        Mishap::BadMessageCrc => frame::bad_message_crc(),
        Mishap::BadPreludeCrc => frame::bad_prelude_crc(),
    };
    stream::iter([frame]).boxed()
}

// Giving way between frames lets the connection flush, so that each frame leaves as a chunk of its own.
fn one_by_one(frames: Frames) -> Frames {
    let flushed = |frame| async {
        tokio::task::yield_now().await;
        frame
    };
    frames.then(flushed).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::Answer;
    use aws_smithy_eventstream::frame::read_message_from;
    use serde_json::json;
    use std::time::Duration;

    async fn played(script: Script) -> Vec<String> {
        let events = Answer::says(["a", "b"]).stream(Duration::ZERO);
        frames(events, script)
            .map(|frame| frame.map_or_else(|error| error.kind().to_string(), name))
            .collect()
            .await
    }

    fn name(frame: Bytes) -> String {
        let Ok(message) = read_message_from(frame) else { return "unreadable".to_owned() };
        message.headers()[0].value().as_string().unwrap().as_str().to_owned()
    }

    #[tokio::test]
    async fn a_mishap_takes_the_place_of_the_rest() {
        let throttled = Mishap::Exception(Fault::throttling("slow"));
        let error = Mishap::Error { code: "Oops".into(), message: "no".into() };
        for (mishap, end) in [
            (throttled, "throttlingException"),
            (error, "Oops"),
            (Mishap::Reset, "connection reset"),
            (Mishap::CutFrame, "unreadable"),
            (Mishap::BadMessageCrc, "unreadable"),
            (Mishap::BadPreludeCrc, "unreadable"),
        ] {
            assert_eq!(played(Script::demo().after(1, mishap)).await, ["messageStart", end]);
        }
        assert_eq!(
            played(Script::demo().after(2, Mishap::Close)).await,
            ["messageStart", "contentBlockDelta"]
        );
    }

    #[tokio::test]
    async fn an_inserted_event_keeps_its_place() {
        let strange = Event::new("weatherReport", json!({ "sky": "blue" }));
        let names = played(Script::demo().insert(1, strange)).await;
        assert_eq!(names[..3], ["messageStart", "weatherReport", "contentBlockDelta"]);
    }
}
