//! The named key of a request.

use std::sync::Arc;

/// The name of the key that a request was sent with, as an extension of the request. Without one,
/// it was the host's own key.
#[derive(Clone)]
pub struct KeyName(pub Arc<str>);
