//! Work on long requests runs on blocking threads, so that other requests of the same worker need
//! not wait for it.

use pipe_sdk::{PipeError, Result, Task};
use std::{
    future::Future,
    sync::{Arc, LazyLock},
    task::{Context, Poll, Wake, Waker},
};
use tokio::{
    sync::{Notify, Semaphore, oneshot},
    task::spawn_blocking,
};

/// A request whose body is larger, in bytes, is worked on by a blocking thread: to parse, convert
/// or write it takes a millisecond and more.
const MAX_ON_WORKER: usize = 128 << 10;

/// How many threads work on long requests at the same time: half of the cores, so that the workers
/// have the others.
static THREADS: LazyLock<Semaphore> = LazyLock::new(|| {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Semaphore::new(cores.div_ceil(2))
});

/// Returns whether a request with a body of so many bytes is worked on by a blocking thread.
pub fn is_long(bytes: usize) -> bool {
    bytes > MAX_ON_WORKER
}

/// Does work on so many bytes: on a blocking thread if they are many.
///
/// # Errors
/// A panic of work on a blocking thread.
pub async fn compute<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if is_long(bytes) { compute_on_thread(work).await } else { Ok(work()) }
}

/// Runs a future to its end. If it works on something long, it is polled on blocking threads, and
/// holds one only while it is polled: a model may take minutes to begin with its answer. Its input
/// and output stay with the worker's runtime.
///
/// # Errors
/// Those of the future, and its panic on a blocking thread.
pub async fn run<T: Send + 'static>(
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
        (polled, future) = compute_on_thread(poll).await?;
        match polled {
            Poll::Ready(result) => return result,
            Poll::Pending => woken.0.notified().await,
        }
    }
}

async fn compute_on_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let (sender, result) = oneshot::channel();
    // In a task, which takes its turn even while nobody polls what waits for it.
    let _task = Task::spawn(async {
        // The semaphore is never closed.
        let permit = THREADS.acquire().await.ok();
        let work = || {
            let result = work();
            drop(permit);
            result
        };
        // Whoever waited may be gone.
        _ = sender.send(spawn_blocking(work).await);
    });
    result.await.map_err(PipeError::internal)?.map_err(PipeError::internal)
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
    use std::{future::pending, thread};

    #[tokio::test]
    async fn the_future_is_polled_by_another_thread() {
        let here = thread::current().id();
        let there = run(true, async { Ok(thread::current().id()) }).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn futures_that_wait_hold_no_thread() {
        let mut waiting: FuturesUnordered<_> =
            (0..64).map(|_| run(true, async { pending::<Result<()>>().await })).collect();
        assert!(waiting.next().now_or_never().is_none());
        run(true, async { Ok(()) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_future_is_polled_again_when_it_is_woken() {
        let polls = run(true, async {
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
        let running = run::<()>(true, async move {
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
        let error = run::<()>(true, async { panic!("of the pipe") }).await.unwrap_err();
        assert!(matches!(error, PipeError::Internal(_)), "{error}");
    }
}
