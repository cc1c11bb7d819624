//! The operations of the pipe: chats, counting tokens, embeddings, images and reranking.

pub mod chat;
pub mod count_tokens;
pub mod embed;
pub mod image;
mod invoke;
pub mod remote_media;
pub mod rerank;
