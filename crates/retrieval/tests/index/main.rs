//! Tests of the index through its public interface, on every engine.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

/// Creates a test of each of these functions for each engine.
macro_rules! on_every_engine {
    ($($sentence:ident),* $(,)?) => {
        mod in_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                let file = tempfile::tempdir().unwrap();
                super::$sentence(crate::support::sqlite(&file).await).await;
            })*
        }
        mod in_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $sentence() {
                if let Some(index) = crate::support::postgres().await {
                    super::$sentence(index).await;
                }
            })*
        }
    };
}

mod access;
mod changes;
mod crash;
mod embedding;
mod finding;
mod model;
mod passages;
mod support;
