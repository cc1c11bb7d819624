//! Reads bodies of requests: within a budget of memory over all requests, and in time.

use super::{
    error::HttpError,
    memory_budget::{MemoryBudget, Share},
    sender::Sender,
};
use actix_web::{ResponseError, http::StatusCode, web::Bytes};
use futures_util::{Stream, StreamExt};
use json_limits::{JsonLimits, JsonLimitsError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// The bytes that each piece of JSON is charged beside its own: it takes some 200 bytes of memory,
/// a byte of text at most 4.
const PIECE_OVERHEAD: usize = 64;

/// The maximum time for a small body, and the window in which `MIN_WINDOW_BYTES` must come.
const WINDOW: Duration = Duration::from_secs(30);

/// The bytes that must come in each window: some 2 KiB a second.
const MIN_WINDOW_BYTES: usize = 64 << 10;

/// The maximum time in which the rest of a refused body is discarded.
const MAX_DISCARD: Duration = Duration::from_secs(10);

/// The bytes a second that a body must have on the average to be whole in time.
const MIN_BYTES_PER_SECOND: usize = 256 << 10;

/// The limits of one body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    /// The largest size in bytes.
    pub bytes: usize,
    /// The maximum number of pieces of JSON; `None` if the body is not JSON.
    pub pieces: Option<usize>,
}

/// A body that was read.
#[derive(Debug)]
pub struct Received {
    /// All of it.
    pub bytes: Vec<u8>,
    /// The share of the budget, to be held until nothing of the body is needed any more.
    pub share: Share,
}

/// Reads a body, whose length may have been declared, within the budget.
///
/// # Errors
/// The body is larger than its limit, comes too slowly, breaks off, or the budget is used up.
pub async fn read_body<E>(
    budget: &MemoryBudget,
    sender: Sender,
    mut payload: impl Stream<Item = Result<Bytes, E>> + Unpin,
    declared: Option<u64>,
    limit: BodyLimit,
) -> Result<Received, HttpError> {
    let most = limit.bytes.min(budget.largest_share());
    let declared = declared.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if declared.is_some_and(|length| length > most) {
        return Err(too_large_error(most));
    }
    let share = budget.share(sender);
    let received =
        receive_within_limits(share, &mut payload, declared, BodyLimit { bytes: most, ..limit })
            .await;
    let is_slow = |error: &HttpError| error.status_code() == StatusCode::REQUEST_TIMEOUT;
    if received.as_ref().is_err_and(|error| !is_slow(error)) {
        discard(payload, limit.bytes).await;
    }
    received
}

