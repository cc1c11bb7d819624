//! The families of embedding models, a row each (`docs/reference/bedrock.md`, "Embeddings,
//! reranking, images").

use super::{EmbeddingFamily, RequestFormat};

const TITAN: EmbeddingFamily = EmbeddingFamily {
    format: RequestFormat::Titan,
    sizes: &[1536],
    max_texts: 1,
    truncates: false,
};
const COHERE: EmbeddingFamily = EmbeddingFamily {
    format: RequestFormat::Cohere,
    sizes: &[1024],
    max_texts: 96,
    truncates: true,
};

/// The first row that matches counts, so longer prefixes come before shorter ones.
pub(super) const FAMILIES: &[(&str, EmbeddingFamily)] = &[
    (
        "amazon.nova-2-multimodal-embeddings",
        EmbeddingFamily {
            format: RequestFormat::Nova,
            sizes: &[256, 384, 1024, 3072],
            max_texts: 1,
            truncates: true,
        },
    ),
    (
        "amazon.titan-embed-image",
        EmbeddingFamily {
            format: RequestFormat::TitanMultimodal,
            sizes: &[256, 384, 1024],
            ..TITAN
        },
    ),
    (
        "amazon.titan-embed-text-v2",
        EmbeddingFamily { format: RequestFormat::Titan2, sizes: &[256, 512, 1024], ..TITAN },
    ),
    ("amazon.titan-embed", TITAN),
    ("cohere.embed-v4", EmbeddingFamily { sizes: &[256, 512, 1024, 1536], ..COHERE }),
    ("cohere.embed", COHERE),
];
