//! The id of the pipe.

/// The id of this pipe in model ids, routes and environment variables.
pub const PIPE_ID: &str = "optimizer";
