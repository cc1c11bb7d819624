//! The last requests that failed, for the admin page.
//!
//! They are kept in memory only, and without text that may quote a chat: an admin who may edit
//! valves may not necessarily read chats.

use crate::truncate::truncate;
use serde::Serialize;
use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The maximum number of failed requests that are kept.
const MAX_KEPT: usize = 100;

/// The maximum number of characters of a text. Clients can make paths, models and errors long.
const MAX_TEXT: usize = 300;

/// A request that failed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FailedRequest {
    /// The end of the request, in milliseconds since 1970.
    pub at: u64,
    /// The status of the response. It is 200 if a stream failed after it had begun.
    pub status: u16,
    /// The method.
    pub method: &'static str,
    /// The path, without its query.
    pub path: String,
    /// The requested model, if the host has it.
    pub model: Option<String>,
    /// The name of the key; `None` for the host's own, or if none opened the route.
    pub key: Option<Arc<str>>,
    /// The reason, without the words of upstreams and pipes.
    pub reason: String,
    /// The id of the request, which the log has too.
    pub request_id: String,
}

/// The last requests that failed.
#[derive(Debug, Default)]
pub struct FailedRequests(Mutex<VecDeque<FailedRequest>>);

impl FailedRequests {
    /// Records a request that fails now. The oldest one makes room for it.
    pub fn record(&self, mut request: FailedRequest) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        request.at = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let texts = [&mut request.path, &mut request.reason, &mut request.request_id];
        for text in texts.into_iter().chain(&mut request.model) {
            if let Cow::Owned(short) = truncate(text, MAX_TEXT) {
                *text = short;
            }
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(MAX_KEPT - 1);
        kept.push_front(request);
    }

    /// Returns the requests, the newest first.
    pub fn list(&self) -> Vec<FailedRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_requests_are_kept_and_long_texts_are_cut() {
        let failed = FailedRequests::default();
        for number in 0..MAX_KEPT + 5 {
            let reason = format!("{number}{}", "é".repeat(2 * MAX_TEXT));
            failed.record(FailedRequest { reason, ..FailedRequest::default() });
        }
        let kept = failed.list();
        assert_eq!(kept.len(), MAX_KEPT);
        assert!(kept[0].reason.starts_with("104é") && kept[MAX_KEPT - 1].reason.starts_with("5é"));
        assert_eq!(kept[0].reason.chars().count(), MAX_TEXT + 1);
    }
}
