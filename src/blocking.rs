//! Work on long requests runs on blocking threads, so that other requests of the same worker need
//! not wait for it.

use pipe_sdk::{PipeError, Result};
use std::future::Future;
use tokio::{runtime::Handle, sync::oneshot, task::spawn_blocking};

/// A request whose body is larger, in bytes, is worked on by a blocking thread: to parse, convert
/// or write it takes a millisecond and more.
const MAX_ON_WORKER: usize = 128 << 10;

/// Returns whether a request with a body of so many bytes is worked on by a blocking thread.
pub fn is_long(bytes: usize) -> bool {
    bytes > MAX_ON_WORKER
}

/// Runs a future to its end on a blocking thread. Its input and output stay with the worker's
/// runtime. Dropping what is returned drops the future.
///
/// # Errors
/// Those of the future, and its panic.
pub async fn run<T: Send + 'static>(
    future: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    let (_guard, dropped) = oneshot::channel::<()>();
    let worker = Handle::current();
    let run = move || {
        worker.block_on(async {
            tokio::select! {
                result = future => result,
                _ = dropped => Err(PipeError::internal("nobody waits for the result")),
            }
        })
    };
    spawn_blocking(run).await.map_err(PipeError::internal)?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{future::pending, thread};

    #[tokio::test]
    async fn the_future_is_polled_by_another_thread() {
        let here = thread::current().id();
        let there = run(async { Ok(thread::current().id()) }).await.unwrap();
        assert_ne!(here, there);
    }

    #[tokio::test]
    async fn the_future_is_dropped_with_its_waiter() {
        let (held, released) = oneshot::channel::<()>();
        let (started, has_started) = oneshot::channel();
        let running = run::<()>(async move {
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
        let error = run::<()>(async { panic!("of the pipe") }).await.unwrap_err();
        assert!(matches!(error, PipeError::Internal(_)), "{error}");
    }
}
