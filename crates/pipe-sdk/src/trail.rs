//! Who is behind a call, and through which pipes it has come.

use crate::{Admission, TraceContext, User};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Who is behind a call, and through which pipes it has come. It travels from model to model, so that limits, costs and access count for
/// the person who asked. A clone is cheap, and is the same trail.
#[derive(Clone, Debug, Default)]
pub struct CallContext {
    /// Who asks, if it is known.
    pub user: Option<User>,
    /// The name of the API key that opened the door; `None` for the host's own key.
    pub key: Option<Arc<str>>,
    /// The background task that asks, as Open WebUI's server or the host itself says it.
    pub task: Option<Arc<str>>,
    /// The model that was asked for at the door, where a pipe now asks another.
    pub via: Option<Arc<str>>,
    /// The side of a router that the call is on.
    pub side: Option<Side>,
    /// Where the call stands in a trace, for what is sent on in its name.
    pub trace: Option<TraceContext>,
    /// What the request has taken from limits.
    pub admission: Arc<Admission>,
    pub(crate) counted: Arc<AtomicBool>,
}

/// The side of a router that an answer is made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// On machines of one's own.
    Local,
    /// At a provider's.
    Cloud,
}

impl Side {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

impl CallContext {
    /// The beginning of a trail, at the door.
    pub fn new(user: Option<User>, key: Option<Arc<str>>, task: Option<&str>) -> Self {
        Self { user, key, task: task.map(Arc::from), ..Self::default() }
    }

    /// The beginning of a trail of what the host does of its own accord: nobody has asked for it, so no filter is asked.
    pub fn of_the_host(task: Option<&str>) -> Self {
        let admission = Arc::new(Admission::exempt());
        Self { task: task.map(Arc::from), admission, ..Self::default() }
    }

    /// The trail of what the pipe behind this model asks of others.
    #[must_use]
    pub fn through(&self, model: &str) -> Self {
        let via = self.via.clone().or_else(|| Some(model.into()));
        Self { via, counted: Arc::default(), ..self.clone() }
    }

    /// The same trail from this place in a trace.
    #[must_use]
    pub fn traced(self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self }
    }

    /// Keeps that what came of the call has been counted already, by the model that did the work.
    pub fn set_counted(&self) {
        self.counted.store(true, Ordering::Relaxed);
    }

    /// Whether it has.
    pub fn is_counted(&self) -> bool {
        self.counted.load(Ordering::Relaxed)
    }
}
