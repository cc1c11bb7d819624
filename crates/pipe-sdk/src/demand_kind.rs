//! The kind of a demand.

use crate::ModelKind;

/// The kind of a demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DemandKind {
    /// An answer to a chat.
    Chat,
    /// Vectors of texts.
    Embedding,
    /// Documents in order.
    Rerank,
    /// Pictures.
    Image,
    /// Passages of documents.
    Search,
    /// The count of a chat's tokens.
    TokenCount,
}

impl From<ModelKind> for DemandKind {
    fn from(kind: ModelKind) -> Self {
        match kind {
            ModelKind::Chat => Self::Chat,
            ModelKind::Embed => Self::Embedding,
            ModelKind::Rerank => Self::Rerank,
            ModelKind::Image => Self::Image,
        }
    }
}
