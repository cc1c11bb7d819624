//! Stop sequences that the upstream does not accept: the answer is cut here.

use super::{Chunk, ChunkStream, FinishReason};
use crate::Result;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::Value;
use std::{collections::VecDeque, mem};

/// The name of the fact that says at which stop sequence an answer has ended; it comes before the
/// finish reason, where the upstream or the host knows it.
pub const STOP_SEQUENCE_FACT: &str = "x_stop_sequence";

impl ChunkStream {
    /// Returns the same answer up to the first of these texts in its content, without that text.
    ///
    /// For upstreams that do not accept stop sequences, or not as many. Text that may be the
    /// beginning of one is held back until it is known. Where the answer is cut, the rest of it is
    /// dropped, which cancels it upstream.
    #[must_use]
    pub fn with_stop_sequences(self, sequences: Vec<String>) -> Self {
        let sequences: Vec<_> = sequences.into_iter().filter(|text| !text.is_empty()).collect();
        if sequences.is_empty() {
            return self;
        }
        let cutter = Cutter { sequences, held: String::new(), ready: VecDeque::new() };
        Self::new(stream::unfold((Some(self), cutter), |(mut chunks, mut cutter)| async move {
            loop {
                if let Some(chunk) = cutter.ready.pop_front() {
                    return Some((chunk, (chunks, cutter)));
                }
                let next = match &mut chunks {
                    Some(chunks) => chunks.next().await,
                    None => return None,
                };
                match next {
                    Some(Ok(chunk)) => {
                        if cutter.add(chunk) {
                            let rest = chunks.take();
                            cutter.ready.extend(rest.into_iter().flat_map(take_totals).map(Ok));
                        }
                    }
                    Some(Err(error)) => {
                        cutter.flush();
                        cutter.ready.push_back(Err(error));
                    }
                    None => {
                        chunks = None;
                        cutter.flush();
                    }
                }
            }
        }))
    }
}

/// Ends a stream of chunks at the first stop sequence.
struct Cutter {
    sequences: Vec<String>,
    /// The end of the text so far, if a stop sequence may begin with it.
    held: String,
    ready: VecDeque<Result<Chunk>>,
}

impl Cutter {
    /// Takes in a chunk. Returns `true` if the answer ends with it.
    fn add(&mut self, chunk: Chunk) -> bool {
        let text = match chunk {
            Chunk::Content(text) => text,
            // These say nothing of where the text ends.
            Chunk::Logprobs(_) | Chunk::Usage(_) | Chunk::Fact(..) | Chunk::Event(_) => {
                self.ready.push_back(Ok(chunk));
                return false;
            }
            chunk => {
                self.flush();
                self.ready.push_back(Ok(chunk));
                return false;
            }
        };
        self.held.push_str(&text);
        let found = self.sequences.iter().filter_map(|text| Some((self.held.find(text)?, text)));
        // If two sequences begin at the same place, the shorter one is complete first.
        if let Some((end, sequence)) = found.min_by_key(|(at, text)| (*at, text.len())) {
            let sequence = Value::from(sequence.as_str());
            self.held.truncate(end);
            self.flush();
            self.ready.push_back(Ok(Chunk::Fact(STOP_SEQUENCE_FACT, sequence)));
            self.ready.push_back(Ok(Chunk::Finish(FinishReason::Stop)));
            return true;
        }
        let rest = self.held.split_off(self.held.len() - self.partial_length());
        let text = mem::replace(&mut self.held, rest);
        self.push_text(text);
        false
    }

    /// Returns the length of the longest end of the held text that a stop sequence begins with.
    fn partial_length(&self) -> usize {
        let longest = self.sequences.iter().map(String::len).max().unwrap_or_default();
        let is_partial = |length: &usize| {
            let end = self.held.len().checked_sub(*length).and_then(|from| self.held.get(from..));
            end.is_some_and(|end| self.sequences.iter().any(|text| text.starts_with(end)))
        };
        (1..longest).rev().find(is_partial).unwrap_or_default()
    }

