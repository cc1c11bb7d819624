//! The store's limits and sums as pipes see them.

use futures_util::future::BoxFuture;
use pipe_sdk::{Exceeded, Ledger, PipeError, Result, Take};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use store::{Refusal, Store, StoreError};

/// The store's limits and sums.
pub struct Stored(pub Arc<Store>);

impl Ledger for Stored {
    fn take(&self, takes: Vec<Take>) -> BoxFuture<'_, Result<Option<Exceeded>>> {
        Box::pin(async move {
            // Where nothing is limited, no chat waits for the store.
            if takes.is_empty() {
                return Ok(None);
            }
            let takes: Vec<_> = takes.into_iter().map(theirs).collect();
            match self.0.limits().admit(&takes).await {
                Ok(_) => Ok(None),
                Err(Refusal::Exceeded(exceeded)) => Ok(Some(ours(exceeded))),
                Err(Refusal::Unknown(error)) => Err(unknown(&error)),
            }
        })
    }

    fn book(&self, key: String, amount: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(
            async move { self.0.limits().add(&key, amount).await.map_err(|error| unknown(&error)) },
        )
    }

    fn spent(&self, user: String, since: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let since = since.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
            let since = i64::try_from(since).unwrap_or(i64::MAX);
            let spent = self.0.spent_of_budget(&user, since).await;
            let spent = spent.map_err(|error| unknown(&error))?;
            Ok(spent.and_then(|spent| u64::try_from(spent).ok()).unwrap_or_default())
        })
    }
}

fn theirs(Take { key, window, max, amount }: Take) -> store::Take {
    store::Take { key, window, max, amount }
}

fn ours(exceeded: store::Exceeded) -> Exceeded {
    let store::Exceeded { index, used, retry_after, .. } = exceeded;
    Exceeded { index, used, retry_after }
}

/// Nobody knows what was taken, and limits are to be closed then.
fn unknown(error: &StoreError) -> PipeError {
    tracing::debug!(%error, "The store could not be asked.");
    let message = "limits cannot be checked because the database is away: try again soon".into();
    PipeError::Unavailable { message, retry_after: Some(Duration::from_secs(5)) }
}
