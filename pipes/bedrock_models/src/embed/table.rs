//! The families of embedding models, a row each (`docs/reference/bedrock.md`, "Embeddings, reranking, images").

use super::{Family, Form};

const TITAN: Family = Family { form: Form::Titan, sizes: &[1536], at_once: 1, truncates: false };
const COHERE: Family = Family { form: Form::Cohere, sizes: &[1024], at_once: 96, truncates: true };

/// The first row that fits counts, so longer beginnings stand before shorter ones that they begin with.
pub(super) const FAMILIES: &[(&str, Family)] = &[
    (
        "amazon.nova-2-multimodal-embeddings",
        Family { form: Form::Nova, sizes: &[256, 384, 1024, 3072], at_once: 1, truncates: true },
    ),
    (
        "amazon.titan-embed-image",
        Family { form: Form::TitanMultimodal, sizes: &[256, 384, 1024], ..TITAN },
    ),
    (
        "amazon.titan-embed-text-v2",
        Family { form: Form::Titan2, sizes: &[256, 512, 1024], ..TITAN },
    ),
    ("amazon.titan-embed", TITAN),
    ("cohere.embed-v4", Family { sizes: &[256, 512, 1024, 1536], ..COHERE }),
    ("cohere.embed", COHERE),
];
