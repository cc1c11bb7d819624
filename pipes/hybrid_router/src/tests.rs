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

const HOME: &str = "home.small";
const SKY: &str = "sky.big";

/// Valves with both sides set.
fn valves() -> HybridValves {
    HybridValves {
        local_endpoint: HOME.into(),
        cloud_model: Some(SKY.into()),
        ..HybridValves::default()
    }
}

async fn router(valves: HybridValves) -> Arc<HybridRouter> {
    Arc::new(HybridRouter::on_startup(valves).await.unwrap())
}

/// The behaviour of a backend.
#[derive(Clone)]
enum Does {
    /// Answers with its own name.
    Answers,
    /// Answers after this number of milliseconds.
    AnswersAfter(u64),
    /// Sends these chunks, and then this error if there is one.
    Says(Vec<Chunk>, Option<fn() -> PipeError>),
    /// Fails at once.
    Fails(fn() -> PipeError),
    /// Never sends a chunk.
    Hangs,
}

fn broken() -> PipeError {
    PipeError::Upstream("it is broken".into())
}

fn text(text: &str) -> Chunk {
    Chunk::Content(text.into())
}

fn words(model: &str) -> Vec<Chunk> {
    vec![Chunk::Role, text(model), Chunk::Finish(FinishReason::Stop)]
}

/// A local and a cloud backend with scripted behaviour, and the number of their open answers.
struct Sides {
    host: ScriptedHost,
    local: Arc<Mutex<Does>>,
    open: [Arc<AtomicUsize>; 2],
}

/// Counts as an open answer until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn act(does: Does, model: &'static str, open: Open) -> Result<ChunkStream> {
    let chunks = match does {
        Does::Answers => words(model),
        Does::AnswersAfter(ms) => {
            sleep(Duration::from_millis(ms)).await;
            words(model)
        }
        Does::Says(chunks, last) => {
            let last = last.map(|error| Err(error()));
            let all = chunks.into_iter().map(Ok).chain(last);
            return Ok(held(open, stream::iter(all.collect::<Vec<_>>())));
        }
        Does::Fails(error) => return Err(error()),
        Does::Hangs => return Ok(held(open, stream::pending())),
    };
    Ok(held(open, stream::iter(chunks.into_iter().map(Ok).collect::<Vec<_>>())))
}

fn held(
    open: Open,
    chunks: impl futures_util::Stream<Item = Result<Chunk>> + Send + 'static,
) -> ChunkStream {
    ChunkStream::new(chunks.inspect(move |_| _ = &open))
}

impl Sides {
    fn new(local: Does, cloud: Does) -> Self {
        let local = Arc::new(Mutex::new(local));
        let cloud = Arc::new(Mutex::new(cloud));
        let open: [Arc<AtomicUsize>; 2] = Default::default();
        let side = |host: ScriptedHost,
                    model: &'static str,
                    does: &Arc<Mutex<Does>>,
                    open: &Arc<AtomicUsize>| {
            let (does, open) = (Arc::clone(does), Arc::clone(open));
            host.behaves(model, move |_| {
                let does: Does = does.lock().unwrap().clone();
                open.fetch_add(1, Ordering::SeqCst);
                act(does, model, Open(Arc::clone(&open)))
            })
        };
        let host = side(ScriptedHost::new(), HOME, &local, &open[0]);
        let host = side(host, SKY, &cloud, &open[1]);
        Self { host, local, open }
    }

    fn let_local(&self, does: Does) {
        *self.local.lock().unwrap() = does;
    }

    /// Returns the number of open answers of the local backend and of the cloud.
    fn open(&self) -> [usize; 2] {
        self.open.each_ref().map(|open| open.load(Ordering::SeqCst))
    }

    /// Returns the models that were called for chats, in order, without health probes.
    fn asked(&self) -> Vec<&'static str> {
        let calls = self.host.calls();
        let chats =
            calls.iter().filter(|call| call.host.context().task.as_deref() != Some("health_check"));
        chats.map(|call| if call.model == HOME { HOME } else { SKY }).collect()
    }

    /// Returns the number of health probes of the local backend.
    fn looked(&self) -> usize {
        self.host.calls().len() - self.asked().len()
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
    async fn ask(&self, router: &Arc<HybridRouter>) -> Told {
        self.ask_with(router, SMART, hello(), User::default(), None).await
    }

    async fn ask_with(
        &self,
        router: &Arc<HybridRouter>,
        model: &str,
        body: Body,
        user: User,
        task: Option<&str>,
    ) -> Told {
        let begun = Instant::now();
        let call = self.call(model, body, user, task);
        let mut told = match Arc::clone(router).pipe(call).await {
            Ok(chunks) => Told::of(chunks).await,
            Err(error) => Told { error: Some(error), ..Told::default() },
        };
        told.took = begun.elapsed();
        told
    }
}

fn hello() -> Body {
    let messages = vec![Message::new(Role::User, "hi")];
    Body { stream: true, ..Body::new("hybrid_router.hybrid-smart", messages) }
}

/// The outcome of a chat.
#[derive(Debug, Default)]
struct Told {
    model: Option<String>,
    side: Option<Side>,
    text: String,
    finishes: usize,
    lines: Vec<String>,
    error: Option<PipeError>,
    took: Duration,
}

impl Told {
    async fn of(mut chunks: ChunkStream) -> Self {
        let mut told = Self::default();
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(Chunk::Model(id)) => assert_eq!(told.model.replace(id), None),
                Ok(Chunk::Side(side)) => assert_eq!(told.side.replace(side), None),
                Ok(Chunk::Content(text)) => told.text += &text,
                Ok(Chunk::Finish(_)) => told.finishes += 1,
                Ok(Chunk::Event(event)) => {
                    told.lines.push(event.data["description"].as_str().unwrap().into());
                }
                Ok(_) => {}
                Err(error) => told.error = Some(error),
            }
        }
        told
    }

    /// Asserts that exactly this model has answered, whole and once.
    #[track_caller]
    fn matches(&self, model: &str) {
        let side = if model == HOME { Side::Local } else { Side::Cloud };
        assert!(self.error.is_none(), "{self:?}");
        assert_eq!(self.model.as_deref(), Some(model), "{self:?}");
        assert_eq!(
            (self.side, self.text.as_str(), self.finishes),
            (Some(side), model, 1),
            "{self:?}"
        );
    }

    #[track_caller]
    fn failed(&self) -> &PipeError {
        assert!(self.text.is_empty() && self.finishes == 0, "{self:?}");
        self.error.as_ref().unwrap()
    }
}
