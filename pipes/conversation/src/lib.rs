//! Conversations that the host remembers: each user's chats with a persona, a window of turns, and
//! a summary of the turns before the window.
//!
//! A manifold: each model of the valves gets a model of its own, `conversation.` and its id. Or a
//! filter, which does the same for the chats of any model in Open WebUI. A client names its
//! conversation (`request`); what it sends and what is stored become one history (`history`), which
//! is cut between turns (`turns`), so that a tool call stays with its result. The answer is saved
//! before its end is sent (`recorder`).
//!
//! The conversations are in the host's store ([`pipe_sdk::Conversations`]).

mod filter;
mod history;
mod persona;
mod pipe_id;
mod prompt;
mod recorder;
mod request;
mod summary;
mod turns;
mod valves;

pub use valves::ConversationValves;

use futures_util::{StreamExt, TryStreamExt, stream};
use persona::PersonaTable;
use pipe_id::PIPE_ID;
use pipe_sdk::{
    Body, Call, Chunk, ChunkStream, Conversation, ConversationVersion, Event, FilterBody,
    FilterCall, Host, Model, ModelResolution, Pipe, PipeError, Result, Serves, Usage, ValveError,
    split_list,
};
use recorder::Recorder;
use request::{ConversationUse, Request};
use std::{collections::BTreeSet, sync::Arc};

/// The pipe.
pub struct ConversationPipe {
    valves: Arc<ConversationValves>,
    persona: Option<String>,
}

/// A conversation with its new turn, before the answer.
struct History {
    conversation: Conversation,
    version: Option<ConversationVersion>,
    /// The usage of summaries.
    usage: Option<Usage>,
}

impl Pipe for ConversationPipe {
    const ID: &'static str = PIPE_ID;
    const NAME: &'static str = "Conversations with memory";
    type Valves = ConversationValves;

    async fn on_startup(valves: ConversationValves) -> Result<Self> {
        let error = |valve, rule| PipeError::BadValves(vec![ValveError::new(valve, rule)]);
        let table: PersonaTable = persona::parse_table(valves.personas.as_deref())
            .map_err(|rule| error("personas", rule))?;
        let persona = persona::resolve(valves.persona.as_deref(), &table)
            .map_err(|rule| error("persona", rule))?;
        Ok(Self { valves: Arc::new(valves), persona })
    }

    fn serves(&self) -> Serves {
        let ConversationValves { filter, pipelines, priority, models, .. } = &*self.valves;
        if *filter {
            return Serves::Filter { pipelines: pipelines.clone(), priority: *priority };
        }
        let model = |id: &str| {
            Model::new(id, format!("{id} with memory"))
                .with_name_templates([format!("Memory · {{{id}}}"), format!("Mem · {{{id}}}")])
                .with_description("Remembers the conversation on the server.")
                .with_capability("usage", true)
        };
        let ids: BTreeSet<_> = split_list(models).collect();
        Serves::manifold(ids.into_iter().map(model).collect::<Vec<_>>())
    }

    /// Returns `None`: without the pipe's name, the ids are those of other pipes' models.
    fn resolve_model(&self, _id: &str) -> Option<ModelResolution> {
        None
    }

    fn stores_responses(&self) -> bool {
        self.valves.store_responses
    }

    async fn pipe(self: Arc<Self>, mut call: Call) -> Result<ChunkStream> {
        self.check_model(&call.model)?;
        call.body.model.clone_from(&call.model);
        if is_task(&call) {
            return call.host.pipe(call.body).await;
        }
        let request = Request::take(&mut call)?;
        let Call { body, host, .. } = call;
        let mut history = self.load_history(&request, &host).await?;
        if history.conversation.turns.is_empty() {
            let messages = history.conversation.instructions;
            return host.pipe(Body { messages, ..body }).await;
        }
        let needs_summary = self.valves.summary_model.is_some()
            && history::turns_before_window(&history.conversation.turns, self.valves.memory_window)
                > 0;
        if !needs_summary {
            return self.answer(request, history, body, host).await;
        }
        let status = Chunk::Event(Event::status("Summarizing earlier turns", false));
        let rest = async move {
            let is_new = self.leave_window(&mut history, &host).await;
            let line =
                if is_new { "Earlier turns are summarized" } else { "Earlier turns are left out" };
            let done = stream::iter([Ok(Chunk::Event(Event::status(line, true)))]);
            Ok(done.chain(self.answer(request, history, body, host).await?))
        };
        let rest = stream::once(rest).try_flatten();
        Ok(ChunkStream::new(stream::iter([Ok(status)]).chain(rest)))
    }

    async fn count_tokens(self: Arc<Self>, mut call: Call) -> Result<u64> {
        self.check_model(&call.model)?;
        call.body.model.clone_from(&call.model);
        let request = Request::take(&mut call)?;
        let Call { body, host, .. } = call;
        let history = self.load_history(&request, &host).await?;
        let messages = self.messages(&request, &history.conversation);
        host.count_tokens(Body { messages, ..body }).await
    }

