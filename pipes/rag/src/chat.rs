//! The life of a chat: understood, searched for, put before the generator, and streamed with its sources.

use crate::{
    Rag,
    finder::{self, told},
    prompt::Template,
    question::{Asked, has_sources, is_task, shortened, with_text},
    sources::{Source, sources},
};
use futures_util::{StreamExt, TryStreamExt, future, stream};
use pipe_sdk::{
    Body, Call, Chunk, ChunkStream, Content, Event, FinishReason, Host, Message, Result, Role,
    User, library::Reader,
};
use std::sync::Arc;

impl Rag {
    /// Answers a chat through this generator.
    pub(crate) async fn answer(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let Call { mut body, user, chat, host, model, .. } = call;
        body.model = model;
        let texts = body.messages.iter().filter(|message| message.role != Role::Assistant);
        let asked = match Asked::of(&body.messages) {
            Some(asked)
                if !is_task(chat.task.as_deref(), &body)
                    && !has_sources(texts.map(Message::text)) =>
            {
                asked
            }
            _ => return host.pipe(body).await,
        };
        if !asked.is_last {
            // Tools are being called: people have seen the sources already.
            let found = self.sources(&asked, &body.messages, user.as_ref(), &host).await?;
            ask(&mut body, &asked, &self.prompt(&found.sources, &asked.text));
            return host.pipe(body).await;
        }
        let begun = Chunk::Event(Event::status("Searching the documents", false));
        let rest = stream::once(self.searched(body, asked, user, host)).try_flatten();
        Ok(ChunkStream::new(stream::iter([Ok(begun)]).chain(rest)))
    }

    /// What comes after the first status: what was found, then the answer.
    async fn searched(
        self: Arc<Self>,
        mut body: Body,
        asked: Asked,
        user: Option<User>,
        host: Host,
    ) -> Result<ChunkStream> {
        let found = self.sources(&asked, &body.messages, user.as_ref(), &host).await?;
        ask(&mut body, &asked, &self.prompt(&found.sources, &asked.text));
        let status = Chunk::Event(Event::status(&found.words(), true));
        let events: Vec<_> =
            [status].into_iter().chain(found.sources.iter().map(Source::event)).map(Ok).collect();
        let answer = async move { Ok(cited(host.pipe(body).await?, found.sources)) };
        Ok(ChunkStream::new(stream::iter(events).chain(stream::once(answer).try_flatten())))
    }

    /// What documents hold for this question, for this person.
    pub(crate) async fn sources(
        &self,
        asked: &Asked,
        messages: &[Message],
        user: Option<&User>,
        host: &Host,
    ) -> Result<Found> {
        let query = match &self.valves.rewrite_model {
            Some(model) if asked.follows => asked.alone(messages, model, host).await,
            _ => shortened(&asked.text),
        };
        self.found(&query, user, host).await
    }

    /// What documents hold for this query, for this person.
    async fn found(&self, query: &str, user: Option<&User>, host: &Host) -> Result<Found> {
        let viewer = finder::viewer(Reader::from_user(user));
        let collections = self.scope.of(user);
        let answer = self
            .finder
            .find(&self.valves, &collections, query, &viewer, self.valves.top_k, host)
            .await?;
        let chunks: Vec<_> = answer.hits.iter().map(|hit| hit.chunk).collect();
        let notes = answer.words_only.iter().chain(&answer.not_reranked);
        for note in notes {
            tracing::warn!("A search went without a model that it should have had.");
            // An upstream may quote the query.
            tracing::debug!("{note}");
        }
        tracing::info!(?collections, ?chunks, "Found {} chunks for a chat.", chunks.len());
        let index = self.finder.place.index().await?;
        let passages = index.build_passages(&answer.hits, self.valves.window_tokens).await;
        let sources = sources(passages.map_err(told)?, &answer.hits);
        // Where only some of it waits for vectors, the meaning has searched too.
        let by_words = answer.words_only.is_some()
            && answer.hits.iter().all(|hit| hit.scores.cosine.is_none());
        Ok(Found { sources, by_words })
    }

    /// The question with its sources, as the generator gets it.
    fn prompt(&self, sources: &[Source], question: &str) -> String {
        if sources.is_empty() {
            return Template::nothing().filled(sources, question);
        }
        self.template.filled(sources, question)
    }
}

/// What was found for a chat.
pub(crate) struct Found {
    pub sources: Vec<Source>,
    /// Whether only words were searched, because the meaning could not be.
    by_words: bool,
}

impl Found {
    /// For the line over the answer.
    fn words(&self) -> String {
        let by = if self.by_words { ", by words alone" } else { "" };
        match self.sources.len() {
            0 => format!("Nothing found in the documents{by}"),
            1 => format!("Found 1 document{by}"),
            several => format!("Found {several} documents{by}"),
        }
    }
}

/// Puts this text in the place of the question.
fn ask(body: &mut Body, asked: &Asked, text: &str) {
    if let Some(message) = body.messages.get_mut(asked.at) {
        let content: Option<Content> = message.content.take();
        message.content = Some(with_text(content, text.to_owned()));
    }
}

/// The answer, and where it comes from before it ends.
fn cited(answer: ChunkStream, sources: Vec<Source>) -> ChunkStream {
    let chunks = answer.map_ok(move |chunk| {
        let ends = matches!(&chunk, Chunk::Finish(reason) if *reason != FinishReason::ToolCalls);
        let citations = if ends { sources.as_slice() } else { &[] };
        let citations = (1..).zip(citations).map(|(number, source)| source.citation(number));
        let chunks: Vec<_> = citations.chain([chunk]).map(Ok).collect();
        stream::iter(chunks)
    });
    // Who answers is known: the model was asked for by the generator's name.
    let chunks = chunks.try_flatten();
    ChunkStream::new(chunks.try_filter(|chunk| future::ready(!matches!(chunk, Chunk::Model(_)))))
}
