//! A worker: a process that has loaded a file and answers calls.

mod call_stream;
mod host_call;
mod outbox;

pub use call_stream::CallStream;
pub use host_call::{HostCall, HostCallHandler, HostCallResponder};

use crate::{
    error::WorkerError,
    frame::{parse_frame, read_frame, write_frame},
    process::{Process, ProcessSettings, ProcessTree, describe_exit, helper_modules},
    protocol::{CREDIT, Description, HostFrame, MAX_ITEM_BYTES, WorkerFrame},
};
use call_stream::{CallEvent, Unread};
use outbox::Outbox;
use pipe_sdk::Task;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{json, value::to_raw_value};
use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

/// The time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(10);
/// The longest time without a pong or another frame.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// A process that has loaded a file. Dropping it kills the process and all that it started.
pub struct Worker {
    shared: Arc<Shared>,
    /// The parts of the kernel that are missing to confine the process, as in `Landlock`.
    pub missing: Vec<String>,
    _tasks: Vec<Task>,
}

/// The state that a worker shares with its tasks.
struct Shared {
    calls: Mutex<HashMap<u64, CallEntry>>,
    next_id: AtomicU64,
    outbox: Outbox,
    pongs: AtomicU64,
    /// The bytes of items that nobody has read yet.
    unread: Arc<AtomicUsize>,
    /// The reason why the process ended, or must not be given further calls.
    retired: watch::Sender<Option<Retirement>>,
    exited: watch::Sender<Option<String>>,
}

/// The reason why a worker takes no further calls.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Retirement {
    Exited,
    Stuck,
}

/// A call in flight.
struct CallEntry {
    events: mpsc::Sender<CallEvent>,
    host_call_handler: Option<Arc<dyn HostCallHandler>>,
    host_call_tasks: Vec<Task>,
}

impl Worker {
    /// Starts a process and loads the file in it.
    ///
    /// # Errors
    /// Returns an error if the process cannot be started, or the file cannot be loaded in time.
    pub async fn start(
        settings: &ProcessSettings,
        module: &str,
        path: &Path,
        threads: usize,
        limit: Duration,
    ) -> Result<(Self, Description), WorkerError> {
        let worker = Self::from_process(settings.spawn().await?);
        let arguments = json!({
            "module": module, "path": path, "helpers": helper_modules(), "threads": threads,
        });
        let description: Description = worker.request("load", arguments, limit).await?;
        Ok((worker, description.check_size()?))
    }

    /// Asks the file what it serves.
    ///
    /// # Errors
    /// The exception that the file raised, or that it did not answer in time.
    pub async fn describe(&self, limit: Duration) -> Result<Description, WorkerError> {
        let description: Description = self.request("describe", json!({}), limit).await?;
        description.check_size()
    }

    fn from_process(process: Process) -> Self {
        let Process { tree, socket, ready, output_tasks } = process;
        let (reader, writer) = socket.into_split();
        let shared = Arc::new(Shared {
            calls: Mutex::default(),
            next_id: AtomicU64::new(1),
            outbox: Outbox::default(),
            pongs: AtomicU64::new(0),
            unread: Arc::default(),
            retired: watch::Sender::new(None),
            exited: watch::Sender::new(None),
        });
        let supervise = Arc::clone(&shared).supervise(tree, reader, writer);
        let mut tasks = Vec::from(output_tasks);
        tasks.push(Task::spawn(supervise));
        Self { shared, missing: ready.missing, _tasks: tasks }
    }

    /// Calls a method that has no items, and returns its result.
    ///
    /// # Errors
    /// The exception that the file raised, or that it did not answer in time.
    pub async fn request<T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: impl Serialize,
        limit: Duration,
    ) -> Result<T, WorkerError> {
        let mut call = self.call(method, &arguments, None)?;
        let result = timeout(limit, call.wait_for_end()).await;
        let result = result.map_err(|_| WorkerError::Timeout(limit))??;
        serde_json::from_value(result).map_err(|error| WorkerError::Protocol(error.to_string()))
    }

    /// Starts a call, and returns the stream of its items.
    ///
    /// # Errors
    /// Returns an error if the arguments cannot be written as JSON.
    pub fn call(
        &self,
        method: &str,
        arguments: &impl Serialize,
        host_call_handler: Option<Arc<dyn HostCallHandler>>,
    ) -> Result<CallStream, WorkerError> {
        let unwritable = |error: serde_json::Error| WorkerError::Protocol(error.to_string());
        let arguments = &to_raw_value(arguments).map_err(unwritable)?;
        let id = self.shared.next_id.fetch_add(1, Relaxed);
        // One more than the credit, for the end.
        let (sender, events) = mpsc::channel(CREDIT + 1);
        let entry = CallEntry { events: sender, host_call_handler, host_call_tasks: Vec::new() };
        self.shared.calls().insert(id, entry);
        if self.shared.exited.borrow().is_some() {
            // The supervisor has gone and would not end the call.
            self.shared.calls().remove(&id);
        } else {
            self.shared.outbox.push(&HostFrame::Call { id, method, arguments, credit: CREDIT });
        }
        Ok(CallStream { shared: Arc::clone(&self.shared), id, events, taken: 0, is_done: false })
    }

    /// Returns the number of calls that somebody waits for.
    pub fn calls_in_flight(&self) -> usize {
        self.shared.calls().values().filter(|call| !call.events.is_closed()).count()
    }

    /// Waits until the worker must not be given further calls: its process has ended, or a call of
    /// it cannot be ended.
    pub async fn wait_until_retired(&self) {
        let mut retired = self.shared.retired.subscribe();
        // The sender lives as long as the worker.
        _ = retired.wait_for(Option::is_some).await;
    }

    /// Returns the exit of the process, if it has ended.
    pub fn exit(&self) -> Option<String> {
        self.shared.exited.borrow().clone()
    }
}

