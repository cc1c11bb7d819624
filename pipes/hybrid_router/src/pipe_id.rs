//! The ids of the pipe and of its models.

/// The id of this pipe in model ids, routes and environment variables.
pub(crate) const PIPE_ID: &str = "hybrid_router";

/// The id of the local model with the id of the pipe, under which a local server answers.
pub(crate) const LOCAL_MODEL_ID: &str = "hybrid_router.hybrid-local";