async fn receive_within_limits<E>(
    mut share: Share,
    payload: &mut (impl Stream<Item = Result<Bytes, E>> + Unpin),
    declared: Option<usize>,
    limit: BodyLimit,
) -> Result<Received, HttpError> {
    let most = limit.bytes;
    share.check_room(declared.unwrap_or_default())?;
    let mut structure = limit.pieces.map(JsonLimits::up_to);
    let mut deadline = BodyDeadline::start(declared.unwrap_or(most));
    let mut bytes = Vec::new();
    while let Some(chunk) = deadline.wait_for(payload.next()).await? {
        let chunk =
            chunk.map_err(|_| HttpError::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        if bytes.len() + chunk.len() > most {
            return Err(too_large_error(most));
        }
        deadline.count(chunk.len());
        let pieces = match &mut structure {
            Some(structure) => structure.read(&chunk).map_err(structure_error)?,
            None => 0,
        };
        share.grow(chunk.len() + pieces * PIECE_OVERHEAD)?;
        reserve(&mut bytes, chunk.len(), declared.unwrap_or(most));
        bytes.extend_from_slice(&chunk);
    }
    Ok(Received { bytes, share })
}

fn structure_error(error: JsonLimitsError) -> HttpError {
    let status = match error {
        JsonLimitsError::TooDeep => StatusCode::BAD_REQUEST,
        JsonLimitsError::TooManyPieces(_) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    HttpError::new(status, format!("the body is {error}"))
}

/// Reads and discards the rest of a body that was refused, for a while: a client that is not read
/// to its end would not see the answer.
async fn discard<E>(mut payload: impl Stream<Item = Result<Bytes, E>> + Unpin, most: usize) {
    let end = Instant::now() + MAX_DISCARD;
    let mut passed = 0;
    while let Ok(Some(Ok(chunk))) = timeout_at(end, payload.next()).await {
        passed += chunk.len();
        if passed > most {
            break;
        }
    }
}

/// Reserves capacity for more bytes: twice as much as before, but never more than the body can
/// need.
fn reserve(bytes: &mut Vec<u8>, more: usize, most: usize) {
    if bytes.capacity() - bytes.len() < more {
        let doubled = bytes.capacity().max(4096).min(most.saturating_sub(bytes.len()));
        bytes.reserve_exact(doubled.max(more));
    }
}

/// The deadline of a body, and its minimum rate.
struct BodyDeadline {
    end: Instant,
    window: Instant,
    came: usize,
}

impl BodyDeadline {
    fn start(size: usize) -> Self {
        let now = Instant::now();
        let longest = WINDOW + Duration::from_secs((size / MIN_BYTES_PER_SECOND) as u64);
        Self { end: now + longest, window: now + WINDOW, came: 0 }
    }

    fn count(&mut self, bytes: usize) {
        self.came += bytes;
    }

    async fn wait_for<T>(&mut self, chunk: impl Future<Output = T>) -> Result<T, HttpError> {
        let mut chunk = std::pin::pin!(chunk);
        loop {
            if let Ok(chunk) = timeout_at(self.end.min(self.window), &mut chunk).await {
                return Ok(chunk);
            }
            if self.came < MIN_WINDOW_BYTES || Instant::now() >= self.end {
                return Err(HttpError::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the body came too slowly",
                ));
            }
            self.window += WINDOW;
            self.came = 0;
        }
    }
}

fn too_large_error(limit: usize) -> HttpError {
    let message = format!("the body may have {} KiB at most", limit >> 10);
    HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use pipe_sdk::CallerId;
    use std::convert::Infallible;

    const MIB: usize = 1 << 20;

    fn limit(bytes: usize) -> BodyLimit {
        BodyLimit { bytes, pieces: None }
    }

    fn chunks(sizes: &[usize]) -> impl Stream<Item = Result<Bytes, Infallible>> + Unpin + use<> {
        let chunks: Vec<_> = sizes.iter().map(|size| Ok(Bytes::from(vec![b'x'; *size]))).collect();
        stream::iter(chunks)
    }

    fn status<T>(read: Result<T, HttpError>) -> u16 {
        read.err().unwrap().status_code().as_u16()
    }

    fn sender(name: &str) -> Sender {
        Sender { key: None, caller: CallerId::from_name(&name) }
    }

    /// Reads a body of one caller.
    async fn read(
        budget: &MemoryBudget,
        body: impl Stream<Item = Result<Bytes, Infallible>> + Unpin,
        declared: Option<u64>,
    ) -> Result<Received, HttpError> {
        read_body(budget, sender("alice"), body, declared, limit(64 * MIB)).await
    }

    #[tokio::test]
    async fn a_share_is_given_back_when_it_is_dropped() {
        let budget = MemoryBudget::new(8 * MIB);
        let held = read(&budget, chunks(&[MIB, MIB]), None).await.unwrap();
        assert_eq!((held.bytes.len(), budget.used()), (2 * MIB, 2 * MIB));
        // A body that is refused gives back what it had.
        assert_eq!(status(read(&budget, chunks(&[MIB; 4]), None).await), 429);
        assert_eq!(budget.used(), 2 * MIB);
        drop(held);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn others_have_room_where_a_caller_has_none() {
        let budget = MemoryBudget::new(8 * MIB);
        let _held = read(&budget, chunks(&[5 * MIB]), None).await.unwrap();
        assert_eq!(status(read(&budget, chunks(&[MIB]), None).await), 429);
        let other = read_body(&budget, sender("bob"), chunks(&[MIB]), None, limit(MIB)).await;
        assert_eq!(other.unwrap().bytes.len(), MIB);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_for_which_there_is_no_room_is_refused_before_it_comes() {
        let budget = MemoryBudget::new(8 * MIB);
        let _held = read(&budget, chunks(&[3 * MIB]), None).await.unwrap();
        assert_eq!(status(read(&budget, stream::pending(), Some(3 << 20)).await), 429);
        // More than there can ever be room for.
        assert_eq!(status(read(&budget, stream::pending(), Some(6 << 20)).await), 413);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_comes_too_slowly_is_not_waited_for() {
        let every = |millis, size: usize| {
            Box::pin(stream::unfold((), move |()| async move {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                Some((Ok::<_, Infallible>(Bytes::from(vec![b'x'; size])), ()))
            }))
        };
        let budget = MemoryBudget::new(256 * MIB);
        // One byte a second; a rate that is well but for pauses; one that is too low for all of the
        // body.
        for (millis, size, seconds) in [(1000, 1, 30), (40_000, 2 * MIB, 30), (1000, 4096, 286)] {
            let began = Instant::now();
            let slow = read(&budget, every(millis, size), None).await;
            assert_eq!(status(slow), 408, "{millis} {size}");
            assert_eq!(began.elapsed().as_secs(), seconds, "{millis} {size}");
        }
        let endless = read(&budget, every(1000, MIB), None).await;
        assert_eq!(status(endless), 413, "it came in time, and is endless");
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn room_grows_with_what_comes_and_never_beyond_the_body() {
        let budget = MemoryBudget::new(256 * MIB);
        let sizes = [100_000; 100];
        let length = 10_000_000;
        let all = read(&budget, chunks(&sizes), Some(length)).await.unwrap();
        assert_eq!((all.bytes.len(), all.bytes.capacity()), (10_000_000, 10_000_000));
        let few = read(&budget, chunks(&[10]), Some(length)).await.unwrap();
        assert!(few.bytes.capacity() <= 4096);
    }
}
