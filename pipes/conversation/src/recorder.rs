//! Recording: an answer is saved with its conversation before the client learns that it has ended,
//! so that a crash after the answer loses nothing.

use crate::{
    history,
    turns::{self, Turn},
    valves::ConversationValves,
};
use futures_util::{StreamExt, stream};
use pipe_sdk::{
    Answer, Chunk, ChunkStream, Conversation, ConversationKey, ConversationVersion, Conversations,
    Event, Message, Result, Role, SaveOptions, Usage,
};
use serde_json::json;
use std::{collections::VecDeque, sync::Arc};

/// The largest number of attempts to save, when others save the same conversation meanwhile.
const MAX_ATTEMPTS: usize = 8;

/// The number of turns before the window that are kept until a summary covers them.
const MAX_PENDING_TURNS: usize = 50;

/// Saves a conversation with the answer to its last turn.
pub(crate) struct Recorder {
    pub store: Arc<dyn Conversations>,
    pub valves: Arc<ConversationValves>,
    pub key: ConversationKey,
    /// The conversation with the new turn, without its answer.
    pub conversation: Conversation,
    /// The messages of the client, if the conversation is continued; `None` if its history replaces
    /// the stored one.
    pub new_messages: Option<Vec<Message>>,
    /// The version that was loaded.
    pub version: Option<ConversationVersion>,
}

/// The reason why a turn was not saved, for the user.
type SaveError = &'static str;

impl Recorder {
    /// Saves the conversation with this answer.
    pub async fn save(self, answer: Option<Message>) -> Result<(), SaveError> {
        let Self { store, valves, key, mut conversation, new_messages, mut version } = self;
        let was_stored = version.is_some();
        conversation = history::append(conversation, answer.iter().cloned().collect());
        for _ in 0..MAX_ATTEMPTS {
            let mut saved = conversation.clone();
            limit(&mut saved, &valves);
            if saved.turns.is_empty() {
                return Err("this turn is too long to be remembered");
            }
            let options = SaveOptions {
                expected: version,
                time_to_live: valves.time_to_live(),
                max_conversations: valves.max_conversations,
            };
            match store.save(key.clone(), saved, options).await {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(error) => return Err(log_unsaved(&error)),
            }
            let current = store.load(key.clone()).await.map_err(|error| log_unsaved(&error))?;
            match (current, &new_messages) {
                // It was deleted while the answer was written, and the user expects it to be gone.
                (None, _) if was_stored => return Ok(()),
                (None, _) => version = None,
                (Some((_, current)), None) => version = Some(current),
                (Some((other, current)), Some(new)) => {
                    // Several answers to one request (`n`), or a retry: one of them is enough.
                    if other.turns.last().is_some_and(|turn| begins_with(turn, new)) {
                        return Ok(());
                    }
                    let messages = new.iter().chain(&answer).cloned().collect();
                    conversation = history::append(other, messages);
                    version = Some(current);
                }
            }
        }
        Err("others have changed the conversation at the same time")
    }
}

/// Logs the error of a save, and returns the reason for the user.
fn log_unsaved(error: &pipe_sdk::PipeError) -> SaveError {
    tracing::warn!(error = error.kind(), "A turn of a conversation was not saved.");
    tracing::debug!(%error, "Why a turn was not saved.");
    "the database cannot be used now"
}

/// Returns whether a turn begins with these messages.
fn begins_with(turn: &Turn, messages: &[Message]) -> bool {
    turn.get(..messages.len()).is_some_and(|first| turns::is_same(first, messages))
}

/// Limits what is stored: the turns of the next window, their images, and their size.
fn limit(conversation: &mut Conversation, valves: &ConversationValves) {
    let Conversation { turns, summary, .. } = conversation;
    let pending = if valves.summary_model.is_some() { MAX_PENDING_TURNS } else { 0 };
    let leaving = turns.len().saturating_sub(valves.memory_window + pending);
    if leaving > 0
        && let Some(summary) = summary
    {
        // No history of a client can match a summary with a gap behind it.
        summary.digest = String::from("-");
    }
    turns.drain(..leaving);
    turns::limit_attachments(turns, valves.max_images);
    turns::shrink(turns, valves.max_bytes());
}

/// The state of a stream that is recorded.
struct Recording {
    chunks: ChunkStream,
    answer: Answer,
    recorder: Option<Recorder>,
    /// The usage of calls beside the answer; `None` when it has been reported.
    extra_usage: Option<Usage>,
    /// The requested model, which is not reported to the client.
    model: String,
    pending: VecDeque<Chunk>,
}

/// Records an answer by this model, and adds to its usage what other calls cost.
pub(crate) fn record(
    chunks: ChunkStream,
    recorder: Option<Recorder>,
    extra_usage: Option<Usage>,
    model: String,
) -> ChunkStream {
    let (answer, pending) = Default::default();
    let recording = Recording { chunks, answer, recorder, extra_usage, model, pending };
    ChunkStream::new(stream::try_unfold(recording, |mut recording| async {
        Ok(recording.next().await?.map(|chunk| (chunk, recording)))
    }))
}

impl Recording {
    async fn next(&mut self) -> Result<Option<Chunk>> {
        loop {
            if let Some(chunk) = self.pending.pop_front() {
                return Ok(Some(chunk));
            }
            let Some(chunk) = self.chunks.next().await.transpose()? else {
                return Ok(self.extra_usage.take().map(Chunk::Usage));
            };
            match chunk {
                Chunk::Model(id) if id == self.model => {}
                Chunk::Usage(mut usage) => {
                    if let Some(extra) = self.extra_usage.take() {
                        usage.add(&extra);
                    }
                    return Ok(Some(Chunk::Usage(usage)));
                }
                Chunk::Finish(reason) => {
                    self.save().await;
                    self.pending.push_back(Chunk::Finish(reason));
                }
                chunk => {
                    if self.recorder.is_some() {
                        self.answer.add(chunk.clone());
                    }
                    return Ok(Some(chunk));
                }
            }
        }
    }

    /// Saves the turn, after its answer is complete.
    async fn save(&mut self) {
        let Some(recorder) = self.recorder.take() else { return };
        let answer = std::mem::take(&mut self.answer);
        let first = answer.earlier.first().cloned().unwrap_or(answer);
        if let Err(reason) = recorder.save(Some(message(first))).await {
            let line = format!("This turn is not remembered: {reason}");
            self.pending.push_back(Chunk::Event(Event::status(&line, true)));
        }
    }
}

/// Returns an answer as its message in the history.
fn message(answer: Answer) -> Message {
    let images = answer.pictures.iter().map(|_| "[Image]");
    let text = answer.content + &images.collect::<String>();
    let mut message = Message::new(Role::Assistant, text);
    if !answer.tool_calls.is_empty() {
        message.tool_calls = answer.tool_calls;
        // Models that think want their reasoning back with the results of their calls.
        if !answer.reasoning_details.is_empty() {
            message.rest.insert("reasoning_details".into(), json!(answer.reasoning_details));
        }
    }
    message
}
