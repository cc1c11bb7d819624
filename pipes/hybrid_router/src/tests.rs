//! The router pinned, between two scripted sides.

mod fallback;
mod health;
mod hedge;
mod rules;

use crate::{HybridRouter, HybridValves, LOCAL, SMART};
use futures_util::{FutureExt, StreamExt, stream};
use pipe_sdk::{
    Body, Call, CallContext, ChatRef, Chunk, ChunkStream, FinishReason, Hints, Message, Pipe,
    PipeError, Result, Role, Side, User, testing::ScriptedHost,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::time::{Instant, sleep};

const LOCAL_MODEL: &str = "home.small";
const CLOUD_MODEL: &str = "sky.big";

/// Valves with both sides set.
fn valves() -> HybridValves {
    HybridValves {
        local_endpoint: LOCAL_MODEL.into(),
        cloud_model: Some(CLOUD_MODEL.into()),
        ..HybridValves::default()
    }
}

async fn router(valves: HybridValves) -> Arc<HybridRouter> {
    Arc::new(HybridRouter::on_startup(valves).await.unwrap())
}

/// The behaviour of a backend.
#[derive(Clone)]
enum Behaviour {
    /// Answers with its own name.
    Answer,
    /// Answers after this number of milliseconds.
    AnswerAfter(u64),
    /// Sends these chunks, and then this error if there is one.
    Chunks(Vec<Chunk>, Option<fn() -> PipeError>),
    /// Fails at once.
    Fail(fn() -> PipeError),
    /// Never sends a chunk.
    Hang,
}

fn broken() -> PipeError {
    PipeError::Upstream("it is broken".into())
}

fn text(text: &str) -> Chunk {
    Chunk::Content(text.into())
}

fn answer_chunks(model: &str) -> Vec<Chunk> {
    vec![Chunk::Role, text(model), Chunk::Finish(FinishReason::Stop)]
}

/// A local and a cloud backend with scripted behaviour, and the number of their open answers.
struct ScriptedBackends {
    host: ScriptedHost,
    local: Arc<Mutex<Behaviour>>,
    open: [Arc<AtomicUsize>; 2],
}

/// Counts as an open answer until it is dropped.
struct OpenAnswer(Arc<AtomicUsize>);

impl Drop for OpenAnswer {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn run_behaviour(
    behaviour: Behaviour,
    model: &'static str,
    open: OpenAnswer,
) -> Result<ChunkStream> {
    let chunks = match behaviour {
        Behaviour::Answer => answer_chunks(model),
        Behaviour::AnswerAfter(ms) => {
            sleep(Duration::from_millis(ms)).await;
            answer_chunks(model)
        }
        Behaviour::Chunks(chunks, last) => {
            let last = last.map(|error| Err(error()));
            let all = chunks.into_iter().map(Ok).chain(last);
            return Ok(hold_open(open, stream::iter(all.collect::<Vec<_>>())));
        }
        Behaviour::Fail(error) => return Err(error()),
        Behaviour::Hang => return Ok(hold_open(open, stream::pending())),
    };
    Ok(hold_open(open, stream::iter(chunks.into_iter().map(Ok).collect::<Vec<_>>())))
}

fn hold_open(
    open: OpenAnswer,
    chunks: impl futures_util::Stream<Item = Result<Chunk>> + Send + 'static,
) -> ChunkStream {
    ChunkStream::new(chunks.inspect(move |_| _ = &open))
}

impl ScriptedBackends {
    fn new(local: Behaviour, cloud: Behaviour) -> Self {
        let local = Arc::new(Mutex::new(local));
        let cloud = Arc::new(Mutex::new(cloud));
        let open: [Arc<AtomicUsize>; 2] = Default::default();
        let side = |host: ScriptedHost,
                    model: &'static str,
                    behaviour: &Arc<Mutex<Behaviour>>,
                    open: &Arc<AtomicUsize>| {
            let (behaviour, open) = (Arc::clone(behaviour), Arc::clone(open));
            host.behaves(model, move |_| {
                let behaviour: Behaviour = behaviour.lock().unwrap().clone();
                open.fetch_add(1, Ordering::SeqCst);
                run_behaviour(behaviour, model, OpenAnswer(Arc::clone(&open)))
            })
        };
        let host = side(ScriptedHost::new(), LOCAL_MODEL, &local, &open[0]);
        let host = side(host, CLOUD_MODEL, &cloud, &open[1]);
        Self { host, local, open }
    }

    fn set_local(&self, behaviour: Behaviour) {
        *self.local.lock().unwrap() = behaviour;
    }

    /// Returns the number of open answers of the local backend and of the cloud.
    fn open_answers(&self) -> [usize; 2] {
        self.open.each_ref().map(|open| open.load(Ordering::SeqCst))
    }

    /// Returns the models that were called for chats, in order, without health probes.
    fn called_models(&self) -> Vec<&'static str> {
        let calls = self.host.calls();
        let chats =
            calls.iter().filter(|call| call.host.context().task.as_deref() != Some("health_check"));
        chats
            .map(|call| if call.model == LOCAL_MODEL { LOCAL_MODEL } else { CLOUD_MODEL })
            .collect()
    }

    /// Returns the number of health probes of the local backend.
    fn probe_count(&self) -> usize {
        self.host.calls().len() - self.called_models().len()
    }

    fn call(&self, model: &str, body: Body, user: User, task: Option<&str>) -> Call {
        let chat = ChatRef { task: task.map(Into::into), ..ChatRef::default() };
        let context = CallContext::new(Some(user.clone()), None, task);
        let host = self.host.host_of(context);
        Call {
            model: model.into(),
            body,
            user: Some(user.into()),
            chat: chat.into(),
            hints: Hints::default(),
            host,
        }
    }

    /// Asks `hybrid-smart` a question.
    async fn ask(&self, router: &Arc<HybridRouter>) -> ChatOutcome {
        self.ask_with(router, SMART, hello(), User::default(), None).await
    }

    async fn ask_with(
        &self,
        router: &Arc<HybridRouter>,
        model: &str,
        body: Body,
        user: User,
        task: Option<&str>,
    ) -> ChatOutcome {
        let begun = Instant::now();
        let call = self.call(model, body, user, task);
        let mut outcome = match Arc::clone(router).pipe(call).await {
            Ok(chunks) => ChatOutcome::collect(chunks).await,
            Err(error) => ChatOutcome { error: Some(error), ..ChatOutcome::default() },
        };
        outcome.took = begun.elapsed();
        outcome
    }
}

fn hello() -> Body {
    let messages = vec![Message::new(Role::User, "hi")];
    Body { stream: true, ..Body::new("hybrid_router.hybrid-smart", messages) }
}

/// The outcome of a chat.
#[derive(Debug, Default)]
struct ChatOutcome {
    model: Option<String>,
    side: Option<Side>,
    text: String,
    finishes: usize,
    lines: Vec<String>,
    error: Option<PipeError>,
    took: Duration,
}

impl ChatOutcome {
    async fn collect(mut chunks: ChunkStream) -> Self {
        let mut outcome = Self::default();
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(Chunk::Model(id)) => assert_eq!(outcome.model.replace(id), None),
                Ok(Chunk::Side(side)) => assert_eq!(outcome.side.replace(side), None),
                Ok(Chunk::Content(text)) => outcome.text += &text,
                Ok(Chunk::Finish(_)) => outcome.finishes += 1,
                Ok(Chunk::Event(event)) => {
                    outcome.lines.push(event.data["description"].as_str().unwrap().into());
                }
                Ok(_) => {}
                Err(error) => outcome.error = Some(error),
            }
        }
        outcome
    }

    /// Asserts that exactly this model has answered, whole and once.
    #[track_caller]
    fn assert_answered_by(&self, model: &str) {
        let side = if model == LOCAL_MODEL { Side::Local } else { Side::Cloud };
        assert!(self.error.is_none(), "{self:?}");
        assert_eq!(self.model.as_deref(), Some(model), "{self:?}");
        assert_eq!(
            (self.side, self.text.as_str(), self.finishes),
            (Some(side), model, 1),
            "{self:?}"
        );
    }

    #[track_caller]
    fn expect_error(&self) -> &PipeError {
        assert!(self.text.is_empty() && self.finishes == 0, "{self:?}");
        self.error.as_ref().unwrap()
    }
}
