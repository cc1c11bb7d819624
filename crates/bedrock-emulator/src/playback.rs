//! Encodes the events of an answer as frames, with the faults that the script injects.

use crate::event::{AnswerStream, StreamEvent};
use crate::exception::BedrockException;
use crate::frame;
use crate::script::{InjectedFault, Script};
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::future::ready;
use std::io;

/// The body of a streamed response, frame by frame. An `Err` resets the connection.
pub(crate) type Frames = BoxStream<'static, io::Result<Bytes>>;

pub(crate) fn encode_frames(events: AnswerStream, script: Script) -> Frames {
    let valid = until_exception(with_inserted(events, script.inserted)).map(|event| match event {
        Ok(event) => frame::event(&event),
        Err(fault) => frame::exception(&fault),
    });
    let Some((after, fault)) = script.fault else { return yield_between(valid.boxed()) };
    yield_between(valid.take(after).chain(last_frames(fault)).boxed())
}

/// Returns the events with the script's own among them.
pub(crate) fn with_inserted(
    events: AnswerStream,
    inserted: Vec<(usize, StreamEvent)>,
) -> AnswerStream {
    let numbered = events.enumerate().flat_map(move |(at, event)| {
        let before =
            inserted.iter().filter(|(after, _)| *after == at).map(|(_, extra)| Ok(extra.clone()));
        stream::iter(before.chain([event]).collect::<Vec<_>>())
    });
    numbered.boxed()
}

/// Ends a stream after its first exception.
fn until_exception(events: AnswerStream) -> AnswerStream {
    let until = |failed: &mut bool, event: Result<StreamEvent, BedrockException>| {
        let over = std::mem::replace(failed, event.is_err());
        ready((!over).then_some(event))
    };
    events.scan(false, until).boxed()
}

/// Returns the frames with which a fault ends a stream.
fn last_frames(fault: InjectedFault) -> Frames {
    let frame = match fault {
        InjectedFault::Hang => return stream::pending().boxed(),
        InjectedFault::Close => return stream::empty().boxed(),
        InjectedFault::Exception(fault) => frame::exception(&fault),
        InjectedFault::Error { code, message } => frame::error(&code, &message),
        InjectedFault::Reset => Err(io::ErrorKind::ConnectionReset.into()),
        InjectedFault::TruncatedFrame => frame::half_frame(),
        InjectedFault::BadMessageCrc => frame::bad_message_crc(),
        InjectedFault::BadPreludeCrc => frame::bad_prelude_crc(),
    };
    stream::iter([frame]).boxed()
}

// Yields between frames so that the connection flushes, and each frame becomes a chunk of its own.
/// Lets other tasks run after each frame, so that each is sent by itself.
fn yield_between(frames: Frames) -> Frames {
    let flushed = |frame| async {
        tokio::task::yield_now().await;
        frame
    };
    frames.then(flushed).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model_answer::ModelAnswer;
    use aws_smithy_eventstream::frame::read_message_from;
    use serde_json::json;
    use std::time::Duration;

    async fn play(script: Script) -> Vec<String> {
        let events = ModelAnswer::with_text(["a", "b"]).stream(Duration::ZERO);
        encode_frames(events, script)
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
        let throttled = InjectedFault::Exception(BedrockException::throttling("slow"));
        let error = InjectedFault::Error { code: "Oops".into(), message: "no".into() };
        for (fault, end) in [
            (throttled, "throttlingException"),
            (error, "Oops"),
            (InjectedFault::Reset, "connection reset"),
            (InjectedFault::TruncatedFrame, "unreadable"),
            (InjectedFault::BadMessageCrc, "unreadable"),
            (InjectedFault::BadPreludeCrc, "unreadable"),
        ] {
            assert_eq!(play(Script::demo().fail_after(1, fault)).await, ["messageStart", end]);
        }
        assert_eq!(
            play(Script::demo().fail_after(2, InjectedFault::Close)).await,
            ["messageStart", "contentBlockDelta"]
        );
    }

    #[tokio::test]
    async fn an_inserted_event_keeps_its_place() {
        let strange = StreamEvent::new("weatherReport", json!({ "sky": "blue" }));
        let names = play(Script::demo().insert(1, strange)).await;
        assert_eq!(names[..3], ["messageStart", "weatherReport", "contentBlockDelta"]);
    }
}
