//! The id of the pipe, and of its model.

/// The id of this pipe in model ids, routes and environment variables, and of its model.
pub const PIPE_ID: &str = "multimodal";