    /// Passes on the text that was held back.
    fn flush(&mut self) {
        let text = mem::take(&mut self.held);
        self.push_text(text);
    }

    fn push_text(&mut self, text: String) {
        if !text.is_empty() {
            self.ready.push_back(Ok(Chunk::Content(text)));
        }
    }
}

/// Returns the usage and the facts of an answer that are there already: those of an answer that
/// came in one piece. Where that would have ended is no longer true.
fn take_totals(mut chunks: ChunkStream) -> Vec<Chunk> {
    let mut totals = Vec::new();
    while let Some(Some(Ok(chunk))) = chunks.next().now_or_never() {
        let is_end = matches!(chunk, Chunk::Fact(STOP_SEQUENCE_FACT, _));
        if matches!(chunk, Chunk::Usage(_) | Chunk::Fact(..)) && !is_end {
            totals.push(chunk);
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ToolCallDelta, Usage};
    use proptest::prelude::*;

    async fn cut(pieces: &[&str], sequences: &[&str]) -> (String, Option<FinishReason>) {
        let pieces = pieces.iter().map(|piece| Chunk::Content((*piece).into()));
        let chunks: Vec<_> = pieces.chain([Chunk::Finish(FinishReason::Length)]).collect();
        let sequences = sequences.iter().map(|text| (*text).to_owned()).collect();
        let answer = ChunkStream::from_chunks(chunks).with_stop_sequences(sequences);
        let answer = answer.fold().await.unwrap();
        (answer.content, answer.finish)
    }

    #[tokio::test]
    async fn an_answer_ends_before_the_first_stop_sequence() {
        let (stop, length) = (Some(FinishReason::Stop), Some(FinishReason::Length));
        for (pieces, sequences, content, finish) in [
            (&["one EN", "D two"][..], &["END"][..], "one ", stop),
            (&["one EN", "TER"], &["END"], "one ENTER", length),
            (&["one E"], &["END"], "one E", length),
            (&["a", "b", "c"], &["c", "bc"], "a", stop),
            (&["é", "ü"], &["ü"], "é", stop),
            (&["END"], &["END", ""], "", stop),
            (&["all"], &[""], "all", length),
        ] {
            let cut = cut(pieces, sequences).await;
            assert_eq!(cut, (content.to_owned(), finish), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn calls_come_after_the_text_before_them_and_usage_is_kept() {
        let call = Chunk::ToolCall(ToolCallDelta { name: Some("f".into()), ..Default::default() });
        let (usage, sequences) = (Chunk::Usage(Usage::default()), vec!["END".to_owned()]);
        let chunks = [Chunk::Content("E".into()), call.clone(), usage.clone()];
        let chunks = ChunkStream::from_chunks(chunks).with_stop_sequences(sequences.clone());
        let chunks: Vec<_> = chunks.map(Result::unwrap).collect().await;
        assert_eq!(chunks, [Chunk::Content("E".into()), call, usage.clone()]);
        let chunks = [Chunk::Content("aEND".into()), Chunk::Content("b".into()), usage.clone()];
        let chunks = ChunkStream::from_chunks(chunks).with_stop_sequences(sequences);
        let chunks: Vec<_> = chunks.map(Result::unwrap).collect().await;
        let end = [
            Chunk::Fact(STOP_SEQUENCE_FACT, "END".into()),
            Chunk::Finish(FinishReason::Stop),
            usage,
        ];
        assert_eq!(chunks, [&[Chunk::Content("a".into())], &end[..]].concat());
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[abé]{0,12}", size in 1_usize..4, stop in "[abé]{1,3}") {
            let letters: Vec<char> = text.chars().collect();
            let pieces: Vec<String> = letters.chunks(size).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let cut = cut(&pieces, &[&stop]).now_or_never().unwrap();
            prop_assert_eq!(cut.0, text.split(&*stop).next().unwrap());
            prop_assert_eq!(cut.1 == Some(FinishReason::Stop), text.contains(&*stop));
        }
    }
}
