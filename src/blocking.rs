//! Work on long requests runs on blocking threads, so that other requests of the same worker need
//! not wait for it. Callers take turns: none can keep the threads from the others.

use pipe_sdk::{CallerId, CallerMap, PipeError, Result, Task};
use std::{
    future::Future,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Wake, Waker},
    thread::available_parallelism,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit, oneshot},
    task::spawn_blocking,
};

/// A request whose body is larger, in bytes, is worked on by a blocking thread: to parse, convert
/// or write it takes a millisecond and more.
const MAX_ON_WORKER: usize = 128 << 10;

/// The threads that work on long requests.
static THREADS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(max_threads()));

/// The threads of each caller that has work.
static CALLERS: LazyLock<CallerMap<Semaphore>> = LazyLock::new(CallerMap::default);

/// Returns how many threads work on long requests at the same time: half of the cores, so that the
/// workers have the others.
fn max_threads() -> usize {
    available_parallelism().map_or(1, usize::from).div_ceil(2)
}

/// Returns whether a request with a body of so many bytes is worked on by a blocking thread.
pub fn is_long(bytes: usize) -> bool {
    bytes > MAX_ON_WORKER
}

/// Does a caller's work on so many bytes: on a blocking thread if they are many.
///
/// # Errors
/// A panic of work on a blocking thread.
pub async fn compute<T: Send + 'static>(
    caller: CallerId,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if is_long(bytes) { compute_on_thread(caller, work).await } else { Ok(work()) }
}

/// Runs a caller's future to its end. If it works on something long, it is polled on blocking
/// threads, and holds one only while it is polled: a model may take minutes to begin with its
/// answer. Its input and output stay with the worker's runtime.
///
/// # Errors
/// Those of the future, and its panic on a blocking thread.
pub async fn run<T: Send + 'static>(
    caller: CallerId,
    is_long: bool,
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    if !is_long {
        return future.await;
    }
    let mut future = Box::pin(future);
    let woken = Arc::new(Woken::default());
    loop {
        let waker = Waker::from(Arc::clone(&woken));
        let poll = move || {
            let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
            (polled, future)
        };
        let polled;
        (polled, future) = compute_on_thread(caller, poll).await?;
        match polled {
            Poll::Ready(result) => return result,
            Poll::Pending => woken.0.notified().await,
        }
    }
}

async fn compute_on_thread<T: Send + 'static>(
    caller: CallerId,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, result) = oneshot::channel();
    // In a task, which takes its turn even while nobody polls what waits for it.
    let _task = Task::spawn(async move {
        let turn = Turn::wait_for(caller).await;
        let work = || {
            let result = work();
            drop(turn);
            result
        };
        // The receiver may have stopped waiting.
        _ = sender.send(spawn_blocking(work).await);
    });
    result.await.map_err(PipeError::internal)?.map_err(PipeError::internal)
}

/// The turn of a caller: it may use a thread.
struct Turn {
    _thread: Option<SemaphorePermit<'static>>,
    _own: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Waits until the caller may use a thread. It waits for the other requests of the caller
    /// first, and only then in the queue that all callers share.
    async fn wait_for(caller: CallerId) -> Self {
        // The semaphores are never closed.
        let own = caller_threads(caller).acquire_owned().await.ok();
        let thread = THREADS.acquire().await.ok();
        Self { _thread: thread, _own: own }
    }
}

/// Returns the threads that a caller may use at the same time: half of all.
fn caller_threads(caller: CallerId) -> Arc<Semaphore> {
    CALLERS.get_or_insert_with(caller, || Semaphore::new(max_threads().div_ceil(2)))
}

/// The waker of a future that is polled on other threads.
#[derive(Default)]
struct Woken(Notify);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
    use std::{future::pending, sync::Mutex, thread};

    fn caller(name: &str) -> CallerId {
        CallerId::from_name(&name)
    }

    #[tokio::test]
    async fn a_caller_with_much_work_does_not_hold_up_another() {
        let done = Arc::new(Mutex::new(Vec::new()));
        let work = |name: &'static str| {
            let done = Arc::clone(&done);
            compute(caller(name), usize::MAX, move || done.lock().unwrap().push(name))
        };
        let many = 20 * max_threads();
        let works = (0..many).map(|_| work("alice")).chain([work("bob")]);
        let results: Vec<_> = futures_util::future::join_all(works).await;
        assert!(results.into_iter().all(|result| result.is_ok()));
        let place = done.lock().unwrap().iter().position(|name| *name == "bob").unwrap();
        assert!(place <= 2 * max_threads(), "{place} of {many}");
    }

    #[tokio::test]
    async fn the_future_is_polled_by_another_thread() {
        let here = thread::current().id();
        let there =
            run(CallerId::default(), true, async { Ok(thread::current().id()) }).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn futures_that_wait_hold_no_thread() {
        let mut waiting: FuturesUnordered<_> = (0..64)
            .map(|_| run(CallerId::default(), true, async { pending::<Result<()>>().await }))
            .collect();
        assert!(waiting.next().now_or_never().is_none());
        run(CallerId::default(), true, async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_future_is_polled_again_when_it_is_woken() {
        let polls = run(CallerId::default(), true, async {
            let (sender, receiver) = oneshot::channel();
            let _task = Task::spawn(async { sender.send("sent").unwrap() });
            receiver.await.map_err(PipeError::internal)
        });
        assert_eq!(polls.await.unwrap(), "sent");
    }

    #[tokio::test]
    async fn the_future_is_dropped_with_its_waiter() {
        let (held, released) = oneshot::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let running = run::<()>(CallerId::default(), true, async move {
            let _held = held;
            started.send(()).unwrap();
            pending().await
        });
        tokio::select! {
            _ = running => unreachable!("it is pending"),
            started = has_started => started.unwrap(),
        }
        // The sender is dropped, and nothing was sent.
        released.await.unwrap_err();
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let error = run::<()>(CallerId::default(), true, async { panic!("of the pipe") })
            .await
            .unwrap_err();
        assert!(matches!(error, PipeError::Internal(_)), "{error}");
    }
}