    async fn inlet(&self, call: FilterCall) -> Result<FilterBody> {
        if self.valves.filter { self.apply_to_inlet(call).await } else { Ok(call.body) }
    }

    async fn outlet(&self, call: FilterCall) -> Result<FilterBody> {
        if self.valves.filter {
            self.save_outlet(&call).await;
        }
        Ok(call.body)
    }
}

impl ConversationPipe {
    fn check_model(&self, model: &str) -> Result<()> {
        let is_served =
            !self.valves.filter && split_list(&self.valves.models).any(|id| id == model);
        if is_served { Ok(()) } else { Err(PipeError::ModelNotFound(format!("{PIPE_ID}.{model}"))) }
    }

    /// Returns the conversation with the new turn of this request.
    async fn load_history(&self, request: &Request, host: &Host) -> Result<History> {
        let loaded = match request.kind.load_key() {
            None => None,
            Some(key) => match (host.conversations().load(key.clone()).await, &request.kind) {
                (Ok(None), ConversationUse::Response { .. }) => {
                    return Err(previous_response_not_found(&key.id));
                }
                (Ok(loaded), _) => loaded,
                // The client has sent the whole history.
                (Err(error), ConversationUse::History(_)) => {
                    tracing::warn!(
                        error = error.kind(),
                        "A chat continues without its stored conversation."
                    );
                    None
                }
                (Err(error), _) => return Err(error),
            },
        };
        let (stored, version) = loaded.unzip();
        Ok(History { conversation: history::merge(stored, request), version, usage: None })
    }

    /// Summarizes the turns before the window, or forgets them. Returns whether there is a new
    /// summary. If the summary fails, the turns stay for the next one.
    async fn leave_window(&self, history: &mut History, host: &Host) -> bool {
        let ConversationValves { memory_window, summary_model, summary_tokens, .. } = &*self.valves;
        let Conversation { summary, turns, .. } = &mut history.conversation;
        let leaving = history::turns_before_window(turns, *memory_window);
        let (Some(model), Some(turns_before)) = (summary_model, turns.get(..leaving)) else {
            return false;
        };
        if turns_before.is_empty() {
            return false;
        }
        let summarized =
            summary::summarize(summary.as_ref(), turns_before, model, *summary_tokens, host).await;
        match summarized {
            Ok(summarized) => {
                turns.drain(..leaving);
                *summary = Some(summarized.summary);
                history.usage.get_or_insert_default().add(&summarized.usage);
                true
            }
            Err(error) => {
                tracing::warn!(error = error.kind(), model, "Earlier turns were not summarized.");
                // An upstream may quote the conversation.
                tracing::debug!(%error, model, "Why earlier turns were not summarized.");
                false
            }
        }
    }

    /// Returns the messages that the model gets: instructions, summary, and the turns of the
    /// window.
    fn messages(&self, request: &Request, conversation: &Conversation) -> Vec<pipe_sdk::Message> {
        let ConversationValves { memory_window, max_images, .. } = *self.valves;
        let persona = self.persona.as_deref();
        prompt::messages(
            conversation,
            persona,
            &request.own_instructions,
            memory_window,
            max_images,
        )
    }

    /// Asks the model, and records its answer.
    async fn answer(
        &self,
        request: Request,
        mut history: History,
        body: Body,
        host: Host,
    ) -> Result<ChunkStream> {
        let messages = self.messages(&request, &history.conversation);
        let (model, usage) = (body.model.clone(), history.usage.take());
        let recorder = self.recorder(&request, history, &host);
        let chunks = host.pipe(Body { messages, ..body }).await?;
        Ok(recorder::record(chunks, recorder, usage, model))
    }

    /// Returns the recorder of this request, if its conversation is stored.
    fn recorder(&self, request: &Request, history: History, host: &Host) -> Option<Recorder> {
        let key = request.kind.save_key()?.clone();
        let is_continued = matches!(request.kind, ConversationUse::Continued(_));
        // Each response is stored under a new id.
        let is_response = matches!(request.kind, ConversationUse::Response { .. });
        Some(Recorder {
            store: host.conversations(),
            valves: Arc::clone(&self.valves),
            key,
            conversation: history.conversation,
            new_messages: is_continued.then(|| request.messages.clone()),
            version: history.version.filter(|_| !is_response),
        })
    }
}

fn previous_response_not_found(id: &str) -> PipeError {
    PipeError::BadRequest {
        message: format!("Previous response with id '{id}' not found."),
        param: Some("previous_response_id".into()),
        code: Some("previous_response_not_found"),
    }
}

/// Returns whether the call is a background task of Open WebUI, such as a title. A task without a
/// name is recognised by its prompt (`docs/reference/open-webui.md`, "Background tasks").
fn is_task(call: &Call) -> bool {
    call.chat.task.is_some() || call.body.is_task_prompt()
}
