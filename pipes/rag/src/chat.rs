//! Answers a chat: searches for its question, puts the sources before the generator, and streams
//! the answer with them.

use crate::{
    Rag,
    citations::CitationScanner,
    prompt::PromptTemplate,
    question::{Question, has_injected_sources, is_task, with_text},
    searcher::{self, SearchRequest, to_pipe_error},
    small_talk::is_small_talk,
    sources::{Source, group_by_document},
};
use futures_util::{StreamExt, TryStreamExt, future, stream};
use pipe_sdk::{
    Body, Call, Chunk, ChunkStream, Content, Event, Host, Message, Result, Role, User,
    library::Reader,
};
use std::sync::Arc;

impl Rag {
    /// Answers a chat through this generator.
    pub(crate) async fn answer(self: Arc<Self>, call: Call) -> Result<ChunkStream> {
        let Call { mut body, user, chat, host, model, .. } = call;
        body.model = model;
        let Some(question) = find_question(&body, chat.task.as_deref()) else {
            return host.pipe(body).await;
        };
        if !question.is_last {
            // During tool calls, the user has seen the sources already.
            let found =
                self.find_sources(&question, &body.messages, user.as_deref(), &host).await?;
            self.add_sources(&mut body, &question, &found.sources);
            return host.pipe(body).await;
        }
        let started = Chunk::Event(Event::status("Searching the documents", false));
        let rest = stream::once(self.answer_with_sources(body, question, user, host)).try_flatten();
        Ok(ChunkStream::new(stream::iter([Ok(started)]).chain(rest)))
    }

    /// Streams what follows the first status: the sources, then the answer.
    async fn answer_with_sources(
        self: Arc<Self>,
        mut body: Body,
        question: Question,
        user: Option<Arc<User>>,
        host: Host,
    ) -> Result<ChunkStream> {
        let found = self.find_sources(&question, &body.messages, user.as_deref(), &host).await?;
        self.add_sources(&mut body, &question, &found.sources);
        let status = Chunk::Event(Event::status(&found.status_text(), true));
        let sources = found.sources.iter().map(Source::to_event);
        let events: Vec<_> = [status].into_iter().chain(sources).map(Ok).collect();
        let answer = async move { Ok(with_citations(host.pipe(body).await?, found.sources)) };
        Ok(ChunkStream::new(stream::iter(events).chain(stream::once(answer).try_flatten())))
    }

    /// Finds the sources for a question that the user may see.
    pub(crate) async fn find_sources(
        &self,
        question: &Question,
        messages: &[Message],
        user: Option<&User>,
        host: &Host,
    ) -> Result<FoundSources> {
        let queries = match &self.valves.rewrite_model {
            Some(model) if question.is_follow_up() => question.rewrite(messages, model, host).await,
            _ => question.search_texts(),
        };
        self.search_for(&queries, user, host).await
    }

    /// Searches by each of these texts, and takes the best of each in turn.
    async fn search_for(
        &self,
        queries: &[String],
        user: Option<&User>,
        host: &Host,
    ) -> Result<FoundSources> {
        let viewer = searcher::to_viewer(Reader::from_user(user));
        let collections = self.scope.visible_to(user);
        let mut found = Vec::new();
        for query in queries {
            let request = SearchRequest {
                valves: &self.valves,
                collections: &collections,
                query,
                viewer: &viewer,
                top_k: self.valves.top_k,
            };
            found.push(self.searcher.search(request, host).await?);
        }
        let results = searcher::interleave(found, self.valves.top_k);
        let chunks: Vec<_> = results.hits.iter().map(|hit| hit.chunk).collect();
        for note in results.words_only.iter().chain(&results.not_reranked) {
            tracing::warn!("A search ran without a model that the valves name.");
            // An upstream may quote the query.
            tracing::debug!("{note}");
        }
        tracing::info!(?collections, ?chunks, "Found {} chunks for a chat.", chunks.len());
        let index = self.searcher.index.get().await?;
        let passages = index.build_passages(&results.hits, self.valves.window_tokens).await;
        let sources = group_by_document(passages.map_err(to_pipe_error)?, &results.hits);
        // If only some chunks wait for vectors, vector search has run too.
        let by_words_only = results.words_only.is_some()
            && results.hits.iter().all(|hit| hit.scores.cosine.is_none());
        Ok(FoundSources { sources, by_words_only })
    }

    /// Puts the sources before the question. Small talk for which nothing was found stays as it is.
    fn add_sources(&self, body: &mut Body, question: &Question, sources: &[Source]) {
        let prompt = match sources.is_empty() {
            true if is_small_talk(&question.text) => return,
            true => PromptTemplate::without_sources().render(sources, &question.text),
            false => self.template.render(sources, &question.text),
        };
        if let Some(message) = body.messages.get_mut(question.index) {
            let content: Option<Content> = message.content.take();
            message.content = Some(with_text(content, prompt));
        }
    }
}

/// Returns the question of a chat that documents may answer; none for greetings, background tasks,
/// and chats that have sources already.
fn find_question(body: &Body, task: Option<&str>) -> Option<Question> {
    let question = Question::from_messages(&body.messages)?;
    let texts = body.messages.iter().filter(|message| message.role != Role::Assistant);
    let is_other = is_task(task, body) || has_injected_sources(texts.map(Message::text));
    (!is_other).then_some(question)
}

/// The sources for a chat.
pub(crate) struct FoundSources {
    pub sources: Vec<Source>,
    /// True if vector search could not run.
    by_words_only: bool,
}

impl FoundSources {
    /// Returns the text of the status line.
    fn status_text(&self) -> String {
        let suffix = if self.by_words_only { ", by words alone" } else { "" };
        match self.sources.len() {
            0 => format!("Nothing found in the documents{suffix}"),
            1 => format!("Found 1 document{suffix}"),
            several => format!("Found {several} documents{suffix}"),
        }
    }
}

/// Adds a citation after each text of the answer that cites a source for the first time.
fn with_citations(answer: ChunkStream, sources: Vec<Source>) -> ChunkStream {
    let mut scanner = CitationScanner::default();
    let chunks = answer.map_ok(move |chunk| {
        let numbers = match &chunk {
            Chunk::Content(text) => scanner.scan(text, sources.len()),
            Chunk::NextChoice { .. } => {
                scanner = CitationScanner::default();
                Vec::new()
            }
            _ => Vec::new(),
        };
        let cite = |number: usize| sources.get(number - 1).map(|source| source.to_citation(number));
        let citations = numbers.into_iter().filter_map(cite);
        let chunks: Vec<_> = [chunk].into_iter().chain(citations).map(Ok).collect();
        stream::iter(chunks)
    });
    let chunks = chunks.try_flatten();
    // The client asked for this model, so the generator's name is left out.
    ChunkStream::new(chunks.try_filter(|chunk| future::ready(!matches!(chunk, Chunk::Model(_)))))
}
