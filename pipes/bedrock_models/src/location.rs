//! A model in a region: the unit that is asked, that fails, and whose circuit breaker opens.

use std::sync::Arc;

/// The id and the name of a model, and the region that serves it. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelLocation {
    /// The model's id.
    pub model: Arc<str>,
    /// The name that people see, as in `Nova Lite (US)`.
    pub name: Arc<str>,
    /// The AWS region.
    pub region: Arc<str>,
}
