//! Ids of models with and without the id of this pipe before them.

/// The id of this pipe in model ids, routes and environment variables.
pub const PIPE_ID: &str = "bedrock_models";

/// Returns a model id without the prefix `bedrock_models.`, with which clients see it.
pub fn strip_pipe_id(id: &str) -> &str {
    let id = id.trim();
    id.strip_prefix(PIPE_ID).and_then(|id| id.strip_prefix('.')).unwrap_or(id)
}

/// Returns a model id as clients see it: `bedrock_models.amazon.nova-lite-v1:0`.
pub fn with_pipe_id(id: &str) -> String {
    format!("{PIPE_ID}.{id}")
}