impl Shared {
    /// Locks the calls.
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, CallEntry>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves frames until the process ends or breaks the protocol; then ends all calls.
    async fn supervise(
        self: Arc<Self>,
        mut tree: ProcessTree,
        reader: OwnedReadHalf,
        writer: OwnedWriteHalf,
    ) {
        let how = tokio::select! {
            status = tree.wait() => describe_exit(status),
            problem = self.read_frames(reader) => match problem {
                // Its last frame may come before the process is seen to end.
                None => describe_exit(tree.wait().await),
                Some(problem) => problem,
            },
            () = self.write_frames(writer) => describe_exit(tree.wait().await),
            () = self.watch_signs_of_life() => {
                format!("killed: no sign of life for {} s", SILENCE_LIMIT.as_secs())
            }
        };
        drop(tree);
        self.exited.send_replace(Some(how));
        self.retired.send_replace(Some(Retirement::Exited));
        self.calls().clear();
    }

    async fn read_frames(self: &Arc<Self>, mut reader: OwnedReadHalf) -> Option<String> {
        loop {
            let frame = match read_frame(&mut reader).await {
                Ok(Some(frame)) => frame,
                Ok(None) => return None,
                Err(error) => return Some(format!("killed: {error}")),
            };
            let length = frame.len();
            match parse_frame(frame).await {
                Ok(frame) if frame.item.is_some() && length > MAX_ITEM_BYTES => {
                    return Some(format!("killed: an item of {length} bytes"));
                }
                Ok(frame) => self.dispatch(frame, length),
                Err(error) => return Some(format!("killed: {error}")),
            }
        }
    }

    async fn write_frames(&self, mut writer: OwnedWriteHalf) {
        loop {
            while let Some(frame) = self.outbox.pop() {
                if write_frame(&mut writer, &frame).await.is_err() {
                    return;
                }
            }
            self.outbox.added.notified().await;
        }
    }

    async fn watch_signs_of_life(&self) {
        let mut unanswered = Duration::ZERO;
        for id in 1.. {
            let before = self.pongs.load(Relaxed);
            self.outbox.push(&HostFrame::Ping { id });
            sleep(PING_INTERVAL).await;
            let is_alive = self.pongs.load(Relaxed) > before;
            unanswered = if is_alive { Duration::ZERO } else { unanswered + PING_INTERVAL };
            if unanswered >= SILENCE_LIMIT {
                return;
            }
        }
    }

    /// Passes a frame of the worker to its call.
    fn dispatch(self: &Arc<Self>, frame: WorkerFrame, length: usize) {
        if frame.pong.is_some() {
            self.pongs.fetch_add(1, Relaxed);
            return;
        }
        if frame.stuck {
            self.retired.send_if_modified(|retired| retired.replace(Retirement::Stuck).is_none());
        }
        let Some(id) = frame.id else { return };
        if let Some(question) = frame.question {
            let arguments = frame.body.unwrap_or_default();
            let method = frame.method.unwrap_or_default();
            self.answer(id, question, HostCall { method, body: arguments });
        }
        let event = match (frame.item, frame.end, frame.error) {
            (Some(item), ..) => match Unread::count(&self.unread, length) {
                Some(unread) => CallEvent::Item(item, unread),
                None => return self.abort_call(id),
            },
            (_, Some(result), _) => CallEvent::End(result),
            (.., Some(error)) => CallEvent::Error(match error.valves {
                Some(valves) => WorkerError::Valves(valves.into_iter().map(Into::into).collect()),
                None => WorkerError::Exception { message: error.message, class: error.class },
            }),
            (None, None, None) => return,
        };
        let is_last = !matches!(event, CallEvent::Item(..));
        let mut calls = self.calls();
        let sender = match is_last {
            true => calls.remove(&id).map(|entry| entry.events),
            false => calls.get(&id).map(|entry| entry.events.clone()),
        };
        drop(calls);
        // A call that nobody waits for has no receiver; one that sends without credit loses items.
        if let Some(sender) = sender
            && let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(event)
        {
            self.abort_call(id);
        }
    }

    /// Ends a call of which too much has come.
    fn abort_call(&self, id: u64) {
        self.calls().remove(&id);
        self.outbox.push(&HostFrame::Cancel { id });
    }

    /// Answers a call of the file to the host.
    fn answer(self: &Arc<Self>, id: u64, question: u64, host_call: HostCall) {
        let responder = HostCallResponder { shared: Arc::clone(self), question };
        let mut calls = self.calls();
        let entry = calls.get_mut(&id);
        let handler = entry.as_ref().and_then(|entry| entry.host_call_handler.clone());
        let (Some(entry), Some(handler)) = (entry, handler) else {
            drop(calls);
            responder.send_frame(None, Some("this call cannot ask models of the host".into()));
            return;
        };
        entry.host_call_tasks.retain(|task| !task.is_finished());
        entry.host_call_tasks.push(Task::spawn(async move {
            let result = handler.answer(host_call, responder.clone()).await;
            responder.send_frame(None, result.err());
        }));
    }
}
