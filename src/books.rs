//! The books: what every answer cost goes to the store and to the filters, a little later and never in an answer's way.

use crate::{metrics::End, registry::Registry};
use pipe_sdk::{CallContext, ChatRef, Host, ModelKind, Serves, Side, Task, Usage, UsageReport};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use store::{Kind, Status, Store, Tokens, UsageRow};
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::timeout,
};

/// So many answers wait at most to be written down.
const QUEUE: usize = 8192;

/// What there is to be remembered of one answer.
pub struct Note {
    /// The pipe that answered.
    pub pipe: &'static str,
    /// The full id of the model that answered.
    pub model: String,
    /// What it did.
    pub kind: ModelKind,
    /// Who asked.
    pub trail: CallContext,
    /// In tokens.
    pub usage: Usage,
    /// In millionths of a US dollar, where the price is known.
    pub cost: Option<u64>,
    /// How it ended.
    pub end: End,
}

enum Word {
    Note(Box<Note>),
    Flush(oneshot::Sender<()>),
}

/// The way into the books. A clone is the same way.
#[derive(Clone)]
pub struct Books {
    words: mpsc::Sender<Word>,
    dropped: Arc<AtomicU64>,
}

/// What has not been written down yet.
pub struct Unread {
    words: mpsc::Receiver<Word>,
    dropped: Arc<AtomicU64>,
}

/// Books that nobody keeps yet, and what is written into them meanwhile.
pub fn open() -> (Books, Unread) {
    let (words, unread) = mpsc::channel(QUEUE);
    let books = Books { words, dropped: Arc::default() };
    let unread = Unread { words: unread, dropped: Arc::clone(&books.dropped) };
    (books, unread)
}

impl Books {
    /// Notes an answer. It never waits: when too many are waiting, this one is dropped and counted.
    pub fn note(&self, note: Note) {
        if self.words.try_send(Word::Note(Box::new(note))).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many answers were never written down.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything that was noted so far is with the store and the filters, but no longer than this.
    pub async fn flush(&self, limit: Duration) {
        let (answer, answered) = oneshot::channel();
        let flushed = async {
            if self.words.send(Word::Flush(answer)).await.is_ok() {
                // An error means that nobody keeps the books any more.
                _ = answered.await;
            }
        };
        if timeout(limit, flushed).await.is_err() {
            tracing::warn!("The last answers may be missing from the usage.");
        }
    }
}

impl Unread {
    /// Keeps the books for as long as the task lives. The store has a row at once, however long filters take.
    pub fn keep(self, store: Arc<Store>, registry: Arc<Registry>) -> Task {
        let Self { mut words, dropped } = self;
        let (settling, unsettled) = mpsc::channel(QUEUE);
        let settler = Task::spawn(tell_filters(unsettled, registry));
        Task::spawn(async move {
            let _settler = settler;
            while let Some(word) = words.recv().await {
                if let Word::Note(note) = &word {
                    store.usage().record(row(note));
                }
                // Whoever waits for a flush is let go when too many wait.
                if let Err(TrySendError::Full(Word::Note(_))) = settling.try_send(word) {
                    dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    }
}

async fn tell_filters(mut words: mpsc::Receiver<Word>, registry: Arc<Registry>) {
    while let Some(word) = words.recv().await {
        match word {
            Word::Note(note) => settle(&registry, *note).await,
            // Whoever asked may have stopped waiting.
            Word::Flush(answer) => _ = answer.send(()),
        }
    }
}

async fn settle(registry: &Arc<Registry>, note: Note) {
    let Note { model, kind, trail, usage, cost, .. } = note;
    let host = Host::new(registry.clone(), trail.clone(), ChatRef::default());
    let spent = UsageReport { model, kind, usage, cost, trail, host };
    for slot in registry.slots() {
        if matches!(slot.serves(), Some(Serves::Filter { .. })) {
            slot.settle(spent.clone()).await;
        }
    }
}

fn row(note: &Note) -> UsageRow {
    let Note { pipe, model, kind, trail, usage, cost, end } = note;
    let user = trail.user.as_ref();
    let shown = |user: &pipe_sdk::User| user.name.clone().or_else(|| user.email.clone());
    UsageRow {
        at: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| counted(since.as_millis())),
        user: user.map(|user| user.id.clone()),
        name: user.and_then(shown),
        key: trail.key.as_deref().map(str::to_owned),
        via: trail.via.as_deref().filter(|via| via != model).map(str::to_owned),
        model: model.clone(),
        pipe: (*pipe).into(),
        side: trail.side.map(|side| match side {
            Side::Local => store::Side::Local,
            Side::Cloud => store::Side::Cloud,
        }),
        task: trail.task.as_deref().map(str::to_owned),
        kind: match kind {
            ModelKind::Chat => Kind::Chat,
            ModelKind::Embed => Kind::Embed,
            ModelKind::Rerank => Kind::Rerank,
            ModelKind::Image => Kind::Image,
        },
        tokens: Tokens {
            prompt: counted(usage.prompt_tokens),
            cached: counted(usage.cached_tokens.unwrap_or_default()),
            cache_creation: counted(usage.cache_creation_tokens.unwrap_or_default()),
            completion: counted(usage.completion_tokens),
            reasoning: counted(usage.reasoning_tokens.unwrap_or_default()),
        },
        cost: cost.map(counted),
        status: match end {
            End::Whole => Status::Ok,
            End::Failed(_) => Status::Error,
            End::Cancelled => Status::Cancelled,
        },
    }
}

fn counted(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}
